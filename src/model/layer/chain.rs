//! Layers behind one another that are computed as one: a convolution, its bias, its ReLU.
//!
//! [`super::super::graph::chains`] says which they are; here is only how.

use super::{Draw, Layer, Values};
use crate::kernels::extension;

/// The output of the last of `layers`, which stand in a chain, each with its name: in one operation
/// where there is one, else layer by layer.
pub fn forward(layers: &[(&str, &Layer)], input: Values, draw: Option<Draw<'_>>) -> Values {
    match (layers, input) {
        ([(_, Layer::Convolution(layer)), behind @ ..], Values::Maps(images))
            if !behind.is_empty() && extension::is_for(&images) =>
        {
            let bias = behind.iter().find_map(|(_, layer)| match layer {
                Layer::Bias(layer) => Some(layer.bias.val()),
                _ => None,
            });
            let relu = behind
                .iter()
                .any(|(_, layer)| matches!(layer, Layer::Fixed(_)));
            Values::Maps(layer.fused(images, bias, relu))
        }
        (layers, input) => {
            let layers = layers.iter();
            layers.fold(input, |values, (name, layer)| {
                layer.forward(name, values, draw)
            })
        }
    }
}
