//! Whether the results of a record are real: [`check`] holds its files against one another, [`rerun`]
//! trains it again, [`replay`] only some stretches of it, [`judge`] compares.
//!
//! An experiment is data, so that anybody can run anybody else's. Nothing here believes what a record
//! says of itself; it does not know who asks, nor what a false record costs its author.

mod batches;
pub mod check;
mod claim;
mod experiment;
pub mod judge;
mod model;
pub mod replay;
pub mod rerun;
mod tables;

use serde::Serialize;

/// Samples, and samples of a batch, beyond which a record is not believed: orders of samples are held in
/// memory.
const MOST_SAMPLES: usize = 1 << 26;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// `record.json` itself.
    Record,
    /// A file that is missing, or not as the record lists it.
    Files,
    /// `experiment.toml`, or what the record says of it.
    Experiment,
    /// The data files.
    Data,
    /// The source model, its receipt, the initial weights.
    Source,
    /// Samples that are not those of the seed.
    Seed,
    /// More or fewer epochs than stated.
    Epochs,
    /// `batches.csv`.
    Batches,
    /// `metrics.csv`, or the figures in `record.json`.
    Metrics,
    /// `outputs.csv` or `inference.txt`.
    Outputs,
    /// The trained model.
    Model,
    /// Layers that should have stood still and did not.
    Frozen,
    /// What training anew, in whole or in part, gives.
    Training,
}

impl What {
    /// The word for it, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            What::Record => "record",
            What::Files => "files",
            What::Experiment => "experiment",
            What::Data => "data",
            What::Source => "source",
            What::Seed => "seed",
            What::Epochs => "epochs",
            What::Batches => "batches",
            What::Metrics => "metrics",
            What::Outputs => "outputs",
            What::Model => "model",
            What::Frozen => "frozen",
            What::Training => "training",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub what: What,
    /// A sentence without its full stop.
    pub text: String,
}

/// What was found, and what could not be looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    pub findings: Vec<Finding>,
    /// What was not checked, and why: a sentence each.
    pub unchecked: Vec<String>,
}

impl Findings {
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    fn add(&mut self, what: What, text: impl Into<String>) {
        let text = text.into();
        self.findings.push(Finding { what, text });
    }

    /// Adds a finding unless `holds`.
    fn expect(&mut self, holds: bool, what: What, text: impl FnOnce() -> String) {
        if !holds {
            self.add(what, text());
        }
    }

    /// What there is, or a finding that says why it is not.
    fn keep<T>(&mut self, what: What, found: crate::error::Result<T>) -> Option<T> {
        found
            .map_err(|error| self.add(what, error.to_string()))
            .ok()
    }
}
