//! `graft verify --samples`: some stretches of a run trained again, each from a state in the record to the
//! next, and the test set evaluated with the record's model.
//!
//! The weights at the end of a stretch are in `batches.csv` as a digest, so a stretch that was not trained
//! as it should shows whatever came before it. The idea is that of proof-of-learning (Jia et al. 2021).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::claim::Claim;
use super::judge::{Judgement, Tolerance, Verdict, is_alike};
use super::model::states;
use super::rerun::{Caught, Sampling, differs};
use crate::error::{At, Error, Result};
use crate::numbers::Numbers;
use crate::plan::Run;
use crate::random::Stream;
use crate::results::batches::BatchRow;
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
    claim: &Claim,
    run: &Run,
    sampling: Sampling,
    tolerance: Option<Tolerance>,
    shared: &Shared,
    reporter: &mut dyn Reporter,
) -> Result<Option<Replayed>> {
    let stretches = stretches(claim, run.experiment.epochs);
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
        most: 0.0,
    };
    for &place in &chosen {
        let (from, until) = stretches[place];
        let (verdict, text) = match comparison.stretch(claim, &mut replay, (from, until)) {
            Ok(None) => continue,
            Ok(Some(drift)) => (Verdict::Drifts, drift),
            Err(difference) => (Verdict::Differs, difference.to_string()),
        };
        return Ok(Some(Replayed {
            judgement: Judgement {
                verdict,
                text,
                from_epoch: Some(from + 1),
            },
            caught: Vec::new(),
        }));
    }
    if let Err(difference) = comparison.outputs(claim, &mut replay) {
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
            text: comparison.nearness() + &text(&stretches, &chosen, &caught),
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
    if chosen.len() == stretches.len() {
        let all = stretches.len();
        return format!("all {all} stretches replayed and the test set evaluated");
    }
    let epochs = |&place: &usize| {
        let (from, until) = stretches[place];
        format!("{}-{until}", from + 1)
    };
    let epochs: Vec<String> = chosen.iter().map(epochs).collect();
    let chances = caught.iter().map(
        |Caught {
             altered,
             probability,
         }| format!("{:.0} %: {probability:.2}", 100.0 * altered),
    );
    format!(
        "{} of {} stretches replayed (epochs {}) and the test set evaluated; the probability that a forger \
         would have been caught, by the share that was forged: {}",
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
    /// How far weights were apart at the end of a stretch at most, as a part of what it changed.
    most: f64,
}

impl Comparison<'_> {
    /// In words, where not every bit was the same.
    fn nearness(&self) -> String {
        match self.is_close {
            true => format!(
                "other arithmetic computed the two, their weights apart by at most {:.1e} of what a stretch \
                 changes; ",
                self.most
            ),
            false => String::new(),
        }
    }

    /// `None` where it is as claimed; else how the two part, if rounding can do it.
    ///
    /// # Errors
    /// How the stretch differs from what is claimed.
    fn stretch(
        &mut self,
        claim: &Claim,
        replay: &mut Replay<'_>,
        (from, until): (usize, usize),
    ) -> Result<Option<String>> {
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
        let start = self.tolerance.map(|_| replay.weights());
        let Stretch { metrics, batches } = replay.train_until(until)?;
        let claimed: Vec<&BatchRow> = self
            .batches
            .iter()
            .filter(|row| (from + 1..=until).contains(&row.epoch))
            .collect();
        let begins_alike = match (claimed.first(), batches.first()) {
            (Some(one), Some(other)) => is_alike(one, other),
            _ => false,
        };
        let is_same = claimed.into_iter().eq(&batches);
        let mut compared = self.same_metrics(&metrics);
        if let (false, Some(start), Some(tolerance)) = (is_same, start, self.tolerance) {
            self.is_close = true;
            let end = replay.weights();
            let ended = weights_after(claim, until, &end)?;
            let weights = self.same_weights([&start, &end, &ended], until, tolerance.weights);
            compared = compared.and(weights);
            return match compared {
                Err(apart) if begins_alike => Ok(Some(format!(
                    "{apart}. Other arithmetic computed the two, and they begin alike: it can be rounding, and \
                     can be something else"
                ))),
                compared => compared.map(|()| None),
            };
        }
        compared?;
        match is_same {
            true => Ok(None),
            false => Err(Error::new(format!(
                "training epochs {} to {until} again gives other batches than batches.csv says",
                from + 1
            ))),
        }
    }

    /// Weights at the start of a stretch, at its end, and at its end as they are claimed. Costs alone would
    /// not tie the end of one stretch to the start of the next.
    fn same_weights(
        &mut self,
        [start, fresh, claimed]: [&BTreeMap<String, Numbers>; 3],
        epoch: usize,
        most: f64,
    ) -> Result<()> {
        let apart = distance(fresh, claimed) / distance(fresh, start).max(f64::MIN_POSITIVE);
        self.most = self.most.max(apart);
        match apart <= most {
            true => Ok(()),
            false => Err(Error::new(format!(
                "the weights after epoch {epoch} are not those that training gives: apart by {apart:.2} of what \
                 the epochs before change"
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
        let weights = weights_of_model(claim, &replay.weights())?;
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

/// The trained weights that the record has after so many epochs: of a state, or of the model. `like` has
/// their names.
fn weights_after(
    claim: &Claim,
    epochs: usize,
    like: &BTreeMap<String, Numbers>,
) -> Result<BTreeMap<String, Numbers>> {
    let path = claim.loaded.dir.join(record::state(epochs));
    match claim
        .loaded
        .record
        .files
        .contains_key(&record::state(epochs))
    {
        true => {
            let state = checkpoint::read_if_there(&path, &claim.loaded.record.identity)?;
            let state = state.ok_or_else(|| Error::new("is not a state of this run"));
            Ok(state.at(path.display())?.weights)
        }
        false => weights_of_model(claim, like),
    }
}

/// The same of the record's model.
fn weights_of_model(
    claim: &Claim,
    like: &BTreeMap<String, Numbers>,
) -> Result<BTreeMap<String, Numbers>> {
    let mut weights = BTreeMap::new();
    for stored in safetensors::load(&claim.loaded.dir.join(MODEL))?.tensors {
        if let (true, StoredData::Numbers(values)) = (like.contains_key(&stored.name), stored.data)
        {
            weights.insert(stored.name, values);
        }
    }
    Ok(weights)
}

/// Euclidean distance of two sets of weights; infinite where they are not of one network, or no numbers.
fn distance(one: &BTreeMap<String, Numbers>, other: &BTreeMap<String, Numbers>) -> f64 {
    let mut sum = 0.0;
    for (name, values) in one {
        match other.get(name) {
            Some(others) if others.len() == values.len() => {
                let pairs = values.to_f64().into_iter().zip(others.to_f64());
                sum += pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>();
            }
            _ => return f64::INFINITY,
        }
    }
    match sum.is_nan() {
        true => f64::INFINITY,
        false => sum.sqrt(),
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
