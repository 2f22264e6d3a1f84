//! Adadelta (Zeiler 2012). Its steps have the right size by themselves: the rate is a factor on them.

use burn::tensor::Tensor;

use super::Memory;

/// s = d·s + (1−d)·g²; u = sqrt((t + ε) / (s + ε))·g; t = d·t + (1−d)·u²; w −= rate·u. It remembers
/// s, t and, as neon does, u.
pub fn step<const D: usize>(
    rate: f64,
    weights: Tensor<D>,
    gradient: Tensor<D>,
    memory: Memory<D>,
    decay_rate: f64,
    epsilon: f64,
) -> (Tensor<D>, Memory<D>) {
    let (steps, [gradients, updates, _]) = memory.recall(&gradient);
    let average = |before: Tensor<D>, value: Tensor<D>| {
        before.mul_scalar(decay_rate) + value.square().mul_scalar(1.0 - decay_rate)
    };
    let gradients = average(gradients, gradient.clone());
    let shown = updates.clone().add_scalar(epsilon);
    let update = (shown / gradients.clone().add_scalar(epsilon)).sqrt() * gradient;
    let updates = average(updates, update.clone());
    let weights = weights - update.clone().mul_scalar(rate);
    (weights, Memory::new(steps, [gradients, updates, update]))
}
