//! Whether it is worth keeping what the frozen prefix gives, and what that saves.
//!
//! Pure: from the experiment and the network on paper. `plan` shows the same answer that training
//! follows.

use std::fmt;

use super::groups::{self, LayerRate};
use crate::config::experiment::{Backend, Experiment};
use crate::model::spec::NetworkSpec;
use crate::numbers::Dtype;

/// Where fewer multiply-adds give a byte of features, computing it takes no longer than reading it.
const WORTH_A_BYTE: u64 = 10;

/// What is saved by keeping the outputs of a network's first layers.
#[derive(Debug, Clone, PartialEq)]
pub struct Saving {
    pub layers: usize,
    /// Share of the network's multiply-adds that they stand for, 0 to 1.
    pub multiply_adds: f64,
    /// Kept of one sample.
    pub bytes: u64,
    /// How often each sample of the training file would be computed otherwise.
    pub training_times: usize,
    /// The same of the test file.
    pub test_times: usize,
    /// Precision of what is kept.
    pub dtype: Dtype,
    /// Whether that is the precision of the run.
    pub is_exact: bool,
}

/// What a run of `experiment` on this network saves; `None` if nothing is kept: it is not to be,
/// no layer stands still, it would not be worth it, or not sure to be exact.
pub fn saving(experiment: &Experiment, spec: &NetworkSpec, rates: &[LayerRate]) -> Option<Saving> {
    // Only on the processor it is known that a sample's outputs do not depend on its batch.
    if !experiment.cache.is_on || experiment.backend != Backend::Cpu {
        return None;
    }
    let layers = groups::frozen_prefix(spec, rates);
    let (prefix, _) = spec.layers.split_at(layers);
    let values: usize = prefix.last()?.output.iter().product();
    let bytes = (values * experiment.cache.dtype.size()) as u64;
    let saved: u64 = prefix.iter().map(|layer| layer.multiply_adds()).sum();
    if saved < WORTH_A_BYTE * bytes {
        return None;
    }
    let during = experiment.epochs.checked_div(experiment.evaluation.every);
    Some(Saving {
        layers,
        multiply_adds: saved as f64 / spec.multiply_adds() as f64,
        bytes,
        training_times: experiment.epochs,
        test_times: during.unwrap_or(0) + 1,
        dtype: experiment.cache.dtype,
        is_exact: experiment.cache.rounds(experiment.dtype).is_none(),
    })
}

impl fmt::Display for Saving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = |times| match times {
            1 => "once".to_string(),
            _ => format!("{times} times"),
        };
        let (training, test) = (times(self.training_times), times(self.test_times));
        write!(
            f,
            "{} layers stand still, {:.1} % of the multiply-adds: their outputs, {} kB a sample, are \
             computed once and kept, not computed {training} for a training and {test} for a test sample",
            self.layers,
            100.0 * self.multiply_adds,
            self.bytes.div_ceil(1000),
        )?;
        match self.is_exact {
            true => Ok(()),
            false => write!(
                f,
                "; kept as {}, which rounds them: results are not exactly those without it",
                self.dtype
            ),
        }
    }
}
