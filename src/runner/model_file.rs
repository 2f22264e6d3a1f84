//! graft's own model file: the trained tensors by name, and what a prediction needs besides: the
//! shape of a sample and what happens to its pixels.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::setup::Outline;
use crate::config::experiment::{ChannelOrder, Convention, Mean, Pixels, Preset};
use crate::data::transform::{Steps, Transform};
use crate::error::{At, Error, Result};
use crate::model::network::NamedTensor;
use crate::model::spec::NetworkSpec;
use crate::numbers::{Dtype, Numbers};
use crate::source::convert::{self, Options, Target};
use crate::source::document::{Described, Document, GRAFT_MODEL, state_name};
use crate::source::neon::{self, Description};
use crate::source::safetensors::{self, Entry, EntryData};
use crate::source::{Format, SourceModel};
use crate::train::updates::States;

/// Key of the [`Input`] in the file's metadata, as JSON.
const KEY: &str = "graft.input";

/// Key of the convention in the file's metadata, where it is not the architecture's own.
const CONVENTION: &str = "graft.convention";

/// Whose variant of its architecture a model of graft's is, if its file says so.
pub fn convention_of(model: &SourceModel) -> Option<Convention> {
    let word = model.metadata.get(CONVENTION)?;
    let conventions = [Convention::Torchvision, Convention::Keras];
    conventions
        .into_iter()
        .find(|&known| word_of(known) == word)
}

fn word_of(convention: Convention) -> &'static str {
    match convention {
        Convention::Torchvision => "torchvision",
        Convention::Keras => "keras",
    }
}

/// What a sample must be before it meets the first layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// (channels, height, width)
    pub shape: [usize; 3],
    /// Shape of the images that are resized to `shape`; absent: they are of that shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<[usize; 3]>,
    /// Subtracted: one for all, a value a channel, or a value for each of the images; absent:
    /// nothing. Empty where the model, and so the mean of its data, is yet to be made.
    pub mean: Option<Vec<f64>>,
    /// Multiplied with what is left.
    pub scale: f64,
    /// Divided by, at last: one for all, or a value a channel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deviation: Vec<f64>,
    /// Of the network, and of `mean` and `deviation`; images are RGB.
    #[serde(default, skip_serializing_if = "is_default")]
    pub channel_order: ChannelOrder,
    /// Whose preprocessing this is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub preset: Preset,
    /// Whether the mean was given, and is not that of the data.
    #[serde(default, skip_serializing_if = "is_default")]
    pub given_mean: bool,
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

/// Writes `tensors` to `path`, for samples that `transform` prepared as `pixels` say, with the
/// description of the model and what its optimizer remembers.
///
/// # Errors
/// Whatever the file system refuses.
pub fn write(
    path: &Path,
    tensors: &[NamedTensor],
    states: &States,
    (pixels, transform): (&Pixels, &Transform),
    model: &Description,
    convention: Option<Convention>,
) -> Result<()> {
    let steps = transform.steps();
    let mean = (!steps.mean.is_empty()).then(|| steps.mean.clone());
    let input = Input::new(pixels, steps.from, mean);
    let failed = |error: serde_json::Error| Error::new(error.to_string()).at(path.display());
    let mut metadata = BTreeMap::from([
        (KEY.to_string(), input.to_json().at(path.display())?),
        (
            GRAFT_MODEL.to_string(),
            serde_json::to_string(model).map_err(failed)?,
        ),
    ]);
    let convention = convention.map(word_of);
    metadata.extend(convention.map(|word| (CONVENTION.to_string(), word.to_string())));
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

/// The network whose weights the model at `path` holds, as training ran it.
///
/// # Errors
/// The model is not one that graft wrote.
pub fn network_of(path: &Path) -> Result<NetworkSpec> {
    match Document::read(path)?.described {
        Some(Described::Graft(description)) => Ok(description.network),
        _ => Err(Error::new("does not say what its layers compute")
            .at(path.display())
            .help("predictions need a model that `graft run` left")),
    }
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

/// What happens to pixels before they meet `model`, which computes in `dtype`, as its file says.
///
/// # Errors
/// The model is not one that graft wrote.
pub fn transform_of(model: &SourceModel, dtype: Dtype) -> Result<Transform> {
    let input = Input::of(&model.metadata)
        .at(model.path.display())?
        .ok_or_else(|| {
            Error::new("does not say what its input is")
                .at(model.path.display())
                .help("predictions need a model that `graft run` left")
        })?;
    let [_, height, width] = input.shape;
    let steps = Steps {
        from: input.images.unwrap_or(input.shape),
        size: input.images.map(|_| height),
        reversed: input.channel_order == ChannelOrder::Bgr,
        mean: input.mean.unwrap_or_default(),
        scale: input.scale,
        deviation: input.deviation,
        dtype,
    };
    if steps.size.is_some() && height != width {
        return Err(Error::new("its input is resized, but no square").at(model.path.display()));
    }
    Transform::new(steps).at(model.path.display())
}

/// What happened to the pixels that `model` was trained on; `None` if graft did not write it. A mean
/// of its own training data is that of the training data.
///
/// # Errors
/// What graft wrote of it is damaged.
pub fn pixels_of(model: &SourceModel) -> Result<Option<Pixels>> {
    Ok(Input::of(&model.metadata)
        .at(model.path.display())?
        .map(|input| Pixels {
            preset: input.preset,
            automatic: false,
            mean: match input.mean {
                None => Mean::None,
                Some(mean) if input.given_mean => Mean::Given(mean),
                Some(_) => Mean::Train,
            },
            scale: input.scale,
            deviation: input.deviation,
            channel_order: input.channel_order,
            size: None,
        }))
}

/// Side of the square images that `model` takes, if graft wrote it and they are square.
///
/// # Errors
/// What graft wrote of it is damaged.
pub fn side_of(model: &SourceModel) -> Result<Option<usize>> {
    let shape = Input::of(&model.metadata)
        .at(model.path.display())?
        .map(|input| input.shape);
    Ok(shape.and_then(|[_, height, width]| (height == width).then_some(height)))
}

/// The model that a run with this outline, on samples of shape `images`, will leave at `path`: all
/// but the values.
///
/// # Errors
/// None that can be expected.
pub fn outline_of(path: &Path, outline: &Outline, images: [usize; 3]) -> Result<SourceModel> {
    let mut model = SourceModel::outline_of(path, &outline.spec);
    // neon's format has no place for it.
    if model.format == Format::Safetensors {
        let pixels = &outline.preprocessing.pixels;
        let mean = (pixels.mean != Mean::None).then(|| match &pixels.mean {
            Mean::Given(mean) => mean.clone(),
            _ => Vec::new(),
        });
        let input = Input::new(pixels, images, mean);
        model.metadata.insert(KEY.to_string(), input.to_json()?);
        let convention = outline.convention.map(word_of);
        model
            .metadata
            .extend(convention.map(|word| (CONVENTION.to_string(), word.to_string())));
    }
    Ok(model)
}

impl Input {
    fn new(pixels: &Pixels, images: [usize; 3], mean: Option<Vec<f64>>) -> Self {
        let shape = pixels.input(images);
        Self {
            shape,
            images: (shape != images).then_some(images),
            mean,
            scale: pixels.scale,
            deviation: pixels.deviation.clone(),
            channel_order: pixels.channel_order,
            preset: pixels.preset,
            given_mean: matches!(pixels.mean, Mean::Given(_)),
        }
    }

    fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::new(error.to_string()))
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
