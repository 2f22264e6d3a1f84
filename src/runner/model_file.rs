//! graft's own model file: the trained tensors by name, and what a prediction needs besides: the
//! shape of a sample and what happens to its pixels.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::data::batches::Transform;
use crate::error::{At, Error, Result};
use crate::model::network::NamedTensor;
use crate::numbers::{Dtype, Numbers};
use crate::source::SourceModel;
use crate::source::convert::{self, Options, Target};
use crate::source::document::{GRAFT_MODEL, state_name};
use crate::source::neon::{self, Description};
use crate::source::safetensors::{self, Entry, EntryData};
use crate::train::updates::States;

/// Key of the [`Input`] in the file's metadata, as JSON.
const KEY: &str = "graft.input";

/// What a sample must be before it meets the first layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// (channels, height, width)
    pub shape: [usize; 3],
    /// Subtracted: a value a channel, or a value a pixel; absent: nothing.
    pub mean: Option<Vec<f64>>,
    /// Multiplied with what is left.
    pub scale: f64,
}

impl Input {
    /// As the metadata of a model file say; `None` if they do not.
    ///
    /// # Errors
    /// What they say is damaged.
    pub fn of(metadata: &BTreeMap<String, String>) -> Result<Option<Self>> {
        let text = metadata.get(KEY);
        let input = text.map(|text| serde_json::from_str(text)).transpose();
        input.map_err(|error| Error::new(format!("its {KEY} is damaged: {error}")))
    }
}

/// Writes `tensors` to `path`, for samples that `transform` prepared, with the description of the
/// model and what its optimizer remembers.
///
/// # Errors
/// Whatever the file system refuses.
pub fn write(
    path: &Path,
    tensors: &[NamedTensor],
    states: &States,
    transform: &Transform,
    model: &Description,
) -> Result<()> {
    let shape = model.network.input;
    let input = Input {
        shape,
        mean: transform.mean.as_ref().map(|mean| short(mean, shape)),
        scale: transform.scale,
    };
    let failed = |error: serde_json::Error| Error::new(error.to_string()).at(path.display());
    let metadata = BTreeMap::from([
        (
            KEY.to_string(),
            serde_json::to_string(&input).map_err(failed)?,
        ),
        (
            GRAFT_MODEL.to_string(),
            serde_json::to_string(model).map_err(failed)?,
        ),
    ]);
    let names: Vec<String> = tensors.iter().map(NamedTensor::name).collect();
    let entries = tensors.iter().zip(&names).map(|(tensor, name)| Entry {
        name,
        shape: &tensor.shape,
        data: EntryData::Numbers(&tensor.values),
    });
    let states = remembered(tensors, states);
    let states = states.iter().map(|(name, shape, numbers)| Entry {
        name,
        shape,
        data: EntryData::Numbers(numbers),
    });
    safetensors::write(path, entries.chain(states), &metadata)
}

/// Name, shape and values of each state.
fn remembered<'a>(
    tensors: &'a [NamedTensor],
    states: &'a States,
) -> Vec<(String, &'a [usize], &'a Numbers)> {
    let of = |tensor: &'a NamedTensor| {
        let states = states.get(&(tensor.layer.clone(), tensor.role));
        let states = states.into_iter().flatten().enumerate();
        states.map(move |(index, numbers)| {
            let name = state_name(&tensor.layer, tensor.role.name(), index);
            (name, tensor.shape.as_slice(), numbers)
        })
    };
    tensors.iter().flat_map(of).collect()
}

/// Checks, before hours of training, that a model can be written to `path`: makes its directory.
///
/// # Errors
/// An ending that says no format; a directory that cannot be made.
pub fn make_way(path: &Path) -> Result<()> {
    convert::target(path).at("save_path")?;
    match path.parent() {
        Some(parent) => std::fs::create_dir_all(parent).at(parent.display()),
        None => Ok(()),
    }
}

/// Checks that the format of the file at `path` has a place for all of `model`.
///
/// # Errors
/// It has not; the error names the layer.
pub fn check(path: &Path, model: &Description) -> Result<()> {
    match convert::target(path).at("save_path")? {
        Target::Safetensors => Ok(()),
        _ => neon::describe(model, |_| false).map(drop).at("save_path"),
    }
}

/// Puts a copy of the model at `model` to `path`, in the format that its ending says. The result
/// names what that format has no place for, and why.
///
/// # Errors
/// As [`convert::convert`].
pub fn copy(model: &Path, path: &Path) -> Result<Vec<String>> {
    convert::convert(model, path, &Options::default()).map(|converted| converted.left_out)
}

/// Shape of a sample, (channels, height, width), and what happens to its pixels, as `model` says,
/// for a network that computes in `dtype`.
///
/// # Errors
/// The model is not one that graft wrote.
pub fn input_of(model: &SourceModel, dtype: Dtype) -> Result<([usize; 3], Transform)> {
    let input = Input::of(&model.metadata).at(model.path.display())?;
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
