//! Which experiments of a comparison differ, which cannot be told apart, and how sure that is.
//!
//! Experiments are tested against each other where they were tested on the same data, by what each
//! run told right; see [`significance`](crate::results::statistics::significance). All tests of one
//! comparison are corrected for their number. It does not know how experiments are meant: a name
//! says nothing, and what was tried and left out of the comparison is not corrected for.

use super::cell::Cell;
use super::row::{CONFIDENCE, Row};
use super::table::Table;
use crate::error::{Error, Result};
use crate::results::record::Regime;
use crate::results::statistics::Summary;
use crate::results::statistics::significance::{
    Difference, Pairing, Right, difference, holm, mcnemar,
};

/// The corrected probability up to which a difference is claimed.
const LEVEL: f64 = 0.05;

/// So many experiments on the same test data are tested each against each; of more, those that
/// import are tested against those from scratch.
const EACH_AGAINST_EACH: usize = 4;

/// Two experiments on the same test data.
#[derive(Debug, Clone, PartialEq)]
pub struct Contrast {
    pub experiment: String,
    /// The one that it is measured by.
    pub reference: String,
    /// Of the experiment and of the reference.
    pub accuracies: [Summary; 2],
    pub same_training_data: bool,
    pub evidence: Evidence,
    /// The evidence's probability, corrected for the number of `comparisons`; absent without one.
    pub corrected: Option<f64>,
    /// Tests in the whole comparison.
    pub comparisons: usize,
}

/// What there is to judge two experiments by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Evidence {
    /// Several runs of each.
    Experiments {
        tested: Difference,
        pairing: Pairing,
    },
    /// One run of each, which tells about these two trained models only: how many samples one of
    /// them alone told right, and the probability of McNemar's test.
    Models { alone: [u64; 2], p: f64 },
    /// One run of one of them, several of the other.
    SingleRun,
    /// The outputs of a run cannot be read.
    NoOutputs,
}

/// What can be said of two experiments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The experiment is better than its reference.
    Better,
    Worse,
    CannotBeToldApart,
    NotTested,
}

/// Tests the experiments on the same test data against each other: each against each up to four of
/// them, else those that import against those from scratch. Also returns which outputs could not
/// be read.
pub fn contrasts(rows: &[Row]) -> (Vec<Contrast>, Vec<Error>) {
    let pairs: Vec<[usize; 2]> = by_test(rows)
        .iter()
        .flat_map(|group| pairs(group, rows))
        .collect();
    let mut errors = Vec::new();
    let mut arms = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let is_paired = pairs.iter().any(|pair| pair.contains(&index));
        let arm = if is_paired {
            arm(row).map(Some)
        } else {
            Ok(None)
        };
        arms.push(arm.unwrap_or_else(|error| {
            errors.push(error);
            None
        }));
    }
    let contrast = |&[ours, theirs]: &[usize; 2]| Contrast {
        experiment: rows[ours].experiment.clone(),
        reference: rows[theirs].experiment.clone(),
        accuracies: [rows[ours].accuracy, rows[theirs].accuracy],
        same_training_data: rows[ours].train.sha256 == rows[theirs].train.sha256,
        evidence: match (&arms[ours], &arms[theirs]) {
            (Some(first), Some(second)) => Evidence::of(first, second),
            _ => Evidence::NoOutputs,
        },
        corrected: None,
        comparisons: 0,
    };
    let mut contrasts: Vec<Contrast> = pairs.iter().map(contrast).collect();
    correct(&mut contrasts);
    (contrasts, errors)
}

/// The rows in groups that were tested on the same data, as indices into `rows`.
pub(super) fn by_test(rows: &[Row]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let same = |group: &&mut Vec<usize>| rows[group[0]].test.sha256 == row.test.sha256;
        match groups.iter_mut().find(same) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups
}

/// Whether there are experiments on the same test data of which none is tested, for their number.
pub(super) fn are_too_many(rows: &[Row]) -> bool {
    let untested = |group: &Vec<usize>| {
        without_controls(group, rows).len() > 1 && pairs(group, rows).is_empty()
    };
    by_test(rows).iter().any(untested)
}

/// The contrasts for programs.
pub(super) fn for_programs(contrasts: &[Contrast]) -> Table {
    let table = Table::new([
        "experiment",
        "reference",
        "runs",
        "reference_runs",
        "test",
        "difference",
        "low",
        "high",
        "right_alone",
        "reference_right_alone",
        "p",
        "p_corrected",
        "comparisons",
        "verdict",
        "text",
    ]);
    contrasts
        .iter()
        .map(Contrast::for_programs)
        .fold(table, Table::row)
}

impl Contrast {
    /// What can be said of the two experiments. Single runs say nothing of them.
    pub fn verdict(&self) -> Verdict {
        match (self.evidence, self.corrected) {
            (Evidence::NoOutputs, _) => Verdict::NotTested,
            (Evidence::Experiments { tested, .. }, Some(p)) if p <= LEVEL && tested.mean > 0.0 => {
                Verdict::Better
            }
            (Evidence::Experiments { .. }, Some(p)) if p <= LEVEL => Verdict::Worse,
            _ => Verdict::CannotBeToldApart,
        }
    }

    /// The verdict in a sentence, and what it rests on.
    pub fn text(&self) -> String {
        let (ours, theirs) = (&self.experiment, &self.reference);
        let opening = match self.verdict() {
            Verdict::Better => format!("{ours} is better than {theirs}"),
            Verdict::Worse => format!("{ours} is worse than {theirs}"),
            Verdict::CannotBeToldApart => format!("{ours} and {theirs} cannot be told apart"),
            Verdict::NotTested => format!("{ours} and {theirs} were not tested"),
        };
        let data = if self.same_training_data {
            ""
        } else {
            " They were trained on different data."
        };
        format!("{opening}{}{data}", self.basis())
    }

    /// What follows the names: figures, probability, runs.
    fn basis(&self) -> String {
        let [ours, theirs] = &self.accuracies;
        let points = points(ours.mean - theirs.mean);
        let figures = format!(
            "{points} percentage points ({:.3} against {:.3})",
            ours.mean, theirs.mean
        );
        match self.evidence {
            Evidence::Experiments { tested, pairing } => {
                let [low, high] = tested.interval(CONFIDENCE).map(self::points);
                let paired = match pairing {
                    Pairing::BySeed => ", paired by seed",
                    Pairing::None => "",
                };
                format!(
                    ": {figures}, 95 % interval {low} to {high}; {}; {}{paired}.",
                    self.probability(tested.p),
                    runs([ours, theirs])
                )
            }
            Evidence::Models { alone, p } => {
                format!(
                    " by a single run each: {figures}. {}",
                    self.models(alone, p)
                )
            }
            Evidence::SingleRun => format!(
                ": {figures}; {}, and a single run cannot tell a difference from the luck of its seed.",
                runs([ours, theirs])
            ),
            Evidence::NoOutputs => format!(
                ", for want of outputs: {figures}; {}.",
                runs([ours, theirs])
            ),
        }
    }

    /// What single runs tell of the two models that they left.
    fn models(&self, alone: [u64; 2], p: f64) -> String {
        let basis = format!(
            "({} samples told right by the one alone, {} by the other; McNemar's test, {})",
            alone[0],
            alone[1],
            self.probability(p)
        );
        let better = if alone[0] > alone[1] {
            &self.experiment
        } else {
            &self.reference
        };
        if self.corrected.is_some_and(|p| p <= LEVEL) {
            format!(
                "Of these two trained models, {better}'s is the better one {basis}, which may be \
                 the luck of its seed."
            )
        } else {
            format!("Nor can these two trained models {basis}.")
        }
    }

    fn probability(&self, p: f64) -> String {
        let corrected = self.corrected.unwrap_or(1.0);
        match self.comparisons {
            0 | 1 => format!("p {}", probability(p)),
            n => format!(
                "p {}, corrected for {n} comparisons {}",
                probability(p),
                probability(corrected)
            ),
        }
    }

    fn for_programs(&self) -> [Cell; 15] {
        let exact = |value: Option<f64>| value.map_or(Cell::Missing, |it| Cell::real(it, 0));
        let [ours, theirs] = &self.accuracies;
        let (test, interval, alone) = match self.evidence {
            Evidence::Experiments { tested, pairing } => {
                let paired = pairing == Pairing::BySeed;
                let test = if paired { "paired_by_seed" } else { "unpaired" };
                (Some(test), Some(tested.interval(CONFIDENCE)), None)
            }
            Evidence::Models { alone, .. } => (Some("mcnemar"), None, Some(alone)),
            Evidence::SingleRun | Evidence::NoOutputs => (None, None, None),
        };
        let verdict = match self.verdict() {
            Verdict::Better => "better",
            Verdict::Worse => "worse",
            Verdict::CannotBeToldApart => "cannot_be_told_apart",
            Verdict::NotTested => "not_tested",
        };
        [
            self.experiment.as_str().into(),
            self.reference.as_str().into(),
            ours.n.into(),
            theirs.n.into(),
            test.into(),
            exact(Some(ours.mean - theirs.mean)),
            exact(interval.map(|it| it[0])),
            exact(interval.map(|it| it[1])),
            alone.map(|it| it[0]).into(),
            alone.map(|it| it[1]).into(),
            exact(self.evidence.p()),
            exact(self.corrected),
            self.comparisons.into(),
            verdict.into(),
            self.text().into(),
        ]
    }
}

impl Evidence {
    fn of(first: &Arm, second: &Arm) -> Self {
        if let ([ours], [theirs]) = (first.right.as_slice(), second.right.as_slice()) {
            let alone = |a: &Right, b: &Right| a.iter().zip(b).filter(|(a, b)| **a && !**b).count();
            let alone = [alone(ours, theirs) as u64, alone(theirs, ours) as u64];
            let p = mcnemar(alone[0], alone[1]);
            return Evidence::Models { alone, p };
        }
        let pairing = if first.seeds == second.seeds {
            Pairing::BySeed
        } else {
            Pairing::None
        };
        let tested = difference(&first.right, &second.right, pairing);
        tested.map_or(Evidence::SingleRun, |tested| Evidence::Experiments {
            tested,
            pairing,
        })
    }

    /// The probability of its test, alone.
    fn p(&self) -> Option<f64> {
        match self {
            Evidence::Experiments { tested, .. } => Some(tested.p),
            Evidence::Models { p, .. } => Some(*p),
            Evidence::SingleRun | Evidence::NoOutputs => None,
        }
    }
}

/// An experiment's runs, as they are tested.
struct Arm {
    seeds: Vec<u64>,
    right: Vec<Right>,
}

fn arm(row: &Row) -> Result<Arm> {
    let runs = row.runs.iter();
    let right = runs.map(|run| run.answers().map(|answers| answers.right));
    Ok(Arm {
        seeds: row.seeds.clone(),
        right: right.collect::<Result<_>>()?,
    })
}

/// Controls are measured by what they are to show, not against everything.
fn without_controls(group: &[usize], rows: &[Row]) -> Vec<usize> {
    let is_no_control = |index: &usize| rows[*index].control.is_none();
    group.iter().copied().filter(is_no_control).collect()
}

/// Which experiments of a group are tested, as indices: each before the one that it is measured by,
/// which is from scratch if one of the two is, else the earlier one.
fn pairs(group: &[usize], rows: &[Row]) -> Vec<[usize; 2]> {
    let is_from_scratch = |index: usize| rows[index].regime == Regime::FromScratch;
    let group = without_controls(group, rows);
    let mut pairs = Vec::new();
    for (place, &later) in group.iter().enumerate() {
        for &earlier in &group[..place] {
            let pair = if is_from_scratch(later) && !is_from_scratch(earlier) {
                [earlier, later]
            } else {
                [later, earlier]
            };
            let measures_importing = is_from_scratch(pair[1]) && !is_from_scratch(pair[0]);
            if group.len() <= EACH_AGAINST_EACH || measures_importing {
                pairs.push(pair);
            }
        }
    }
    pairs
}

fn correct(contrasts: &mut [Contrast]) {
    let probabilities: Vec<f64> = contrasts.iter().filter_map(|it| it.evidence.p()).collect();
    let mut corrected = holm(&probabilities).into_iter();
    for contrast in contrasts {
        contrast.comparisons = probabilities.len();
        contrast.corrected = contrast.evidence.p().and_then(|_| corrected.next());
    }
}

/// A difference of shares in percentage points, `+12.6`.
fn points(difference: f64) -> String {
    // Rounded, and -0 made 0.
    let points = (difference * 1000.0).round() / 10.0 + 0.0;
    format!("{points:+.1}")
}

fn probability(p: f64) -> String {
    if p < 0.00005 {
        "< 0.0001".to_owned()
    } else {
        format!("= {p:.4}")
    }
}

fn runs([ours, theirs]: [&Summary; 2]) -> String {
    let runs = |n: usize| {
        if n == 1 {
            "1 run".to_owned()
        } else {
            format!("{n} runs")
        }
    };
    if ours.n == theirs.n {
        format!("{} each", runs(ours.n))
    } else {
        format!("{} against {}", runs(ours.n), runs(theirs.n))
    }
}

#[cfg(test)]
mod tests;
