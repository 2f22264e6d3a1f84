//! graft's own model file: the trained tensors by name, and what a prediction needs besides: the
//! shape of a sample and what happens to its pixels.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::data::batches::Transform;
use crate::error::{At, Error, Result};
use crate::model::network::NamedTensor;
use crate::numbers::Dtype;
use crate::source::SourceModel;
use crate::source::safetensors::{self, Entry, EntryData};

/// Key of the [`Input`] in the file's metadata, as JSON.
const KEY: &str = "graft.input";

/// What a sample must be before it meets the first layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Input {
    /// (channels, height, width)
    shape: [usize; 3],
    /// Subtracted: a value a channel, or a value a pixel; absent: nothing.
    mean: Option<Vec<f64>>,
    /// Multiplied with what is left.
    scale: f64,
}

/// Writes `tensors` to `path`, for samples of shape `input` that `transform` prepared.
///
/// # Errors
/// Whatever the file system refuses.
pub fn write(
    path: &Path,
    tensors: &[NamedTensor],
    shape: [usize; 3],
    transform: &Transform,
) -> Result<()> {
    let input = Input {
        shape,
        mean: transform.mean.as_ref().map(|mean| short(mean, shape)),
        scale: transform.scale,
    };
    let input = serde_json::to_string(&input)
        .map_err(|error| Error::new(error.to_string()).at(path.display()))?;
    let names: Vec<String> = tensors.iter().map(NamedTensor::name).collect();
    let entries = tensors.iter().zip(&names).map(|(tensor, name)| Entry {
        name,
        shape: &tensor.shape,
        data: EntryData::Numbers(&tensor.values),
    });
    safetensors::write(path, entries, &BTreeMap::from([(KEY.to_string(), input)]))
}

/// Checks, before hours of training, that a model can be written to `path`: makes its directory.
///
/// # Errors
/// An extension of another format; a directory that cannot be made.
pub fn make_way(path: &Path) -> Result<()> {
    if path
        .extension()
        .is_none_or(|extension| extension != "safetensors")
    {
        return Err(Error::new(format!(
            "graft cannot write {} in its format",
            path.display()
        ))
        .at("save_path")
        .help("graft writes safetensors: give the file the ending .safetensors"));
    }
    match path.parent() {
        Some(parent) => std::fs::create_dir_all(parent).at(parent.display()),
        None => Ok(()),
    }
}

/// Shape of a sample, (channels, height, width), and what happens to its pixels, as `model` says,
/// for a network that computes in `dtype`.
///
/// # Errors
/// The model is not one that graft wrote.
pub fn input_of(model: &SourceModel, dtype: Dtype) -> Result<([usize; 3], Transform)> {
    let input = model
        .metadata
        .get(KEY)
        .and_then(|text| serde_json::from_str(text).ok());
    let Input { shape, mean, scale } = input.ok_or_else(|| {
        Error::new("does not say what its input is")
            .at(model.path.display())
            .help("predictions need a model that `graft run` left")
    })?;
    let values: usize = shape.iter().product();
    let mean = mean.map(|mean| match mean.len() == shape[0] && values != shape[0] {
        true => mean
            .iter()
            .flat_map(|&m| vec![m; values / shape[0]])
            .collect(),
        false => mean,
    });
    if mean.as_ref().is_some_and(|mean| mean.len() != values) {
        return Err(Error::new("its mean does not fit its input").at(model.path.display()));
    }
    let mean = mean.map(Arc::new);
    Ok((shape, Transform { mean, scale, dtype }))
}

/// One value a channel, where the mean has no more to it.
fn short(mean: &[f64], [channels, height, width]: [usize; 3]) -> Vec<f64> {
    let planes = mean.chunks_exact(height * width);
    match planes
        .clone()
        .all(|plane| plane.iter().all(|value| *value == plane[0]))
    {
        true => planes.map(|plane| plane[0]).take(channels).collect(),
        false => mean.to_vec(),
    }
}
