//! A model file as a whole, which `convert` carries from one format to another: description and
//! tensors, those of the optimizer included.
//!
//! Tensors have graft's names and layouts wherever the file says what they are: `conv1_1.weight`,
//! (filters, channels, rows, columns); and `optimizer.conv1_1.weight.0` for what an optimizer
//! remembers of it. All others keep the names and layouts of their file. This module knows
//! safetensors; `neon` knows the other form.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::neon::Description;
use super::pickle::value::Value;
use super::pieces::Pieces;
use super::safetensors::{self, Entry, EntryData, StoredData};
use super::{Format, Kind, SourceModel, neon, opened, unreadable};
use crate::error::{At, Error, Result};
use crate::numbers::Numbers;

/// All that a model file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub format: Format,
    /// Of the file, in hexadecimal.
    pub sha256: String,
    /// Absent if the file says nothing of its layers but their tensors.
    pub described: Option<Described>,
    pub tensors: Vec<Tensor>,
    /// What a safetensors file says besides.
    pub metadata: BTreeMap<String, String>,
    /// Parts of the file that have no place here: which, and why.
    pub left_out: Vec<String>,
}

/// A model without its tensors.
#[derive(Debug, Clone, PartialEq)]
pub enum Described {
    /// As neon writes it, with tensors' names in the place of arrays.
    Neon(Value),
    /// As graft does.
    Graft(Description),
}

/// One tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Numbers,
}

/// Keys of a description in the metadata of a safetensors file, as JSON.
pub const GRAFT_MODEL: &str = "graft.model";
pub const NEON_MODEL: &str = "neon.model";

/// What names of optimizer states begin with.
const OPTIMIZER: &str = "optimizer.";

/// Roles of the tensors that an optimizer keeps states of: graft's; neon's, in layers of classes that graft
/// does not know.
const ROLES: [&str; 10] = [
    "weight",
    "bias",
    "scale",
    "shift",
    "mean",
    "variance",
    "W",
    "weight_bias",
    "gamma",
    "beta",
];
/// With a number behind it: the role of a tensor of which neon does not say which it is.
const UNKNOWN_ROLE: &str = "parameter";

/// Name of the `index`th state that an optimizer keeps of a tensor.
pub fn state_name(layer: &str, role: &str, index: usize) -> String {
    format!("{OPTIMIZER}{layer}.{role}.{index}")
}

/// Role of the `index`th tensor of a layer that neon does not say more of.
pub fn unknown_role(index: usize) -> String {
    format!("{UNKNOWN_ROLE}{index}")
}

/// Whether this is the name of an optimizer's state: `optimizer.<layer>.<role>.<number>`. A layer
/// may be called `optimizer`: `optimizer.weight` is a tensor of it.
pub fn is_state(name: &str) -> bool {
    state_of(name).is_some()
}

/// The layer and the role of the tensor that `name` is a state of.
fn state_of(name: &str) -> Option<(&str, &str)> {
    let (tensor, index) = name.strip_prefix(OPTIMIZER)?.rsplit_once('.')?;
    let (layer, role) = tensor.rsplit_once('.')?;
    let is_role = ROLES.contains(&role) || role.strip_prefix(UNKNOWN_ROLE).is_some_and(is_number);
    (is_role && is_number(index)).then_some((layer, role))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Checks that what reads as an optimizer's state belongs to a layer among these `names` of tensors.
///
/// # Errors
/// It does not: it may be a tensor of a layer `optimizer.…`, and would be lost as a state.
pub fn check_states<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
    let own = names.clone().filter(|name| !is_state(name));
    let layers: HashSet<_> = own
        .filter_map(|name| name.rsplit_once('.'))
        .map(|n| n.0)
        .collect();
    for name in names {
        if let Some((layer, _)) = state_of(name)
            && !layers.contains(layer)
        {
            let layer = layer.escape_debug();
            return Err(Error::new(format!(
                "is named as what an optimizer remembers of a layer `{layer}`, which is not there"
            ))
            .at(name.escape_debug())
            .help("a tensor of a layer needs a name that does not end in a number"));
        }
    }
    Ok(())
}

impl Tensor {
    /// The role in the name: `weight` of `conv1_1.weight` and of `optimizer.conv1_1.weight.0`.
    pub fn role(&self) -> &str {
        let of_tensor = || self.name.rsplit_once('.');
        let found = state_of(&self.name).or_else(of_tensor);
        found.map_or("", |(_layer, role)| role)
    }

    /// Whether it is an optimizer's state.
    pub fn is_state(&self) -> bool {
        is_state(&self.name)
    }
}

impl Document {
    /// Reads the file at `path`, whatever its format.
    ///
    /// # Errors
    /// A file that is missing, of no known format, damaged, or a checkpoint.
    pub fn read(path: &Path) -> Result<Self> {
        let (pieces, sum) = opened(path).map_err(|error| unreadable(path, &error))?;
        let document = match Kind::of_pieces(&pieces).at(path.display())? {
            Kind::Safetensors => from_safetensors(&pieces),
            Kind::Pickle => neon::document(&pieces),
            _ => return from_source(super::read(path)?).at(path.display()),
        };
        let mut document = document.at(path.display())?;
        document.sha256 = sum.end().at(path.display())?.sha256;
        Ok(document)
    }

    /// Writes the model to `path` as safetensors.
    ///
    /// # Errors
    /// Whatever the file system refuses.
    pub fn write_safetensors(&self, path: &Path) -> Result<()> {
        let mut metadata = self.metadata.clone();
        let description = match &self.described {
            Some(Described::Neon(value)) => Some((NEON_MODEL, serde_json::to_string(value))),
            Some(Described::Graft(model)) => Some((GRAFT_MODEL, serde_json::to_string(model))),
            None => None,
        };
        if let Some((key, json)) = description {
            let json = json.map_err(|e| Error::new(e.to_string()).at(path.display()))?;
            metadata.insert(key.to_string(), json);
        }
        let entries = self.tensors.iter().map(|tensor| Entry {
            name: &tensor.name,
            shape: &tensor.shape,
            data: EntryData::Numbers(&tensor.values),
        });
        safetensors::write(path, entries, &metadata)
    }
}

/// A model of another program's, under the names that its tensors have there.
fn from_source(source: SourceModel) -> Result<Document> {
    let mut tensors = Vec::new();
    // Keras' paths name a layer twice, or its tensors by numbers: nobody finds them under these.
    let by_path = source.format != Format::Keras;
    for layer in source.layers {
        for tensor in layer.tensors {
            let name = format!("{}.{}", layer.name, tensor.name);
            tensors.push(Tensor {
                name: tensor.path.filter(|_| by_path).unwrap_or(name),
                shape: tensor.shape,
                values: tensor.values,
            });
        }
    }
    check_states(tensors.iter().map(|tensor| tensor.name.as_str()))?;
    Ok(Document {
        format: source.format,
        sha256: source.sha256,
        described: None,
        tensors,
        metadata: source.metadata,
        left_out: Vec::new(),
    })
}

fn from_safetensors(pieces: &Pieces) -> Result<Document> {
    let stock = safetensors::decode(pieces)?;
    check_states(stock.tensors.iter().map(|stored| stored.name.as_str()))?;
    let mut metadata = stock.metadata;
    let neon = description(&mut metadata, NEON_MODEL)?.map(Described::Neon);
    let graft = description(&mut metadata, GRAFT_MODEL)?.map(Described::Graft);
    let mut tensors = Vec::with_capacity(stock.tensors.len());
    for stored in stock.tensors {
        let StoredData::Numbers(values) = stored.data else {
            let problem = format!("`{}` is a string of bytes", stored.name.escape_debug());
            return Err(Error::new(problem)
                .help("a checkpoint is no model: convert the model in the run's record"));
        };
        tensors.push(Tensor {
            name: stored.name,
            shape: stored.shape,
            values,
        });
    }
    Ok(Document {
        format: Format::Safetensors,
        sha256: String::new(),
        described: neon.or(graft),
        tensors,
        metadata,
        left_out: Vec::new(),
    })
}

/// Takes the description under `key` out of the metadata.
fn description<T: serde::de::DeserializeOwned>(
    metadata: &mut BTreeMap<String, String>,
    key: &str,
) -> Result<Option<T>> {
    let damaged = |error: serde_json::Error| {
        Error::new(format!("its description of the layers is damaged: {error}"))
            .at(key)
            .help("graft of another version may have written it; `--like MODEL` describes the layers instead")
    };
    let json = metadata.remove(key);
    json.map(|json| serde_json::from_str(&json).map_err(damaged))
        .transpose()
}
