//! `[schedule]`, resolved.

use serde::{Deserialize, Serialize};

/// How the learning rate changes with time. The arithmetic is [`crate::train::schedule`]'s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    #[serde(flatten)]
    pub course: Course,
    /// Epochs, or a part of one, in which the rate rises linearly to what the course says.
    pub warm_up: f64,
}

/// The course of the rate. Epochs are counted from 0, `factor`s multiply the base rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Course {
    Constant,
    Step(Changes),
    /// factor^t: t in epochs.
    Exponential {
        factor: f64,
        per: Per,
    },
    /// 1 / (1 + decay t): t in epochs. neon's `ExpSchedule`.
    InverseTime {
        decay: f64,
        per: Per,
    },
    /// (1 - t / total_epochs)^power, down to `end`.
    Polynomial {
        power: f64,
        end: f64,
        total_epochs: usize,
        per: Per,
        /// t / total_epochs is rounded down, so that nothing changes before `total_epochs`: neon's
        /// `PolySchedule`.
        integer_division: bool,
    },
    /// Halved `bits` times every few epochs.
    Shift {
        every: usize,
        bits: usize,
    },
    /// Half a cosine down to `end`.
    Cosine {
        end: f64,
        total_epochs: usize,
        per: Per,
    },
    /// Smith and Topin 2018: half a cosine up from `start` to 1 in the share `rise` of the epochs,
    /// and one down to `end`.
    OneCycle {
        rise: f64,
        start: f64,
        end: f64,
        total_epochs: usize,
    },
}

/// When a rate steps, and where to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Changes {
    /// Multiplied by `factor` every few epochs.
    Every { every: usize, factor: f64 },
    /// Multiplied by `factor` at the start of each of these epochs, which are in ascending order.
    At { at: Vec<usize>, factor: f64 },
    /// At the start of each of these epochs set to the rate that is beside it, whatever the base.
    Rates { at: Vec<usize>, rates: Vec<f64> },
}

/// How often a rate moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Once an epoch: t is a whole number, as in neon.
    Epoch,
    /// With each update.
    Step,
}
