//! Models that neon saved: layers, names and parameters out of its pickles.
//!
//! neon wrote two layouts. Since 1.2: `model.config.layers`, a list of layers
//! `{type, config: {name, …}, params: {W, …}}` in which containers nest. Before: the obsolete
//! `layer_params_states`, a list of `{params: {W, name}}`. Instance states (`states`) are ignored:
//! neon took them over with the weights, whereupon layers that were meant to be frozen drifted.
//! This module knows nothing of the target model. `document()` takes over a whole file, [`write()`]
//! writes one, [`describe()`] makes one of a network of graft's.

mod activation;
mod describe;
mod document;
mod initializer;
pub mod layouts;
mod mode;
mod write;

pub use super::pickle::value::Value;
pub use describe::{Description, Instance, describe, renames};
pub(super) use document::document;
pub use write::write;

use std::collections::{BTreeMap, HashSet};

use super::numpy;
use super::pickle::{self, Bytes, Dialect, Node, NodeId, Pickle};
use super::pieces::Pieces;
use super::{Contents, Format, SourceLayer, SourceTensor};
use crate::error::{Error, Result};

/// Reads the pickle in `pieces`.
///
/// # Errors
/// A pickle that is malformed, refused or not a model of neon's; a layer with parameters and
/// without a name.
pub(super) fn read(pieces: &Pieces) -> Result<Contents> {
    let pickle = pickle::parse(pieces, 0, Dialect::Numpy)?;
    let root = pickle.root();
    let mut reader = Reader::new(&pickle, pieces.len() as usize);
    let format = match (
        get(&pickle, root, "layer_params_states")?,
        get(&pickle, root, "model")?,
    ) {
        (Some(layers), _) => {
            reader.obsolete(layers)?;
            Format::NeonObsolete
        }
        (None, Some(model)) => {
            reader.containers(model)?;
            match has_fused_bias(&reader.layers) {
                true => Format::NeonFused,
                false => Format::Neon,
            }
        }
        (None, None) => return Err(not_a_model(&pickle)),
    };
    Ok(Contents {
        format,
        layers: reader.layers,
        metadata: metadata(&pickle)?,
    })
}

/// Limits that no model of neon's comes near, and that keep a hostile file, in which thousands of
/// layers may share one huge value, from multiplying it.
const MOST_LAYERS: usize = 10_000;
const MOST_FIELDS: usize = 100;
const LONGEST_NAME: usize = 1000;

struct Reader<'a> {
    pickle: &'a Pickle,
    layers: Vec<SourceLayer>,
    /// Values that may still be read: a file of n bytes does not hold more than n.
    values_left: usize,
}

impl<'a> Reader<'a> {
    /// For the pickle of a file of so many bytes.
    fn new(pickle: &'a Pickle, bytes: usize) -> Self {
        Self {
            pickle,
            layers: Vec::new(),
            values_left: bytes,
        }
    }

    /// Reads the layers of a container in order, and of the containers in it.
    fn containers(&mut self, model: NodeId) -> Result<()> {
        let mut seen = HashSet::new();
        // The next node is the last one.
        let mut pending = vec![model];
        while let Some(node) = pending.pop() {
            if !seen.insert(node) || seen.len() > MOST_LAYERS {
                return Err(Error::new("the model contains itself or too many layers"));
            }
            let config = get(self.pickle, node, "config")?;
            let inner = config.map(|config| get(self.pickle, config, "layers"));
            match inner.transpose()?.flatten() {
                Some(layers) => {
                    let layers = list(self.pickle, layers)?;
                    pending.extend(layers.iter().rev());
                }
                None => {
                    let place = format!("layer {}", self.layers.len());
                    self.layer(node, config).map_err(|e| e.at(place))?;
                }
            }
        }
        Ok(())
    }

    /// `{type, config, params}`.
    fn layer(&mut self, node: NodeId, config: Option<NodeId>) -> Result<()> {
        let class = get(self.pickle, node, "type")?.and_then(|id| text(self.pickle, id));
        let kind = class.and_then(|class| class.rsplit('.').next());
        let params = get(self.pickle, node, "params")?;
        let name = config.map(|config| get(self.pickle, config, "name"));
        let name = name.transpose()?.flatten();
        let filter = config.map(|config| filter(self.pickle, config));
        self.push(name, kind, params, filter.transpose()?.flatten())
    }

    /// `[{params: {W, name}}, …]`.
    fn obsolete(&mut self, layers: NodeId) -> Result<()> {
        for (index, &node) in list(self.pickle, layers)?.iter().enumerate() {
            let params = get(self.pickle, node, "params")?;
            let name = params.map(|params| get(self.pickle, params, "name"));
            let name = name.transpose()?.flatten();
            self.push(name, None, params, None)
                .map_err(|e| e.at(format!("layer {index}")))?;
        }
        Ok(())
    }

    fn push(
        &mut self,
        name: Option<NodeId>,
        kind: Option<&str>,
        params: Option<NodeId>,
        filter: Option<[usize; 2]>,
    ) -> Result<()> {
        let name = name.and_then(|name| text(self.pickle, name));
        let tensors = match params {
            Some(params) => self
                .tensors(params)
                .map_err(|e| e.at(name.unwrap_or("without a name")))?,
            None => Vec::new(),
        };
        if name.is_none() && !tensors.is_empty() {
            return Err(nameless());
        }
        self.layers.push(SourceLayer {
            name: name.unwrap_or("(no name)").to_string(),
            kind: kind.map(str::to_string),
            filter,
            tensors,
        });
        Ok(())
    }

    /// The arrays of a layer's parameters, by name. Numbers and texts beside them are settings.
    fn tensors(&mut self, params: NodeId) -> Result<Vec<SourceTensor>> {
        let mut tensors = Vec::new();
        for &(key, value) in fields(self.pickle, params)? {
            let name =
                text(self.pickle, key).ok_or_else(|| Error::new("a parameter has no name"))?;
            match self.pickle.node(value) {
                Node::Call { .. } if numpy::is_array(self.pickle, value) => {
                    tensors.push(self.tensor(name, value).map_err(|e| e.at(name))?);
                }
                Node::List(_) | Node::Tuple(_) | Node::Dict(_) => {
                    return Err(Error::new("is not a numpy array").at(name));
                }
                _ => {}
            }
        }
        // Python 2 writes dictionaries in any order.
        tensors.sort_by(|a: &SourceTensor, b| a.name.cmp(&b.name));
        Ok(tensors)
    }

    fn tensor(&mut self, name: &str, value: NodeId) -> Result<SourceTensor> {
        let array = numpy::array(self.pickle, value)?;
        self.values_left = self
            .values_left
            .checked_sub(array.count())
            .ok_or_else(|| Error::new("the layers hold more values than the file has bytes"))?;
        Ok(SourceTensor {
            path: None,
            name: name.to_string(),
            values: array.values()?,
            shape: array.shape,
        })
    }
}

/// Rows and columns of a convolution's filters: `fshape`, which neon writes as (R, S, K).
fn filter(pickle: &Pickle, config: NodeId) -> Result<Option<[usize; 2]>> {
    let Some(shape) = get(pickle, config, "fshape")? else {
        return Ok(None);
    };
    let size = |id| numpy::size(pickle, id);
    Ok(match pickle.items(shape) {
        Some(&[rows, columns, _filters]) => size(rows).zip(size(columns)).map(|(r, s)| [r, s]),
        _ => None,
    })
}

fn nameless() -> Error {
    Error::new("has parameters and no name").help(
        "layers are imported by name; load the model in neon 2, name its layers and save it again",
    )
}

fn list(pickle: &Pickle, id: NodeId) -> Result<&[NodeId]> {
    match pickle.items(id) {
        Some(items) if items.len() <= MOST_LAYERS => Ok(items),
        Some(items) => Err(Error::new(format!("{} layers are too many", items.len()))),
        None => Err(Error::new("the model's layers are not a list")),
    }
}

fn has_fused_bias(layers: &[SourceLayer]) -> bool {
    let mut tensors = layers.iter().flat_map(|layer| &layer.tensors);
    tensors.any(|tensor| tensor.name == "weight_bias")
}

fn fields(pickle: &Pickle, id: NodeId) -> Result<&[(NodeId, NodeId)]> {
    match pickle.node(id) {
        Node::Dict(entries) if entries.len() <= MOST_FIELDS => Ok(entries),
        Node::Dict(entries) => {
            let problem = format!(
                "a dictionary of {} entries describes no layer",
                entries.len()
            );
            Err(Error::new(problem))
        }
        _ => Err(Error::new(
            "something that is not a dictionary describes a part of the model",
        )),
    }
}

/// The value of `key` in a dictionary that describes a part of the model; `None` counts as absent.
fn get(pickle: &Pickle, id: NodeId, key: &str) -> Result<Option<NodeId>> {
    fields(pickle, id)?;
    let value = pickle.get(id, key);
    Ok(value.filter(|&value| *pickle.node(value) != Node::None))
}

/// A text that may be a name: short, and without control characters.
fn text(pickle: &Pickle, id: NodeId) -> Option<&str> {
    match pickle.node(id) {
        Node::Bytes(Bytes::Held(bytes)) | Node::Text(Bytes::Held(bytes))
            if bytes.len() <= LONGEST_NAME => {}
        _ => return None,
    }
    let text = pickle.text(id)?;
    (!text.contains(char::is_control)).then_some(text)
}

/// What a person may want to know of the file: neon's version, epochs trained, input shape.
fn metadata(pickle: &Pickle) -> Result<BTreeMap<String, String>> {
    let mut metadata = BTreeMap::new();
    for key in ["neon_version", "epoch_index", "train_input_shape"] {
        let Some(value) = get(pickle, pickle.root(), key)? else {
            continue;
        };
        let word = |id| {
            let size = || numpy::size(pickle, id).map(|size| size.to_string());
            text(pickle, id).map(str::to_string).or_else(size)
        };
        let words = match pickle.items(value) {
            Some(items) => items.iter().take(MOST_FIELDS).map(|&id| word(id)).collect(),
            None => word(value).map(|word| vec![word]),
        };
        if let Some(words) = words {
            metadata.insert(key.to_string(), words.join("x"));
        }
    }
    Ok(metadata)
}

fn not_a_model(pickle: &Pickle) -> Error {
    let keys = fields(pickle, pickle.root()).unwrap_or_default();
    let keys: Vec<_> = keys
        .iter()
        .filter_map(|&(key, _)| text(pickle, key))
        .take(5)
        .map(|key| format!("`{key}`"))
        .collect();
    let found = match keys.is_empty() {
        true => "it holds no named values".to_string(),
        false => format!("it holds {}", keys.join(", ")),
    };
    Error::new(format!(
        "is a pickle, but not a model that neon saved: {found}"
    ))
    .help("neon's models hold `model` or `layer_params_states`")
}

#[cfg(test)]
mod tests;
