//! `[optimizer]`, `[[optimizer.layer]]` and `[schedule]` as written.

use serde::Deserialize;

use super::Word;
use crate::config::experiment::{BiasCorrection, Class, NormScales, Per};

/// Defines the keys of an update rule once, for the two tables that have them.
macro_rules! rule_keys {
    ($($key:ident: $type:ty),* $(,)?) => {
        /// What `[optimizer]` and an entry of `[[optimizer.layer]]` have in common.
        #[derive(Debug, Clone, Default)]
        pub struct RuleTable {
            $(pub $key: Option<$type>,)*
        }

        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct OptimizerTable {
            pub layer: Option<Vec<LayerRuleTable>>,
            $($key: Option<$type>,)*
        }

        /// One entry of `[[optimizer.layer]]`.
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct LayerRuleTable {
            pub name: Option<String>,
            pub class: Option<Word<Class>>,
            pub schedule: Option<ScheduleTable>,
            $($key: Option<$type>,)*
        }

        impl RuleTable {
            /// Each key, and whether it is given.
            pub fn given(&self) -> Vec<(&'static str, bool)> {
                vec![$((stringify!($key), self.$key.is_some())),*]
            }

            /// These keys, and those of `base` where they are not given.
            pub fn or(&self, base: &RuleTable) -> RuleTable {
                RuleTable { $($key: self.$key.or(base.$key),)* }
            }
        }

        impl OptimizerTable {
            pub fn rule(&self) -> RuleTable {
                RuleTable { $($key: self.$key,)* }
            }
        }

        impl LayerRuleTable {
            pub fn rule(&self) -> RuleTable {
                RuleTable { $($key: self.$key,)* }
            }
        }
    };
}

rule_keys! {
    algorithm: Word<AlgorithmName>,
    learning_rate: f64,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    decay_biases: bool,
    clip_gradient_norm: f64,
    clip_gradient_value: f64,
    clip_parameters: f64,
    clip_norm_scales: Word<NormScales>,
    decay_rate: f64,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    epsilon_hat: bool,
    bias_correction: Word<BiasCorrection>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlgorithmName {
    Momentum,
    Sgd,
    Rmsprop,
    Adagrad,
    Adadelta,
    Adam,
    Adamw,
    ShiftAdaMax,
    Lion,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleTable {
    pub name: Option<Word<ScheduleName>>,
    pub every: Option<usize>,
    pub at: Option<Vec<usize>>,
    pub factor: Option<f64>,
    pub rates: Option<Vec<f64>>,
    pub decay: Option<f64>,
    pub power: Option<f64>,
    pub bits: Option<usize>,
    pub rise: Option<f64>,
    pub start: Option<f64>,
    pub end: Option<f64>,
    pub total_epochs: Option<usize>,
    pub per: Option<Word<Per>>,
    pub integer_division: Option<bool>,
    pub warm_up: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleName {
    Constant,
    Step,
    Exponential,
    InverseTime,
    Polynomial,
    Shift,
    Cosine,
    OneCycle,
}
