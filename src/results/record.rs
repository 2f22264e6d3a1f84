//! `record.json`: what was run, on what, with which outcome, and the checksums of the other files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{At, Error, Result};
use crate::files::{FileStamp, hexadecimal};

/// Version of the record's format. A reader refuses newer ones.
pub const FORMAT: u32 = 1;

/// Name of the file that makes a directory a record.
pub const RECORD: &str = "record.json";
/// The resolved experiment.
pub const EXPERIMENT: &str = "experiment.toml";
/// A row an epoch.
pub const METRICS: &str = "metrics.csv";
/// How long each epoch took.
pub const TIMINGS: &str = "timings.csv";
/// A row a minibatch, unless the experiment wants none.
pub const BATCHES: &str = "batches.csv";
/// A row a test sample.
pub const OUTPUTS: &str = "outputs.csv";
/// The same in the course's format.
pub const INFERENCE: &str = "inference.txt";
/// What was imported; only where something was.
pub const RECEIPT: &str = "receipt.json";
/// The trained model.
pub const MODEL: &str = "model.safetensors";
/// What the run said.
pub const LOG: &str = "log.txt";

/// Files that every record has, besides [`RECORD`].
pub const REQUIRED: [&str; 5] = [EXPERIMENT, METRICS, OUTPUTS, INFERENCE, MODEL];
/// Files that some have.
pub(super) const OPTIONAL: [&str; 4] = [RECEIPT, BATCHES, TIMINGS, LOG];

/// Name of the file with the state of training after so many epochs.
pub fn state(epochs: usize) -> String {
    format!("state-{epochs}.safetensors")
}

/// The epochs after which the state in the file `name` was kept, if it is one of these.
pub fn epochs_of_state(name: &str) -> Option<usize> {
    let number = name.strip_prefix("state-")?.strip_suffix(".safetensors")?;
    number.parse().ok().filter(|&epochs| state(epochs) == name)
}

/// One finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`FORMAT`] when it was written.
    pub format: u32,
    /// Name of the experiment, e.g. `faces/fine_tuning`.
    pub experiment: String,
    pub seed: u64,
    /// What was taken away on purpose, by the word for it in experiments, such as `shuffled_labels`;
    /// absent from results that are meant as such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// Hash of all that decides the outcome: experiment, seed, data, source model.
    pub identity: String,
    /// The same without the seed: equal for the runs whose results may be averaged.
    pub setup: String,
    pub state: State,
    /// Version of graft.
    pub graft: String,
    /// What computed it. Absent in records of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
    /// As in the experiment: `cpu`, `cuda:1`.
    pub backend: String,
    /// The device in words.
    pub device: String,
    pub threads: usize,
    /// UTC, RFC 3339; see [`super::time::utc`].
    pub started: String,
    /// From start to record, including reading, importing and evaluation.
    #[serde(with = "super::real")]
    pub seconds: f64,
    pub epochs: usize,
    pub parameters: Parameters,
    pub data: Data,
    /// Absent from scratch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Absent where the initial weights were drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_weights: Option<InitialWeights>,
    /// Absent where nothing was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Features>,
    /// Class names in the order of the outputs.
    pub classes: Vec<String>,
    pub metrics: Metrics,
    /// Every other file of the record, by name. Filled in by
    /// [`commit`](super::writer::RecordWriter::commit).
    #[serde(default)]
    pub files: BTreeMap<String, FileStamp>,
    /// Of this very text with an empty string here, filled in as `files` is: whether `record.json` is as it
    /// was written. Empty in records of older versions.
    #[serde(default)]
    pub checksum: String,
}

/// The program that ran, and what decides the last bits of its results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// SHA-256 of the executable file.
    pub sha256: String,
    /// Versions of the kernels, the instruction set and the processor: where this is the same, so are
    /// results, bit for bit.
    pub arithmetic: String,
}

/// Whether the run came to its end. A record is only written for one that did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Complete,
}

/// Numbers of scalar parameters of the target model. Imported ones are trained or frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    pub total: u64,
    pub imported: u64,
    pub trained: u64,
    pub frozen: u64,
}

/// The outputs of frozen layers, computed once a sample and kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// The first layers of the network, so many.
    pub layers: usize,
    /// Share of the network's multiply-adds that they stand for, 0 to 1.
    pub multiply_adds: f64,
    /// Precision of what was kept.
    pub dtype: String,
    /// Whether that is the precision of the run, so that keeping changed nothing.
    pub is_exact: bool,
}

/// The two data files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    pub train: DataFile,
    pub test: DataFile,
}

/// One data file as it was when the run read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    pub path: PathBuf,
    pub sha256: String,
    pub samples: u64,
    pub classes: usize,
}

/// The source model and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub path: PathBuf,
    /// Name of the file's format, e.g. `neon pickle`.
    pub format: String,
    pub sha256: String,
    /// Tensors of the target model that were imported, of `target_tensors` that it has.
    pub imported_tensors: usize,
    pub target_tensors: usize,
    pub imported_parameters: u64,
    /// Absent in records of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// Distinct learning-rate multipliers of the imported layers, ascending.
    pub multipliers: Vec<f64>,
}

/// How much of the target model came from the source, as shares of 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    pub parameters: f64,
    /// Of the multiplications with an addition that one sample takes.
    pub multiply_adds: f64,
}

/// The file that the weights of the whole model came from before any import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitialWeights {
    pub path: PathBuf,
    /// Name of the file's format, e.g. `neon pickle`.
    pub format: String,
    pub sha256: String,
}

/// The final metrics.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Mean cost a sample over the last epoch, as seen while training.
    #[serde(with = "super::real")]
    pub training_cost: f64,
    /// Mean cost a sample on the test data.
    #[serde(with = "super::real")]
    pub test_cost: f64,
    /// Share of the test samples predicted right, 0 to 1.
    pub accuracy: f64,
    /// Accuracy of always answering the most frequent test label.
    pub majority_baseline: f64,
    /// Test samples.
    pub samples: u64,
}

/// The three ways to train. Ordered as tables list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// Nothing is imported.
    FromScratch,
    /// Some imported layer is trained on.
    FineTuning,
    /// Every imported layer is frozen.
    FeatureExtraction,
}

impl Record {
    /// Reads `record.json` in `dir`. The other files are neither read nor checked.
    ///
    /// Errors: it is missing or damaged, or a newer graft wrote it.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(RECORD);
        let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::new("no record here")
                .help("`graft run` leaves one when it has trained to the end"),
            _ => error.into(),
        });
        text.and_then(|text| parse(&text)).at(path.display())
    }

    /// Which of the three ways this run went.
    pub fn regime(&self) -> Regime {
        match &self.source {
            None => Regime::FromScratch,
            Some(source) if source.multipliers.iter().all(|&factor| factor == 0.0) => {
                Regime::FeatureExtraction
            }
            Some(_) => Regime::FineTuning,
        }
    }

    /// The checksum that belongs to this record.
    ///
    /// # Errors
    /// None that a record that was read brings.
    pub fn own_checksum(&self) -> Result<String> {
        let mut blank = self.clone();
        blank.checksum = String::new();
        Ok(hexadecimal(&Sha256::digest(blank.to_json()?.as_bytes())))
    }

    /// `record.json` as text.
    pub(super) fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|error| Error::new(error.to_string()).at(RECORD))
    }
}

impl Regime {
    /// The word for it in tables.
    pub fn name(self) -> &'static str {
        match self {
            Regime::FromScratch => "from_scratch",
            Regime::FineTuning => "fine_tuning",
            Regime::FeatureExtraction => "feature_extraction",
        }
    }
}

fn parse(text: &str) -> Result<Record> {
    /// The one field that every version of the format has.
    #[derive(Deserialize)]
    struct Versioned {
        format: u32,
    }
    let damaged = |error: serde_json::Error| {
        Error::new(format!("damaged record: {error}"))
            .help("delete the record's directory and run the experiment again")
    };
    let Versioned { format } = serde_json::from_str(text).map_err(damaged)?;
    if format > FORMAT {
        let problem = format!("format {format}, written by a newer graft; this one reads {FORMAT}");
        return Err(Error::new(problem).help("update graft"));
    }
    serde_json::from_str(text).map_err(damaged)
}

#[cfg(test)]
pub(crate) mod tests;
