//! Which of neon's two modes, `neon` and `caffe`, does what a network of graft's does.
//!
//! It knows no file.

use crate::config::experiment::DropoutScaling;
use crate::error::{Error, Result};
use crate::model::spec::{LayerSpec, NetworkSpec, Operation};

/// neon's mode in which dropout and poolings do what they do here: `neon` multiplies what dropout
/// kept at inference and rounds the sizes of poolings down, `caffe` divides it in training and
/// rounds them up.
///
/// # Errors
/// Two layers need different modes; a padding that no image has.
pub fn mode(network: &NetworkSpec) -> Result<&'static str> {
    let outputs = network.layers.iter().map(|layer| layer.output.as_slice());
    let inputs = [network.input.as_slice()].into_iter().chain(outputs);
    let layers = network.layers.iter().zip(inputs);
    let mut needs = Vec::new();
    for (layer, input) in layers {
        let mode =
            needed_mode(layer, input).map_err(|e| e.at(format!("layer `{}`", layer.name)))?;
        needs.extend(mode.map(|mode| (layer, mode)));
    }
    let Some(&(first, mode)) = needs.first() else {
        return Ok("neon");
    };
    match needs.iter().find(|(_, other)| *other != mode) {
        None => Ok(mode),
        Some((layer, other)) => Err(Error::new(format!(
            "neon does this in its mode `{other}`, but what `{}` does in its mode `{mode}`",
            first.name
        ))
        .at(format!("layer `{}`", layer.name))
        .help(
            "`compatibility = \"neon\"` or \"caffe\" lets all layers follow one mode; or keep \
             this model as .safetensors",
        )),
    }
}

/// The mode that a layer on such an input needs; `None` if it does the same in both.
fn needed_mode(layer: &LayerSpec, input: &[usize]) -> Result<Option<&'static str>> {
    let (kernel, stride, padding, ceil) = match layer.operation {
        Operation::Dropout { rate, scaling } if rate > 0.0 => {
            return Ok(Some(match scaling {
                DropoutScaling::Training => "caffe",
                DropoutScaling::Inference => "neon",
            }));
        }
        Operation::MaxPooling {
            kernel,
            stride,
            padding,
            ceil,
        }
        | Operation::AveragePooling {
            kernel,
            stride,
            padding,
            ceil,
        } => (kernel, stride, padding, ceil),
        _ => return Ok(None),
    };
    // Sizes may come from a file that was tampered with.
    let padded = |&size: &usize| padding.checked_mul(2)?.checked_add(size);
    let sizes: Option<Vec<_>> = input.iter().skip(1).map(padded).collect();
    let sizes = sizes.ok_or_else(|| Error::new(format!("a padding of {padding} is too large")))?;
    let rest = |size: &usize| size.checked_sub(kernel)?.checked_rem(stride);
    let fits = sizes.iter().all(|size| rest(size) == Some(0));
    Ok(match (fits, ceil) {
        (true, _) => None,
        (false, true) => Some("caffe"),
        (false, false) => Some("neon"),
    })
}
