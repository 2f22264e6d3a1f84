//! Distributions of initial weights: the words of `model.initializer` and what each means.
//!
//! Formulas count a weight tensor's inputs of one output value (fan-in) and the outputs that one
//! input value reaches (fan-out); a bias has a fan-in of 1. neon's formulas go by the shape of its
//! arrays instead, which is another thing where its name differs from the paper's: then the paper's
//! name stands for the paper's, and neon's word begins with `neon_`.

use serde::{Deserialize, Serialize};

/// A distribution of initial values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Initializer {
    /// U(±sqrt(3 / fan-in)): neon's `Xavier(local=True)` for convolutions.
    XavierLocal,
    /// U(±sqrt(6 / (fan-in + fan-out))): Glorot and Bengio 2010.
    GlorotUniform,
    /// U(±sqrt(6 / fan-in)): He et al. 2015, in its uniform form.
    Kaiming,
    /// N(0, 2 / fan-in): He et al. 2015, in its own form.
    KaimingNormal,
    /// N(mean, deviation²).
    Gaussian {
        mean: f64,
        deviation: f64,
    },
    /// U(low, high).
    Uniform {
        low: f64,
        high: f64,
    },
    Constant {
        value: f64,
    },
    /// Output i is input i: a unit matrix; of a convolution the centre of filter i on channel i.
    Identity,
    /// `scale` times a random matrix, a row an output, with orthonormal rows or columns: Saxe et
    /// al. 2014. neon's scale is 1.1.
    Orthonormal {
        scale: f64,
    },
    /// neon's `Xavier`: U(±sqrt(3 / n)), where n is the inputs of a convolution and the outputs of a
    /// linear layer; if not `local`, the filters and the inputs.
    NeonXavier {
        local: bool,
    },
    /// neon's `Kaiming`: N(0, 2 / n), n as in `NeonXavier`.
    NeonKaiming {
        local: bool,
    },
    /// neon's `GlorotUniform`: U(±sqrt(6 / (n + m))), where n + m is inputs and outputs of a linear
    /// layer, but inputs and filters of a convolution.
    NeonGlorotUniform,
    /// neon's `IdentityInit`: a unit matrix of filters (or outputs) by inputs.
    NeonIdentity,
}

/// How initial weights are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InitialDraws {
    /// Each tensor by a generator of its own, which follows from the seed and the layer's name.
    ByName,
    /// All tensors one after another by numpy's Mersenne twister, as in neon.
    Neon,
}
