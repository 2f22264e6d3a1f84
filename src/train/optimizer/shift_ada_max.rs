//! AdaMax with powers of 2 for factors (Courbariaux et al. 2016, algorithm 4).

use burn::tensor::Tensor;

use super::Memory;

/// m = β₁·m + (1−β₁)·g; v = max(β₂·v, |g|); w −= m·2^⟦log₂ 1/(v + ε)⟧·2^⟦log₂ rate/(1−β₁ᵗ)⟧, where
/// ⟦⟧ rounds to the nearest whole number. `is_corrected`: the rate is divided by 1−β₁ᵗ already. It
/// remembers m, v and, as neon does, 1/(v + ε).
pub fn step<const D: usize>(
    rate: f64,
    weights: Tensor<D>,
    gradient: Tensor<D>,
    memory: Memory<D>,
    [beta1, beta2]: [f64; 2],
    epsilon: f64,
    is_corrected: bool,
) -> (Tensor<D>, Memory<D>) {
    let (steps, [mean, largest, _]) = memory.recall(&gradient);
    let mean = mean.mul_scalar(beta1) + gradient.clone().mul_scalar(1.0 - beta1);
    let largest = largest.mul_scalar(beta2).max_pair(gradient.abs());
    let inverse = largest.clone().add_scalar(epsilon).recip();
    let rate = match is_corrected {
        true => rate,
        false => rate / (1.0 - beta1.powf(steps as f64)),
    };
    // A rate of 0 has no logarithm; it moves nothing.
    let rate = match rate > 0.0 {
        true => rate.log2().round().exp2(),
        false => 0.0,
    };
    let exponent = inverse.clone().log().div_scalar(std::f64::consts::LN_2);
    let factor = exponent.full_like(2.0).powf(exponent.round());
    let weights = weights - mean.clone().mul_scalar(rate) * factor;
    (weights, Memory::new(steps, [mean, largest, inverse]))
}
