//! A model from one file format to another, under the same names: `graft convert`, and what
//! `save_path` asks for.
//!
//! Whatever has no place in the new file is named in the result; nothing is lost in silence.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::str::FromStr;

use super::Format;
use super::document::{Described, Document, Tensor};
use super::layout::Conversion;
use super::neon::Value;
use super::neon::{self, layouts};
use crate::config::experiment::NEON_ENDINGS;
use crate::error::{At, Error, Result};
use crate::files::FileStamp;
use crate::model::spec::shape_text;
use crate::numbers::{Dtype, Numbers};

/// What is to become of the model.
#[derive(Debug, Clone, Default)]
pub struct Options<'a> {
    /// Absent: as the new file's ending says, neon's layout being that of the old file.
    pub to: Option<Target>,
    /// A model whose description of the layers is taken over.
    pub like: Option<&'a Path>,
    /// Precision of all values; absent: theirs.
    pub dtype: Option<Dtype>,
    /// Leave out what an optimizer remembers.
    pub drop_states: bool,
}

/// The formats that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// graft's own.
    Safetensors,
    /// neon's layout since 1.2, biases being layers of their own.
    Neon,
    /// neon's layout biases being inside their convolutions.
    NeonFused,
    /// neon's layout before 1.2.
    NeonObsolete,
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "safetensors" => Ok(Target::Safetensors),
            "neon" => Ok(Target::Neon),
            "neon_fused" => Ok(Target::NeonFused),
            "neon_obsolete" => Ok(Target::NeonObsolete),
            _ => Err(Error::new(
                "there are safetensors, neon, neon_fused and neon_obsolete",
            )),
        }
    }
}

/// What was read and written.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    pub from: Format,
    pub from_sha256: String,
    pub to: Format,
    pub to_sha256: String,
    /// Tensors of the model, without those of its optimizer.
    pub tensors: usize,
    /// Values in them.
    pub parameters: usize,
    /// Tensors that an optimizer left.
    pub states: usize,
    /// What was not taken over, and why.
    pub left_out: Vec<String>,
}

/// The format that the ending of `path` stands for; of neon's, the layout of today.
///
/// # Errors
/// Another ending.
pub fn target(path: &Path) -> Result<Target> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("safetensors") => Ok(Target::Safetensors),
        Some(ending) if NEON_ENDINGS.contains(&ending) => Ok(Target::Neon),
        _ => Err(Error::new("the ending says no format that graft writes")
            .at(path.display())
            .help("`.safetensors` is graft's own format; `.prm`, `.p` and `.pkl` are neon's")),
    }
}

/// Converts the model at `input` to a new file at `output`.
///
/// # Errors
/// `input` cannot be read; a value is beyond the precision that is asked for; the new format has no
/// place for a tensor or a layer, or needs a description of the layers that is not there; `output`
/// cannot be written. The file at `output`, if there was one, is then as before.
pub fn convert(input: &Path, output: &Path, options: &Options) -> Result<Converted> {
    let by_ending = target(output);
    let keep_layout = options.to.is_none();
    let to = options.to.map_or(by_ending, Ok)?;
    let mut document = Document::read(input)?;
    if let Some(like) = options.like {
        let like = Document::read(like)?;
        document = adopt(document, like).at(input.display())?;
    }
    if options.drop_states {
        drop_states(&mut document);
    }
    if let Some(dtype) = options.dtype {
        for tensor in &mut document.tensors {
            round(tensor, dtype).at(input.display())?;
        }
    }
    let format = match (to, keep_layout) {
        (Target::Safetensors, _) => {
            document.write_safetensors(output)?;
            Format::Safetensors
        }
        (_, true) => write_neon(&mut document, None, input, output)?,
        (layout, false) => write_neon(&mut document, Some(layout), input, output)?,
    };
    let states = document.tensors.iter().filter(|tensor| tensor.is_state());
    let weights = || document.tensors.iter().filter(|tensor| !tensor.is_state());
    Ok(Converted {
        from: document.format,
        from_sha256: document.sha256.clone(),
        to: format,
        to_sha256: FileStamp::of(output)?.sha256,
        tensors: weights().count(),
        parameters: weights().map(|tensor| tensor.values.len()).sum(),
        states: states.count(),
        left_out: document.left_out,
    })
}

/// Rounds the values to `dtype`.
///
/// # Errors
/// It would make an infinity of a finite value.
pub fn round(tensor: &mut Tensor, dtype: Dtype) -> Result<()> {
    if tensor.values.dtype() == dtype {
        return Ok(());
    }
    let values = std::mem::take(&mut tensor.values).to_f64();
    let finite = values.iter().copied().filter(|value| value.is_finite());
    // If any becomes infinite, the largest does.
    let largest = finite.fold(0.0, |largest: f64, value| {
        match value.abs() > largest.abs() {
            true => value,
            false => largest,
        }
    });
    let rounded = Numbers::new(dtype, [largest]).to_f64();
    if rounded.iter().any(|value| value.is_infinite()) {
        let problem = format!("{largest:e} is too large for {dtype}: it would become infinite");
        return Err(Error::new(problem)
            .at(&tensor.name)
            .help("convert to a `--dtype` of a wider range: bf16 has that of f32"));
    }
    tensor.values = Numbers::new(dtype, values);
    Ok(())
}

/// Writes the model in neon's format: in `layout`, or in the one that it has.
fn write_neon(
    document: &mut Document,
    layout: Option<Target>,
    input: &Path,
    output: &Path,
) -> Result<Format> {
    let mut description = in_neons_terms(document).at(input.display())?;
    let tensors = &mut document.tensors;
    match layout {
        Some(Target::Neon) => layouts::unfuse(&mut description, tensors),
        Some(Target::NeonFused) => layouts::fuse(&mut description, tensors),
        Some(Target::NeonObsolete) => layouts::obsolete(&mut description, tensors),
        Some(Target::Safetensors) | None => Ok(()),
    }
    .at(input.display())?;
    let placed: HashSet<_> = description.tensors().into_iter().collect();
    let (kept, lost): (Vec<_>, Vec<_>) = std::mem::take(tensors)
        .into_iter()
        .partition(|tensor| placed.contains(tensor.name.as_str()));
    *tensors = kept;
    let lost = lost
        .iter()
        .map(|t| format!("`{}`: neon's layout has no place for it", t.name));
    document.left_out.extend(lost);
    neon::write(output, &description, &document.tensors)?;
    Ok(layouts::format(&description))
}

/// The model's description as neon writes it. Takes note of what neon has no place for.
fn in_neons_terms(document: &mut Document) -> Result<Value> {
    let metadata = std::mem::take(&mut document.metadata);
    let keys = metadata
        .keys()
        .map(|key| format!("`{key}`: neon's files have no place for it"));
    document.left_out.extend(keys);
    match &document.described {
        Some(Described::Neon(description)) => Ok(description.clone()),
        Some(Described::Graft(model)) => {
            document
                .left_out
                .extend(model.without_place.iter().cloned());
            if neon::renames(&model.network) {
                let names = "the names of layers without parameters: neon numbers them itself";
                document.left_out.push(names.to_string());
            }
            let has = |name: &str| document.tensors.iter().any(|tensor| tensor.name == name);
            neon::describe(model, has)
        }
        None => Err(
            Error::new("does not say what its layers are, which neon must know")
                .help("`--like MODEL` takes their description from a model of the same layers"),
        ),
    }
}

fn drop_states(document: &mut Document) {
    let states = document.tensors.iter().filter(|tensor| tensor.is_state());
    let count = states.count();
    document.tensors.retain(|tensor| !tensor.is_state());
    if let Some(Described::Neon(description)) = &mut document.described {
        layouts::drop_states(description);
    }
    if count > 0 {
        let dropped = format!("{count} optimizer states, as asked");
        document.left_out.push(dropped);
    }
}

/// `document` with the description of `like`, whose tensors it must have.
fn adopt(document: Document, like: Document) -> Result<Document> {
    let Some(described) = like.described else {
        return Err(Error::new(
            "the model given with --like does not say what its layers are",
        ));
    };
    let mut have: HashMap<String, Tensor> = HashMap::new();
    for tensor in document.tensors {
        have.insert(tensor.name.clone(), tensor);
    }
    let mut tensors = Vec::with_capacity(like.tensors.len());
    for wanted in like.tensors.iter().filter(|tensor| !tensor.is_state()) {
        tensors.push(fitting(wanted, &mut have)?);
    }
    let mut left_out = document.left_out;
    let rest = have
        .into_iter()
        .map(|(name, tensor)| match tensor.is_state() {
            true => format!("`{name}`: with --like, no optimizer states are taken over"),
            false => format!("`{name}`: the model given with --like has no such tensor"),
        });
    let mut rest: Vec<_> = rest.collect();
    rest.sort_unstable();
    left_out.extend(rest);
    let described = match described {
        Described::Neon(mut description) => {
            layouts::drop_states(&mut description);
            Described::Neon(description)
        }
        graft => graft,
    };
    Ok(Document {
        described: Some(described),
        tensors,
        left_out,
        ..document
    })
}

/// Takes the tensor that has the name and shape of `wanted`, in graft's or in neon's terms.
fn fitting(wanted: &Tensor, have: &mut HashMap<String, Tensor>) -> Result<Tensor> {
    let layer = wanted.name.strip_suffix(wanted.role()).unwrap_or_default();
    let neons = match wanted.role() {
        "weight" | "bias" => "W",
        "scale" => "gamma",
        "shift" => "beta",
        "mean" => "gmean",
        "variance" => "gvar",
        other => other,
    };
    let (shape, conversion) = match wanted.shape.as_slice() {
        // A shape of more values than there can be fits nothing.
        &[k, c, r, s] => {
            let rows = c.saturating_mul(r).saturating_mul(s);
            (vec![rows, k], Conversion::Transpose)
        }
        &[values] => (vec![values, 1], Conversion::Flatten),
        shape => (shape.to_vec(), Conversion::AsIs),
    };
    let found = match have.remove(&wanted.name) {
        Some(found) => Some((found, &wanted.shape, Conversion::AsIs)),
        None => have
            .remove(&format!("{layer}{neons}"))
            .map(|found| (found, &shape, conversion)),
    };
    let Some((found, shape, conversion)) = found else {
        return Err(Error::new(format!("has no tensor `{}`", wanted.name))
            .help("--like needs a model of the same layers"));
    };
    if found.shape != *shape {
        let (found_shape, shape) = (shape_text(&found.shape), shape_text(shape));
        let problem =
            format!("its shape is {found_shape}, that of the model given with --like {shape}");
        return Err(Error::new(problem).at(found.name));
    }
    Ok(Tensor {
        name: wanted.name.clone(),
        shape: wanted.shape.clone(),
        values: conversion.apply(found.values, &found.shape),
    })
}

#[cfg(test)]
mod tests;
