//! From what was written to what is meant: fills in the defaults and checks the rules between keys.
//!
//! It knows what the values mean to an experiment, not where they were written: an error names a
//! key and [`Layers`] finds the place. All errors are collected, not only the first.

mod cache;
mod checks;
mod initializer;
mod layers;
mod model;
mod optimizer;
mod preprocessing;
mod schedule;
mod source;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;

use super::experiment::*;
use super::file::{
    BatchNormTable, Compatibility, DataTable, File, LossTable, Multiplier, Seeds, Word,
};
use super::layers::Layers;
use crate::error::Result;
use crate::numbers::Dtype;
use checks::{BELOW_ONE, Checks, NOT_NEGATIVE, POSITIVE, word};

/// Resolves the sum of all layers; `name` is the record's.
///
/// # Errors
/// Every value out of range and every combination that makes no sense, all at once.
pub fn resolve(file: File, name: String, layers: &Layers) -> Result<Experiment> {
    let compatibility = word(file.compatibility, Compatibility::None);
    let neon = compatibility.is_neon();
    let dtype = word(file.dtype, Dtype::F32);
    let mut checks = Checks::new(layers, compatibility, dtype);
    let has_source = file.source_model.is_some();
    let epochs = checks.at_least(1, "epochs", file.epochs.unwrap_or(10));
    let schedule = schedule::schedule(&mut checks, "schedule", file.schedule, epochs);
    let kept = (file.cache, file.cache_dtype, file.cache_limit);
    let cache = cache::cache(&mut checks, kept, file.cache_directory);
    let key_of_seeds = if file.seeds.is_some() {
        "seeds"
    } else {
        "seed"
    };
    let mut experiment = Experiment {
        name,
        backend: file.backend.unwrap_or(Backend::Cpu),
        dtype,
        exact: file.exact.unwrap_or(false),
        seeds: seeds(&mut checks, file.seed, file.seeds),
        epochs,
        batch_size: batch_size(&mut checks, file.batch_size),
        source_model: checks.path("source_model", file.source_model),
        save_path: save_path(&mut checks, file.save_path, file.dtype),
        save_optimizer_state: file.save_optimizer_state.unwrap_or(false),
        cache,
        learning_rate_multiplier: multipliers(&mut checks, file.learning_rate_multiplier),
        data: data(&mut checks, file.data),
        preprocessing: preprocessing::preprocessing(&mut checks, file.preprocessing),
        model: model::model(&mut checks, file.model),
        batch_norm: BatchNorm::default(),
        loss: loss(neon, file.loss),
        optimizer: optimizer::optimizer(&mut checks, file.optimizer, &schedule, epochs),
        schedule,
        source: source::source(&mut checks, file.source, has_source),
        evaluation: Evaluation {
            every: file.evaluation.every.unwrap_or(0),
        },
        checkpoint: Checkpoint {
            every: file.checkpoint.every.unwrap_or(1),
            keep: file.checkpoint.keep.unwrap_or(0),
        },
        record: Record {
            batches: file.record.batches.unwrap_or(true),
            weights_every: file.record.weights_every.unwrap_or(0),
        },
    };
    experiment.batch_norm = batch_norm(&mut checks, &file.batch_norm, &experiment.model.body);
    if experiment.model.initial_draws == InitialDraws::Neon {
        seeds_of_neon(&mut checks, key_of_seeds, &experiment.seeds);
    }
    checks.pass(experiment)
}

/// neon knows no numbers of 16 bits.
fn save_path(
    checks: &mut Checks,
    path: Option<PathBuf>,
    dtype: Option<Word<Dtype>>,
) -> Option<PathBuf> {
    let ending = path.as_ref().and_then(|path| path.extension());
    let is_neon = NEON_ENDINGS
        .iter()
        .any(|neon| ending == Some(OsStr::new(neon)));
    if is_neon && word(dtype, Dtype::F32).size() < 4 {
        let problem = "`save_path` is a file of neon's, which has no numbers of 16 bits";
        let help = "save to .safetensors; `graft convert --dtype f32` makes a file for neon of it";
        checks.refuse("save_path", problem, help);
    }
    checks.path("save_path", path)
}

/// neon's option `-z` is 128 by default.
fn batch_size(checks: &mut Checks, given: Option<usize>) -> usize {
    const MOST: usize = 1 << 20;
    let default = if checks.compatibility.is_neon() {
        128
    } else {
        32
    };
    let size = checks.at_least(1, "batch_size", given.unwrap_or(default));
    if size > MOST {
        let problem = format!("`batch_size` must be at most {MOST}, not {size}");
        checks.refuse_with_example("batch_size", problem);
    }
    size.min(MOST)
}

/// TOML's integers end here.
const LARGEST_SEED: u64 = i64::MAX as u64;

fn seeds(checks: &mut Checks, seed: Option<u64>, seeds: Option<Seeds>) -> Vec<u64> {
    const MOST: u64 = 10_000;
    let first = seed.unwrap_or(42);
    let list = match seeds {
        None => vec![first],
        Some(Seeds::Count(count @ 1..=MOST)) => {
            (0..count).map(|step| first.saturating_add(step)).collect()
        }
        Some(Seeds::Count(count)) => {
            let problem = format!("`seeds` must be between 1 and {MOST}, not {count}");
            checks.refuse(
                "seeds",
                problem,
                "for example `seeds = 5`, or a list: `seeds = [1, 2]`",
            );
            return vec![first];
        }
        Some(Seeds::List(list)) => {
            if seed.is_some() {
                let problem = "`seed` beside a list of `seeds`";
                checks.refuse("seed", problem, "keep one of them: the list says it all");
            }
            list
        }
    };
    if list.is_empty() {
        checks.refuse_with_example("seeds", "`seeds` is empty: there would be no run");
    }
    let mut sorted = list.clone();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        let problem = format!("`seeds` names {} twice", twice[0]);
        checks.refuse(
            "seeds",
            problem,
            "the same seed gives the same run: name each once",
        );
    }
    if let Some(large) = sorted.last().filter(|seed| **seed > LARGEST_SEED) {
        let problem = format!("the seed {large} is too large");
        checks.refuse("seed", problem, format!("the largest is {LARGEST_SEED}"));
    }
    list
}

/// The generator that neon draws initial weights with takes seeds of 32 bits.
fn seeds_of_neon(checks: &mut Checks, key: &str, seeds: &[u64]) {
    const LARGEST: u64 = u32::MAX as u64;
    if let Some(large) = seeds.iter().find(|seed| **seed > LARGEST) {
        let problem = format!("the seed {large} is too large to draw weights as neon does");
        let help = format!("the largest is {LARGEST}; or give `model.initial_draws = \"by_name\"`");
        checks.refuse(key, problem, help);
    }
}

fn multipliers(checks: &mut Checks, given: Option<Multiplier>) -> Multipliers {
    const KEY: &str = "learning_rate_multiplier";
    let mut layers = given.map_or_else(BTreeMap::new, |multiplier| multiplier.0);
    for (layer, factor) in &layers {
        let (called, contains) = NOT_NEGATIVE;
        if !contains(*factor) {
            let problem = format!("the multiplier of `{layer}` must be {called}, not {factor}");
            let help = "1 trains at the full rate, 0.001 fine-tunes, 0 freezes";
            checks.refuse(&format!("{KEY}.{layer}"), problem, help);
        }
    }
    let default = layers.remove("default").unwrap_or(1.0);
    Multipliers {
        default,
        imported: layers.remove("imported").unwrap_or(default),
        layers,
    }
}

fn data(checks: &mut Checks, table: DataTable) -> Data {
    check_data(checks, &table);
    let drawn = table.builtin.is_some();
    let neon = checks.compatibility.is_neon();
    let shuffle = table.shuffle.unwrap_or(!neon);
    let last_batch = match neon && !shuffle {
        true => LastBatch::Wrap,
        false => LastBatch::Smaller,
    };
    let last_batch = word(table.last_batch, last_batch);
    if shuffle && last_batch == LastBatch::Wrap {
        let problem = "`last_batch = \"wrap\"` goes through the file in its order";
        let help = "set `shuffle = false`, or leave `last_batch` away";
        checks.refuse("data.last_batch", problem, help);
    }
    let train = checks.path("data.train", table.train);
    let test = checks.path("data.test", table.test);
    Data {
        root: table
            .root
            .unwrap_or_else(|| if drawn { "data" } else { "." }.into()),
        files: match table.builtin {
            Some(builtin) => DataFiles::Drawn {
                builtin,
                draw_seed: table.draw_seed.unwrap_or(2018),
            },
            None => DataFiles::Files {
                train: train.unwrap_or_default(),
                test: test.unwrap_or_default(),
            },
        },
        shuffle,
        last_batch,
    }
}

/// Of the batch norms that architectures and blocks have; layers of their own say theirs.
fn batch_norm(checks: &mut Checks, table: &BatchNormTable, body: &Body) -> BatchNorm {
    let mut number = |range, key: &str, given: Option<f64>| {
        let value = given?;
        let path = format!("batch_norm.{key}");
        if !body.has_batch_norm() {
            let problem = format!(
                "`{key}` in [batch_norm] does nothing: no architecture and no block here has any"
            );
            let help = "remove it; a layer of type batch_norm has its own";
            checks.refuse(&path, problem, help);
        }
        Some(checks.number(range, &path, given, value))
    };
    BatchNorm {
        epsilon: number(POSITIVE, "epsilon", table.epsilon),
        momentum: number(BELOW_ONE, "momentum", table.momentum),
        statistics: word(table.statistics, Statistics::Train),
    }
}

fn loss(neon: bool, table: LossTable) -> Loss {
    let (name, gradient) = match neon {
        true => (LossName::BinaryCrossEntropy, Gradient::Shortcut),
        false => (LossName::CrossEntropy, Gradient::Exact),
    };
    Loss {
        name: word(table.name, name),
        gradient: word(table.gradient, gradient),
    }
}

/// The keys of `[data]` name two files, or a drawn task.
fn check_data(checks: &mut Checks, table: &DataTable) {
    let drawn = table.builtin.is_some();
    if drawn && (table.train.is_some() || table.test.is_some()) {
        let problem = "`builtin` draws both files; `train` and `test` name other ones";
        checks.refuse(
            "data.builtin",
            problem,
            "keep `builtin`, or `train` and `test`",
        );
    } else if !drawn && table.train.is_none() && table.test.is_none() {
        let help = "give `train` and `test` (HDF5 files), or `builtin`, in [data]";
        checks.refuse("data", "there are no data to train on", help);
    } else if !drawn {
        for (key, path) in [("train", &table.train), ("test", &table.test)] {
            if path.is_none() {
                let problem = format!("`{key}` is missing in [data]");
                checks.refuse_with_example(&format!("data.{key}"), problem);
            }
        }
    }
    if !drawn && table.draw_seed.is_some() {
        let problem = "`draw_seed` without `builtin`: nothing is drawn";
        checks.refuse(
            "data.draw_seed",
            problem,
            "remove it, or name a task by `builtin`",
        );
    }
    if table.builtin.as_deref() == Some("") {
        checks.refuse_with_example("data.builtin", "`data.builtin` is empty");
    }
}
