//! What decides a run's outcome, as one hash. Two runs of one identity are the same run.

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::config::experiment::{
    Cache, ChannelOrder, DataFiles, Experiment, Pixels, Preprocessing,
};
use crate::error::Result;
use crate::files::hexadecimal;
use crate::numbers::Dtype;
use crate::results::record::Record;

/// Changes when the same experiment gives other numbers than with an older graft.
const GENERATION: &str = "graft 5";

/// Checksums of what a run reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    pub train: String,
    pub test: String,
    pub source: Option<String>,
    /// The file of initial weights.
    pub initial: Option<String>,
}

impl Contents {
    /// What a record says that its run read.
    pub fn of(record: &Record) -> Self {
        let source = record.source.as_ref();
        let initial = record.initial_weights.as_ref();
        Self {
            train: record.data.train.sha256.clone(),
            test: record.data.test.sha256.clone(),
            source: source.map(|source| source.sha256.clone()),
            initial: initial.map(|initial| initial.sha256.clone()),
        }
    }
}

/// Hash of all that decides the outcome except the seed: equal for runs that may be averaged.
/// Names and places of files do not count, their contents do; nor does what else a record holds.
/// Of `pixels`, which `experiment` and its source model lead to, what is done to them counts and not
/// how it was said.
///
/// # Errors
/// The experiment cannot be written as TOML.
pub fn setup(experiment: &Experiment, pixels: &Pixels, contents: &Contents) -> Result<String> {
    let mut outcome = experiment.clone();
    outcome.name = String::new();
    outcome.seeds = Vec::new();
    outcome.save_path = None;
    outcome.source_model = None;
    outcome.model.initial_weights = None;
    outcome.data.root = PathBuf::new();
    outcome.data.files = DataFiles::Files {
        train: PathBuf::new(),
        test: PathBuf::new(),
    };
    outcome.preprocessing = done_to(pixels);
    outcome.checkpoint.every = 0;
    outcome.checkpoint.keep = 0;
    outcome.evaluation.every = 0;
    outcome.record.batches = false;
    outcome.record.weights_every = 0;
    outcome.save_optimizer_state = false;
    outcome.cache = what_it_changes(&experiment.cache, experiment.dtype);
    let parts = [
        GENERATION,
        &outcome.to_toml()?,
        &contents.train,
        &contents.test,
        contents.source.as_deref().unwrap_or("from scratch"),
        contents.initial.as_deref().unwrap_or("drawn"),
    ];
    Ok(hash(&parts))
}

/// Hash of `setup`, the seed and what the record is to hold.
pub fn run(setup: &str, experiment: &Experiment, seed: u64) -> String {
    let held = [
        experiment.evaluation.every.to_string(),
        experiment.record.batches.to_string(),
        experiment.record.weights_every.to_string(),
        experiment.checkpoint.keep.to_string(),
        experiment.save_optimizer_state.to_string(),
    ];
    hash(&[setup, &seed.to_string(), &held.join(" ")])
}

/// Where outputs of frozen layers are kept, and whether, changes nothing; to what they are rounded does.
fn what_it_changes(cache: &Cache, dtype: Dtype) -> Cache {
    Cache {
        is_on: true,
        dtype: cache.rounds(dtype).unwrap_or(dtype),
        limit: 0.0,
        directory: PathBuf::new(),
    }
}

/// What came after mean and scale is left out where it does nothing: records of before have the same
/// identity.
fn done_to(pixels: &Pixels) -> Preprocessing {
    let Pixels {
        mean,
        scale,
        deviation,
        channel_order,
        size,
        preset: _,
        automatic: _,
    } = pixels.clone();
    Preprocessing {
        preset: None,
        mean: Some(mean),
        scale: Some(scale),
        deviation: (!deviation.is_empty()).then_some(deviation),
        channel_order: (channel_order != ChannelOrder::Rgb).then_some(channel_order),
        // One that is not said follows from the files and the model, which count.
        size,
    }
}

fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // The length keeps two different lists from being one text.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hexadecimal(&hash.finalize())
}
