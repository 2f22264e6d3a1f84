//! What happens to a run's pixels: settled from its experiment and its source model, and made the
//! steps from its data files to the network.

use super::model_file;
use super::setup;
use crate::config::experiment::{
    Body, ChannelOrder, Convention, Experiment, Family, Mean, Pixels, Preset,
};
use crate::data::dataset::Dataset;
use crate::data::transform::{Steps, Transform, reverse};
use crate::error::{At, Error, Result};
use crate::model::spec::{NetworkSpec, Operation, shape_text};
use crate::numbers::Dtype;
use crate::source::SourceModel;
use crate::source::import;
use crate::source::origin::Origin;
use crate::source::receipt::Outcome;

/// What happens to the pixels of a run, and what there is to say of it.
#[derive(Debug, Clone)]
pub struct Fitted {
    pub pixels: Pixels,
    /// Why images are resized, though the experiment does not say so.
    pub note: Option<String>,
    /// How the experiment contradicts its source model.
    pub warning: Option<String>,
}

/// What happens to the pixels of `experiment` on samples of `shape`, (channels, height, width), with
/// `classes` categories.
///
/// # Errors
/// Lists for another number of channels; as [`settle`] and [`size_for_head`].
pub fn fitted(
    experiment: &Experiment,
    source: Option<&SourceModel>,
    shape: [usize; 3],
    classes: usize,
) -> Result<Fitted> {
    let (mut pixels, warning) = settle(experiment, source)?;
    check(&pixels, shape[0])?;
    let fitting = automatic_size(experiment, source, shape, classes)?;
    let note = fitting.map(|Fitting { size, layer }| {
        pixels.size = Some(size);
        format!(
            "images of {} are resized to {size}x{size}, so that the source's `{layer}` fits; \
             preprocessing.size says another size",
            shape_text(&shape)
        )
    });
    Ok(Fitted {
        pixels,
        note,
        warning,
    })
}

/// What happens to the pixels of `experiment`, at any size; besides, a warning if the experiment
/// contradicts its source model.
///
/// # Errors
/// What graft wrote into the source model is damaged.
pub fn settle(
    experiment: &Experiment,
    source: Option<&SourceModel>,
) -> Result<(Pixels, Option<String>)> {
    let origin = match source.map(model_file::pixels_of).transpose()?.flatten() {
        Some(pixels) => Some(pixels),
        None => source.and_then(origin_preset).map(Preset::pixels),
    };
    Ok(experiment.preprocessing.settle(origin.as_ref()))
}

/// The preset that a model of somebody else's was trained with, if it is a published one. `None`: it
/// is not, and what the experiment does not say is as in neon.
fn origin_preset(source: &SourceModel) -> Option<Preset> {
    let Origin {
        architecture,
        convention,
        ..
    } = source.origin?;
    Some(match (convention, architecture.facts().family) {
        (Convention::Torchvision, _) => Preset::Torchvision,
        (Convention::Keras, Family::MobilenetV1 | Family::MobilenetV2) => Preset::KerasTf,
        // What Keras took over from Caffe.
        (Convention::Keras, _) => Preset::Caffe,
    })
}

/// A size of images that makes an imported head fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitting {
    /// Side in pixels.
    pub size: usize,
    /// The linear layer that fits only then.
    pub layer: String,
}

/// The first of the `candidates` (sides in pixels) to which images of `shape` must be resized so that
/// the source's head can be imported: a linear layer over flattened maps that has the source's name,
/// but not its number of inputs. `None` if no layer needs it, or no candidate helps.
///
/// # Errors
/// The model does not fit the data as they are.
pub fn size_for_head(
    experiment: &Experiment,
    source: &SourceModel,
    shape: [usize; 3],
    classes: usize,
    candidates: &[usize],
) -> Result<Option<Fitting>> {
    let spec = setup::spec(experiment, shape, classes, Some(source))?;
    let renames = &experiment.source.rename;
    let receipt = import::matches(source, &spec, renames)?;
    let misfits = receipt.tensors.iter().filter(|entry| {
        matches!(
            &entry.outcome,
            Outcome::NotImported {
                rejected: Some(_),
                ..
            }
        ) && is_over_maps(&spec, &entry.layer)
    });
    for entry in misfits {
        for &size in candidates {
            let shape = [shape[0], size, size];
            let spec = setup::spec(experiment, shape, classes, Some(source));
            let fits = |spec: NetworkSpec| {
                let receipt = import::matches(source, &spec, renames);
                receipt.is_ok_and(|receipt| receipt.is_imported(&entry.layer))
            };
            if spec.is_ok_and(fits) {
                let layer = entry.layer.clone();
                return Ok(Some(Fitting { size, layer }));
            }
        }
    }
    Ok(None)
}

/// The steps for the training and for the test file.
///
/// # Errors
/// A mean cannot be read.
pub fn transforms(
    pixels: &Pixels,
    train: &Dataset,
    test: &Dataset,
    dtype: Dtype,
) -> Result<[Transform; 2]> {
    let reversed = pixels.channel_order == ChannelOrder::Bgr;
    let mean = |data: &Dataset| -> Result<Vec<f64>> {
        let mut mean = data.mean().at("mean")?;
        let [_, height, width] = data.shape();
        if reversed {
            reverse(&mut mean, height * width);
        }
        Ok(short(&mean, height * width))
    };
    let [train_mean, test_mean] = match &pixels.mean {
        Mean::None => [Vec::new(), Vec::new()],
        Mean::Given(mean) => [mean.clone(), mean.clone()],
        Mean::Own => [mean(train)?, mean(test)?],
        Mean::Train => {
            let mean = mean(train)?;
            [mean.clone(), mean]
        }
    };
    let transform = |data: &Dataset, mean| {
        let from = data.shape();
        let steps = Steps {
            from,
            size: pixels.size.filter(|_| pixels.input(from) != from),
            reversed,
            mean,
            scale: pixels.scale,
            deviation: pixels.deviation.clone(),
            dtype,
        };
        Transform::new(steps).at(data.path().display())
    };
    Ok([transform(train, train_mean)?, transform(test, test_mean)?])
}

/// [`size_for_head`] where the experiment says no size: tries the input of the source model, and
/// those for which the architecture was made.
fn automatic_size(
    experiment: &Experiment,
    source: Option<&SourceModel>,
    shape: [usize; 3],
    classes: usize,
) -> Result<Option<Fitting>> {
    let (None, Some(source)) = (experiment.preprocessing.size, source) else {
        return Ok(None);
    };
    let mut candidates = Vec::from_iter(model_file::side_of(source)?);
    candidates.extend(usual_input(&experiment.model.body));
    size_for_head(experiment, source, shape, classes, &candidates)
}

/// Checks that lists in `pixels` have a value for each of the `channels`.
fn check(pixels: &Pixels, channels: usize) -> Result<()> {
    let mean = match &pixels.mean {
        Mean::Given(mean) => mean.as_slice(),
        _ => &[],
    };
    let help = match pixels.preset {
        Preset::Caffe | Preset::Torchvision => {
            "the presets \"neon\", \"keras-tf\" and \"none\" take any number of channels"
        }
        _ => "give one value for each channel, or one for all",
    };
    for (key, list) in [("mean", mean), ("deviation", &pixels.deviation)] {
        if ![0, 1, channels].contains(&list.len()) {
            let problem = format!(
                "{} values for {channels}-channel images (preset \"{}\")",
                list.len(),
                pixels.preset
            );
            let place = format!("preprocessing.{key}");
            return Err(Error::new(problem).at(place).help(help));
        }
    }
    if pixels.channel_order == ChannelOrder::Bgr && channels != 3 {
        let problem = format!("\"bgr\" for {channels}-channel images");
        let help = "only images of red, green and blue can be turned";
        return Err(Error::new(problem)
            .at("preprocessing.channel_order")
            .help(help));
    }
    Ok(())
}

/// Side of the images for which an architecture was made, if it has a name.
fn usual_input(body: &Body) -> Option<usize> {
    match body {
        Body::Architecture { architecture, .. } => Some(architecture.usual_input()),
        Body::Layers { .. } => None,
    }
}

/// Whether this layer is a linear one over maps, whose inputs depend on the size of the images.
fn is_over_maps(spec: &NetworkSpec, layer: &str) -> bool {
    let Some(index) = spec.layers.iter().position(|other| other.name == layer) else {
        return false;
    };
    let maps = spec.input_shape(index).len() == 3;
    spec.layers[index].operation == Operation::Linear && maps
}

/// One value a channel, where a mean for each value has no more to it.
fn short(mean: &[f64], plane: usize) -> Vec<f64> {
    let planes = || mean.chunks_exact(plane);
    match planes().all(|plane| plane.iter().all(|value| *value == plane[0])) {
        true => planes().map(|plane| plane[0]).collect(),
        false => mean.to_vec(),
    }
}

#[cfg(test)]
mod tests;
