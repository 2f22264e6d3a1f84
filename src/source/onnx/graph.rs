//! The nodes of an ONNX graph and what each tensor is to them: names of layers and roles.
//!
//! It reads no values. Format: `onnx/onnx.proto`, messages `GraphProto` and `NodeProto`.

use std::collections::HashMap;

use super::super::layers::{is_role, split};
use super::protobuf::{Field, Place, Protobuf};
use super::tensor::Tensor;
use crate::error::Result;

/// A graph, without its values.
#[derive(Debug, Default)]
pub struct Graph {
    pub name: String,
    nodes: Vec<Node>,
    pub tensors: Vec<Tensor>,
    /// Whether weights are stored as sparse ones.
    pub has_sparse: bool,
}

#[derive(Debug, Default)]
struct Node {
    name: String,
    operation: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    /// Gemm's: its weights are (outputs, inputs).
    is_transposed: bool,
    constant: Option<Place>,
}

/// A name under which a tensor is used.
#[derive(Debug, PartialEq)]
pub struct Use<'a> {
    /// Place of the tensor in [`Graph::tensors`].
    pub tensor: usize,
    pub path: &'a str,
    pub layer: String,
    /// In the words of PyTorch, or `kernel` for (inputs, outputs); else its own.
    pub role: String,
    /// Whether a node says so.
    pub is_known: bool,
    /// Whether it holds quantized weights.
    pub is_quantized: bool,
}

impl Graph {
    /// Reads the message at `place`.
    ///
    /// # Errors
    /// A malformed one.
    pub fn read(file: &Protobuf, place: Place) -> Result<Self> {
        let mut graph = Graph::default();
        file.each(place, |number, field| {
            match (number, field) {
                (1, Field::Bytes(node)) => graph.nodes.push(Node::read(file, node)?),
                (2, name) => graph.name = file.text(name)?,
                (5, Field::Bytes(tensor)) => graph.tensors.push(Tensor::read(file, tensor)?),
                (15, _) => graph.has_sparse = true,
                _ => {}
            }
            Ok(())
        })?;
        for node in &graph.nodes {
            if let (Some(place), [output]) = (node.constant, node.outputs.as_slice()) {
                let mut tensor = Tensor::read(file, place)?;
                tensor.name.clone_from(output);
                graph.tensors.push(tensor);
            }
        }
        Ok(graph)
    }

    /// Every tensor under every name, with its first use.
    pub fn uses(&self) -> Vec<Use<'_>> {
        let mut names: Vec<(&str, usize)> = Vec::new();
        names.extend(
            self.tensors
                .iter()
                .map(|tensor| tensor.name.as_str())
                .zip(0..),
        );
        let known: HashMap<&str, usize> = names.iter().copied().collect();
        // Exporters store equal tensors once, and give the copies their names with Identity.
        for node in self
            .nodes
            .iter()
            .filter(|node| node.operation == "Identity")
        {
            if let ([input], [output]) = (node.inputs.as_slice(), node.outputs.as_slice())
                && let Some(&tensor) = known.get(input.as_str())
            {
                names.push((output, tensor));
            }
        }
        let links = Links::of(&self.nodes);
        let one = |(path, tensor)| links.of_tensor(path, tensor);
        names.into_iter().map(one).collect()
    }
}

impl Node {
    fn read(file: &Protobuf, place: Place) -> Result<Self> {
        let mut node = Node::default();
        file.each(place, |number, field| {
            match (number, field) {
                (1, input) => node.inputs.push(file.text(input)?),
                (2, output) => node.outputs.push(file.text(output)?),
                (3, name) => node.name = file.text(name)?,
                (4, operation) => node.operation = file.text(operation)?,
                (5, Field::Bytes(attribute)) => node.attribute(file, attribute)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(node)
    }

    /// Takes note of Gemm's `transB` and of a Constant's `value`.
    fn attribute(&mut self, file: &Protobuf, place: Place) -> Result<()> {
        let (mut name, mut number, mut tensor) = (Vec::new(), 0, None);
        file.each(place, |field_number, field| {
            match (field_number, field) {
                (1, Field::Bytes(place)) if place.len < 10 => {
                    name = file.pieces.read(place.start, place.len)?;
                }
                (3, Field::Number(value)) => number = value,
                (5, Field::Bytes(place)) => tensor = Some(place),
                _ => {}
            }
            Ok(())
        })?;
        match name.as_slice() {
            b"transB" => self.is_transposed = number != 0,
            b"value" => self.constant = tensor,
            _ => {}
        }
        Ok(())
    }

    /// What its input at this place is to it.
    fn role(&self, place: usize) -> Option<&'static str> {
        match (self.operation.as_str(), place) {
            ("Gemm", 1) if !self.is_transposed => Some("kernel"),
            // Not those of a ConvTranspose: its filters are (channels, filters, rows, columns).
            ("Conv" | "Gemm", 1) => Some("weight"),
            ("Conv" | "Gemm", 2) => Some("bias"),
            ("MatMul", 1) => Some("kernel"),
            ("MatMul", 0) => Some("weight"),
            ("BatchNormalization", 3) => Some("running_mean"),
            ("BatchNormalization", 4) => Some("running_var"),
            _ if self.operation.ends_with("Normalization") => match place {
                1 => Some("weight"),
                2 => Some("bias"),
                _ => None,
            },
            ("PRelu", 1) => Some("weight"),
            _ => None,
        }
    }

    /// Whether a tensor that is added to its output is its bias.
    fn may_have_bias(&self) -> bool {
        matches!(self.operation.as_str(), "Conv" | "Gemm" | "MatMul")
    }

    fn is_quantizing(&self) -> bool {
        let operation = self.operation.as_str();
        operation.starts_with("QLinear")
            || matches!(
                operation,
                "DequantizeLinear" | "ConvInteger" | "MatMulInteger"
            )
    }

    /// Its own name, or that of what it computes.
    fn name(&self) -> &str {
        match (self.name.as_str(), self.outputs.first()) {
            ("", Some(output)) => output,
            (name, _) => name,
        }
    }
}

/// Who makes and who uses what.
struct Links<'a> {
    nodes: &'a [Node],
    /// Node that computes it.
    producer: HashMap<&'a str, usize>,
    /// First node that uses it, and the place among its inputs.
    user: HashMap<&'a str, (usize, usize)>,
    /// The tensor that is added to a node's output.
    bias: HashMap<usize, &'a str>,
}

impl<'a> Links<'a> {
    fn of(nodes: &'a [Node]) -> Self {
        let mut links = Self {
            nodes,
            producer: HashMap::new(),
            user: HashMap::new(),
            bias: HashMap::new(),
        };
        for (index, node) in nodes.iter().enumerate() {
            for output in &node.outputs {
                links.producer.insert(output, index);
            }
            for (place, input) in node.inputs.iter().enumerate() {
                // That it is copied or turned says less than what is done with it otherwise.
                if node.operation != "Identity" {
                    links.user.entry(input).or_insert((index, place));
                }
            }
        }
        for node in nodes.iter().filter(|node| node.operation == "Add") {
            if let [one, other] = node.inputs.as_slice() {
                for (sum, bias) in [(one, other), (other, one)] {
                    let producer = links.producer.get(sum.as_str());
                    if let Some(&producer) = producer.filter(|&&p| nodes[p].may_have_bias())
                        && !links.producer.contains_key(bias.as_str())
                    {
                        links.bias.entry(producer).or_insert(bias);
                    }
                }
            }
        }
        links
    }

    fn of_tensor(&self, path: &'a str, tensor: usize) -> Use<'a> {
        let user = self
            .user
            .get(path)
            .map(|&(node, place)| (&self.nodes[node], node, place));
        let telling = telling(path);
        let own = || telling.unwrap_or((path, path));
        let bias_of = self.bias_of(path);
        let (layer, role, is_known) = match user {
            Some((node, index, place)) => match (node.role(place), bias_of) {
                (Some(role), _) => (self.layer(index, telling), role, true),
                (None, Some(producer)) => (self.layer(producer, telling), "bias", true),
                (None, None) => match telling {
                    Some((layer, role)) => (layer, role, false),
                    None => (node.name(), path, false),
                },
            },
            None => (own().0, own().1, false),
        };
        Use {
            tensor,
            path,
            layer: layer.to_string(),
            role: role.to_string(),
            is_known,
            is_quantized: user.is_some_and(|(node, ..)| node.is_quantizing()),
        }
    }

    /// The node to whose output the tensor is added.
    fn bias_of(&self, path: &str) -> Option<usize> {
        let &(user, _) = self.user.get(path)?;
        let node = &self.nodes[user];
        if node.operation != "Add" {
            return None;
        }
        let mut producers = node
            .inputs
            .iter()
            .filter_map(|i| self.producer.get(i.as_str()));
        let producer = producers.find(|&&p| self.bias.get(&p) == Some(&path));
        producer.copied()
    }

    /// Name of the layer that a node is: after its tensors, if theirs tell, else its own.
    fn layer(&self, index: usize, telling_one: Option<(&'a str, &'a str)>) -> &'a str {
        let node = &self.nodes[index];
        let inputs = node.inputs.iter().skip(1).map(String::as_str);
        let bias = self.bias.get(&index).copied();
        let mut found = inputs.chain(bias).filter_map(telling);
        let found = telling_one.or_else(|| found.next());
        found.map_or(node.name(), |(layer, _)| layer)
    }
}

/// Layer and role in a tensor's name, if its end says what the tensor is: `features.0.weight`,
/// `dense/kernel:0`.
fn telling(path: &str) -> Option<(&str, &str)> {
    let (layer, role) = match path.strip_suffix(":0").unwrap_or(path).rsplit_once('/') {
        Some((layer, role)) if is_role(role) => (layer, role),
        _ => split(path),
    };
    is_role(role).then_some((layer, role))
}
