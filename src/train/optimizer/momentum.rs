//! Gradient descent with momentum, as neon's `GradientDescentMomentum` has it.

use burn::tensor::Tensor;

use super::Memory;
use crate::kernels::extension;
use crate::kernels::momentum::Momentum;

/// v = m·v − rate·g; w += v, or with `nesterov` w += m·v − rate·g (Bengio et al. 2012). It remembers
/// v, unless `momentum` is 0.
pub fn step<const D: usize>(
    rate: f64,
    weights: Tensor<D>,
    gradient: Tensor<D>,
    memory: Memory<D>,
    momentum: f64,
    nesterov: bool,
) -> (Tensor<D>, Memory<D>) {
    let push = gradient.mul_scalar(-rate);
    if momentum == 0.0 {
        return (weights + push, memory);
    }
    let (steps, [velocity]) = memory.recall(&push);
    let velocity = velocity.mul_scalar(momentum) + push.clone();
    let weights = match nesterov {
        true => weights + velocity.clone().mul_scalar(momentum) + push,
        false => weights + velocity.clone(),
    };
    (weights, Memory::new(steps, [velocity]))
}

/// [`step`] with weight decay before it, where a kernel does it all at once.
pub fn in_one_pass<const D: usize>(
    rule: Momentum,
    weights: Tensor<D>,
    gradient: Tensor<D>,
    memory: Memory<D>,
) -> (Tensor<D>, Memory<D>) {
    let (steps, [velocity]) = memory.recall(&gradient);
    let (weights, velocity) = extension::descend(rule, weights, velocity, gradient);
    (weights, Memory::new(steps, [velocity]))
}
