//! Models given back: a record's model in formats that other tools open.
//!
//! [`export`] reads the model as graft left it (`model`) and hands it to the format that is asked
//! for, one file each; a new format is one file and one `match` arm here. graft's own format and
//! neon's are `source::convert`'s. Whatever a format has no place for is named in the result. It does not
//! train and needs no device.

mod archive;
mod graph;
mod model;
pub mod npz;
mod onnx;
mod published;
mod pytorch;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{At, Error, Result};
use crate::files::FileStamp;
use crate::numbers::Dtype;
use crate::source::convert::{self, Target, convert};
use model::{Located, Model};

/// The formats that a model can be exported to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// graft's own.
    Safetensors,
    /// A PyTorch state dict, as safetensors or, by the file's ending, as PyTorch's own archive.
    PytorchNames,
    /// A pickle of neon's.
    Neon,
    /// The whole computation, from pixels to confidences.
    Onnx,
    /// numpy's archive of arrays.
    Npz,
}

/// What was written, and what a reader of it should know.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The file that was read.
    pub from: PathBuf,
    pub from_sha256: String,
    /// The format in words.
    pub format: String,
    pub sha256: String,
    /// Tensors of the model.
    pub tensors: usize,
    /// Values in them.
    pub parameters: usize,
    /// How to open the file, and whose model it is: a sentence each.
    pub notes: Vec<String>,
    /// What the format has no place for, and why.
    pub left_out: Vec<String>,
}

/// What a format's writer says of its file.
#[derive(Debug, Clone, PartialEq)]
struct Written {
    format: &'static str,
    tensors: usize,
    parameters: usize,
    notes: Vec<String>,
    left_out: Vec<String>,
}

impl Format {
    /// The words for the formats on the command line.
    pub const NAMES: [&str; 5] = ["safetensors", "pytorch-names", "neon", "onnx", "npz"];

    /// What a file of this format is called behind the name of its model.
    pub fn ending(self) -> &'static str {
        match self {
            Format::Safetensors => "safetensors",
            Format::PytorchNames => "pytorch.safetensors",
            Format::Neon => "prm",
            Format::Onnx => "onnx",
            Format::Npz => "npz",
        }
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "safetensors" => Ok(Format::Safetensors),
            "pytorch-names" => Ok(Format::PytorchNames),
            "neon" => Ok(Format::Neon),
            "onnx" => Ok(Format::Onnx),
            "npz" => Ok(Format::Npz),
            _ => Err(Error::new(format!("there are {}", Self::NAMES.join(", ")))),
        }
    }
}

/// The file in the working directory that the model of `record` goes to if none is named: the last
/// step of the experiment's name, or the model's, with the ending of `format`.
///
/// # Errors
/// As [`export`], where there is no model to be read.
pub fn usual_out(record: &Path, format: Format) -> Result<PathBuf> {
    let located = Located::at(record)?;
    Ok(format!("{}.{}", located.name(), format.ending()).into())
}

/// Writes the model of `record` to `out`: of a record's directory, or a model file that graft wrote.
/// `dtype` is the precision of all values; absent: theirs, as far as the format has it.
///
/// # Errors
/// There is no complete record or no model; the model does not say what its layers are, or its
/// tensors are not those of its layers; the format has no place for a layer, or a value is beyond its
/// precision; `out` is the model itself or cannot be written. The file at `out`, if there was one, is
/// then as before.
pub fn export(record: &Path, format: Format, out: &Path, dtype: Option<Dtype>) -> Result<Exported> {
    let located = Located::at(record)?;
    if is_same(&located.path, out) {
        return Err(Error::new("is the model that is to be exported")
            .at(out.display())
            .help("choose another `--out`"));
    }
    let written = match format {
        Format::Safetensors => converted(&located, out, Target::Safetensors, dtype),
        Format::Neon => converted(&located, out, Target::Neon, dtype),
        Format::PytorchNames => pytorch::write(&Model::read(&located, dtype)?, out),
        Format::Onnx if dtype.is_some_and(|dtype| dtype != Dtype::F32) => {
            Err(Error::new("ONNX models are written in f32").help("leave `--dtype` away"))
        }
        Format::Onnx => onnx::write(Model::read(&located, None)?, out),
        Format::Npz => npz::write(&Model::read(&located, dtype)?, out),
    }?;
    Ok(Exported {
        from_sha256: located.sha256,
        from: located.path,
        format: written.format.to_string(),
        sha256: FileStamp::of(out)?.sha256,
        tensors: written.tensors,
        parameters: written.parameters,
        notes: written.notes,
        left_out: written.left_out,
    })
}

/// As `graft convert` does it.
fn converted(
    located: &Located,
    out: &Path,
    target: Target,
    dtype: Option<Dtype>,
) -> Result<Written> {
    if target != Target::Safetensors {
        // `convert` would ask for a description of the layers that an export cannot be given.
        Model::read(located, None)?;
    }
    let options = convert::Options {
        to: Some(target),
        dtype,
        ..Default::default()
    };
    let converted = convert(&located.path, out, &options)?;
    let (format, note) = match target {
        Target::Safetensors => (
            "safetensors",
            "`graft convert` and any `source_model` read it",
        ),
        _ => (
            "neon pickle",
            "neon 2.6 loads it; so does Python: pickle.load(file, encoding=\"latin1\")",
        ),
    };
    Ok(Written {
        format,
        tensors: converted.tensors,
        parameters: converted.parameters,
        notes: vec![note.to_string()],
        left_out: converted.left_out,
    })
}

/// Whether both paths lead to one file that is there.
fn is_same(one: &Path, other: &Path) -> bool {
    let places = [one, other].map(|path| path.canonicalize().at(path.display()));
    matches!(places, [Ok(one), Ok(other)] if one == other)
}
