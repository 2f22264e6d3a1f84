//! `[optimizer]` and `[[optimizer.layer]]`, resolved.

use serde::{Deserialize, Serialize};

use super::Schedule;

/// How parameters are updated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Optimizer {
    /// Of every layer that no entry of `layer` is about.
    #[serde(flatten)]
    pub rule: Rule,
    /// Other rules for some layers, in the order of the file. See [`Optimizer::entries_of`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layer: Vec<LayerRule>,
}

/// One entry of `[[optimizer.layer]]`: all that an `[optimizer]` says, and a schedule of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerRule {
    #[serde(flatten)]
    pub which: Which,
    #[serde(flatten)]
    pub rule: Rule,
    pub schedule: Schedule,
}

/// The layers that an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// The layer of this name, or those that match this pattern (`*`, `?`).
    Name(String),
    /// All layers of this type.
    Class(Class),
}

/// The types of layers that have parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Convolution,
    Linear,
    Bias,
    BatchNorm,
}

/// An update rule with all its numbers. Every update sees the mean gradient over the batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    pub learning_rate: f64,
    /// Added to the gradient as `weight_decay * w`; with AdamW and Lion decoupled from it.
    pub weight_decay: f64,
    /// Whether weight decay goes for biases, and batch norm's scale and shift, too: as in neon.
    pub decay_biases: bool,
    /// Largest Euclidean norm of the gradients of all parameters under this rule together, before
    /// weight decay; 0: no limit.
    pub clip_gradient_norm: f64,
    /// Largest magnitude of each value of a gradient, before weight decay; 0: no limit.
    pub clip_gradient_value: f64,
    /// Largest magnitude of each value of a parameter, behind the update; 0: no limit.
    pub clip_parameters: f64,
    #[serde(flatten)]
    pub algorithm: Algorithm,
}

/// The formulas are those of [`crate::train::optimizer`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "algorithm", rename_all = "snake_case")]
pub enum Algorithm {
    /// neon's, whose velocity holds the learning rate; with Nesterov's look ahead if asked for.
    Momentum { momentum: f64, nesterov: bool },
    /// Plain gradient descent.
    Sgd,
    /// Tieleman and Hinton 2012.
    Rmsprop {
        decay_rate: f64,
        epsilon: f64,
        clip_norm_scales: NormScales,
    },
    /// Duchi et al. 2011.
    Adagrad {
        epsilon: f64,
        clip_norm_scales: NormScales,
    },
    /// Zeiler 2012. The learning rate is a factor on its steps: 1 for the paper's.
    Adadelta { decay_rate: f64, epsilon: f64 },
    /// Kingma and Ba 2015.
    Adam {
        beta1: f64,
        beta2: f64,
        epsilon: f64,
        /// `epsilon` is the paper's ε̂, added before the second moment is corrected for its bias:
        /// neon's form.
        epsilon_hat: bool,
        clip_norm_scales: NormScales,
    },
    /// Loshchilov and Hutter 2019.
    Adamw {
        beta1: f64,
        beta2: f64,
        epsilon: f64,
    },
    /// Courbariaux et al. 2016, algorithm 4: AdaMax whose factors are powers of 2.
    ShiftAdaMax {
        beta1: f64,
        beta2: f64,
        epsilon: f64,
        bias_correction: BiasCorrection,
    },
    /// Chen et al. 2023.
    Lion { beta1: f64, beta2: f64 },
}

/// What the factor of `clip_gradient_norm` is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormScales {
    /// The gradient, before anything else sees it.
    Gradient,
    /// The update: running averages see the gradient unscaled, as in neon.
    Update,
}

/// What the running average's correction for its start at 0 counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BiasCorrection {
    /// Updates, as in the paper.
    Step,
    /// Epochs, as in neon.
    Epoch,
}
