//! Layers behind one another that are computed as one: a convolution or linear layer, its bias, its
//! ReLU.
//!
//! [`crate::model::graph::chains`] says which they are; here is only how.

use burn::tensor::Tensor;

use super::{Draw, Layer, Values};
use crate::kernels::extension;

/// The output of the last of `layers`, which stand in a chain, each with its name: in one operation
/// where there is one, else layer by layer.
pub fn forward(layers: &[(&str, &Layer)], input: Values, draw: Option<Draw<'_>>) -> Values {
    match (layers, input) {
        ([(_, Layer::Convolution(layer)), behind @ ..], Values::Maps(images))
            if extension::is_for(&images) =>
        {
            let (bias, relu) = fused(behind);
            Values::Maps(layer.fused(images, bias, relu))
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

/// The bias among the layers behind the first of a chain, and whether a ReLU is.
fn fused(behind: &[(&str, &Layer)]) -> (Option<Tensor<1>>, bool) {
    let bias = behind.iter().find_map(|(_, layer)| match layer {
        Layer::Bias(layer) => Some(layer.bias.val()),
        _ => None,
    });
    let is_relu = |(_, layer): &(&str, &Layer)| matches!(layer, Layer::Fixed(_));
    (bias, behind.iter().any(is_relu))
}
