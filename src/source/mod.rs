//! Source models: trained weights in files of several formats, and their import by layer name.
//!
//! [`read`] makes one [`SourceModel`] of any file that it knows; [`import`] matches its layers with
//! those of a [`NetworkSpec`] and leaves a [`receipt`]; [`convert`](convert::convert) carries a model
//! from one format to another. One format a file: [`neon`] (over `pickle` and `numpy`),
//! [`safetensors`]. Nothing here knows a device or a backend.

mod advice;
pub mod convert;
pub mod document;
mod element;
pub mod import;
mod layout;
mod matching;
pub mod names;
pub mod neon;
mod numpy;
pub mod origin;
pub(crate) mod pickle;
pub mod receipt;
pub mod safetensors;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{At, Error, Result};
use crate::files::{FileStamp, hexadecimal};
use crate::model::spec::NetworkSpec;
use crate::numbers::Numbers;
use origin::Origin;

/// A trained model as its file says, whatever the format.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceModel {
    pub path: PathBuf,
    pub format: Format,
    /// Checksum of the file in hexadecimal; empty in an outline.
    pub sha256: String,
    /// In the order of the file; those without parameters included, where the file lists them.
    pub layers: Vec<SourceLayer>,
    /// What else the file says about the model, e.g. `epoch_index`.
    pub metadata: BTreeMap<String, String>,
    /// The published architecture that it is, if it is one.
    pub origin: Option<Origin>,
}

/// One layer of a source model.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceLayer {
    pub name: String,
    /// `Convolution`, `Bias`, … if the file says it.
    pub kind: Option<String>,
    /// Rows and columns of a convolution's filters, if the file says them apart from the weights.
    pub filter: Option<[usize; 2]>,
    /// Empty for layers without parameters.
    pub tensors: Vec<SourceTensor>,
}

/// One tensor of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceTensor {
    /// What it is to its layer, in the words of its format: neon's `W`, `weight_bias`, `gamma` …,
    /// graft's `weight`, `bias` …, PyTorch's `running_mean` …, Keras' `kernel`, `moving_mean` ….
    pub name: String,
    /// Its whole name in the file, where that is more than `<layer>.<name>`: `module.conv1.weight`,
    /// `fire2/expand1x1/uniform3`.
    pub path: Option<String>,
    /// As in the file.
    pub shape: Vec<usize>,
    /// In C order, floats in the file's precision; empty in an outline.
    pub values: Numbers,
}

/// The formats that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// neon since 1.2, biases being layers of their own.
    Neon,
    /// neon's compound layers, which hold weights and bias together.
    NeonFused,
    /// neon before 1.2.
    NeonObsolete,
    /// graft's own.
    Safetensors,
}

/// Reads a source model. The format follows from the content, not from the file's name.
///
/// Needs memory for the file and for its values at the same time.
///
/// # Errors
/// A file that is missing, of no known format, or damaged.
pub fn read(path: &Path) -> Result<SourceModel> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    let contents = match Kind::of(&bytes) {
        Kind::Safetensors => safetensors::read_layers(&bytes),
        Kind::Pickle => neon::read(&bytes),
        Kind::Other(what) => Err(Error::new(format!("is {what}, not a source model"))
            .help("source models are neon's pickles (.p, .prm) and graft's .safetensors")),
    };
    let contents = contents.at(path.display())?;
    let mut model = SourceModel {
        path: path.to_path_buf(),
        format: contents.format,
        sha256: hexadecimal(&Sha256::digest(&bytes)),
        layers: contents.layers,
        metadata: contents.metadata,
        origin: None,
    };
    model.origin = origin::recognize(&model);
    Ok(model)
}

/// Checksum of the file at `path`, in hexadecimal, without parsing it.
///
/// # Errors
/// A file that is missing or cannot be read.
pub fn sha256(path: &Path) -> Result<String> {
    // Opening first: it tells a missing file apart, for the remedy.
    fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    Ok(FileStamp::of(path)?.sha256)
}

impl SourceModel {
    /// The model that a run on `spec` will leave at `path`: names and shapes, no values. With it,
    /// `matches` tells what will be imported from a model that is yet to be trained.
    pub fn outline_of(path: impl Into<PathBuf>, spec: &NetworkSpec) -> Self {
        let layers = spec.layers.iter().map(|layer| SourceLayer {
            name: layer.name.clone(),
            kind: None,
            filter: None,
            tensors: layer
                .parameters
                .iter()
                .map(|parameter| SourceTensor {
                    name: parameter.role.name().to_string(),
                    path: None,
                    shape: parameter.shape.clone(),
                    values: Numbers::from(Vec::new()),
                })
                .collect(),
        });
        let path = path.into();
        Self {
            format: match convert::target(&path) {
                Ok(convert::Target::Safetensors) | Err(_) => Format::Safetensors,
                Ok(_) => Format::Neon,
            },
            path,
            sha256: String::new(),
            layers: layers.collect(),
            metadata: BTreeMap::new(),
            origin: None,
        }
    }

    /// Number of values in all tensors.
    pub fn parameter_count(&self) -> usize {
        let tensors = self.layers.iter().flat_map(|layer| &layer.tensors);
        tensors.map(SourceTensor::count).sum()
    }
}

impl SourceTensor {
    /// Number of values, in an outline too.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Neon => "neon pickle",
            Format::NeonFused => "neon pickle, fused bias",
            Format::NeonObsolete => "neon pickle, obsolete layout",
            Format::Safetensors => "safetensors",
        })
    }
}

/// What a format's reader finds in a file.
struct Contents {
    format: Format,
    layers: Vec<SourceLayer>,
    metadata: BTreeMap<String, String>,
}

/// What the first bytes of a file say.
#[derive(Debug, PartialEq)]
enum Kind {
    Pickle,
    Safetensors,
    /// In words, for a message.
    Other(&'static str),
}

impl Kind {
    fn of(bytes: &[u8]) -> Self {
        match bytes {
            [] => Kind::Other("an empty file"),
            // A header's length, below 16 MB, and the header: a JSON object.
            [_, _, _, 0, 0, 0, 0, 0, b'{', ..] => Kind::Safetensors,
            // PROTO of protocol 2 to 5; then how protocols 0 and 1 begin a dictionary.
            [0x80, 2..=5, ..] | [b'(' | b'}', ..] => Kind::Pickle,
            [0x89, b'H', b'D', b'F', ..] => Kind::Other("an HDF5 file"),
            [b'P', b'K', 3, 4, ..] => Kind::Other("a zip archive (of PyTorch or Keras, perhaps)"),
            [0x1f, 0x8b, ..] => Kind::Other("compressed with gzip"),
            [b'<', ..] => Kind::Other("a web page"),
            _ => Kind::Other("of an unknown format"),
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let place = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::new("there is no such source model").at(place).help(
            "`source_model` is relative to the directory in which graft runs; run the experiment \
             that trains it first, or download it",
        ),
        _ => Error::new(error.to_string()).at(place),
    }
}

#[cfg(test)]
mod tests;
