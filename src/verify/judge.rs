//! Two records of one run held against each other: what is claimed, and what training anew gave.

use serde::Serialize;

use crate::error::Result;
use crate::numbers::Numbers;
use crate::results::batches::BatchRow;
use crate::results::loaded::LoadedRecord;
use crate::results::record::MODEL;
use crate::results::rows::{MetricsRow, OutputRow};
use crate::source::document;
use crate::source::safetensors::{self, StoredData};

/// How far results may be apart that other arithmetic computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Of the training cost of an epoch, relative to the greater.
    pub cost: f64,
    /// Of the confidence in any class of any test sample.
    pub confidence: f64,
    /// Of the weights: of any tensor, relative to its norm; after a stretch that is replayed, relative to
    /// what the stretch changes.
    pub weights: f64,
}

impl Default for Tolerance {
    /// Generous: rounding grows with every step of training.
    fn default() -> Self {
        Self {
            cost: 0.01,
            confidence: 0.05,
            weights: 0.25,
        }
    }
}

/// What two records say of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every bit of costs, outputs and weights.
    Identical,
    /// Not the same bits, computed by other arithmetic, and within tolerance.
    Close,
    /// Computed by other arithmetic, the same at first and then further and further apart: rounding can
    /// do that to a long training, and so can a forger.
    Drifts,
    Differs,
    /// It cannot be trained anew: data or models are not those that the record names, or not here.
    Impossible,
}

/// Costs of a first batch differ by less, relative, if rounding alone makes them differ.
const ROUNDING: f64 = 1e-4;
/// Accuracies of two trainings that differ by rounding alone are hardly further apart.
const LUCK: f64 = 0.05;

impl Verdict {
    /// The words for people.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Identical => "bit-identical",
            Verdict::Close => "equal within tolerance",
            Verdict::Drifts => "drifts apart",
            Verdict::Differs => "differs",
            Verdict::Impossible => "cannot be verified",
        }
    }
}

/// A verdict and its reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    pub verdict: Verdict,
    /// A sentence without its full stop.
    pub text: String,
    /// The first epoch that differs, from 1; absent where none does, or only what came after them.
    pub from_epoch: Option<usize>,
}

/// Holds the files of `claimed` against those of `fresh`; `tolerance` where other arithmetic computed
/// `fresh`, else every bit counts.
///
/// # Errors
/// A file cannot be read.
pub fn judge(
    claimed: &LoadedRecord,
    fresh: &LoadedRecord,
    tolerance: Option<Tolerance>,
) -> Result<Judgement> {
    let epochs = epochs(&claimed.metrics()?, &fresh.metrics()?);
    let batches = match (claimed.batches()?, fresh.batches()?) {
        (Some(claimed), Some(fresh)) => first_batch(&claimed, &fresh),
        _ => None,
    };
    let outputs = outputs(&claimed.outputs()?, &fresh.outputs()?);
    let weights = weights(claimed, fresh)?;
    let figures = figures(claimed, fresh);
    let is_same = epochs.is_none() && batches.is_none() && figures.is_none();
    if is_same && outputs.is_same() && weights.is_none() {
        return Ok(Judgement {
            verdict: Verdict::Identical,
            text: "costs, outputs and weights are the same, bit for bit".to_string(),
            from_epoch: None,
        });
    }
    let from_epoch = match (&epochs, &batches) {
        (Some(one), Some(other)) => Some(one.epoch.min(other.epoch)),
        (one, other) => one.as_ref().or(other.as_ref()).map(|apart| apart.epoch),
    };
    let cost = epochs.as_ref().map_or(0.0, |apart| apart.most);
    if let Some(Tolerance {
        cost: most_cost,
        confidence,
        weights: most_weights,
    }) = tolerance
        && cost <= most_cost
        && outputs.most <= confidence
        && outputs.is_of_same_samples
        && weights
            .as_ref()
            .is_none_or(|apart| apart.relative <= most_weights)
    {
        return Ok(Judgement {
            verdict: Verdict::Close,
            text: format!(
                "other arithmetic computed the two: training costs differ by at most {cost:.1e} of themselves, \
                 confidences by at most {:.1e}, {} of {} predictions",
                outputs.most, outputs.predictions, outputs.samples
            ),
            from_epoch,
        });
    }
    if tolerance.is_some()
        && outputs.is_of_same_samples
        && let Some(text) = drift(claimed, fresh)?
    {
        return Ok(Judgement {
            verdict: Verdict::Drifts,
            text,
            from_epoch,
        });
    }
    let parts = [
        epochs.map(|apart| apart.text),
        batches.map(|apart| apart.text),
        outputs.text(),
        weights.map(|apart| apart.text),
        figures,
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let begin = match from_epoch {
        Some(epoch) => format!("from epoch {epoch} on: "),
        None => "every epoch is the same, and what comes after is not: ".to_string(),
    };
    Ok(Judgement {
        verdict: Verdict::Differs,
        text: begin + &parts.join("; "),
        from_epoch,
    })
}

/// How two trainings by other arithmetic part, if rounding can do it: they begin alike, go through the same
/// samples, and come to about the same.
fn drift(claimed: &LoadedRecord, fresh: &LoadedRecord) -> Result<Option<String>> {
    let (Some(one), Some(other)) = (claimed.batches()?, fresh.batches()?) else {
        return Ok(None);
    };
    let pairs = || one.iter().zip(&other);
    let same_samples = pairs().all(|(a, b)| a.sample_ids == b.sample_ids);
    let begins_alike = pairs().next().is_some_and(|(a, b)| is_alike(a, b));
    let (accuracy, again) = (
        claimed.record.metrics.accuracy,
        fresh.record.metrics.accuracy,
    );
    let ends_alike = (accuracy - again).abs() <= LUCK;
    if one.len() != other.len() || !same_samples || !begins_alike || !ends_alike {
        return Ok(None);
    }
    let alike = pairs().take_while(|(a, b)| is_alike(a, b)).count();
    Ok(Some(format!(
        "other arithmetic computed the two: the first {alike} of {} batches cost the same within {ROUNDING:e} of \
         themselves, then rounding, or something else, parts them; accuracy {accuracy} in the record, {again} \
         here. With `checkpoint.keep = 1` every epoch can be replayed by itself",
        one.len()
    )))
}

/// Whether the costs of two batches differ by no more than rounding.
pub(super) fn is_alike(one: &BatchRow, other: &BatchRow) -> bool {
    (one.cost - other.cost).abs() <= ROUNDING * other.cost.abs()
}

/// Where two trainings part.
struct Apart {
    /// From 1.
    epoch: usize,
    /// Of all epochs, the greatest relative difference of training costs.
    most: f64,
    text: String,
}

fn epochs(claimed: &[MetricsRow], fresh: &[MetricsRow]) -> Option<Apart> {
    let relative = |one: f64, other: f64| {
        let greater = one.abs().max(other.abs()).max(f64::MIN_POSITIVE);
        let apart = (one - other).abs() / greater;
        if apart.is_nan() { f64::INFINITY } else { apart }
    };
    let pairs = || claimed.iter().zip(fresh);
    let most = pairs().map(|(one, other)| relative(one.training_cost, other.training_cost));
    let most = most.fold(0.0, f64::max);
    let first = pairs().find(|(one, other)| one != other);
    match first {
        Some((one, other)) => Some(Apart {
            epoch: other.epoch,
            most,
            text: format!(
                "metrics.csv says a training cost of {}{}, the re-run gives {}{}",
                one.training_cost,
                accuracy(one),
                other.training_cost,
                accuracy(other)
            ),
        }),
        None if claimed.len() != fresh.len() => Some(Apart {
            epoch: claimed.len().min(fresh.len()) + 1,
            most: f64::INFINITY,
            text: format!(
                "{} epochs are claimed, the re-run has {}",
                claimed.len(),
                fresh.len()
            ),
        }),
        None => None,
    }
}

fn accuracy(row: &MetricsRow) -> String {
    row.accuracy.map_or(String::new(), |accuracy| {
        format!(" and an accuracy of {accuracy}")
    })
}

/// The first row of `claimed` that is not in its place in `fresh`.
fn first_batch(claimed: &[BatchRow], fresh: &[BatchRow]) -> Option<Apart> {
    let place = claimed
        .iter()
        .zip(fresh)
        .position(|(one, other)| one != other);
    let place = place.or((claimed.len() != fresh.len()).then(|| claimed.len().min(fresh.len())))?;
    let row = fresh.get(place).or(claimed.get(place))?;
    let what = match (claimed.get(place), fresh.get(place)) {
        (Some(one), Some(other)) if one.sample_ids != other.sample_ids => {
            "other samples".to_string()
        }
        (Some(one), Some(other)) if one.cost != other.cost => {
            format!(
                "a cost of {}, and the re-run one of {}",
                one.cost, other.cost
            )
        }
        (Some(one), Some(other)) if one.weights != other.weights => "other weights".to_string(),
        (Some(_), Some(_)) => "another learning rate".to_string(),
        _ => "another number of batches".to_string(),
    };
    Some(Apart {
        epoch: row.epoch,
        most: f64::INFINITY,
        text: format!(
            "batches.csv has {what} in batch {} of epoch {}",
            row.batch, row.epoch
        ),
    })
}

/// How far the outputs of the test samples are apart.
struct Outputs {
    samples: usize,
    /// Rows that are not the same bits.
    rows: usize,
    /// Of these, samples that are predicted to be of another class.
    predictions: usize,
    /// The greatest difference of two confidences.
    most: f64,
    is_of_same_samples: bool,
}

fn outputs(claimed: &[OutputRow], fresh: &[OutputRow]) -> Outputs {
    let mut outputs = Outputs {
        samples: fresh.len(),
        rows: 0,
        predictions: 0,
        most: 0.0,
        is_of_same_samples: claimed.len() == fresh.len(),
    };
    for (one, other) in claimed.iter().zip(fresh) {
        outputs.is_of_same_samples &=
            one.label == other.label && one.confidences.len() == other.confidences.len();
        outputs.rows += usize::from(one != other);
        outputs.predictions += usize::from(one.predicted != other.predicted);
        for (one, other) in one.confidences.iter().zip(&other.confidences) {
            outputs.most = outputs.most.max((one - other).abs());
        }
    }
    outputs
}

impl Outputs {
    fn is_same(&self) -> bool {
        self.rows == 0 && self.is_of_same_samples
    }

    fn text(&self) -> Option<String> {
        let Outputs {
            samples,
            rows,
            predictions,
            most,
            ..
        } = self;
        match (self.is_same(), self.is_of_same_samples) {
            (true, _) => None,
            (false, false) => Some("outputs.csv is of other samples".to_string()),
            (false, true) => Some(format!(
                "outputs.csv has {rows} of {samples} samples otherwise, {predictions} of them of another class, \
                 by at most {most:.2e}"
            )),
        }
    }
}

/// How far the models are apart.
struct Weights {
    /// Of any tensor, the norm of the difference as a part of its norm.
    relative: f64,
    text: String,
}

/// `None` where every bit is the same.
fn weights(claimed: &LoadedRecord, fresh: &LoadedRecord) -> Result<Option<Weights>> {
    let load = |record: &LoadedRecord| safetensors::load(&record.dir.join(MODEL));
    let (claimed, fresh) = (load(claimed)?.tensors, load(fresh)?.tensors);
    let own = |name: &str| !document::is_state(name);
    let mut differing = Vec::new();
    let mut relative: f64 = 0.0;
    for tensor in fresh.iter().filter(|tensor| own(&tensor.name)) {
        let other = claimed.iter().find(|other| other.name == tensor.name);
        if other.is_some_and(|other| other.data == tensor.data) {
            continue;
        }
        differing.push(tensor.name.as_str());
        relative = relative.max(match (&tensor.data, other.map(|other| &other.data)) {
            (StoredData::Numbers(one), Some(StoredData::Numbers(other))) => apart(one, other),
            _ => f64::INFINITY,
        });
    }
    let Some(first) = differing.first() else {
        return Ok(None);
    };
    let count = differing.len();
    Ok(Some(Weights {
        relative,
        text: format!(
            "the model has {count} tensors otherwise ({first}, …), by at most {relative:.2e} of their norm"
        ),
    }))
}

/// The norm of the difference of two tensors as a part of that of the first; infinite where it is no number.
fn apart(one: &Numbers, other: &Numbers) -> f64 {
    let (one, other) = (one.to_f64(), other.to_f64());
    let pairs = one.iter().zip(&other);
    let difference: f64 = pairs.map(|(a, b)| (a - b).powi(2)).sum();
    let norm: f64 = one.iter().map(|a| a * a).sum();
    let relative = (difference / norm.max(f64::MIN_POSITIVE)).sqrt();
    match relative.is_nan() || one.len() != other.len() {
        true => f64::INFINITY,
        false => relative,
    }
}

/// Figures of `record.json` that differ, in words, though the tables may not.
fn figures(claimed: &LoadedRecord, fresh: &LoadedRecord) -> Option<String> {
    let (one, other) = (claimed.record.metrics, fresh.record.metrics);
    let same = one.accuracy.to_bits() == other.accuracy.to_bits()
        && one.test_cost.to_bits() == other.test_cost.to_bits()
        && one.training_cost.to_bits() == other.training_cost.to_bits();
    (!same).then(|| {
        format!(
            "record.json says an accuracy of {} and a test cost of {}, the re-run gives {} and {}",
            one.accuracy, one.test_cost, other.accuracy, other.test_cost
        )
    })
}
