//! Tests of whether two experiments, or two trained models, differ: pure functions of which test
//! samples each run told right.
//!
//! An accuracy has two kinds of luck in it: the seed's (first weights, order, dropout), and that of
//! which samples were drawn for testing. [`difference`] counts both, for it asks about experiments:
//! would another set of seeds and of samples say the same? [`mcnemar`] counts the second alone: all
//! it can tell apart is two trained models.

use super::Summary;
use super::distributions::{fair_binomial_at_most, student_quantile, student_two_sided};

/// Which test samples a run told right, in the order of the test file.
pub type Right = Vec<bool>;

/// How the runs of two experiments belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairing {
    /// Run k of one and run k of the other have the same seed: what the seed gives both, such as
    /// the order of the samples, is not counted as luck.
    BySeed,
    /// Each run had a luck of its own.
    None,
}

/// The difference between two experiments' accuracies, the first less the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Of the mean accuracies, -1 to 1.
    pub mean: f64,
    pub standard_error: f64,
    /// Degrees of freedom of the standard error.
    pub degrees: f64,
    /// Probability of a difference at least as large if there is none but by luck.
    pub p: f64,
}

impl Difference {
    /// The interval that, in `confidence` of such comparisons, holds the true difference.
    pub fn interval(&self, confidence: f64) -> [f64; 2] {
        let half = self.standard_error * quantile(confidence, self.degrees);
        [self.mean - half, self.mean + half].map(|end| end.clamp(-1.0, 1.0))
    }
}

/// Tests the difference between two experiments by what each of their runs told right, counting the
/// luck of the seeds and that of the samples. `None` where an experiment has fewer than two runs,
/// where there are fewer than two samples, where runs differ in their number, or where they are
/// paired and differ in number.
///
/// The squared standard error of the difference is a sum:
/// - the variance of an experiment's accuracy over its runs, divided by their number, for each of
///   the two; of paired runs, that of their differences. Few runs may agree by chance: a variance
///   below what samples that are told right independently of each other would show is not believed;
/// - the variance over the samples of the share of runs that told a sample right, the first less
///   the second, without what the runs' luck puts into it, divided by the number of samples.
///
/// It is the sum of a crossed design (every run meets every sample, as every reader of a clinical
/// study reads every case: Dorfman, Berbaum and Metz 1992). The two parts' degrees of freedom are put
/// together as by Satterthwaite (1946); that of the runs has those of the experiment with fewer of
/// them, n - 1, whether they are paired or not. This is stricter than the test of Welch (1947), and
/// never claims too much, however the variances of the two differ (Mickey and Brown 1966). Two
/// experiments that differ on k samples only cannot be told apart better than by the sign test on
/// those, p = 2 / 2^k.
pub fn difference(first: &[Right], second: &[Right], pairing: Pairing) -> Option<Difference> {
    let samples = first.first()?.len();
    let fits = |arm: &[Right]| arm.len() > 1 && arm.iter().all(|run| run.len() == samples);
    if samples < 2 || !fits(first) || !fits(second) {
        return None;
    }
    let value = |right: bool| f64::from(u8::from(right));
    let of = |arm: &[Right]| Spread::of(arm.len(), samples, |run, sample| value(arm[run][sample]));
    let spreads = match pairing {
        Pairing::BySeed if first.len() != second.len() => return None,
        Pairing::BySeed => vec![Spread::of(first.len(), samples, |run, sample| {
            value(first[run][sample]) - value(second[run][sample])
        })],
        Pairing::None => vec![of(first), of(second)],
    };
    let per_sample: Vec<f64> = match spreads.as_slice() {
        [first, second] => first
            .means
            .iter()
            .zip(&second.means)
            .map(|(a, b)| a - b)
            .collect(),
        paired => paired.iter().flat_map(|it| it.means.clone()).collect(),
    };
    Some(combined(&per_sample, &spreads))
}

/// The exact test of McNemar (1947): of samples that one of two models alone told right,
/// `first_alone` the one and `second_alone` the other, would a fair coin divide them as unequally?
/// Two-sided; 1 where there are none.
pub fn mcnemar(first_alone: u64, second_alone: u64) -> f64 {
    let fewer = first_alone.min(second_alone);
    (2.0 * fair_binomial_at_most(fewer, first_alone + second_alone)).min(1.0)
}

/// The probabilities corrected for their number, in the given order: with those below 0.05 taken
/// for differences, one that is none is among them in at most 5 of 100 comparisons (Holm 1979).
pub fn holm(probabilities: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
    let mut corrected = vec![1.0; probabilities.len()];
    let mut least = 0.0_f64;
    for (place, &index) in order.iter().enumerate() {
        let left = (probabilities.len() - place) as f64;
        least = least.max((left * probabilities[index]).min(1.0));
        corrected[index] = least;
    }
    corrected
}

/// Student's t that bounds the middle `confidence` of its distribution.
pub(super) fn quantile(confidence: f64, degrees: f64) -> f64 {
    student_quantile(1.0 - confidence, degrees)
}

/// How the scores of runs on samples spread.
struct Spread {
    /// A sample's mean over the runs.
    means: Vec<f64>,
    /// Variance of the mean over runs and samples, by the luck of the runs.
    of_mean: f64,
    /// Variance of a sample's mean over the runs, averaged over the samples.
    of_sample: f64,
    degrees: f64,
}

impl Spread {
    fn of(runs: usize, samples: usize, score: impl Fn(usize, usize) -> f64) -> Self {
        let of_run = |run| (0..samples).map(|sample| score(run, sample)).sum::<f64>();
        let totals: Vec<f64> = (0..runs).map(|run| of_run(run) / samples as f64).collect();
        let mut means = Vec::with_capacity(samples);
        let mut within = 0.0;
        for sample in 0..samples {
            let scores: Vec<f64> = (0..runs).map(|run| score(run, sample)).collect();
            within += variance(&scores) / samples as f64;
            means.push(scores.iter().sum::<f64>() / runs as f64);
        }
        let of_totals = variance(&totals).max(within / samples as f64);
        Self {
            means,
            of_mean: of_totals / runs as f64,
            of_sample: within / runs as f64,
            degrees: (runs - 1) as f64,
        }
    }
}

fn combined(per_sample: &[f64], spreads: &[Spread]) -> Difference {
    let samples = per_sample.len() as f64;
    let mean = per_sample.iter().sum::<f64>() / samples;
    let luck: f64 = spreads.iter().map(|it| it.of_sample).sum();
    let of_samples = (variance(per_sample) - luck).max(0.0) / samples;
    let of_runs: f64 = spreads.iter().map(|it| it.of_mean).sum();
    let degrees = spreads.iter().map(|it| it.degrees);
    let fewest = degrees.fold(f64::INFINITY, f64::min);
    let total = of_runs + of_samples;
    let differing = per_sample.iter().filter(|score| **score != 0.0).count();
    let surest = (2.0 * 0.5_f64.powf(differing as f64)).min(1.0);
    // Without any spread there are no degrees to weigh: as many as the samples have.
    let (degrees, p) = if total > 0.0 {
        let weighed = of_runs.powi(2) / fewest + of_samples.powi(2) / (samples - 1.0);
        let degrees = total.powi(2) / weighed;
        (degrees, student_two_sided(mean / total.sqrt(), degrees))
    } else {
        (samples - 1.0, surest)
    };
    Difference {
        mean,
        standard_error: total.sqrt(),
        degrees,
        p: p.max(surest),
    }
}

/// Divisor n - 1; 0 for a single value.
fn variance(values: &[f64]) -> f64 {
    let deviation = Summary::of(values).and_then(|summary| summary.deviation);
    deviation.map_or(0.0, |deviation| deviation * deviation)
}

#[cfg(test)]
mod tests;
