//! Where Burn calls the kernels: an extension of its backends, implemented by its processor backend
//! and, with a backward pass of its own in `autodiff`, by that one's autodiff device.
//!
//! Callers ask [`is_for`] first; for other devices and precisions there are Burn's own operations.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor, TensorData};
use burn_flex::FlexTensor;

use super::convolution::{self, Padding, Shape};
use super::linear::{self, Sizes};
use super::memory;
use super::momentum::{self, Momentum};
use super::pooling::{self, Pooling};

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

    /// [`biased_convolution`](Self::biased_convolution) with a ReLU, and behind it the largest value
    /// of each 2x2 pixels. Callers ask [`convolution::pools`] first.
    fn pooled_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: Convolution,
    ) -> FloatTensor<Self>;

    /// (batch, inputs) by a weight (outputs, inputs) to (batch, outputs); then, perhaps, a ReLU.
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, relu: bool) -> FloatTensor<Self>;

    /// The same with a bias (outputs) before the ReLU.
    fn biased_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self>;

    /// The largest value of each window of maps (batch, channels, height, width).
    fn max_pooling(x: FloatTensor<Self>, pooling: Pooling) -> FloatTensor<Self>;
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

/// Whether [`convolve_and_pool`] is for these sizes.
pub fn pools(x: &Tensor<4>, weight: &Tensor<4>, options: Convolution) -> bool {
    let shape = options.shape_of(x.dims(), weight.dims());
    options.relu && convolution::pools(&shape, options.exact)
}

/// Convolution, `bias` (filters), ReLU and the largest value of each 2x2 pixels, as one operation.
pub fn convolve_and_pool(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    options: Convolution,
) -> Tensor<4> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    let y = Dispatch::pooled_convolution(x, weight, bias.into_dispatch(), options);
    Tensor::from_dispatch(y)
}

/// (batch, inputs) by `weight` (outputs, inputs), then `bias` (outputs) and ReLU, as one operation.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>, relu: bool) -> Tensor<2> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        Some(bias) => Dispatch::biased_linear(x, weight, bias.into_dispatch(), relu),
        None => Dispatch::linear(x, weight, relu),
    })
}

/// The largest value of each window.
pub fn max_pool(x: Tensor<4>, pooling: Pooling) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::max_pooling(x.into_dispatch(), pooling))
}

/// One update with momentum, as [`momentum::step`] has it: weights and velocity, moved in place
/// where nobody else has them. All three of tensors that the kernels are for, off the autodiff
/// device.
pub fn descend<const D: usize>(
    rule: Momentum,
    weights: Tensor<D>,
    velocity: Tensor<D>,
    gradient: Tensor<D>,
) -> (Tensor<D>, Tensor<D>) {
    let [weights, velocity, gradient] = [weights, velocity, gradient].map(primitive);
    let (mut weights, mut velocity) = (owned(weights), owned(velocity));
    let gradient = gradient.to_contiguous();
    let (w, v) = (weights.storage_mut(), velocity.storage_mut());
    momentum::step(rule, w, v, floats(&gradient));
    (
        Tensor::from_primitive::<Flex>(weights),
        Tensor::from_primitive::<Flex>(velocity),
    )
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

    fn pooled_convolution(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        options: Convolution,
    ) -> FlexTensor {
        options.pooled(x, weight, bias).0
    }

    fn linear(x: FlexTensor, weight: FlexTensor, relu: bool) -> FlexTensor {
        linear_forward(x, weight, None, relu)
    }

    fn biased_linear(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        relu: bool,
    ) -> FlexTensor {
        linear_forward(x, weight, Some(bias), relu)
    }

    fn max_pooling(x: FlexTensor, pooling: Pooling) -> FlexTensor {
        pooled(x, pooling).0
    }
}

fn linear_forward(
    x: FlexTensor,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    relu: bool,
) -> FlexTensor {
    let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
    let bias = bias.map(|bias| bias.to_contiguous());
    let sizes = sizes(&x, &weight);
    build([sizes.batch, sizes.outputs], |y| {
        linear::forward(
            sizes,
            floats(&x),
            floats(&weight),
            bias.as_ref().map(floats),
            relu,
            y,
        );
    })
}

/// The sizes of a linear layer.
pub(super) fn sizes(x: &FlexTensor, weight: &FlexTensor) -> Sizes {
    let [batch, inputs] = x.shape().dims();
    let [outputs, _] = weight.shape().dims();
    Sizes {
        batch,
        inputs,
        outputs,
    }
}

/// The output of a pooling, and the place of each of its values in the window.
pub(super) fn pooled(x: FlexTensor, pooling: Pooling) -> (FlexTensor, Vec<u8>) {
    let x = x.to_contiguous();
    let [batch, channels, rows, columns] = x.shape().dims();
    let [height, width] = pooling.output([rows, columns]);
    let mut winners = vec![0; batch * channels * height * width];
    let y = build([batch, channels, height, width], |y| {
        pooling::forward(pooling, [rows, columns], floats(&x), y, &mut winners);
    });
    (y, winners)
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

    /// What [`convolution::forward_pooled`] gives: the largest values, and which ones they are.
    pub(super) fn pooled(
        self,
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
    ) -> (FlexTensor, Vec<u8>) {
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let bias = bias.to_contiguous();
        let shape = self.shape(&x, &weight);
        let [height, width] = shape.output().map(|size| size / 2);
        let mut winners = vec![0; shape.batch * shape.filters * height * width];
        let y = build([shape.batch, shape.filters, height, width], |y| {
            let (x, w, bias) = (floats(&x), floats(&weight), floats(&bias));
            convolution::forward_pooled(&shape, x, w, bias, y, &mut winners);
        });
        (y, winners)
    }

    /// The sizes of this convolution of `x` by `weight`.
    pub(super) fn shape(&self, x: &FlexTensor, weight: &FlexTensor) -> Shape {
        self.shape_of(x.shape().dims(), weight.shape().dims())
    }

    fn shape_of(&self, x: [usize; 4], weight: [usize; 4]) -> Shape {
        let [batch, channels, height, width] = x;
        let [filters, _, rows, columns] = weight;
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

/// A tensor whose every value `fill` writes; before, they are arbitrary.
pub(super) fn build<const D: usize>(
    shape: [usize; D],
    fill: impl FnOnce(&mut [f32]),
) -> FlexTensor {
    let bytes = memory::filled(shape.iter().product(), fill);
    FlexTensor::from_data(TensorData::from_bytes(bytes, shape, DType::F32))
}

fn primitive<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    let tensor = tensor.try_into_primitive::<Flex>();
    tensor.unwrap_or_else(|_| unreachable!("callers ask whether the kernels are for the tensor"))
}

/// The same values one after another in a buffer of their own size, which is the tensor's where it
/// has them so.
fn owned(tensor: FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
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

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn address(tensor: &Tensor<2>) -> *const u8 {
        primitive(tensor.clone()).bytes().as_ptr()
    }

    #[test]
    fn parameters_that_nobody_else_has_are_moved_where_they_are() {
        let tensor = |value: f32| Tensor::<2>::full([300, 300], value, &Device::flex());
        let rule = Momentum {
            rate: 0.5,
            momentum: 0.5,
            nesterov: false,
            weight_decay: 0.0,
        };
        let (weights, velocity) = (tensor(1.0), tensor(2.0));
        let places = [address(&weights), address(&velocity)];
        let (weights, velocity) = descend(rule, weights, velocity, tensor(4.0));
        assert_eq!([address(&weights), address(&velocity)], places);
        let kept = weights.clone();
        let (moved, _) = descend(rule, weights, velocity, tensor(4.0));
        let first = |tensor: Tensor<2>| tensor.into_data().iter::<f32>().next();
        assert_eq!(first(kept), Some(0.0), "what others have stays as it was");
        assert_eq!(first(moved), Some(-2.5));
    }

    #[test]
    fn only_what_is_f32_and_on_the_processor_is_for_the_kernels() {
        let device = Device::flex();
        let single = Tensor::<1>::zeros([2], (&device, DType::F32));
        let double = Tensor::<1>::zeros([2], (&device, DType::F64));
        assert!(is_for(&single) && !is_for(&double));
        assert!(is_for(&Tensor::from_inner(single)));
    }
}
