//! Layers without tensors or state: activations, poolings, sums.

use burn::module::Module;
use burn::tensor::module::{avg_pool2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions, PadMode};
use burn::tensor::{DType, Slice, Tensor, activation};

use super::Values;
use crate::kernels::extension;
use crate::kernels::pooling::Pooling;
use crate::model::spec::Operation;

/// A layer without tensors or state.
#[derive(Module, Debug)]
pub struct Fixed {
    #[module(skip)]
    operation: Operation,
}

impl Fixed {
    /// A layer that computes `operation`.
    pub fn new(operation: Operation) -> Self {
        Self { operation }
    }

    /// The output of a layer of several inputs. For concatenation, channels or features.
    pub fn join(&self, first: Values, others: Vec<Values>) -> Values {
        match first {
            Values::Maps(first) => {
                let others = others.into_iter().map(Values::maps);
                Values::Maps(joined(self.operation, first, others))
            }
            Values::Features(first) => {
                let others = others.into_iter().map(Values::features);
                Values::Features(joined(self.operation, first, others))
            }
        }
    }

    /// The output of a layer of one input.
    pub fn forward(&self, input: Values) -> Values {
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
            ) => Values::Maps(max_pooled(
                x.maps(),
                Pooling {
                    kernel,
                    stride,
                    padding,
                    ceil,
                },
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
            // (batch, channels, height, width) to (batch, channels)
            (Operation::GlobalAveragePooling, x) => {
                let x: Tensor<3> = x.maps().flatten(2, 3);
                Values::Features(x.mean_dim(2).squeeze_dim(2))
            }
            (
                Operation::Subsample {
                    stride,
                    before,
                    behind,
                },
                x,
            ) => Values::Maps(subsampled(x.maps(), stride, [before, behind])),
            (operation, Values::Maps(x)) => Values::Maps(activated(operation, x)),
            (operation, Values::Features(x)) => Values::Features(activated(operation, x)),
        }
    }
}

/// By graft's kernel where it is for the device, the precision and the window, else by Burn.
fn max_pooled(images: Tensor<4>, pooling: Pooling) -> Tensor<4> {
    if extension::is_for(&images) && pooling.kernel <= Pooling::LARGEST {
        return extension::max_pool(images, pooling);
    }
    let options = MaxPoolOptions::new([pooling.kernel; 2])
        .with_stride([pooling.stride; 2])
        .with_padding([pooling.padding; 2])
        .with_ceil_mode(pooling.ceil);
    max_pool2d(images, options)
}

/// Value by value. At 0, the derivative of all that bend there is 0, as in neon.
fn activated<const D: usize>(operation: Operation, x: Tensor<D>) -> Tensor<D> {
    match operation {
        Operation::Relu => activation::relu(x),
        Operation::LeakyRelu { slope } => {
            activation::relu(x.clone()) - activation::relu(x.neg()) * slope
        }
        Operation::LimitedRelu { limit } => activation::relu(x).clamp_max(limit),
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

/// Of tensors (batch, channels, …).
fn joined<const D: usize>(
    operation: Operation,
    first: Tensor<D>,
    others: impl Iterator<Item = Tensor<D>>,
) -> Tensor<D> {
    match operation {
        Operation::Add => others.fold(first, |sum, other| sum + other),
        Operation::Concatenate => Tensor::cat([first].into_iter().chain(others).collect(), 1),
        operation => unreachable!("{operation:?} has one input"),
    }
}

/// Every `stride`-th row and column, with channels of zeros `before` and `behind` those of `images`.
fn subsampled(images: Tensor<4>, stride: usize, [before, behind]: [usize; 2]) -> Tensor<4> {
    let [_, _, height, width] = images.dims();
    let images = match stride {
        1 => images,
        _ => {
            let every = |size: usize| Slice::new(0, Some(size as isize), stride as isize);
            images.slice([Slice::full(), Slice::full(), every(height), every(width)])
        }
    };
    match before + behind {
        0 => images,
        _ => images.pad([(before, behind), (0, 0), (0, 0)], PadMode::Constant(0.0)),
    }
}
