//! Each layer against the real neon: outputs, the error passed back, the gradient of its weights.

use burn::tensor::Gradients;

use super::*;
use crate::config::experiment::Initializer;
use crate::model::spec::{Padding, ParameterSpec};

mod operations;
mod vgg;

/// What one pass through a layer gives. All (batch, values), in C order.
struct Passed {
    output: Vec<f64>,
    /// The error at the input.
    delta: Vec<f64>,
    /// Of the weights or biases, in the layout of the layer.
    gradient: Option<Vec<f64>>,
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn spec(operation: Operation, output: &[usize], tensor: Option<(Role, &[usize])>) -> LayerSpec {
    let parameter = tensor.map(|(role, shape)| ParameterSpec {
        role,
        shape: shape.to_vec(),
        initializer: Initializer::XavierLocal,
        groups: 1,
    });
    LayerSpec {
        name: "layer".into(),
        operation,
        output: output.to_vec(),
        parameters: parameter.into_iter().collect(),
        inputs: Vec::new(),
        names: Vec::new(),
        renamed: false,
    }
}

/// Samples of `shape`, being images where it has three dimensions.
fn samples(values: Numbers, shape: &[usize]) -> Values {
    let batch = values.len() / shape.iter().product::<usize>();
    match *shape {
        [channels, height, width] => {
            let shape = [batch, channels, height, width];
            Values::Maps(tensor(&shape, values, &device()).require_grad())
        }
        _ => Values::Features(tensor(&[batch, shape[0]], values, &device()).require_grad()),
    }
}

/// Forward, then back with `error` at the output.
fn pass(layer: &Layer, input: Values, error: Numbers) -> Passed {
    let output = layer.forward("layer", input.clone(), None).features();
    let error = tensor::<2>(&output.dims(), error, &device());
    let gradients = (output.clone() * error).sum().backward();
    Passed {
        output: host(output),
        delta: match input {
            Values::Maps(x) => host(x.grad(&gradients).expect("an error at the input")),
            Values::Features(x) => host(x.grad(&gradients).expect("an error at the input")),
        },
        gradient: gradient(layer, &gradients),
    }
}

fn gradient(layer: &Layer, all: &Gradients) -> Option<Vec<f64>> {
    gradients(layer, all)
        .into_iter()
        .next()
        .map(|(_, values)| values)
}

/// The gradient of each trained tensor, in the order of the layer's tensors.
pub fn gradients(layer: &Layer, all: &Gradients) -> Vec<(Role, Vec<f64>)> {
    fn of<const D: usize>(tensor: &Param<Tensor<D>>, all: &Gradients) -> Option<Vec<f64>> {
        tensor.val().grad(all).map(host)
    }
    let found = match layer {
        Layer::Convolution(layer) => vec![(Role::Weight, of(&layer.weight, all))],
        Layer::Linear(layer) => vec![(Role::Weight, of(&layer.weight, all))],
        Layer::Bias(layer) => vec![(Role::Bias, of(&layer.bias, all))],
        Layer::BatchNorm(Norm { norm, .. }) => vec![
            (Role::Scale, of(&norm.gamma, all)),
            (Role::Shift, of(&norm.beta, all)),
        ],
        Layer::Dropout(_) | Layer::Fixed(_) => Vec::new(),
    };
    let found = found.into_iter();
    found
        .filter_map(|(role, values)| Some((role, values?)))
        .collect()
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    numbers(tensor.into_data()).to_f64()
}

/// neon's layout of `values`: a convolution's (filters, inputs) become (inputs, filters).
fn in_neons_layout(layer: &Layer, values: &[f64]) -> Vec<f64> {
    let Layer::Convolution(layer) = layer else {
        return values.to_vec();
    };
    let inputs = values.len() / layer.weight.dims()[0];
    let input = |start| values[start..].iter().step_by(inputs).copied();
    (0..inputs).flat_map(input).collect()
}
