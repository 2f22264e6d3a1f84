//! What a run's model file says of the model and its training, for those who read it elsewhere:
//! neon's classes for an experiment's words.

use std::collections::BTreeMap;

use super::setup::Outline;
use crate::config::experiment::{Algorithm, Experiment, LossName};
use crate::source::neon::{Description, Optimizer, Value};

/// The description of the model that a run of `experiment` with `seed` leaves.
pub fn describe(experiment: &Experiment, outline: &Outline, seed: u64) -> Description {
    let cost = match experiment.loss.name {
        LossName::CrossEntropy => "CrossEntropyMulti",
        LossName::BinaryCrossEntropy => "CrossEntropyBinary",
    };
    Description {
        network: outline.spec.clone(),
        optimizers: optimizers(experiment, outline),
        cost: cost.to_string(),
        epochs: experiment.epochs,
        seed,
    }
}

/// One by default, and one for each layer with parameters that learns at another rate. None, if
/// neon has no such optimizer.
fn optimizers(experiment: &Experiment, outline: &Outline) -> BTreeMap<String, Optimizer> {
    let layers = outline.rates.iter().zip(&outline.spec.layers);
    let other = layers.filter(|(rate, spec)| rate.multiplier != 1.0 && !spec.parameters.is_empty());
    let other = other.map(|(rate, _)| (rate.layer.as_str(), rate.multiplier));
    [("default", 1.0)]
        .into_iter()
        .chain(other)
        .filter_map(|(name, rate)| Some((name.to_string(), optimizer(experiment, rate)?)))
        .collect()
}

fn optimizer(experiment: &Experiment, multiplier: f64) -> Option<Optimizer> {
    let settings = &experiment.optimizer;
    let (class, own) = match settings.algorithm {
        Algorithm::Momentum { momentum } => momentum_of(momentum, settings.weight_decay),
        Algorithm::Sgd => momentum_of(0.0, settings.weight_decay),
        Algorithm::Adam {
            beta1,
            beta2,
            epsilon,
        } => {
            let own = vec![("beta_1", beta1), ("beta_2", beta2), ("epsilon", epsilon)];
            ("Adam", own)
        }
        Algorithm::Adamw { .. } => return None,
    };
    let rate = ("learning_rate", settings.learning_rate * multiplier);
    let config = own.into_iter().chain([rate]);
    let config = config.map(|(key, value)| (key.to_string(), Value::Float(value)));
    Some(Optimizer {
        class: class.to_string(),
        config: config.collect(),
    })
}

fn momentum_of(momentum: f64, weight_decay: f64) -> (&'static str, Vec<(&'static str, f64)>) {
    let own = vec![("momentum_coef", momentum), ("wdecay", weight_decay)];
    ("GradientDescentMomentum", own)
}
