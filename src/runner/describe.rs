//! What a run's model file says of the model and its training, for those who read it elsewhere:
//! neon's classes for an experiment's words.

use std::collections::BTreeMap;

use super::setup::Outline;
use crate::config::experiment::{Algorithm, Experiment, LossName, Rule};
use crate::source::neon::{Description, Instance, Value};

/// The description of the model that a run of `experiment` with `seed` leaves.
pub fn describe(experiment: &Experiment, outline: &Outline, seed: u64) -> Description {
    let (optimizers, without_place) = optimizers(experiment, outline);
    Description {
        network: outline.spec.clone(),
        optimizers,
        without_place,
        cost: cost(experiment.loss.name),
        epochs: experiment.epochs,
        seed,
    }
}

fn cost(name: LossName) -> Instance {
    let class = match name {
        LossName::CrossEntropy | LossName::CrossEntropyBits => "CrossEntropyMulti",
        LossName::BinaryCrossEntropy => "CrossEntropyBinary",
        LossName::MeanSquared => "MeanSquared",
        LossName::SumSquared => "SumSquared",
    };
    let bits = (name == LossName::CrossEntropyBits).then_some(Value::Bool(true));
    Instance {
        class: class.to_string(),
        config: bits
            .map(|bits| ("usebits".to_string(), bits))
            .into_iter()
            .collect(),
    }
}

/// One by default, and one for each layer with parameters that learns by another rule or at another
/// rate. What schedules say is left out; besides, a sentence for each that neon does not have.
fn optimizers(
    experiment: &Experiment,
    outline: &Outline,
) -> (BTreeMap<String, Instance>, Vec<String>) {
    let settings = &experiment.optimizer;
    let layers = outline.rates.iter().zip(&outline.spec.layers);
    let with_parameters = layers.filter(|(_, spec)| !spec.parameters.is_empty());
    let other = with_parameters.filter_map(|(rate, _)| {
        let own = rate.entry.and_then(|entry| settings.layer.get(entry));
        let differs = own.is_some() || rate.multiplier != 1.0;
        let rule = own.map_or(&settings.rule, |entry| &entry.rule);
        differs.then_some((rate.layer.as_str(), rule, rate.multiplier))
    });
    if class_and_arguments(&settings.rule).is_none() {
        let name = settings.rule.algorithm.name();
        let all = format!("the optimizers: neon has no `{name}`, which is the default here");
        return (BTreeMap::new(), vec![all]);
    }
    let mut optimizers = BTreeMap::new();
    let mut without_place = Vec::new();
    for (layer, rule, rate) in [("default", &settings.rule, 1.0)].into_iter().chain(other) {
        match optimizer(rule, rate) {
            Some(optimizer) => drop(optimizers.insert(layer.to_string(), optimizer)),
            None => without_place.push(format!(
                "the optimizer of `{layer}`: neon has no `{}`, and would take the default one",
                rule.algorithm.name()
            )),
        }
    }
    (optimizers, without_place)
}

/// The optimizer of neon's that follows `rule`, at `multiplier` times its rate.
fn optimizer(rule: &Rule, multiplier: f64) -> Option<Instance> {
    let (class, own) = class_and_arguments(rule)?;
    let mut config: BTreeMap<String, Value> = own
        .into_iter()
        .map(|(key, value)| (key.to_string(), Value::Float(value)))
        .collect();
    let rate = Value::Float(rule.learning_rate * multiplier);
    // neon's has no rate.
    if class != "Adadelta" {
        config.insert("learning_rate".to_string(), rate);
    }
    let limits = [
        ("gradient_clip_norm", rule.clip_gradient_norm),
        ("gradient_clip_value", rule.clip_gradient_value),
        ("param_clip_value", rule.clip_parameters),
    ];
    for (key, limit) in limits.into_iter().filter(|(_, limit)| *limit > 0.0) {
        config.insert(key.to_string(), Value::Float(limit));
    }
    if let Algorithm::Momentum { nesterov: true, .. } = rule.algorithm {
        config.insert("nesterov".to_string(), Value::Bool(true));
    }
    Some(Instance {
        class: class.to_string(),
        config,
    })
}

type Arguments = Vec<(&'static str, f64)>;

fn class_and_arguments(rule: &Rule) -> Option<(&'static str, Arguments)> {
    let moments =
        |beta1, beta2, epsilon| vec![("beta_1", beta1), ("beta_2", beta2), ("epsilon", epsilon)];
    let descent = |momentum| vec![("momentum_coef", momentum), ("wdecay", rule.weight_decay)];
    Some(match rule.algorithm {
        Algorithm::Momentum { momentum, .. } => ("GradientDescentMomentum", descent(momentum)),
        Algorithm::Sgd => ("GradientDescentMomentum", descent(0.0)),
        Algorithm::Rmsprop {
            decay_rate,
            epsilon,
            ..
        } => {
            let own = vec![("decay_rate", decay_rate), ("epsilon", epsilon)];
            ("RMSProp", own)
        }
        Algorithm::Adagrad { epsilon, .. } => ("Adagrad", vec![("epsilon", epsilon)]),
        Algorithm::Adadelta {
            decay_rate,
            epsilon,
        } => (
            "Adadelta",
            vec![("decay", decay_rate), ("epsilon", epsilon)],
        ),
        Algorithm::Adam {
            beta1,
            beta2,
            epsilon,
            ..
        } => ("Adam", moments(beta1, beta2, epsilon)),
        Algorithm::ShiftAdaMax {
            beta1,
            beta2,
            epsilon,
            ..
        } => ("ShiftAdaMax", moments(beta1, beta2, epsilon)),
        Algorithm::Adamw { .. } | Algorithm::Lion { .. } => return None,
    })
}
