//! ONNX files: the graph's initializers, as weights of the nodes that use them.
//!
//! Nothing is run or optimized; what a tensor is follows from the node that uses it ([`graph`]),
//! the name of its layer from its own name where that tells. Format: `onnx/onnx.proto`.

mod graph;
mod protobuf;
mod tensor;

use std::collections::BTreeMap;

use super::element::Element;
use super::layers::{Layers, fact};
use super::pieces::Pieces;
use super::{Contents, Format};
use crate::error::{At, Error, Result};
use graph::{Graph, Use};
use protobuf::{Field, Place, Protobuf};
use tensor::Tensor;

/// Reads the weights of the model in `pieces`.
///
/// # Errors
/// A damaged file, weights in another file, sparse or quantized ones.
pub fn read(pieces: &Pieces) -> Result<Contents> {
    let file = Protobuf::new(pieces);
    let (place, mut metadata) = model(&file)?;
    let graph = Graph::read(&file, place)?;
    metadata.extend(fact(&graph.name).map(|name| ("graph".to_string(), name)));
    if graph.has_sparse {
        return Err(Error::new("has sparse weights, which are not supported")
            .help("export the model with dense weights"));
    }
    let mut found = Layers::of_at_most(pieces.len().saturating_mul(MOST_SHARING));
    for used in graph.uses() {
        let tensor = &graph.tensors[used.tensor];
        if !is_weight(&used, tensor).at(used.path.escape_debug())? {
            continue;
        }
        let Use {
            path, layer, role, ..
        } = used;
        let read = |found: &mut Layers| {
            // The smallest element, for those whose type is unknown.
            let size = tensor.element.map_or(1, Element::size);
            let count = found.room_for(&tensor.shape, size)?;
            let values = tensor.values(&file, count)?;
            found.push((&layer, &role), path, tensor.shape.clone(), values)
        };
        read(&mut found).at(path.escape_debug())?;
    }
    Ok(Contents {
        format: Format::Onnx,
        layers: found.finish(),
        metadata,
    })
}

/// How many times the file's size its tensors may take: several names may share one.
const MOST_SHARING: u64 = 4;

/// Place of the graph, and facts.
fn model(file: &Protobuf) -> Result<(Place, BTreeMap<String, String>)> {
    let mut graph = None;
    let mut facts = BTreeMap::new();
    let mut producer = Vec::new();
    file.each(file.root(), |number, field| {
        match (number, field) {
            (1, Field::Number(version)) => {
                facts.insert("ir_version".to_string(), version.to_string());
            }
            (2 | 3, text) => producer.extend(fact(&file.text(text)?)),
            (7, Field::Bytes(place)) => graph = Some(place),
            _ => {}
        }
        Ok(())
    })?;
    if !producer.is_empty() {
        facts.insert("producer".to_string(), producer.join(" "));
    }
    let no_graph = || Error::new("is an ONNX file without a graph").help("the file is truncated");
    Ok((graph.ok_or_else(no_graph)?, facts))
}

/// Whether a tensor is a weight, rather than a shape, an index or a constant of some formula.
fn is_weight(used: &Use, tensor: &Tensor) -> Result<bool> {
    use Element::{I8, U8};
    if used.is_quantized && matches!(tensor.element, Some(I8 | U8)) && !tensor.shape.is_empty() {
        return Err(Error::new("is quantized").help("export the model before it is quantized"));
    }
    let is_float = tensor.element.is_some_and(Element::is_float);
    Ok(used.is_known || is_float && !tensor.shape.is_empty())
}
