//! The TOML of an experiment as written: everything optional, nothing unknown.
//!
//! It only says which keys there are and what type each has. It knows no default and no rule
//! between two keys; those are [`super::resolve`]'s. One layer of configuration (a file, an
//! environment variable, an argument) has this type, and so has the sum of all layers.

mod layer;
mod optimizer;
mod preprocessing;

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::experiment::{
    Architecture, Backend, Convention, DropoutScaling, Gradient, InitialDraws, LastBatch, LossName,
    PoolingSize, Statistics,
};
use crate::numbers::Dtype;
pub use layer::{LayerTable, LayerType, Pixels};
pub use optimizer::{
    AlgorithmName, LayerRuleTable, OptimizerTable, RuleTable, ScheduleName, ScheduleTable,
};
pub use preprocessing::PreprocessingTable;

/// The top level.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    pub extends: Option<PathBuf>,
    pub name: Option<String>,
    pub compatibility: Option<Word<Compatibility>>,
    pub backend: Option<Backend>,
    pub dtype: Option<Word<Dtype>>,
    pub exact: Option<bool>,
    pub seed: Option<u64>,
    pub seeds: Option<Seeds>,
    pub epochs: Option<usize>,
    pub batch_size: Option<usize>,
    pub source_model: Option<PathBuf>,
    pub save_path: Option<PathBuf>,
    pub save_optimizer_state: Option<bool>,
    pub cache: Option<bool>,
    pub cache_dtype: Option<Word<Dtype>>,
    pub cache_limit: Option<f64>,
    pub cache_directory: Option<PathBuf>,
    pub learning_rate_multiplier: Option<Multiplier>,
    pub data: DataTable,
    pub preprocessing: PreprocessingTable,
    pub model: ModelTable,
    pub batch_norm: BatchNormTable,
    pub loss: LossTable,
    pub optimizer: OptimizerTable,
    pub schedule: ScheduleTable,
    pub source: SourceTable,
    pub evaluation: EvaluationTable,
    pub checkpoint: CheckpointTable,
    pub record: RecordTable,
}

/// Whose behaviour the keys that are not given stand for. A matter of defaults alone: the resolved
/// experiment says every one of them, and whose they were no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compatibility {
    /// graft's own.
    #[default]
    None,
    /// neon 2.6.
    Neon,
    /// neon 2.6 with its option `--caffe`.
    Caffe,
}

impl Compatibility {
    /// Whether the run is to be one of neon's, with `--caffe` or without.
    pub fn is_neon(self) -> bool {
        self != Compatibility::None
    }
}

/// `seeds = 5` or `seeds = [1, 2, 3]`.
#[derive(Debug)]
pub enum Seeds {
    Count(u64),
    List(Vec<u64>),
}

/// `0.001`, which is short for `{ imported = 0.001 }`, or a table by layer.
#[derive(Debug)]
pub struct Multiplier(pub BTreeMap<String, f64>);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataTable {
    pub root: Option<PathBuf>,
    pub train: Option<PathBuf>,
    pub test: Option<PathBuf>,
    pub builtin: Option<String>,
    pub draw_seed: Option<u64>,
    pub shuffle: Option<bool>,
    pub last_batch: Option<Word<LastBatch>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelTable {
    pub architecture: Option<Word<Architecture>>,
    pub width: Option<f64>,
    pub widths: Option<Vec<usize>>,
    pub head: Option<Vec<usize>>,
    pub head_names: Option<Vec<String>>,
    pub classifier: Option<String>,
    pub dropout: Option<f64>,
    pub layers: Option<Vec<LayerTable>>,
    pub convention: Option<Word<Convention>>,
    pub classes: Option<usize>,
    pub initializer: Option<NameOrTable>,
    pub linear_initializer: Option<NameOrTable>,
    pub bias_initializer: Option<NameOrTable>,
    pub initial_draws: Option<Word<InitialDraws>>,
    pub initial_weights: Option<PathBuf>,
    pub pooling: Option<Word<PoolingSize>>,
    pub dropout_scaling: Option<Word<DropoutScaling>>,
}

/// `"kaiming"`, which is short for `{ name = "kaiming" }`, or a table.
#[derive(Debug)]
pub struct NameOrTable(pub InitializerTable);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InitializerTable {
    pub name: Option<Word<InitializerName>>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub value: Option<f64>,
    pub mean: Option<f64>,
    pub deviation: Option<f64>,
    pub scale: Option<f64>,
    pub local: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InitializerName {
    XavierLocal,
    GlorotUniform,
    Kaiming,
    KaimingNormal,
    Gaussian,
    Uniform,
    Constant,
    Identity,
    Orthonormal,
    NeonXavier,
    NeonKaiming,
    NeonGlorotUniform,
    NeonIdentity,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchNormTable {
    pub statistics: Option<Word<Statistics>>,
    pub epsilon: Option<f64>,
    pub momentum: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossTable {
    pub name: Option<Word<LossName>>,
    pub gradient: Option<Word<Gradient>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceTable {
    pub require: Option<Vec<String>>,
    pub coverage: Option<f64>,
    pub rename: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationTable {
    pub every: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointTable {
    pub every: Option<usize>,
    pub keep: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordTable {
    pub batches: Option<bool>,
    pub weights_every: Option<usize>,
}

/// One of a few words. figment would also take the number of a variant for an enum.
#[derive(Debug, Clone, Copy)]
pub struct Word<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyWord<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for AnyWord<T> {
            type Value = Word<T>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Word<T>, E> {
                T::deserialize(StrDeserializer::new(word)).map(Word)
            }
        }
        deserializer.deserialize_str(AnyWord(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Seeds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountOrList;

        impl<'de> Visitor<'de> for CountOrList {
            type Value = Seeds;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number of seeds, or a list of them")
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Seeds, E> {
                Ok(Seeds::Count(count))
            }

            fn visit_i64<E: de::Error>(self, count: i64) -> Result<Seeds, E> {
                let negative = |_| E::invalid_value(de::Unexpected::Signed(count), &self);
                u64::try_from(count).map(Seeds::Count).map_err(negative)
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Seeds, A::Error> {
                let mut seeds = Vec::new();
                while let Some(seed) = list.next_element()? {
                    seeds.push(seed);
                }
                Ok(Seeds::List(seeds))
            }
        }
        deserializer.deserialize_any(CountOrList)
    }
}

impl<'de> Deserialize<'de> for Multiplier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrTable;

        impl<'de> Visitor<'de> for NumberOrTable {
            type Value = Multiplier;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number or a table of layer names")
            }

            fn visit_f64<E: de::Error>(self, imported: f64) -> Result<Multiplier, E> {
                Ok(Multiplier([("imported".to_owned(), imported)].into()))
            }

            fn visit_i64<E: de::Error>(self, imported: i64) -> Result<Multiplier, E> {
                self.visit_f64(imported as f64)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Multiplier, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Multiplier)
            }
        }
        deserializer.deserialize_any(NumberOrTable)
    }
}

impl<'de> Deserialize<'de> for NameOrTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = InitializerTable;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a name or a table")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<InitializerTable, E> {
                let name = Deserialize::deserialize(StrDeserializer::new(name))?;
                Ok(InitializerTable {
                    name: Some(Word(name)),
                    ..Default::default()
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<InitializerTable, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_any(Either).map(NameOrTable)
    }
}
