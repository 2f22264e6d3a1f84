//! The update of one parameter: Burn's [`Optimizer`] with the rules of [`Algorithm`].
//!
//! The rules are graft's own. Burn's momentum keeps the learning rate out of its velocity, which
//! differs from neon's as soon as the rate changes; its other rules round their numbers to f32 and
//! read an f64 state back as f32. Tests hold Adam, AdamW and Lion against Burn's.
//!
//! It knows one tensor at a time: limits on gradients are [`super::clip`]'s, rates and the choice
//! of the rule [`super::updates`]'.

mod adadelta;
mod adagrad;
mod adam;
mod lion;
mod momentum;
mod rmsprop;
mod shift_ada_max;

use burn::optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor, TensorCreationOptions};

use crate::config::experiment::{Algorithm, BiasCorrection, Rule};

/// A rule for parameters that weight decay is for, or for those that it is not for.
#[derive(Clone)]
pub struct Update {
    algorithm: Algorithm,
    weight_decay: f64,
    /// 0: no limit.
    clip_parameters: f64,
}

impl Update {
    /// `is_bias`: of a bias, or batch norm's scale and shift.
    pub fn new(rule: &Rule, is_bias: bool) -> Self {
        let spared = is_bias && !rule.decay_biases;
        Self {
            algorithm: rule.algorithm,
            weight_decay: if spared { 0.0 } else { rule.weight_decay },
            clip_parameters: rule.clip_parameters,
        }
    }
}

/// The rate with which `rule` is to be called in `epoch`, counted from 0. Only neon's way of
/// correcting ShiftAdaMax, by epochs, makes it another than `rate`.
pub fn corrected(rule: &Rule, rate: f64, epoch: usize) -> f64 {
    match rule.algorithm {
        Algorithm::ShiftAdaMax {
            beta1,
            bias_correction: BiasCorrection::Epoch,
            ..
        } => rate / (1.0 - beta1.powf((epoch + 1) as f64)),
        _ => rate,
    }
}

impl Optimizer for Update {
    type State<const D: usize> = Memory<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        memory: Option<Memory<D>>,
    ) -> (Tensor<D>, Option<Memory<D>>) {
        let memory = memory.unwrap_or_default();
        let (weights, memory) = self.algorithm_step(rate, weights, gradient, memory);
        let weights = match self.clip_parameters {
            0.0 => weights,
            limit => weights.clamp(-limit, limit),
        };
        (weights, (!memory.tensors.is_empty()).then_some(memory))
    }

    fn to_device<const D: usize>(memory: Memory<D>, device: &Device) -> Memory<D> {
        let tensors = memory.tensors.into_iter();
        Memory {
            steps: memory.steps,
            tensors: tensors.map(|tensor| tensor.to_device(device)).collect(),
        }
    }
}

impl Update {
    fn algorithm_step<const D: usize>(
        &self,
        rate: f64,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        memory: Memory<D>,
    ) -> (Tensor<D>, Memory<D>) {
        let decoupled = matches!(
            self.algorithm,
            Algorithm::Adamw { .. } | Algorithm::Lion { .. }
        );
        let (weights, gradient) = match self.weight_decay {
            0.0 => (weights, gradient),
            decay if decoupled => (weights.mul_scalar(1.0 - rate * decay), gradient),
            decay => {
                let gradient = gradient + weights.clone().mul_scalar(decay);
                (weights, gradient)
            }
        };
        match self.algorithm {
            Algorithm::Sgd => (weights + gradient.mul_scalar(-rate), memory),
            Algorithm::Momentum { momentum, nesterov } => {
                momentum::step(rate, weights, gradient, memory, momentum, nesterov)
            }
            Algorithm::Rmsprop {
                decay_rate,
                epsilon,
                ..
            } => rmsprop::step(rate, weights, gradient, memory, decay_rate, epsilon),
            Algorithm::Adagrad { epsilon, .. } => {
                adagrad::step(rate, weights, gradient, memory, epsilon)
            }
            Algorithm::Adadelta {
                decay_rate,
                epsilon,
            } => adadelta::step(rate, weights, gradient, memory, decay_rate, epsilon),
            Algorithm::Adam {
                beta1,
                beta2,
                epsilon,
                epsilon_hat,
                ..
            } => {
                let betas = [beta1, beta2];
                adam::step(rate, weights, gradient, memory, betas, epsilon, epsilon_hat)
            }
            Algorithm::Adamw {
                beta1,
                beta2,
                epsilon,
            } => {
                let betas = [beta1, beta2];
                adam::step(rate, weights, gradient, memory, betas, epsilon, false)
            }
            Algorithm::ShiftAdaMax {
                beta1,
                beta2,
                epsilon,
                bias_correction,
            } => {
                let betas = [beta1, beta2];
                let is_corrected = bias_correction == BiasCorrection::Epoch;
                shift_ada_max::step(
                    rate,
                    weights,
                    gradient,
                    memory,
                    betas,
                    epsilon,
                    is_corrected,
                )
            }
            Algorithm::Lion { beta1, beta2 } => {
                lion::step(rate, weights, gradient, memory, [beta1, beta2])
            }
        }
    }
}

/// What a rule remembers of a parameter.
#[derive(Debug, Clone)]
pub struct Memory<const D: usize> {
    /// Updates so far.
    steps: usize,
    /// Of the parameter's shape, in the order in which neon saves them; empty before the first
    /// update, and with rules that remember nothing.
    tensors: Vec<Tensor<D>>,
}

/// Before the first update. (A derived one would ask the same of [`Tensor`].)
impl<const D: usize> Default for Memory<D> {
    fn default() -> Self {
        Self {
            steps: 0,
            tensors: Vec::new(),
        }
    }
}

impl<const D: usize> Memory<D> {
    /// The number of this update, counted from 1, and the `N` tensors behind the last one: 0
    /// before the first.
    fn recall<const N: usize>(self, like: &Tensor<D>) -> (usize, [Tensor<D>; N]) {
        let tensors = self.tensors.try_into();
        let zeros = |_| std::array::from_fn(|_| like.zeros_like());
        (self.steps + 1, tensors.unwrap_or_else(zeros))
    }

    fn new<const N: usize>(steps: usize, tensors: [Tensor<D>; N]) -> Self {
        Self {
            steps,
            tensors: tensors.into(),
        }
    }
}

/// The name of a state tensor in Burn's record, behind the parameter's id.
pub fn state_name(place: usize) -> String {
    format!("state{place}")
}

impl<const D: usize> RecordState for Memory<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_scalar(prefix, "steps", self.steps.into());
        for (place, tensor) in self.tensors.iter().enumerate() {
            out.push_tensor(prefix, &state_name(place), tensor.to_data());
        }
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let steps = usize::try_from(src.take_scalar(prefix, "steps")?).ok()?;
        let mut tensors = Vec::new();
        while let Some(data) = src.take_tensor(prefix, &state_name(tensors.len())) {
            // Without a type it would be rounded to the device's own.
            let options = TensorCreationOptions::new(device.clone()).with_dtype(data.dtype());
            tensors.push(Tensor::from_data(data, options));
        }
        Some(Self { steps, tensors })
    }
}

#[cfg(test)]
mod tests;
