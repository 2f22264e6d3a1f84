//! RMSProp (Tieleman and Hinton 2012, lecture 6.5), with neon's two epsilons.

use burn::tensor::Tensor;

use super::Memory;

/// s = d·s + (1−d)·g²; w −= rate·g / (sqrt(s + ε) + ε). It remembers s.
pub fn step<const D: usize>(
    rate: f64,
    weights: Tensor<D>,
    gradient: Tensor<D>,
    memory: Memory<D>,
    decay_rate: f64,
    epsilon: f64,
) -> (Tensor<D>, Memory<D>) {
    let (steps, [square]) = memory.recall(&gradient);
    let square =
        square.mul_scalar(decay_rate) + gradient.clone().square().mul_scalar(1.0 - decay_rate);
    let size = square
        .clone()
        .add_scalar(epsilon)
        .sqrt()
        .add_scalar(epsilon);
    let weights = weights - gradient.mul_scalar(rate) / size;
    (weights, Memory::new(steps, [square]))
}
