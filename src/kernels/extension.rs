//! Where Burn calls the kernels: an extension of its backends, implemented by its processor backend
//! and, with a backward pass of its own in `autodiff`, by that one's autodiff device.
//!
//! Callers ask [`is_for`] first; for other devices and precisions there are Burn's own operations.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor, TensorData};
use burn_flex::FlexTensor;

use super::convolution::{self, Padding, Shape};

/// What a convolution is besides the sizes of its tensors.
#[derive(Debug, Clone, Copy)]
pub struct Convolution {
    pub stride: usize,
    pub padding: Padding,
    pub groups: usize,
    /// Whether a ReLU follows.
    pub relu: bool,
    /// Without kernels that trade accuracy for speed.
    pub exact: bool,
}

/// Operations that backends have besides Burn's. `FloatTensor` is f32.
#[backend_extension(Flex, Autodiff)]
pub trait Kernels: Backend {
    /// (batch, channels, height, width) to (batch, filters, height, width).
    fn convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        options: Convolution,
    ) -> FloatTensor<Self>;

    /// The same, and a bias (filters).
    fn biased_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: Convolution,
    ) -> FloatTensor<Self>;
}

/// Whether the kernels are for this tensor: it is on the processor, and f32.
pub fn is_for<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && is_flex(&tensor.device())
}

/// Convolution, then `bias` (filters) and ReLU, as one operation.
pub fn convolve(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: Convolution,
) -> Tensor<4> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        Some(bias) => Dispatch::biased_convolution(x, weight, bias.into_dispatch(), options),
        None => Dispatch::convolution(x, weight, options),
    })
}

impl Kernels for Flex {
    fn convolution(x: FlexTensor, weight: FlexTensor, options: Convolution) -> FlexTensor {
        options.forward(x, weight, None)
    }

    fn biased_convolution(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        options: Convolution,
    ) -> FlexTensor {
        options.forward(x, weight, Some(bias))
    }
}

impl Convolution {
    fn forward(self, x: FlexTensor, weight: FlexTensor, bias: Option<FlexTensor>) -> FlexTensor {
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let bias = bias.map(|bias| bias.to_contiguous());
        let shape = self.shape(&x, &weight);
        let [height, width] = shape.output();
        build([shape.batch, shape.filters, height, width], |y| {
            let bias = bias.as_ref().map(floats);
            let Convolution { relu, exact, .. } = self;
            convolution::forward(&shape, floats(&x), floats(&weight), bias, relu, exact, y);
        })
    }

    /// The sizes of this convolution of `x` by `weight`.
    pub(super) fn shape(&self, x: &FlexTensor, weight: &FlexTensor) -> Shape {
        let [batch, channels, height, width] = x.shape().dims();
        let [filters, _, rows, columns] = weight.shape().dims();
        Shape {
            batch,
            channels,
            height,
            width,
            filters,
            kernel: [rows, columns],
            stride: self.stride,
            padding: self.padding,
            groups: self.groups,
        }
    }
}

/// The values of a contiguous tensor.
pub(super) fn floats(tensor: &FlexTensor) -> &[f32] {
    let values = tensor.as_slice();
    values.unwrap_or_else(|| unreachable!("callers give contiguous tensors of f32"))
}

/// A tensor whose every value `fill` writes.
pub(super) fn build<const D: usize>(
    shape: [usize; D],
    fill: impl FnOnce(&mut [f32]),
) -> FlexTensor {
    let mut values = vec![0.0; shape.iter().product()];
    fill(&mut values);
    FlexTensor::from_data(TensorData::new(values, shape))
}

fn is_flex(device: &burn::tensor::Device) -> bool {
    use burn::backend::DispatchDevice;
    match device.as_dispatch() {
        DispatchDevice::Flex(_) => true,
        DispatchDevice::Autodiff(_) => is_flex(&device.clone().inner()),
        #[allow(unreachable_patterns)] // With no other backend compiled in.
        _ => false,
    }
}
