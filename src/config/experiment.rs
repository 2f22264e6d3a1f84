//! The resolved experiment: every default written out, every check done.
//!
//! This is the only configuration type that the floors below see. It is plain data: it does not
//! know how it was written (that is `config::file`), where a value came from, or what a tensor is.

mod architecture;
mod cache;
mod layer;
mod optimizer;
mod preprocessing;
mod schedule;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml_edit::{Item, Table};

pub use super::initializer::{InitialDraws, Initializer};
use crate::error::{Error, Result};
use crate::numbers::Dtype;
pub use architecture::{Architecture, Convention, Facts, Family, vgg_widths};
pub use cache::Cache;
pub use layer::{LayerKind, NamedLayer, PaddingSize, PaddingWord, Shortcut};
pub use optimizer::{
    Algorithm, BiasCorrection, Class, LayerRule, NormScales, Optimizer, Rule, Which,
};
pub use preprocessing::{ChannelOrder, Mean, Pixels, Preprocessing, Preset};
pub use schedule::{Changes, Course, Per, Schedule};

/// Endings of files in neon's format.
pub const NEON_ENDINGS: [&str; 3] = ["prm", "p", "pkl"];

/// One TOML file, resolved. Serialized, it is the `experiment.toml` of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// Name of the record below the results directory, e.g. `faces/fine_tuning`.
    pub name: String,
    pub backend: Backend,
    /// Precision of all arithmetic on the device.
    pub dtype: Dtype,
    /// No kernels that trade accuracy for speed: convolutions by their definition. Left out where it
    /// is not asked for, as in records of before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
    /// One run a seed. Never empty, without repetition.
    pub seeds: Vec<u64>,
    /// Complete passes over the training file; at least 1.
    pub epochs: usize,
    /// Samples a step; at least 1.
    pub batch_size: usize,
    /// File whose layers are imported; absent: from scratch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_model: Option<PathBuf>,
    /// Where a copy of the trained model goes, beside the one in the record; its ending says the
    /// format: `.safetensors`, or neon's `.prm`, `.p`, `.pkl`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub save_path: Option<PathBuf>,
    /// Keep in the model's file what the optimizer remembers (of momentum, the velocities), as neon
    /// does.
    pub save_optimizer_state: bool,
    #[serde(flatten)]
    pub cache: Cache,
    pub learning_rate_multiplier: Multipliers,
    pub data: Data,
    /// What is said about pixels.
    #[serde(default, skip_serializing_if = "says_nothing")]
    pub preprocessing: Preprocessing,
    pub model: Model,
    #[serde(default, skip_serializing_if = "BatchNorm::is_default")]
    pub batch_norm: BatchNorm,
    pub loss: Loss,
    pub optimizer: Optimizer,
    pub schedule: Schedule,
    pub source: Source,
    pub evaluation: Evaluation,
    pub checkpoint: Checkpoint,
    pub record: Record,
}

impl Experiment {
    /// The model files that a run starts from: its source model and its initial weights.
    pub fn models_read(&self) -> impl Iterator<Item = &Path> {
        let models = [&self.source_model, &self.model.initial_weights];
        models.into_iter().filter_map(|path| path.as_deref())
    }

    /// The experiment as TOML with every default written out. [`super::load_with`] reads it back
    /// to an equal `Experiment`.
    ///
    /// # Errors
    /// A path that is not UTF-8; nothing that [`super::load`] returned.
    pub fn to_toml(&self) -> Result<String> {
        let not_toml = |error: toml_edit::ser::Error| Error::new(error.to_string()).at(&self.name);
        let mut document = toml_edit::ser::to_document(self).map_err(not_toml)?;
        write_tables(document.as_table_mut());
        Ok(document.to_string())
    }
}

/// Gives each table a header, and leaves initializers inline: they are read as one value.
fn write_tables(table: &mut Table) {
    for (key, item) in table.iter_mut() {
        if key.get().ends_with("initializer") {
            continue;
        }
        *item = match std::mem::take(item).into_table() {
            Ok(table) => Item::Table(table),
            Err(item) => item
                .into_array_of_tables()
                .map_or_else(|item| item, Item::ArrayOfTables),
        };
        match item {
            Item::Table(table) => write_tables(table),
            Item::ArrayOfTables(tables) => tables.iter_mut().for_each(write_tables),
            _ => {}
        }
    }
}

/// Where the arithmetic is done. Written `cpu`, `ndarray`, `wgpu`, `cuda` or `cuda:1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Backend {
    Cpu,
    Ndarray,
    Wgpu,
    Cuda(usize),
}

/// Factors on the base learning rate, by layer. The more specific entry wins:
/// exact name over pattern (`*`, `?`) over `imported` over `default`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Multipliers {
    /// Every layer that nothing else names.
    pub default: f64,
    /// Layers whose parameters came from the source model.
    pub imported: f64,
    /// Layer names, or patterns of them.
    #[serde(flatten)]
    pub layers: BTreeMap<String, f64>,
}

/// The training and the test file, or the drawn task that makes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// Directory that relative `train` and `test` are looked up in, and drawn tasks are written to.
    pub root: PathBuf,
    #[serde(flatten)]
    pub files: DataFiles,
    /// A new order of the training samples each epoch.
    pub shuffle: bool,
    pub last_batch: LastBatch,
}

/// What happens when the batch size does not divide the number of training samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastBatch {
    /// The last batch of an epoch has fewer samples.
    Smaller,
    /// It is filled from the start of the file, and the next epoch begins behind those samples: as
    /// in neon. Only without `shuffle`.
    Wrap,
}

/// Either two HDF5 files in neon's layout, or a task that graft draws.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DataFiles {
    Files {
        train: PathBuf,
        test: PathBuf,
    },
    /// `builtin` names a task of `data::drawn`; `draw_seed` seeds its images.
    Drawn {
        builtin: String,
        draw_seed: u64,
    },
}

/// The target model, before the data say how large its input is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    #[serde(flatten)]
    pub body: Body,
    /// Whose variant of the architecture, or of the blocks, it is; absent: see
    /// [`Model::own_convention`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub convention: Option<Convention>,
    /// Number of categories; absent: as many as the training file declares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// Initial weights of convolutions that name no initializer of their own.
    pub initializer: Initializer,
    /// Initial weights of linear layers that name no initializer of their own.
    pub linear_initializer: Initializer,
    /// Initial biases.
    pub bias_initializer: Initializer,
    pub initial_draws: InitialDraws,
    /// File of a whole model whose weights are the initial ones; absent: they are drawn. What is
    /// imported from a `source_model` replaces them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_weights: Option<PathBuf>,
    /// Of all pooling layers; absent: as the architecture's convention has it. Convolutions always
    /// floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pooling: Option<PoolingSize>,
    /// Of all dropout layers.
    pub dropout_scaling: DropoutScaling,
}

/// A named architecture, or layers one by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Body {
    Architecture {
        architecture: Architecture,
        /// Channels of a VGG's five blocks; of other architectures empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        widths: Vec<usize>,
        /// Factor on the channels of a MobileNet; of other architectures 1.
        #[serde(default = "full", skip_serializing_if = "is_full")]
        width: f64,
        /// Widths of the linear layers between the last block and the classifier.
        head: Vec<usize>,
        /// Their names; as many as `head`.
        head_names: Vec<String>,
        /// Name of the last linear layer.
        classifier: String,
        /// Probability of dropping an output of a head layer; 0: no dropout layers.
        dropout: f64,
    },
    Layers {
        layers: Vec<NamedLayer>,
    },
}

impl Model {
    /// Whose variant it is if neither the experiment nor a source model says so.
    pub fn own_convention(&self) -> Convention {
        match &self.body {
            Body::Architecture { architecture, .. } => architecture.facts().convention,
            Body::Layers { .. } => Convention::Torchvision,
        }
    }
}

impl Body {
    /// Whether it has batch norms besides layers of that type.
    pub fn has_batch_norm(&self) -> bool {
        match self {
            Body::Architecture { architecture, .. } => architecture.has_batch_norm(),
            Body::Layers { layers } => {
                let of_norms = |kind: &LayerKind| !matches!(kind, LayerKind::Fire { .. });
                let mut blocks = layers.iter().filter(|layer| layer.kind.is_block());
                blocks.any(|block| of_norms(&block.kind))
            }
        }
    }
}

fn full() -> f64 {
    1.0
}

fn is_full(width: &f64) -> bool {
    *width == full()
}

/// What the batch norms of architectures and blocks are, and what training does to the statistics
/// of imported ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchNorm {
    pub statistics: Statistics,
    /// Added to the variance; absent: by convention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// Share of a batch's statistics in the running ones; absent: by convention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
}

impl BatchNorm {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// By what an imported batch norm that is not frozen normalizes in training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistics {
    /// The batch's own, which also move the running ones.
    #[default]
    Train,
    /// The source model's, which stand still; scale and shift are trained.
    Keep,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

fn says_nothing(preprocessing: &Preprocessing) -> bool {
    *preprocessing == Preprocessing::default()
}

/// How the size of a pooling layer's output is rounded where its windows do not fit exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolingSize {
    /// Down: the last pixels may be in no window. As in neon.
    Floor,
    /// Up: the last window may reach beyond the image. As in Caffe.
    Ceil,
}

/// When dropout makes up for the values that it drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropoutScaling {
    /// Kept values are divided by the chance of keeping (inverted dropout), as in Caffe.
    Training,
    /// All values are multiplied by the chance of keeping at inference: Srivastava et al. 2014, neon.
    Inference,
}

/// The cost that training minimizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    pub name: LossName,
    pub gradient: Gradient,
}

/// What training descends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gradient {
    /// The cost itself.
    Exact,
    /// That of the cost by the confidences, as if there were no softmax before them: neon's, whose
    /// softmax passes errors on unchanged. Right for the cross-entropy alone.
    Shortcut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossName {
    /// -log of the confidence of the correct class.
    CrossEntropy,
    /// The same in bits, and so 1 / ln 2 times as large: neon's `CrossEntropyMulti(usebits=True)`.
    CrossEntropyBits,
    /// neon's: summed over all outputs, each against 0 or 1.
    BinaryCrossEntropy,
    /// Half the squared distance of the confidences from 0 or 1, as a mean over the classes.
    MeanSquared,
    /// The same, summed over the classes.
    SumSquared,
}

/// What is expected of the source model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Patterns of target layer names that must all be imported.
    pub require: Vec<String>,
    /// Share of the target's parameters that must be imported, 0 to 1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub coverage: f64,
    /// Patterns of the source's layer names, and the names that the target has for them: each `*`
    /// stands for what that of the pattern did.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rename: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Epochs between evaluations of the test file during training; 0: only at the end.
    pub every: usize,
}

/// What a record holds besides what every record holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// A row for every minibatch, in `batches.csv`.
    pub batches: bool,
    /// Steps of an epoch between two digests of the weights in `batches.csv`; 0: only after its last.
    #[serde(default)]
    pub weights_every: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Epochs between checkpoints; 0: only when interrupted. One that takes long to write is put off.
    pub every: usize,
    /// Epochs between states of training that stay in the record, from each of which others can
    /// replay what came next; 0: none.
    #[serde(default)]
    pub keep: usize,
}
