//! The arithmetic of one layer, on whatever device its tensors are.
//!
//! It knows neither names nor learning rates: a frozen layer is one that [`Module::freeze`] froze,
//! which stops gradients, batch-norm statistics and dropout alike.

use burn::module::{Module, Param, ParamId, RunningState};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::activation;
use burn::tensor::module::{avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{DType, Device, Tensor, TensorCreationOptions, TensorData};

use super::spec::{LayerSpec, Operation, Padding, Role};
use crate::numbers::{Dtype, Numbers};
use dropout::Dropout;

mod dropout;

/// What flows between layers.
#[derive(Debug, Clone)]
pub enum Values {
    /// (batch, channels, height, width)
    Maps(Tensor<4>),
    /// (batch, features)
    Features(Tensor<2>),
}

impl Values {
    /// (batch, features): maps are flattened in (channel, row, column) order.
    pub fn features(self) -> Tensor<2> {
        match self {
            Values::Maps(maps) => maps.flatten(1, 3),
            Values::Features(features) => features,
        }
    }

    /// The same values on the autodiff device, without a history.
    pub fn autodiff(self) -> Self {
        match self {
            Values::Maps(maps) => Values::Maps(Tensor::from_inner(maps)),
            Values::Features(features) => Values::Features(Tensor::from_inner(features)),
        }
    }

    /// Only for layers whose input `spec` has proved to be images.
    fn maps(self) -> Tensor<4> {
        match self {
            Values::Maps(maps) => maps,
            Values::Features(_) => unreachable!("NetworkSpec::resolve checks that maps come here"),
        }
    }
}

/// Which samples are in the batch, for whatever is random in a layer: every draw derives from
/// (seed, layer, epoch, sample), so that it depends on neither batch size nor position.
#[derive(Debug, Clone, Copy)]
pub struct Draw<'a> {
    pub seed: u64,
    /// Counted from 0.
    pub epoch: usize,
    /// The samples' indices in the training file, as many as the batch has rows.
    pub samples: &'a [usize],
}

/// One layer on a device.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a network has few layers")]
pub enum Layer {
    Convolution(Convolution),
    Linear(Linear),
    Bias(Bias),
    BatchNorm(BatchNorm),
    Dropout(Dropout),
    Fixed(Fixed),
}

/// Weight (filters, channels, rows, columns).
#[derive(Module, Debug)]
pub struct Convolution {
    weight: Param<Tensor<4>>,
    stride: usize,
    #[module(skip)]
    padding: Padding,
    groups: usize,
}

/// Weight (outputs, inputs).
#[derive(Module, Debug)]
pub struct Linear {
    weight: Param<Tensor<2>>,
}

/// Bias (channels) or (features).
#[derive(Module, Debug)]
pub struct Bias {
    bias: Param<Tensor<1>>,
}

/// A layer without tensors or state.
#[derive(Module, Debug)]
pub struct Fixed {
    #[module(skip)]
    operation: Operation,
}

impl Layer {
    /// Builds the layer with the values `values` gives for each of its tensors, in C order.
    /// `first_id` is the id of its first tensor; the next ones follow it.
    pub fn new(
        spec: &LayerSpec,
        first_id: u64,
        device: &Device,
        mut values: impl FnMut(usize) -> Numbers,
    ) -> Self {
        match spec.operation {
            Operation::Convolution {
                stride,
                padding,
                groups,
            } => Layer::Convolution(Convolution {
                weight: parameter(first_id, &spec.parameters[0].shape, values(0), device),
                stride,
                padding,
                groups,
            }),
            Operation::Linear => Layer::Linear(Linear {
                weight: parameter(first_id, &spec.parameters[0].shape, values(0), device),
            }),
            Operation::Bias => Layer::Bias(Bias {
                bias: parameter(first_id, &spec.parameters[0].shape, values(0), device),
            }),
            Operation::BatchNorm { epsilon, momentum } => {
                let mut norm = BatchNormConfig::new(spec.output[0])
                    .with_epsilon(epsilon)
                    .with_momentum(momentum)
                    .init(device);
                let shape = &spec.parameters[0].shape;
                norm.gamma = parameter(first_id, shape, values(0), device);
                norm.beta = parameter(first_id + 1, shape, values(1), device);
                // Not by `update`, which inference does not see before the next synchronization.
                norm.running_mean = RunningState::new(tensor(shape, values(2), device));
                norm.running_var = RunningState::new(tensor(shape, values(3), device));
                Layer::BatchNorm(norm)
            }
            Operation::Dropout { rate, scaling } => Layer::Dropout(Dropout::new(rate, scaling)),
            operation => Layer::Fixed(Fixed { operation }),
        }
    }

    /// Replaces the values of the layer's tensors, in the order of `spec`, keeping their ids and
    /// whether they are trained.
    pub fn restore(&mut self, spec: &LayerSpec, values: Vec<Numbers>) {
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap_or_default();
        let shapes = &spec.parameters;
        match self {
            Layer::Convolution(layer) => set(&mut layer.weight, &shapes[0].shape, next()),
            Layer::Linear(layer) => set(&mut layer.weight, &shapes[0].shape, next()),
            Layer::Bias(layer) => set(&mut layer.bias, &shapes[0].shape, next()),
            Layer::BatchNorm(norm) => {
                set(&mut norm.gamma, &shapes[0].shape, next());
                set(&mut norm.beta, &shapes[1].shape, next());
                let device = norm.gamma.device();
                norm.running_mean = RunningState::new(tensor(&shapes[2].shape, next(), &device));
                norm.running_var = RunningState::new(tensor(&shapes[3].shape, next(), &device));
            }
            Layer::Dropout(_) | Layer::Fixed(_) => {}
        }
    }

    /// The layer's output. `draw` is given in training only; `name` keys what is random.
    pub fn forward(&self, name: &str, input: Values, draw: Option<Draw<'_>>) -> Values {
        match self {
            Layer::Convolution(layer) => Values::Maps(conv2d(
                input.maps(),
                layer.weight.val(),
                None,
                ConvOptions::new(
                    [layer.stride; 2],
                    [layer.padding.top, layer.padding.left],
                    [1, 1],
                    layer.groups,
                ),
            )),
            // (batch, inputs) x (inputs, outputs)
            Layer::Linear(layer) => {
                Values::Features(input.features().matmul(layer.weight.val().transpose()))
            }
            Layer::Bias(layer) => {
                let channels = layer.bias.dims()[0];
                match input {
                    Values::Maps(x) => {
                        Values::Maps(x + layer.bias.val().reshape([1, channels, 1, 1]))
                    }
                    Values::Features(x) => {
                        Values::Features(x + layer.bias.val().reshape([1, channels]))
                    }
                }
            }
            Layer::BatchNorm(norm) => match input {
                Values::Maps(x) => Values::Maps(norm.forward(x)),
                Values::Features(x) => Values::Features(norm.forward(x)),
            },
            Layer::Dropout(layer) => layer.forward(name, input, draw),
            Layer::Fixed(layer) => layer.forward(input),
        }
    }

    /// The layer's tensors in the order of its specification: role, id (none for running
    /// statistics, which no optimizer sees) and values in C order.
    pub fn tensors(&self) -> Vec<(Role, Option<ParamId>, TensorData)> {
        match self {
            Layer::Convolution(Convolution { weight, .. }) => {
                vec![(Role::Weight, Some(weight.id), weight.to_data())]
            }
            Layer::Linear(Linear { weight }) => {
                vec![(Role::Weight, Some(weight.id), weight.to_data())]
            }
            Layer::Bias(Bias { bias }) => vec![(Role::Bias, Some(bias.id), bias.to_data())],
            Layer::BatchNorm(norm) => vec![
                (Role::Scale, Some(norm.gamma.id), norm.gamma.to_data()),
                (Role::Shift, Some(norm.beta.id), norm.beta.to_data()),
                (Role::Mean, None, norm.running_mean.value_sync().to_data()),
                (
                    Role::Variance,
                    None,
                    norm.running_var.value_sync().to_data(),
                ),
            ],
            Layer::Dropout(_) | Layer::Fixed(_) => Vec::new(),
        }
    }

    /// Ids of the tensors that an optimizer may change.
    pub fn parameter_ids(&self) -> Vec<ParamId> {
        match self {
            Layer::Convolution(layer) => vec![layer.weight.id],
            Layer::Linear(layer) => vec![layer.weight.id],
            Layer::Bias(layer) => vec![layer.bias.id],
            Layer::BatchNorm(norm) => vec![norm.gamma.id, norm.beta.id],
            Layer::Dropout(_) | Layer::Fixed(_) => Vec::new(),
        }
    }
}

impl Fixed {
    fn forward(&self, input: Values) -> Values {
        match (self.operation, input) {
            (Operation::Softmax, x) => Values::Features(activation::softmax(x.features(), 1)),
            (
                Operation::MaxPooling {
                    kernel,
                    stride,
                    padding,
                    ceil,
                },
                x,
            ) => Values::Maps(max_pool2d(
                x.maps(),
                MaxPoolOptions::new([kernel; 2])
                    .with_stride([stride; 2])
                    .with_padding([padding; 2])
                    .with_ceil_mode(ceil),
            )),
            (
                Operation::AveragePooling {
                    kernel,
                    stride,
                    padding,
                    ceil,
                },
                x,
            ) => {
                // What is outside of the image is no part of the average, as in neon.
                let mut options = AvgPoolOptions::new([kernel; 2])
                    .with_stride([stride; 2])
                    .with_padding([padding; 2])
                    .with_ceil_mode(ceil);
                options.count_include_pad = false;
                Values::Maps(avg_pool2d(x.maps(), options))
            }
            (operation, Values::Maps(x)) => Values::Maps(activated(operation, x)),
            (operation, Values::Features(x)) => Values::Features(activated(operation, x)),
        }
    }
}

/// Value by value. At 0, the derivative of all that bend there is 0, as in neon.
fn activated<const D: usize>(operation: Operation, x: Tensor<D>) -> Tensor<D> {
    match operation {
        Operation::Relu => activation::relu(x),
        Operation::LeakyRelu { slope } => {
            activation::relu(x.clone()) - activation::relu(x.neg()) * slope
        }
        Operation::Elu { alpha } => {
            let negative = activation::relu(x.clone().neg()).neg();
            activation::relu(x) + (negative.exp() - 1.0) * alpha
        }
        Operation::Tanh => activation::tanh(x),
        // Burn's own is computed in f32 on some backends.
        Operation::Sigmoid if x.dtype() == DType::F64 => (activation::tanh(x * 0.5) + 1.0) * 0.5,
        Operation::Sigmoid => activation::sigmoid(x),
        operation => unreachable!("{operation:?} is no activation"),
    }
}

fn parameter<const D: usize>(
    id: u64,
    shape: &[usize],
    values: Numbers,
    device: &Device,
) -> Param<Tensor<D>> {
    let value = tensor(shape, values, device);
    let value = match device.is_autodiff() {
        true => value.require_grad(),
        false => value,
    };
    Param::initialized(ParamId::from(id), value)
}

fn set<const D: usize>(parameter: &mut Param<Tensor<D>>, shape: &[usize], values: Numbers) {
    let old = parameter.val();
    let new = tensor(shape, values, &old.device());
    let new = match old.is_require_grad() {
        true => new.require_grad(),
        false => new,
    };
    *parameter = Param::initialized(parameter.id, new);
}

/// `values` on `device`, in their precision.
pub fn tensor<const D: usize>(shape: &[usize], values: Numbers, device: &Device) -> Tensor<D> {
    let data = match values {
        Numbers::F32(values) => TensorData::new(values, shape),
        Numbers::F64(values) => TensorData::new(values, shape),
        Numbers::F16(values) => TensorData::new(values, shape),
        Numbers::Bf16(values) => TensorData::new(values, shape),
    };
    let options = TensorCreationOptions::new(device.clone()).with_dtype(data.dtype());
    Tensor::from_data(data, options)
}

/// What [`tensor`] was made of.
pub fn numbers(data: TensorData) -> Numbers {
    match dtype(data.dtype()) {
        Dtype::F32 => Numbers::F32(data.iter().collect()),
        Dtype::F64 => Numbers::F64(data.iter().collect()),
        Dtype::F16 => Numbers::F16(data.iter().collect()),
        Dtype::Bf16 => Numbers::Bf16(data.iter().collect()),
    }
}

/// graft's word for a precision of Burn's. Networks have no tensors of other types.
fn dtype(burn: DType) -> Dtype {
    match burn {
        DType::F64 => Dtype::F64,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::Bf16,
        _ => Dtype::F32,
    }
}

/// Burn's word for a precision.
pub fn burn_dtype(dtype: Dtype) -> DType {
    match dtype {
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
        Dtype::F16 => DType::F16,
        Dtype::Bf16 => DType::BF16,
    }
}

#[cfg(test)]
mod tests;
