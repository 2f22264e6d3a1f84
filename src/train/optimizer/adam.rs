//! Adam (Kingma and Ba 2015), and with decoupled weight decay AdamW (Loshchilov and Hutter 2019).

use burn::tensor::Tensor;

use super::Memory;

/// m = β₁·m + (1−β₁)·g; v = β₂·v + (1−β₂)·g²; w −= rate·c₂/c₁·m / (sqrt(v) + ε·c₂), with
/// c₁ = 1−β₁ᵗ and c₂ = sqrt(1−β₂ᵗ). With `epsilon_hat` ε itself is added, as at the end of the
/// paper's section 2 and in neon. It remembers m and v.
pub fn step<const D: usize>(
    rate: f64,
    weights: Tensor<D>,
    gradient: Tensor<D>,
    memory: Memory<D>,
    [beta1, beta2]: [f64; 2],
    epsilon: f64,
    epsilon_hat: bool,
) -> (Tensor<D>, Memory<D>) {
    let (steps, [mean, square]) = memory.recall(&gradient);
    let mean = mean.mul_scalar(beta1) + gradient.clone().mul_scalar(1.0 - beta1);
    let square = square.mul_scalar(beta2) + gradient.square().mul_scalar(1.0 - beta2);
    let mean_correction = 1.0 - beta1.powf(steps as f64);
    let size_correction = (1.0 - beta2.powf(steps as f64)).sqrt();
    let epsilon = match epsilon_hat {
        true => epsilon,
        false => epsilon * size_correction,
    };
    let size = square.clone().sqrt().add_scalar(epsilon);
    let rate = rate * size_correction / mean_correction;
    let weights = weights - mean.clone().mul_scalar(rate) / size;
    (weights, Memory::new(steps, [mean, square]))
}
