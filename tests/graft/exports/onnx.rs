//! A reader of ONNX files for these tests, by the field numbers of `onnx.proto`.

use std::collections::BTreeMap;

/// The value of a field.
#[derive(Debug, Clone, Copy)]
enum Field<'a> {
    Int(u64),
    Bytes(&'a [u8]),
    Float(f32),
}

/// A message: fields by number.
struct Message<'a>(Vec<(u64, Field<'a>)>);

/// One node of the graph.
#[derive(Debug)]
pub struct Node {
    pub kind: String,
    pub inputs: Vec<String>,
    pub output: String,
    /// Whole numbers by attribute.
    pub ints: BTreeMap<String, Vec<u64>>,
    pub floats: BTreeMap<String, f32>,
}

/// A constant of the graph.
#[derive(Debug)]
pub struct Constant {
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

#[derive(Debug)]
pub struct Onnx {
    pub ir_version: u64,
    pub opset: u64,
    pub producer: String,
    /// By key.
    pub properties: BTreeMap<String, String>,
    pub nodes: Vec<Node>,
    pub constants: BTreeMap<String, Constant>,
    /// Name and sizes of input and output; a size that has a name is 0.
    pub input: (String, Vec<u64>),
    pub output: (String, Vec<u64>),
}

impl Onnx {
    pub fn read(bytes: &[u8]) -> Self {
        let file = Message::read(bytes);
        let graph = file.message(7);
        let properties = file.messages(14).map(|p| (p.text(1), p.text(2)));
        let constants = graph.messages(5).map(|tensor| {
            let shape = tensor.ints(1).map(|size| size as usize).collect();
            let bytes = tensor.bytes(9).next().expect("values").to_vec();
            (tensor.text(8), Constant { shape, bytes })
        });
        Self {
            ir_version: file.int(1),
            opset: file.message(8).int(2),
            producer: file.text(2),
            properties: properties.collect(),
            nodes: graph.messages(1).map(node).collect(),
            constants: constants.collect(),
            input: value(&graph.message(11)),
            output: value(&graph.message(12)),
        }
    }

    /// The nodes' operators in order.
    pub fn kinds(&self) -> Vec<&str> {
        self.nodes.iter().map(|node| node.kind.as_str()).collect()
    }

    /// The node that gives the output of the layer.
    pub fn layer(&self, name: &str) -> &Node {
        let output = format!("{name}.output");
        let mut nodes = self.nodes.iter();
        nodes.find(|node| node.output == output).expect("a node")
    }
}

fn node(message: Message) -> Node {
    let attributes = || message.messages(5).map(|a| (a.text(1), a));
    let ints = |attribute: &Message| match attribute.int(20) {
        2 => Some(vec![attribute.int(3)]),
        7 => Some(attribute.ints(8).collect()),
        _ => None,
    };
    let float = |attribute: &Message| attribute.0.iter().find_map(|field| field.1.float());
    Node {
        kind: message.text(4),
        inputs: message.bytes(1).map(text).collect(),
        output: message.text(2),
        ints: attributes()
            .filter_map(|(n, a)| Some((n, ints(&a)?)))
            .collect(),
        floats: attributes()
            .filter_map(|(n, a)| Some((n, float(&a)?)))
            .collect(),
    }
}

/// `ValueInfoProto`: name, and sizes of the tensor.
fn value(message: &Message) -> (String, Vec<u64>) {
    let tensor = message.message(2).message(1);
    assert_eq!(tensor.int(1), 1, "float");
    let sizes = tensor.message(2);
    let sizes = sizes.messages(1).map(|size| size.ints(1).next());
    (message.text(1), sizes.map(|s| s.unwrap_or(0)).collect())
}

impl<'a> Message<'a> {
    fn read(mut bytes: &'a [u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let field = match key & 7 {
                0 => Field::Int(varint(&mut bytes)),
                2 => {
                    let length = varint(&mut bytes) as usize;
                    let (value, rest) = bytes.split_at(length);
                    bytes = rest;
                    Field::Bytes(value)
                }
                5 => {
                    let (value, rest) = bytes.split_at(4);
                    bytes = rest;
                    Field::Float(f32::from_le_bytes(value.try_into().expect("4 bytes")))
                }
                other => panic!("encoding {other}"),
            };
            fields.push((key >> 3, field));
        }
        Self(fields)
    }

    fn fields(&self, number: u64) -> impl Iterator<Item = Field<'a>> {
        let fields = self.0.iter().filter(move |field| field.0 == number);
        fields.map(|field| field.1)
    }

    fn ints(&self, number: u64) -> impl Iterator<Item = u64> {
        self.fields(number).filter_map(|field| match field {
            Field::Int(value) => Some(value),
            _ => None,
        })
    }

    fn int(&self, number: u64) -> u64 {
        self.ints(number).next().expect("a number")
    }

    fn bytes(&self, number: u64) -> impl Iterator<Item = &'a [u8]> {
        self.fields(number).filter_map(|field| match field {
            Field::Bytes(value) => Some(value),
            _ => None,
        })
    }

    fn text(&self, number: u64) -> String {
        self.bytes(number).next().map(text).expect("a text")
    }

    fn messages(&self, number: u64) -> impl Iterator<Item = Message<'a>> {
        self.bytes(number).map(Message::read)
    }

    fn message(&self, number: u64) -> Message<'a> {
        self.messages(number).next().expect("a message")
    }
}

impl Field<'_> {
    fn float(self) -> Option<f32> {
        match self {
            Field::Float(value) => Some(value),
            _ => None,
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (&byte, rest) = bytes.split_first().expect("a number's end");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}
