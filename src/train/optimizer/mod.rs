//! The update of one parameter: Burn's [`Optimizer`] with the rules of [`Algorithm`].
//!
//! The rules are graft's own. Burn's momentum keeps the learning rate out of its velocity, which
//! differs from neon's as soon as the rate changes; its other rules round their numbers to f32 and
//! read an f64 state back as f32. Tests hold Adam, AdamW and Lion against Burn's.
//!
//! It knows one tensor at a time: limits on gradients are `train::clip`'s, rates and the choice
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
use crate::kernels::extension;
use crate::kernels::momentum::Momentum;

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
        let (weights, memory) = match self.in_one_pass(rate, &weights) {
            Some(rule) => momentum::in_one_pass(rule, weights, gradient, memory),
            None => {
                let (weights, gradient) = self.decayed(rate, weights, gradient);
                self.moved(rate, weights, gradient, memory)
            }
        };
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
    /// The whole update as a kernel has it, if there is one that gives the same bits.
    fn in_one_pass<const D: usize>(&self, rate: f64, weights: &Tensor<D>) -> Option<Momentum> {
        match self.algorithm {
            Algorithm::Momentum { momentum, nesterov } if momentum != 0.0 => Some(Momentum {
                rate,
                momentum,
                nesterov,
                weight_decay: self.weight_decay,
            }),
            _ => None,
        }
        .filter(|_| extension::is_for(weights))
    }

    /// Weights and gradient with weight decay: in the gradient, or in the weights where the
    /// algorithm's paper has it there.
    fn decayed<const D: usize>(
        &self,
        rate: f64,
        weights: Tensor<D>,
        gradient: Tensor<D>,
    ) -> (Tensor<D>, Tensor<D>) {
        match (self.weight_decay, self.algorithm) {
            (0.0, _) => (weights, gradient),
            (decay, Algorithm::Adamw { .. } | Algorithm::Lion { .. }) => {
                (weights.mul_scalar(1.0 - rate * decay), gradient)
            }
            (decay, _) => {
                let gradient = gradient + weights.clone().mul_scalar(decay);
                (weights, gradient)
            }
        }
    }

    #[rustfmt::skip] // A line an algorithm.
    fn moved<const D: usize>(
        &self,
        rate: f64,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        memory: Memory<D>,
    ) -> (Tensor<D>, Memory<D>) {
        use Algorithm::*;
        let (w, g, m) = (weights, gradient, memory);
        match self.algorithm {
            Sgd => (w + g.mul_scalar(-rate), m),
            Momentum { momentum, nesterov } => momentum::step(rate, w, g, m, momentum, nesterov),
            Rmsprop { decay_rate, epsilon, .. } => rmsprop::step(rate, w, g, m, decay_rate, epsilon),
            Adagrad { epsilon, .. } => adagrad::step(rate, w, g, m, epsilon),
            Adadelta { decay_rate, epsilon } => adadelta::step(rate, w, g, m, decay_rate, epsilon),
            Adam { beta1, beta2, epsilon, epsilon_hat, .. } => {
                adam::step(rate, w, g, m, [beta1, beta2], epsilon, epsilon_hat)
            }
            Adamw { beta1, beta2, epsilon } => {
                adam::step(rate, w, g, m, [beta1, beta2], epsilon, false)
            }
            ShiftAdaMax { beta1, beta2, epsilon, bias_correction } => {
                let is_corrected = bias_correction == BiasCorrection::Epoch;
                shift_ada_max::step(rate, w, g, m, [beta1, beta2], epsilon, is_corrected)
            }
            Lion { beta1, beta2 } => lion::step(rate, w, g, m, [beta1, beta2]),
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
