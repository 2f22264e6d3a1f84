//! The kernels on the autodiff device: forward by the processor's backend, and backward by hand.
//!
//! Gradients are computed for those tensors alone that somebody wants them of: not for frozen
//! weights, nor for what comes out of a frozen prefix.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use burn_flex::FlexTensor;

use super::convolution;
use super::extension::{Convolution, Kernels, build, floats};

impl<C: CheckpointStrategy> Kernels for Autodiff<Flex, C> {
    fn convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        options: Convolution,
    ) -> FloatTensor<Self> {
        let step = ConvolutionStep.prepare::<C>([x.node(), weight.node()]);
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let y = Flex::convolution(x.clone(), weight.clone(), options);
        match step.compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(Saved::new(x, weight, &y, options), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn biased_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: Convolution,
    ) -> FloatTensor<Self> {
        let step = ConvolutionStep.prepare::<C>([x.node(), weight.node(), bias.node()]);
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let bias = bias.into_primitive();
        let y = Flex::biased_convolution(x.clone(), weight.clone(), bias, options);
        match step.compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(Saved::new(x, weight, &y, options), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }
}

/// What a convolution needs of its forward pass to go back.
#[derive(Debug, Clone)]
struct Saved {
    x: FlexTensor,
    weight: FlexTensor,
    /// If the ReLU is part of it.
    y: Option<FlexTensor>,
    options: Convolution,
}

impl Saved {
    fn new(x: FlexTensor, weight: FlexTensor, y: &FlexTensor, options: Convolution) -> Self {
        Self {
            x,
            weight,
            y: options.relu.then(|| y.clone()),
            options,
        }
    }
}

#[derive(Debug)]
struct ConvolutionStep;

/// Of images and weights, or of images, weights and bias.
impl<const N: usize> Backward<Flex, N> for ConvolutionStep {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let Saved {
            x,
            weight,
            y,
            options,
        } = ops.state;
        let dy = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let shape = options.shape(&x, &weight);
        let (dy, y) = (floats(&dy), y.as_ref().map(floats));
        let mut parents = ops.parents.into_iter();
        let [of_x, of_weight, of_bias] = std::array::from_fn(|_| parents.next().flatten());
        let mut db = None;
        if let Some(node) = of_weight {
            let dw = build(weight.shape().dims::<4>(), |dw| {
                let mut sum = of_bias.as_ref().map(|_| vec![0.0; shape.filters]);
                let exact = options.exact;
                let of_bias = sum.as_deref_mut();
                convolution::weight_gradient(&shape, floats(&x), dy, y, exact, dw, of_bias);
                db = sum;
            });
            gradients.register::<Flex>(node.id, dw);
        }
        if let Some(node) = of_bias {
            let db = build([shape.filters], |sum| match db {
                Some(db) => sum.copy_from_slice(&db),
                None => convolution::bias_gradient(&shape, dy, y, sum),
            });
            gradients.register::<Flex>(node.id, db);
        }
        if let Some(node) = of_x {
            let dx = build(x.shape().dims::<4>(), |dx| {
                convolution::input_gradient(&shape, dy, y, floats(&weight), options.exact, dx);
            });
            gradients.register::<Flex>(node.id, dx);
        }
    }
}
