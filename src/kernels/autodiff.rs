//! The kernels on the autodiff device: forward by the processor's backend, and backward by hand.
//!
//! Gradients are computed for those tensors alone that somebody wants them of: not for frozen
//! weights, nor for what comes out of a frozen prefix.

use std::sync::Arc;

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use burn_flex::FlexTensor;

use super::convolution::{self, Errors};
use super::extension::{Convolution, Kernels, build, floats, pooled, sizes};
use super::linear;
use super::pooling::{self, Pooling};

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

    fn pooled_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: Convolution,
    ) -> FloatTensor<Self> {
        let step = ConvolutionStep.prepare::<C>([x.node(), weight.node(), bias.node()]);
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let (y, winners) = options.pooled(x.clone(), weight.clone(), bias.into_primitive());
        let passed = Passed::Winners(Arc::new(winners));
        match step.compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(
                Saved {
                    x,
                    weight,
                    passed,
                    options,
                },
                y,
            ),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, relu: bool) -> FloatTensor<Self> {
        let step = LinearStep.prepare::<C>([x.node(), weight.node()]);
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let y = Flex::linear(x.clone(), weight.clone(), relu);
        let output = relu.then(|| y.clone());
        match step.compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((x, weight, output), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn biased_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self> {
        let step = LinearStep.prepare::<C>([x.node(), weight.node(), bias.node()]);
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let y = Flex::biased_linear(x.clone(), weight.clone(), bias.into_primitive(), relu);
        let output = relu.then(|| y.clone());
        match step.compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((x, weight, output), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn max_pooling(x: FloatTensor<Self>, pooling: Pooling) -> FloatTensor<Self> {
        let step = MaxPoolingStep.prepare::<C>([x.node()]);
        let x = x.into_primitive();
        let shape = x.shape().dims();
        match step.compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let (y, winners) = pooled(x, pooling);
                step.finish((pooling, shape, Arc::new(winners)), y)
            }
            OpsKind::UnTracked(step) => step.finish(Flex::max_pooling(x, pooling)),
        }
    }
}

/// What a convolution needs of its forward pass to go back.
#[derive(Debug, Clone)]
struct Saved {
    x: FlexTensor,
    weight: FlexTensor,
    passed: Passed,
    options: Convolution,
}

/// What of the gradient passes what is fused behind a convolution.
#[derive(Debug, Clone)]
enum Passed {
    /// All: nothing is.
    All,
    /// What comes out above 0: the ReLU is.
    Output(FlexTensor),
    /// The largest of each 2x2 pixels: ReLU and pooling are.
    Winners(Arc<Vec<u8>>),
}

impl Passed {
    fn errors<'a>(&'a self, dy: &'a [f32]) -> Errors<'a> {
        match self {
            Passed::All => Errors::Plain(dy),
            Passed::Output(y) => Errors::Masked(dy, floats(y)),
            Passed::Winners(winners) => Errors::Pooled(dy, winners),
        }
    }
}

impl Saved {
    fn new(x: FlexTensor, weight: FlexTensor, y: &FlexTensor, options: Convolution) -> Self {
        Self {
            x,
            weight,
            passed: match options.relu {
                true => Passed::Output(y.clone()),
                false => Passed::All,
            },
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
            passed,
            options,
        } = ops.state;
        let dy = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let shape = options.shape(&x, &weight);
        let errors = passed.errors(floats(&dy));
        let mut parents = ops.parents.into_iter();
        let [of_x, of_weight, of_bias] = std::array::from_fn(|_| parents.next().flatten());
        let mut db = None;
        if let Some(node) = of_weight {
            let dw = build(weight.shape().dims::<4>(), |dw| {
                let mut sum = of_bias.as_ref().map(|_| vec![0.0; shape.filters]);
                let exact = options.exact;
                let of_bias = sum.as_deref_mut();
                convolution::weight_gradient(&shape, floats(&x), errors, exact, dw, of_bias);
                db = sum;
            });
            gradients.register::<Flex>(node.id, dw);
        }
        if let Some(node) = of_bias {
            let db = build([shape.filters], |sum| match db {
                Some(db) => sum.copy_from_slice(&db),
                None => convolution::bias_gradient(&shape, errors, sum),
            });
            gradients.register::<Flex>(node.id, db);
        }
        if let Some(node) = of_x {
            let dx = build(x.shape().dims::<4>(), |dx| {
                convolution::input_gradient(&shape, errors, floats(&weight), options.exact, dx);
            });
            gradients.register::<Flex>(node.id, dx);
        }
    }
}

#[derive(Debug)]
struct LinearStep;

/// Of inputs and weights, or of inputs, weights and bias.
impl<const N: usize> Backward<Flex, N> for LinearStep {
    /// Inputs, weights, and the outputs if the ReLU is part of it.
    type State = (FlexTensor, FlexTensor, Option<FlexTensor>);

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight, y) = ops.state;
        let dy = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let sizes = sizes(&x, &weight);
        let (dy, y) = (floats(&dy), y.as_ref().map(floats));
        let mut parents = ops.parents.into_iter();
        let [of_x, of_weight, of_bias] = std::array::from_fn(|_| parents.next().flatten());
        if let Some(node) = of_x {
            let dx = build([sizes.batch, sizes.inputs], |dx| {
                linear::input_gradient(sizes, dy, y, floats(&weight), dx);
            });
            gradients.register::<Flex>(node.id, dx);
        }
        if let Some(node) = of_weight {
            let dw = build([sizes.outputs, sizes.inputs], |dw| {
                linear::weight_gradient(sizes, floats(&x), dy, y, dw);
            });
            gradients.register::<Flex>(node.id, dw);
        }
        if let Some(node) = of_bias {
            let db = build([sizes.outputs], |db| {
                linear::bias_gradient(sizes, dy, y, db)
            });
            gradients.register::<Flex>(node.id, db);
        }
    }
}

#[derive(Debug)]
struct MaxPoolingStep;

impl Backward<Flex, 1> for MaxPoolingStep {
    /// Besides the pooling the shape of its input, and the places of the largest values.
    type State = (Pooling, [usize; 4], Arc<Vec<u8>>);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (pooling, shape, winners) = ops.state;
        let dy = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [Some(node)] = ops.parents else { return };
        let dx = build(shape, |dx| {
            pooling::backward(pooling, [shape[2], shape[3]], floats(&dy), &winners, dx);
        });
        gradients.register::<Flex>(node.id, dx);
    }
}
