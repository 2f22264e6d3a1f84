//! Source models: trained weights in files of several formats, and their import by layer name.
//!
//! [`read`] makes one [`SourceModel`] of any file that it knows; [`import`] matches its layers with
//! those of a [`NetworkSpec`] and leaves a [`receipt`]; [`convert`](convert::convert) carries a model
//! from one format to another. One format a file: [`neon`] (over `pickle` and `numpy`),
//! [`safetensors`], `pytorch` (over `pickle` and `archive`), `npz`, `keras`, `onnx`; what those
//! share that know tensors and no layers is in `layers`. All read their file by `pieces`. Nothing
//! here knows a device or a backend.

mod advice;
mod archive;
pub mod convert;
pub mod document;
mod element;
pub mod import;
pub mod keras;
mod layers;
mod layout;
mod matching;
pub mod names;
pub mod neon;
mod npz;
mod numpy;
mod onnx;
pub mod origin;
pub(crate) mod pickle;
mod pieces;
mod pytorch;
pub mod receipt;
pub mod safetensors;
mod strides;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{At, Error, Result};
use crate::files::stamps::{self, Aside};
use crate::model::spec::NetworkSpec;
use crate::numbers::Numbers;
use archive::Archive;
use origin::Origin;
use pieces::Pieces;

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
    /// graft's own, and other programs'.
    Safetensors,
    /// What `torch.save` writes since 1.6.
    PyTorch,
    /// What it wrote before.
    PyTorchLegacy,
    Keras,
    Npz,
    Onnx,
}

/// Reads a source model. The format follows from the content, not from the file's name.
///
/// Needs memory for the values, and not for the file besides: it is read by pieces.
///
/// # Errors
/// A file that is missing, of no known format, or damaged.
pub fn read(path: &Path) -> Result<SourceModel> {
    let (pieces, sum) = opened(path).map_err(|error| unreadable(path, &error))?;
    let contents = match Kind::of_pieces(&pieces).at(path.display())? {
        Kind::Hdf5 => keras::read(path, &pieces),
        kind => contents(kind, &pieces).at(path.display()),
    }?;
    let mut model = SourceModel {
        path: path.to_path_buf(),
        format: contents.format,
        sha256: sum.end().at(path.display())?.sha256,
        layers: contents.layers,
        metadata: contents.metadata,
        origin: None,
    };
    model.origin = origin::recognize(&model);
    Ok(model)
}

/// The file at `path`, and its checksum in the making.
fn opened(path: &Path) -> io::Result<(Pieces, Aside)> {
    let file = fs::File::open(path)?;
    let sum = Aside::begin(path, &file)?;
    Ok((Pieces::of_file(file)?, sum))
}

/// What is in a file that is not HDF5.
fn contents(kind: Kind, pieces: &Pieces) -> Result<Contents> {
    match kind {
        Kind::Safetensors => safetensors::read_layers(pieces),
        Kind::Pickle => neon::read(pieces),
        Kind::PyTorchLegacy => pytorch::read_legacy(pieces),
        Kind::Onnx => onnx::read(pieces),
        Kind::Zip => {
            let archive = Archive::open(pieces)?;
            match (pytorch::is_pytorch(&archive), npz::is_npz(&archive)) {
                (true, _) => pytorch::read(pieces, &archive),
                (false, true) => npz::read(pieces, &archive),
                (false, false) => Err(unknown(match archive.entry("model.weights.h5") {
                    Some(_) => "a Keras 3 archive: take `model.weights.h5` out of it",
                    None => "a zip archive of neither PyTorch nor numpy",
                })),
            }
        }
        Kind::Hdf5 => Err(unknown("an HDF5 file")),
        Kind::Other(what) => Err(unknown(what)),
    }
}

fn unknown(what: &str) -> Error {
    Error::new(format!("is {what}, not a source model")).help(
        "source models are .safetensors, PyTorch's .pt and .pth, Keras' .h5, numpy's .npz, .onnx \
         and neon's pickles (.p, .prm)",
    )
}

/// Checksum of the file at `path`, in hexadecimal, without parsing it.
///
/// # Errors
/// A file that is missing or cannot be read.
pub fn sha256(path: &Path) -> Result<String> {
    // Opening first: it tells a missing file apart, for the remedy.
    fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    Ok(stamps::stamp(path)?.sha256)
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

    /// The same without the values of its tensors: all that `matches` needs.
    pub fn without_values(mut self) -> Self {
        let tensors = self.layers.iter_mut().flat_map(|layer| &mut layer.tensors);
        tensors.for_each(|tensor| tensor.values = Numbers::default());
        self
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
            Format::PyTorch => "PyTorch zip archive",
            Format::PyTorchLegacy => "PyTorch legacy pickle",
            Format::Keras => "Keras HDF5",
            Format::Npz => "numpy npz",
            Format::Onnx => "ONNX",
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
    PyTorchLegacy,
    Safetensors,
    /// PyTorch's or numpy's.
    Zip,
    Hdf5,
    Onnx,
    /// In words, for a message.
    Other(&'static str),
}

impl Kind {
    fn of_pieces(pieces: &Pieces) -> Result<Self> {
        Ok(Kind::of(&pieces.read(0, pieces.len().min(16))?))
    }

    /// By the first 16 bytes.
    fn of(bytes: &[u8]) -> Self {
        if bytes.starts_with(&pytorch::MAGIC) {
            return Kind::PyTorchLegacy;
        }
        match bytes {
            [] => Kind::Other("an empty file"),
            // A header's length, at most 100 MB, and the header: a JSON object.
            [_, _, _, 0..=6, 0, 0, 0, 0, b'{', ..] => Kind::Safetensors,
            // PROTO of protocol 2 to 5; then how protocols 0 and 1 begin a dictionary.
            [0x80, 2..=5, ..] | [b'(' | b'}', ..] => Kind::Pickle,
            [0x89, b'H', b'D', b'F', ..] => Kind::Hdf5,
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Kind::Zip,
            // The version of the format, then the producer, the graph or the operators.
            [
                8,
                1..=30,
                0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42,
                ..,
            ] => Kind::Onnx,
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
