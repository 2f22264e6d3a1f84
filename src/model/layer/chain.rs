//! Layers behind one another that are computed as one: a convolution or linear layer, its bias, its
//! ReLU, its pooling.
//!
//! [`crate::model::graph::chains`] says which they are; here is only how.

use burn::tensor::Tensor;

use super::convolution::Convolution;
use super::{Draw, Layer, Values};
use crate::kernels::extension;

/// The output of the last of `layers`, which stand in a chain, each with its name: in one operation
/// where there is one, else layer by layer.
pub fn forward(layers: &[(&str, &Layer)], input: Values, draw: Option<Draw<'_>>) -> Values {
    match (layers, input) {
        ([(_, Layer::Convolution(layer)), behind @ ..], Values::Maps(images))
            if extension::is_for(&images) =>
        {
            convolution(layer, behind, images, draw)
        }
        ([(_, Layer::Linear(layer)), behind @ ..], input) => {
            let (bias, relu) = fused(behind);
            Values::Features(layer.forward(input.features(), bias, relu))
        }
        (layers, input) => layers.iter().fold(input, |values, (name, layer)| {
            layer.forward(name, values, draw)
        }),
    }
}

/// The output of the last of the layers `behind` a convolution.
fn convolution(
    layer: &Convolution,
    behind: &[(&str, &Layer)],
    images: Tensor<4>,
    draw: Option<Draw<'_>>,
) -> Values {
    // A pooling stands behind both, bias and ReLU.
    let (behind, pooling) = match behind {
        [_, _, pooling] => (&behind[..2], Some(pooling)),
        _ => (behind, None),
    };
    let (bias, relu) = fused(behind);
    match (pooling, bias) {
        (Some(_), Some(bias)) if layer.pools(&images) => Values::Maps(layer.pooled(images, bias)),
        (Some((name, pooling)), bias) => {
            let output = Values::Maps(layer.fused(images, bias, relu));
            pooling.forward(name, output, draw)
        }
        (None, bias) => Values::Maps(layer.fused(images, bias, relu)),
    }
}

/// The bias among the layers behind the first of a chain, and whether a ReLU is.
fn fused(behind: &[(&str, &Layer)]) -> (Option<Tensor<1>>, bool) {
    let bias = behind.iter().find_map(|(_, layer)| match layer {
        Layer::Bias(layer) => Some(layer.bias.val()),
        _ => None,
    });
    let is_relu = |(_, layer): &(&str, &Layer)| matches!(layer, Layer::Fixed(_));
    (bias, behind.iter().any(is_relu))
}
