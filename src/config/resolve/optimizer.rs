//! Resolves `[optimizer]` and the entries of `[[optimizer.layer]]`.
//!
//! It checks what can be known without the model. Whether an entry matches a layer is for
//! [`Optimizer::entries_of`] to say, once the layers are known.

use super::checks::{BELOW_ONE, Checks, NOT_NEGATIVE, POSITIVE, word};
use super::schedule;
use crate::config::experiment::*;
use crate::config::file::{AlgorithmName, LayerRuleTable, OptimizerTable, RuleTable};
use crate::config::layers::{OF_SOME_ALGORITHMS, taken_by};
use crate::numbers::Numbers;

pub fn optimizer(
    checks: &mut Checks,
    table: OptimizerTable,
    schedule: &Schedule,
    epochs: usize,
) -> Optimizer {
    let base = table.rule();
    let here = Keys {
        table: "optimizer".to_owned(),
        own: base.clone(),
        inherited: RuleTable::default(),
    };
    let rule = rule(checks, &here);
    let mut layer: Vec<LayerRule> = Vec::new();
    for (index, entry) in table.layer.unwrap_or_default().into_iter().enumerate() {
        let key = format!("optimizer.layer.{index}");
        let which = which(checks, &key, &entry);
        if layer.iter().any(|earlier| earlier.which == which) {
            let problem = format!("a second entry for {which}");
            checks.refuse(&key, problem, "say all about these layers in one entry");
        }
        let own = entry.rule();
        let here = Keys {
            inherited: inherited(&own, &base),
            table: key.clone(),
            own,
        };
        layer.push(LayerRule {
            which,
            rule: self::rule(checks, &here),
            schedule: match entry.schedule {
                Some(own) => schedule::schedule(checks, &format!("{key}.schedule"), own, epochs),
                None => schedule.clone(),
            },
        });
    }
    Optimizer { rule, layer }
}

/// The layers that an entry says it is about.
fn which(checks: &mut Checks, key: &str, entry: &LayerRuleTable) -> Which {
    let named = entry.name.clone().map(Which::Name);
    let classed = entry.class.map(|class| Which::Class(class.0));
    if named.is_some() && classed.is_some() {
        let problem = "`class` beside `name`: both say which layers the entry is about";
        checks.refuse(&format!("{key}.class"), problem, "keep one of them");
    }
    if let Some(name) = &entry.name {
        let unfit = |c: char| c.is_whitespace() || c.is_control() || "./\\=".contains(c);
        if name.is_empty() || name.contains(unfit) {
            let problem = format!("\"{name}\" is neither the name of a layer nor a pattern");
            let help = "for example \"fc6_new\", \"conv*\" or \"*_bias\"";
            checks.refuse(&format!("{key}.name"), problem, help);
        }
    }
    named.or(classed).unwrap_or_else(|| {
        let help =
            "give it the `name` of a layer, a pattern of names, or a `class` such as \"bias\"";
        checks.refuse(key, "an optimizer for no layer", help);
        Which::Name(String::new())
    })
}

/// What an entry takes from `[optimizer]` where it says nothing: with another algorithm the
/// learning rate alone, and not even that if only one of them is Adadelta, whose rate is a factor
/// on steps of the right size.
fn inherited(entry: &RuleTable, base: &RuleTable) -> RuleTable {
    let ours = word(base.algorithm, AlgorithmName::Momentum);
    let theirs = word(entry.algorithm, ours);
    let adadelta = |name| name == AlgorithmName::Adadelta;
    match (theirs == ours, adadelta(theirs) == adadelta(ours)) {
        (true, _) => base.clone(),
        (false, false) => RuleTable::default(),
        (false, true) => RuleTable {
            // The default is as much `[optimizer]`'s as a rate that it writes.
            learning_rate: Some(base.learning_rate.unwrap_or(defaults(ours).learning_rate)),
            ..RuleTable::default()
        },
    }
}

/// The keys of one table and of the table behind it.
struct Keys {
    /// Dotted.
    table: String,
    own: RuleTable,
    /// Taken from `[optimizer]`.
    inherited: RuleTable,
}

impl Keys {
    /// Where a key was written, or would have to be.
    fn path(&self, key: &str) -> String {
        let given = |table: &RuleTable| table.given().contains(&(key, true));
        match !given(&self.own) && given(&self.inherited) {
            true => format!("optimizer.{key}"),
            false => format!("{}.{key}", self.table),
        }
    }
}

fn rule(checks: &mut Checks, keys: &Keys) -> Rule {
    let table = keys.own.or(&keys.inherited);
    let name = word(table.algorithm, AlgorithmName::Momentum);
    let defaults = defaults(name);
    let mut of_some = keys.own.given();
    of_some.retain(|(key, _)| OF_SOME_ALGORITHMS.contains(key));
    let algorithm = algorithm(checks, keys, &table, name);
    checks.only_taken(&keys.table, algorithm.name(), &of_some);
    if taken_by("optimizer", algorithm.name()).contains(&"epsilon") {
        let epsilon = table.epsilon.unwrap_or(defaults.epsilon);
        refuse_what_vanishes(checks, keys, epsilon);
    }
    let mut not_negative =
        |key: &str, value, default| checks.number(NOT_NEGATIVE, &keys.path(key), value, default);
    let rule = Rule {
        learning_rate: not_negative("learning_rate", table.learning_rate, defaults.learning_rate),
        weight_decay: not_negative("weight_decay", table.weight_decay, defaults.weight_decay),
        decay_biases: table.decay_biases.unwrap_or(true),
        clip_gradient_norm: not_negative("clip_gradient_norm", table.clip_gradient_norm, 0.0),
        clip_gradient_value: not_negative("clip_gradient_value", table.clip_gradient_value, 0.0),
        clip_parameters: not_negative(
            "clip_parameters",
            table.clip_parameters,
            defaults.clip_parameters,
        ),
        algorithm,
    };
    refuse_what_neon_ignores(checks, keys, &rule);
    rule
}

/// An epsilon that the precision rounds to 0 keeps nothing from being divided by 0.
fn refuse_what_vanishes(checks: &mut Checks, keys: &Keys, epsilon: f64) {
    let dtype = checks.dtype;
    if epsilon > 0.0 && Numbers::new(dtype, [epsilon]).to_f64() == [0.0] {
        let problem = format!("`epsilon` = {epsilon:e} is 0 in {dtype}");
        let help = "give `epsilon = 1e-4`, or another `dtype`";
        checks.refuse(&keys.path("epsilon"), problem, help);
    }
}

fn refuse_what_neon_ignores(checks: &mut Checks, keys: &Keys, rule: &Rule) {
    let plain = match rule.algorithm {
        Algorithm::Sgd => true,
        Algorithm::Momentum { momentum, .. } => momentum == 0.0,
        _ => false,
    };
    if plain && rule.clip_parameters > 0.0 && checks.compatibility.is_neon() {
        let problem = "neon ignores the limit on parameters where there is no momentum";
        let help = "remove `clip_parameters`, or set a `momentum`; graft heeds it where \
                    `compatibility` is not given";
        checks.refuse(&keys.path("clip_parameters"), problem, help);
    }
}

/// The algorithm with the numbers that only it, or a few, have.
#[rustfmt::skip] // A line an algorithm.
fn algorithm(
    checks: &mut Checks,
    keys: &Keys,
    table: &RuleTable,
    name: AlgorithmName,
) -> Algorithm {
    use AlgorithmName as Name;
    let neon = checks.compatibility.is_neon();
    let defaults = defaults(name);
    let mut number =
        |range, key: &str, value, default| checks.number(range, &keys.path(key), value, default);
    let momentum = number(BELOW_ONE, "momentum", table.momentum, 0.9);
    let decay_rate = number(BELOW_ONE, "decay_rate", table.decay_rate, 0.95);
    let beta1 = number(BELOW_ONE, "beta1", table.beta1, 0.9);
    let beta2 = number(BELOW_ONE, "beta2", table.beta2, defaults.beta2);
    let epsilon = number(POSITIVE, "epsilon", table.epsilon, defaults.epsilon);
    let epsilon_hat = table.epsilon_hat.unwrap_or(neon);
    let (scales, counts) = match neon {
        true => (NormScales::Update, BiasCorrection::Epoch),
        false => (NormScales::Gradient, BiasCorrection::Step),
    };
    let clip_norm_scales = word(table.clip_norm_scales, scales);
    let bias_correction = word(table.bias_correction, counts);
    let nesterov = table.nesterov.unwrap_or(false);
    if name == Name::Momentum && nesterov && momentum == 0.0 {
        let problem = "`nesterov` looks ahead along the momentum, which is 0";
        let help = "remove it, or give a `momentum` greater than 0";
        checks.refuse(&keys.path("nesterov"), problem, help);
    }
    match name {
        Name::Momentum => Algorithm::Momentum { momentum, nesterov },
        Name::Sgd => Algorithm::Sgd,
        Name::Rmsprop => Algorithm::Rmsprop { decay_rate, epsilon, clip_norm_scales },
        Name::Adagrad => Algorithm::Adagrad { epsilon, clip_norm_scales },
        Name::Adadelta => Algorithm::Adadelta { decay_rate, epsilon },
        Name::Adam => Algorithm::Adam { beta1, beta2, epsilon, epsilon_hat, clip_norm_scales },
        Name::Adamw => Algorithm::Adamw { beta1, beta2, epsilon },
        Name::ShiftAdaMax => Algorithm::ShiftAdaMax { beta1, beta2, epsilon, bias_correction },
        Name::Lion => Algorithm::Lion { beta1, beta2 },
    }
}

/// What an algorithm takes where nothing is said.
struct Defaults {
    learning_rate: f64,
    weight_decay: f64,
    clip_parameters: f64,
    beta2: f64,
    epsilon: f64,
}

/// neon's numbers where neon has the algorithm, but for momentum the course's decay; of the others
/// PyTorch's for AdamW, the paper's for Lion.
fn defaults(name: AlgorithmName) -> Defaults {
    let common = Defaults {
        learning_rate: 0.001,
        weight_decay: 0.0,
        clip_parameters: 0.0,
        beta2: 0.999,
        epsilon: 1e-8,
    };
    match name {
        AlgorithmName::Momentum => Defaults {
            weight_decay: 0.0005,
            ..common
        },
        AlgorithmName::Sgd => common,
        AlgorithmName::Rmsprop => Defaults {
            learning_rate: 0.002,
            epsilon: 1e-6,
            ..common
        },
        AlgorithmName::Adagrad => Defaults {
            learning_rate: 0.01,
            epsilon: 1e-6,
            ..common
        },
        AlgorithmName::Adadelta => Defaults {
            learning_rate: 1.0,
            epsilon: 1e-6,
            ..common
        },
        AlgorithmName::Adam => common,
        AlgorithmName::Adamw => Defaults {
            weight_decay: 0.01,
            ..common
        },
        AlgorithmName::ShiftAdaMax => Defaults {
            learning_rate: 0.002,
            clip_parameters: 1.0,
            ..common
        },
        AlgorithmName::Lion => Defaults {
            learning_rate: 1e-4,
            beta2: 0.99,
            ..common
        },
    }
}
