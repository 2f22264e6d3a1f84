//! The messages of ONNX that a model is made of, by the field numbers of `onnx.proto`.

use super::protobuf::Message;
use crate::numbers::Numbers;

/// The value of a node's attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    Float(f64),
    Int(usize),
    Ints(Vec<usize>),
}

/// Types of elements.
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// `onnx.NodeProto`: the operator `kind` under the name of a layer.
pub fn node<'a>(
    kind: &str,
    name: &str,
    inputs: &[&str],
    output: &str,
    attributes: &[(&str, Attribute)],
) -> Message<'a> {
    let mut message = Message::new();
    for input in inputs {
        message = message.bytes(1, input.as_bytes());
    }
    message = message
        .bytes(2, output.as_bytes())
        .bytes(3, name.as_bytes())
        .bytes(4, kind.as_bytes());
    for (name, value) in attributes {
        message = message.message(5, attribute(name, value));
    }
    message
}

/// `onnx.AttributeProto`.
fn attribute<'a>(name: &str, value: &Attribute) -> Message<'a> {
    let message = Message::new().bytes(1, name.as_bytes());
    match value {
        Attribute::Float(value) => message.float(2, *value as f32).int(20, 1),
        Attribute::Int(value) => message.int(3, *value as i64).int(20, 2),
        Attribute::Ints(values) => values
            .iter()
            .fold(message, |message, &value| message.int(8, value as i64))
            .int(20, 7),
    }
}

/// `onnx.TensorProto` of these values.
pub fn weights<'a>(name: &str, shape: &[usize], values: &'a Numbers) -> Message<'a> {
    tensor(name, shape, FLOAT).numbers(9, values)
}

/// `onnx.TensorProto` of a few values, which become f32.
pub fn floats<'a>(name: &str, shape: &[usize], values: &[f64]) -> Message<'a> {
    let bytes = values
        .iter()
        .flat_map(|&value| (value as f32).to_le_bytes());
    tensor(name, shape, FLOAT).bytes(9, &bytes.collect::<Vec<_>>())
}

/// `onnx.TensorProto` of a list of whole numbers.
pub fn integers<'a>(name: &str, values: &[i64]) -> Message<'a> {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    tensor(name, &[values.len()], INT64).bytes(9, &bytes.collect::<Vec<_>>())
}

fn tensor<'a>(name: &str, shape: &[usize], kind: i64) -> Message<'a> {
    let sizes = shape.iter();
    sizes
        .fold(Message::new(), |message, &size| message.int(1, size as i64))
        .int(2, kind)
        .bytes(8, name.as_bytes())
}

/// `onnx.ValueInfoProto` of a batch of samples of this shape.
pub fn value<'a>(name: &str, sample: &[usize]) -> Message<'a> {
    let batch = Message::new().message(1, Message::new().bytes(2, b"batch"));
    let shape = sample.iter().fold(batch, |shape, &size| {
        shape.message(1, Message::new().int(1, size as i64))
    });
    let tensor = Message::new().int(1, FLOAT).message(2, shape);
    Message::new()
        .bytes(1, name.as_bytes())
        .message(2, Message::new().message(1, tensor))
}

/// `onnx.GraphProto`.
pub fn graph<'a>(
    nodes: Vec<Message<'a>>,
    constants: Vec<Message<'a>>,
    input: Message<'a>,
    output: Message<'a>,
) -> Message<'a> {
    let mut message = Message::new();
    for node in nodes {
        message = message.message(1, node);
    }
    message = message.bytes(2, b"graft");
    for constant in constants {
        message = message.message(5, constant);
    }
    message.message(11, input).message(12, output)
}
