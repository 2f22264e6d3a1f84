//! Adagrad (Duchi et al. 2011).

use burn::tensor::Tensor;

use super::Memory;

/// s += g²; w −= rate·g / sqrt(s + ε). It remembers s.
pub fn step<const D: usize>(
    rate: f64,
    weights: Tensor<D>,
    gradient: Tensor<D>,
    memory: Memory<D>,
    epsilon: f64,
) -> (Tensor<D>, Memory<D>) {
    let (steps, [square]) = memory.recall(&gradient);
    let square = square + gradient.clone().square();
    let size = square.clone().add_scalar(epsilon).sqrt();
    let weights = weights - gradient.mul_scalar(rate) / size;
    (weights, Memory::new(steps, [square]))
}
