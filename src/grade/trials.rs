//! A record that is not what its experiment comes to: is it what another one does? A few trainings
//! that a forger might have passed off as the stated one, each tried and held against the record.
//!
//! Costs nothing where nothing is wrong. That none of them fits says nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::child;
use super::claims::Settled;
use super::finding::{Finding, Kind};
use super::grounds::Grounds;
use super::rerun::digest_of;
use super::rubric::Limits;
use super::submission::Claimed;
use crate::config::experiment::{DataFiles, Experiment};
use crate::error::Result;
use crate::files::{hexadecimal, write_atomically};
use crate::results::batches;
use crate::results::record::{BATCHES, METRICS, MODEL, Regime};
use crate::results::rows::read_metrics;

/// Other seeds that are tried, at most.
const SEEDS: usize = 8;

/// Seeds that people choose.
const USUAL: [u64; 6] = [0, 1, 2, 3, 42, 123];

/// What of a record is not that of its experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Its costs: it was trained otherwise.
    Training,
    /// Its model alone: it was trained on, or is another one.
    Model,
}

/// Another training than the stated one.
struct Trial {
    kind: Kind,
    text: String,
    experiment: Experiment,
}

/// What the record is, if it is one of the trials that the doubt about it suggests.
///
/// # Errors
/// The grader's machine refuses.
pub fn tried(
    (claimed, doubt): (&Claimed, Doubt),
    settled: &Settled,
    grounds: &Grounds,
    (limits, work): (&Limits, &Path),
) -> Result<Option<Finding>> {
    let mut trials = trials(claimed, settled, grounds, limits);
    if doubt == Doubt::Model {
        trials.retain(|trial| trial.kind == Kind::OtherEpochs);
    }
    for trial in trials {
        if let Some(fresh) = run(&trial.experiment, limits, work)?
            && is_it(claimed, &fresh, trial.kind)
        {
            let finding = Finding::new(trial.kind, claimed.place.as_str(), trial.text);
            return Ok(Some(finding));
        }
    }
    Ok(None)
}

fn trials(claimed: &Claimed, settled: &Settled, grounds: &Grounds, limits: &Limits) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |kind, text: String, change: &dyn Fn(&mut Experiment)| {
        let mut experiment = settled.experiment.clone();
        change(&mut experiment);
        trials.push(Trial {
            kind,
            text,
            experiment,
        });
    };
    let epochs = settled.experiment.epochs;
    let more = epochs.saturating_mul(3).min(limits.max_epochs);
    let text = "its model is that of a training that went on for more epochs than stated";
    add(Kind::OtherEpochs, text.to_owned(), &|e| e.epochs = more);
    if let Some(data) = grounds.data.iter().find(|data| data.name == settled.data) {
        let text = "its figures are those of a training on the test file";
        let path = data.test.path.clone();
        add(Kind::TrainedOnTest, text.to_owned(), &|e| {
            e.data.root = PathBuf::from(".");
            e.data.files = DataFiles::Files {
                train: path.clone(),
                test: path.clone(),
            };
        });
    }
    if settled.source.is_some() {
        let stated = settled.experiment.learning_rate_multiplier.imported;
        let kind = match settled.regime {
            Regime::FeatureExtraction => Kind::NotFrozen,
            _ => Kind::OtherExperiment,
        };
        for other in [1.0, 0.1, 0.01, 0.001, 0.0]
            .into_iter()
            .filter(|&other| other != stated)
        {
            let text = format!(
                "its figures are those of the multiplier {other}, the experiment says {stated}"
            );
            add(kind, text, &|e| e.learning_rate_multiplier.imported = other);
        }
    }
    let assigned = grounds
        .seeds
        .iter()
        .flat_map(|seeds| seeds.values().copied());
    let seeds: BTreeSet<u64> = assigned
        .chain(USUAL)
        .filter(|&s| s != claimed.record.seed)
        .collect();
    for seed in seeds.into_iter().take(SEEDS) {
        let text = format!(
            "its figures are those of seed {seed}, it says {}",
            claimed.record.seed
        );
        add(Kind::OtherSeed, text, &|e| e.seeds = vec![seed]);
    }
    trials
}

/// Trains the experiment in a directory of its own, or finds that done. None if it cannot be trained.
fn run(experiment: &Experiment, limits: &Limits, work: &Path) -> Result<Option<PathBuf>> {
    let mut experiment = experiment.clone();
    experiment.name = "trial".to_owned();
    experiment.record.batches = true;
    experiment.checkpoint.keep = 0;
    let text = experiment.to_toml()?;
    let home = work
        .join("trials")
        .join(&hexadecimal(&Sha256::digest(&text))[..16]);
    let file = home.join("trial.toml");
    std::fs::create_dir_all(&home)?;
    write_atomically(&file, text.as_bytes())?;
    let arguments = ["run".as_ref(), file.as_os_str()];
    child::run(&arguments, &home, limits)?;
    let record = home.join("results/trial");
    Ok(record.is_dir().then_some(record))
}

/// Whether the record is of this training: its costs are, or its model is.
fn is_it(claimed: &Claimed, fresh: &Path, kind: Kind) -> bool {
    let model = digest_of(&claimed.dir.join(MODEL));
    if kind == Kind::OtherEpochs {
        let rows = batches::read(&fresh.join(BATCHES)).unwrap_or_default();
        return rows
            .iter()
            .any(|row| row.weights.is_some() && row.weights == model);
    }
    let first = |dir: &Path| {
        let rows = read_metrics(&dir.join(METRICS)).ok()?;
        rows.first().map(|row| row.training_cost.to_bits())
    };
    let costs = first(&claimed.dir);
    let same_model = model.is_some() && model == digest_of(&fresh.join(MODEL));
    same_model || (costs.is_some() && costs == first(fresh))
}
