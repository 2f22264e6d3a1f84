//! Update rules. neon's momentum is ours, since its velocity holds the learning rate; the others
//! are Burn's.

use burn::optim::{
    AdamConfig, AdamWConfig, LearningRate, ModuleOptimizer, Optimizer, RecordState, SgdConfig,
    StateSink, StateSource, decay::WeightDecayConfig,
};
use burn::tensor::{Device, Tensor};

use crate::config::experiment::{self, Algorithm};

/// The update rule that an experiment asks for. It sees the effective rate of each group at each
/// step: base rate times schedule times multiplier.
pub fn build(config: &experiment::Optimizer) -> ModuleOptimizer {
    let decay =
        (config.weight_decay > 0.0).then(|| WeightDecayConfig::new(config.weight_decay as f32));
    match config.algorithm {
        Algorithm::Momentum { momentum } => Momentum {
            momentum,
            weight_decay: config.weight_decay,
        }
        .into(),
        Algorithm::Sgd => SgdConfig::new().with_weight_decay(decay).init(),
        Algorithm::Adam {
            beta1,
            beta2,
            epsilon,
        } => AdamConfig::new()
            .with_beta_1(beta1 as f32)
            .with_beta_2(beta2 as f32)
            .with_epsilon(epsilon as f32)
            .with_weight_decay(decay)
            .init(),
        Algorithm::Adamw {
            beta1,
            beta2,
            epsilon,
        } => AdamWConfig::new()
            .with_beta_1(beta1 as f32)
            .with_beta_2(beta2 as f32)
            .with_epsilon(epsilon as f32)
            .with_weight_decay(config.weight_decay as f32)
            .init(),
    }
}

/// neon's `GradientDescentMomentum`: g = gradient + decay · w; v = m · v − rate · g; w = w + v.
///
/// Burn's momentum keeps the rate out of the velocity, which differs as soon as the rate changes.
#[derive(Clone)]
struct Momentum {
    momentum: f64,
    weight_decay: f64,
}

/// What [`Momentum`] remembers of a parameter.
#[derive(Clone)]
struct Velocity<const D: usize> {
    velocity: Tensor<D>,
}

impl<const D: usize> RecordState for Velocity<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_tensor(prefix, "velocity", self.velocity.to_data());
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let data = src.take_tensor(prefix, "velocity")?;
        Some(Self {
            velocity: Tensor::from_data(data, device),
        })
    }
}

impl Optimizer for Momentum {
    type State<const D: usize> = Velocity<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Velocity<D>>,
    ) -> (Tensor<D>, Option<Velocity<D>>) {
        let gradient = match self.weight_decay {
            0.0 => gradient,
            decay => gradient + tensor.clone().mul_scalar(decay),
        };
        let push = gradient.mul_scalar(-rate);
        let velocity = match state {
            Some(state) => state.velocity.mul_scalar(self.momentum) + push,
            None => push,
        };
        (tensor + velocity.clone(), Some(Velocity { velocity }))
    }

    fn to_device<const D: usize>(state: Velocity<D>, device: &Device) -> Velocity<D> {
        Velocity {
            velocity: state.velocity.to_device(device),
        }
    }
}
