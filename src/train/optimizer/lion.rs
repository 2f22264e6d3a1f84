//! Lion (Chen et al. 2023): the sign of a momentum.

use burn::tensor::Tensor;

use super::Memory;

/// w −= rate·sign(β₁·m + (1−β₁)·g); m = β₂·m + (1−β₂)·g. It remembers m.
pub fn step<const D: usize>(
    rate: f64,
    weights: Tensor<D>,
    gradient: Tensor<D>,
    memory: Memory<D>,
    [beta1, beta2]: [f64; 2],
) -> (Tensor<D>, Memory<D>) {
    let (steps, [mean]) = memory.recall(&gradient);
    let average = |before: Tensor<D>, beta: f64| {
        before.mul_scalar(beta) + gradient.clone().mul_scalar(1.0 - beta)
    };
    let direction = average(mean.clone(), beta1).sign();
    let mean = average(mean, beta2);
    (
        weights - direction.mul_scalar(rate),
        Memory::new(steps, [mean]),
    )
}
