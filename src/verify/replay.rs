//! `graft verify --samples`: some stretches of a run trained again, each from a state in the record to the
//! next, and the test set evaluated with the record's model.
//!
//! The weights at the end of a stretch are in `batches.csv` as a digest, so a stretch that was not trained
//! as it should shows whatever came before it. The idea is that of proof-of-learning (Jia et al. 2021).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Findings;
use super::claim::Claim;
use super::judge::{Judgement, Tolerance, Verdict};
use super::model::states;
use super::rerun::{Caught, Sampling, differs};
use crate::error::{Error, Result};
use crate::numbers::Numbers;
use crate::plan::Run;
use crate::random::Stream;
use crate::results::batches::BatchRow;
use crate::results::loaded::LoadedRecord;
use crate::results::record::{self, MODEL};
use crate::results::rows::{MetricsRow, OutputRow};
use crate::runner::replay::{Replay, Stretch};
use crate::runner::{Reporter, Shared};
use crate::source::safetensors::{self, StoredData};
use crate::train::checkpoint;

/// Shares of altered stretches for which the probability is told.
const ALTERED: [f64; 3] = [0.1, 0.25, 0.5];

/// What the stretches said.
pub struct Replayed {
    pub judgement: Judgement,
    pub caught: Vec<Caught>,
}

/// Replays as many stretches of the record as `sampling` says. `None`: it holds no states, or none that
/// can be used.
///
/// # Errors
/// Whatever has nothing to do with the record.
pub fn replay(
    loaded: &LoadedRecord,
    run: &Run,
    sampling: Sampling,
    tolerance: Option<Tolerance>,
    shared: &Shared,
    reporter: &mut dyn Reporter,
) -> Result<Option<Replayed>> {
    let claim = Claim::read(loaded.clone(), &mut Findings::default());
    let stretches = stretches(&claim, run.experiment.epochs);
    let (Some(metrics), Some(batches)) = (&claim.metrics, &claim.batches) else {
        return Ok(None);
    };
    if stretches.len() < 2 {
        return Ok(None);
    }
    let chosen = chosen(stretches.len(), sampling);
    let place = tempfile::tempdir()?;
    let run = Run {
        dir: place.path().join("replay"),
        experiment: Arc::clone(&run.experiment),
        ..run.clone()
    };
    let mut replay = Replay::open(&run, shared, reporter)?;
    let mut comparison = Comparison {
        metrics,
        batches,
        tolerance,
        is_close: false,
    };
    for &place in &chosen {
        let (from, until) = stretches[place];
        if let Err(difference) = comparison.stretch(&claim, &mut replay, (from, until)) {
            return Ok(Some(Replayed {
                judgement: Judgement {
                    from_epoch: Some(from + 1),
                    ..differs(difference.to_string())
                },
                caught: Vec::new(),
            }));
        }
    }
    if let Err(difference) = comparison.outputs(&claim, &mut replay) {
        let judgement = differs(difference.to_string());
        let caught = Vec::new();
        return Ok(Some(Replayed { judgement, caught }));
    }
    let caught = ALTERED.map(|altered| Caught {
        altered,
        probability: probability(stretches.len(), chosen.len(), altered),
    });
    Ok(Some(Replayed {
        judgement: Judgement {
            verdict: match comparison.is_close {
                true => Verdict::Close,
                false => Verdict::Identical,
            },
            text: text(&stretches, &chosen, &caught),
            from_epoch: None,
        },
        caught: caught.to_vec(),
    }))
}

/// From the start to the first state, from each to the next, from the last to the end: epochs that are
/// done, before and after.
fn stretches(claim: &Claim, epochs: usize) -> Vec<(usize, usize)> {
    let inside = states(claim)
        .into_iter()
        .filter(|&state| state > 0 && state < epochs);
    let ends: Vec<usize> = std::iter::once(0).chain(inside).chain([epochs]).collect();
    ends.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

/// Places of the stretches to replay, ascending.
fn chosen(stretches: usize, sampling: Sampling) -> Vec<usize> {
    let order = Stream::new(sampling.seed, "stretches to replay", &[]).permutation(stretches);
    let mut chosen: Vec<usize> = order.into_iter().take(sampling.stretches.max(1)).collect();
    chosen.sort_unstable();
    chosen
}

/// That at least one of `replayed` stretches is among those that were altered, the share `altered` of
/// `all`, rounded up: 1 less the chance to draw only honest ones.
fn probability(all: usize, replayed: usize, altered: f64) -> f64 {
    let honest = all - (altered * all as f64).ceil() as usize;
    let missed = (0..replayed.min(all))
        .map(|drawn| honest.saturating_sub(drawn) as f64 / (all - drawn) as f64);
    1.0 - missed.product::<f64>()
}

fn text(stretches: &[(usize, usize)], chosen: &[usize], caught: &[Caught]) -> String {
    let epochs = |&place: &usize| {
        let (from, until) = stretches[place];
        format!("{}-{until}", from + 1)
    };
    let epochs: Vec<String> = chosen.iter().map(epochs).collect();
    let chances = caught.iter().map(
        |Caught {
             altered,
             probability,
         }| {
            format!(
                "{:.0} % of it with probability {probability:.2}",
                100.0 * altered
            )
        },
    );
    format!(
        "{} of {} stretches replayed (epochs {}) and the test set evaluated; forging would have been caught in \
         {}",
        chosen.len(),
        stretches.len(),
        epochs.join(", "),
        chances.collect::<Vec<_>>().join(", ")
    )
}

/// What the record claims, and whether it was only met within tolerance.
struct Comparison<'a> {
    metrics: &'a [MetricsRow],
    batches: &'a [BatchRow],
    tolerance: Option<Tolerance>,
    is_close: bool,
}

impl Comparison<'_> {
    /// # Errors
    /// How the stretch differs from what is claimed.
    fn stretch(
        &mut self,
        claim: &Claim,
        replay: &mut Replay<'_>,
        (from, until): (usize, usize),
    ) -> Result<()> {
        if from > 0 {
            let path = claim.loaded.dir.join(record::state(from));
            let state = checkpoint::read_if_there(&path, &claim.loaded.record.identity)?;
            let state =
                state.ok_or_else(|| Error::new("is not a state of this run").at(path.display()))?;
            if state.progress.epoch != from {
                return Err(Error::new("is of another epoch").at(path.display()));
            }
            replay.resume(state)?;
            let logged = self.batches.iter().rev().find(|row| row.epoch == from);
            if logged.is_some_and(|row| row.weights.as_ref() != Some(&replay.digest())) {
                let problem = "its weights are not those of batches.csv";
                return Err(Error::new(problem).at(path.display()));
            }
        }
        let Stretch { metrics, batches } = replay.train_until(until)?;
        self.same_metrics(&metrics)?;
        let claimed = self.batches.iter();
        let claimed = claimed.filter(|row| (from + 1..=until).contains(&row.epoch));
        match claimed.eq(&batches) {
            true => Ok(()),
            false if self.tolerance.is_some() => {
                self.is_close = true;
                Ok(())
            }
            false => Err(Error::new(format!(
                "training epochs {} to {until} again gives other batches than batches.csv says",
                from + 1
            ))),
        }
    }

    fn same_metrics(&mut self, fresh: &[MetricsRow]) -> Result<()> {
        for row in fresh {
            let claimed = self.metrics.get(row.epoch - 1);
            if claimed == Some(row) {
                continue;
            }
            let cost = claimed.map_or(f64::NAN, |row| row.training_cost);
            let apart = (cost - row.training_cost).abs();
            let most = self.tolerance.map_or(0.0, |tolerance| tolerance.cost);
            if apart > most * cost.abs().max(row.training_cost.abs()) || apart.is_nan() {
                return Err(Error::new(format!(
                    "metrics.csv says a training cost of {cost} in epoch {}, training it again gives {}",
                    row.epoch, row.training_cost
                )));
            }
            self.is_close = true;
        }
        Ok(())
    }

    /// # Errors
    /// How the outputs differ from those that the record's model gives.
    fn outputs(&mut self, claim: &Claim, replay: &mut Replay<'_>) -> Result<()> {
        let names = replay.trained();
        let mut weights: BTreeMap<String, Numbers> = BTreeMap::new();
        for stored in safetensors::load(&claim.loaded.dir.join(MODEL))?.tensors {
            if let (true, StoredData::Numbers(values)) = (names.contains(&stored.name), stored.data)
            {
                weights.insert(stored.name, values);
            }
        }
        let fresh = replay.outputs(weights)?;
        let claimed = claim.outputs.as_deref().unwrap_or_default();
        let most = self.tolerance.map_or(0.0, |tolerance| tolerance.confidence);
        let differs = |(one, other): &(&OutputRow, &OutputRow)| {
            let pairs = one.confidences.iter().zip(&other.confidences);
            one.label != other.label || pairs.clone().any(|(a, b)| (a - b).abs() > most)
        };
        let differing = claimed.iter().zip(&fresh).filter(differs).count();
        if claimed.len() != fresh.len() || differing > 0 {
            return Err(Error::new(format!(
                "outputs.csv has {differing} of {} samples otherwise than the model of the record gives them",
                fresh.len()
            )));
        }
        self.is_close |= claimed != fresh;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaying_everything_catches_everything_and_one_of_ten_a_tenth() {
        assert_eq!(probability(10, 10, 0.1), 1.0);
        assert!((probability(10, 1, 0.1) - 0.1).abs() < 1e-12);
        // 1 - (5/10)(4/9)(3/8), drawn without putting back.
        assert!((probability(10, 3, 0.5) - (1.0 - 60.0 / 720.0)).abs() < 1e-12);
        // A share that is no whole number of stretches alters at least one.
        assert!((probability(4, 1, 0.1) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn other_seeds_choose_other_stretches_and_none_twice() {
        let of = |seed| chosen(20, Sampling { stretches: 5, seed });
        assert_ne!(of(1), of(2));
        assert!(of(1).windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(
            chosen(
                2,
                Sampling {
                    stretches: 9,
                    seed: 1
                }
            ),
            [0, 1]
        );
    }
}
