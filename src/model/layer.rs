//! The arithmetic of one layer, on whatever device its tensors are.
//!
//! It knows neither names nor learning rates: a frozen layer is one that [`Module::freeze`] froze,
//! which stops gradients, batch-norm statistics and dropout alike.

use burn::module::{Module, Param, ParamId};
use burn::tensor::ops::PadMode;
use burn::tensor::{DType, Device, Tensor, TensorCreationOptions, TensorData};

use super::spec::{LayerSpec, Operation, Role};
use crate::numbers::{Dtype, Numbers};
use convolution::Convolution;
use dropout::Dropout;
use fixed::Fixed;
use norm::Norm;

mod convolution;
mod dropout;
mod fixed;
mod norm;

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
pub enum Layer {
    Convolution(Convolution),
    Linear(Linear),
    Bias(Bias),
    BatchNorm(Norm),
    Dropout(Dropout),
    Fixed(Fixed),
}

/// Weight (outputs, inputs).
#[derive(Module, Debug)]
pub struct Linear {
    weight: Param<Tensor<2>>,
    /// See [`Layer::compute_by_sample`].
    #[module(skip)]
    by_sample: bool,
}

/// Bias (channels) or (features).
#[derive(Module, Debug)]
pub struct Bias {
    bias: Param<Tensor<1>>,
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
            } => {
                let weight = parameter(first_id, &spec.parameters[0].shape, values(0), device);
                Layer::Convolution(Convolution::new(weight, stride, padding, groups))
            }
            Operation::Linear => Layer::Linear(Linear {
                weight: parameter(first_id, &spec.parameters[0].shape, values(0), device),
                by_sample: false,
            }),
            Operation::Bias => Layer::Bias(Bias {
                bias: parameter(first_id, &spec.parameters[0].shape, values(0), device),
            }),
            Operation::BatchNorm { epsilon, momentum } => {
                let shape = &spec.parameters[0].shape;
                Layer::BatchNorm(Norm::new(
                    [epsilon, momentum],
                    parameter(first_id, shape, values(0), device),
                    parameter(first_id + 1, shape, values(1), device),
                    tensor(shape, values(2), device),
                    tensor(shape, values(3), device),
                ))
            }
            Operation::Dropout { rate, scaling } => Layer::Dropout(Dropout::new(rate, scaling)),
            operation => Layer::Fixed(Fixed::new(operation)),
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
            Layer::BatchNorm(layer) => {
                set(&mut layer.norm.gamma, &shapes[0].shape, next());
                set(&mut layer.norm.beta, &shapes[1].shape, next());
                let device = layer.norm.gamma.device();
                layer.set_statistics(
                    tensor(&shapes[2].shape, next(), &device),
                    tensor(&shapes[3].shape, next(), &device),
                );
            }
            Layer::Dropout(_) | Layer::Fixed(_) => {}
        }
    }

    /// The layer's output. `draw` is given in training only; `name` keys what is random.
    pub fn forward(&self, name: &str, input: Values, draw: Option<Draw<'_>>) -> Values {
        match self {
            Layer::Convolution(layer) => Values::Maps(layer.forward(input.maps())),
            // (batch, inputs) x (inputs, outputs)
            Layer::Linear(layer) => {
                let weight = layer.weight.val().transpose();
                Values::Features(match layer.by_sample {
                    true => product_by_blocks(input.features(), weight),
                    false => input.features().matmul(weight),
                })
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
            Layer::BatchNorm(layer) => match input {
                Values::Maps(x) => Values::Maps(layer.forward(x)),
                Values::Features(x) => Values::Features(layer.forward(x)),
            },
            Layer::Dropout(layer) => layer.forward(name, input, draw),
            Layer::Fixed(layer) => layer.forward(input),
        }
    }

    /// The output of a layer of several inputs: a sum, or their channels one after another.
    pub fn join(&self, first: Values, others: Vec<Values>) -> Values {
        match self {
            Layer::Fixed(layer) => layer.join(first, others),
            other => unreachable!("NetworkSpec::resolve gives {other:?} one input"),
        }
    }

    /// From now on what it gives for a sample does not depend, not in the last bit, on how many and
    /// which others are in the batch. All layers but linear ones are so anyway, on the processor,
    /// as long as they are not trained.
    pub fn compute_by_sample(&mut self) {
        if let Layer::Linear(layer) = self {
            layer.by_sample = true;
        }
    }

    /// Lets a batch norm use its running statistics in training, and leave them as they are.
    pub fn keep_statistics(&mut self) {
        if let Layer::BatchNorm(layer) = self {
            layer.keep_statistics();
        }
    }

    /// The layer's tensors in the order of its specification: role, id (none for running
    /// statistics, which no optimizer sees) and values in C order.
    pub fn tensors(&self) -> Vec<(Role, Option<ParamId>, TensorData)> {
        match self {
            Layer::Convolution(Convolution { weight, .. }) => {
                vec![(Role::Weight, Some(weight.id), weight.to_data())]
            }
            Layer::Linear(Linear { weight, .. }) => {
                vec![(Role::Weight, Some(weight.id), weight.to_data())]
            }
            Layer::Bias(Bias { bias }) => vec![(Role::Bias, Some(bias.id), bias.to_data())],
            Layer::BatchNorm(Norm { norm, .. }) => vec![
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
            Layer::BatchNorm(Norm { norm, .. }) => vec![norm.gamma.id, norm.beta.id],
            Layer::Dropout(_) | Layer::Fixed(_) => Vec::new(),
        }
    }
}

/// Rows that [`product_by_blocks`] multiplies at a time.
const BLOCK: usize = 32;

/// (batch, inputs) x (inputs, outputs), so many rows at a time, the last ones filled up with zeros:
/// in which order a product sums follows from the sizes of its matrices, which are always the same
/// here.
fn product_by_blocks(rows: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    let [batch, _] = rows.dims();
    let missing = batch.next_multiple_of(BLOCK) - batch;
    let filled = match missing {
        0 => rows,
        _ => rows.pad([(0, missing), (0, 0)], PadMode::Constant(0.0)),
    };
    let blocks = filled.split(BLOCK, 0).into_iter();
    let products: Vec<_> = blocks.map(|block| block.matmul(weight.clone())).collect();
    Tensor::cat(products, 0).narrow(0, 0, batch)
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
pub(super) mod tests;
