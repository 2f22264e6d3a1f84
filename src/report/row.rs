//! One experiment of a comparison: its runs taken together, and its cells.

use super::cell::Cell;
use crate::results::loaded::LoadedRecord;
use crate::results::record::{Coverage, DataFile, Record, Regime, Source};
use crate::results::statistics::Summary;
use crate::source::receipt;

/// Of every interval that a comparison gives.
pub(super) const CONFIDENCE: f64 = 0.95;

/// Headers of a comparison for people.
pub(super) const FOR_PEOPLE: [&str; 12] = [
    "experiment",
    "imported",
    "coverage",
    "multiplier",
    "runs",
    "accuracy",
    "95 % of the mean",
    "baseline",
    "test cost",
    "training cost",
    "epochs",
    "time",
];

/// Headers of a comparison for programs.
pub(super) const FOR_PROGRAMS: [&str; 26] = [
    "experiment",
    "regime",
    "source_model",
    "imported_tensors",
    "target_tensors",
    "coverage_parameters",
    "coverage_multiply_adds",
    "imported_multipliers",
    "runs",
    "seeds",
    "accuracy_mean",
    "accuracy_deviation",
    "accuracy_min",
    "accuracy_max",
    "accuracy_low",
    "accuracy_high",
    "majority_baseline",
    "test_cost",
    "training_cost",
    "epochs",
    "seconds",
    "train_samples",
    "test_samples",
    "test_data",
    "test_sha256",
    "control",
];

/// One experiment with all its runs. Costs and times are means over them.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub experiment: String,
    pub setup: String,
    pub regime: Regime,
    /// What was taken away on purpose.
    pub control: Option<String>,
    pub source: Option<Source>,
    pub train: DataFile,
    pub test: DataFile,
    /// Ascending, one a run.
    pub seeds: Vec<u64>,
    /// The records, in the order of the seeds.
    pub runs: Vec<LoadedRecord>,
    /// Share of the test samples predicted right, 0 to 1.
    pub accuracy: Summary,
    pub majority_baseline: f64,
    pub test_cost: f64,
    pub training_cost: f64,
    pub epochs: usize,
    pub seconds: f64,
}

impl Row {
    /// The runs of one experiment; `None` where there are none.
    pub(super) fn of(runs: &[&LoadedRecord]) -> Option<Self> {
        let first = &runs.first()?.record;
        let all = |number: fn(&Record) -> f64| -> Vec<f64> {
            runs.iter().map(|run| number(&run.record)).collect()
        };
        let mean = |number| Summary::of(&all(number)).map(|summary| summary.mean);
        let mut runs: Vec<LoadedRecord> = runs.iter().map(|&run| run.clone()).collect();
        runs.sort_by_key(|run| run.record.seed);
        Some(Self {
            experiment: first.experiment.clone(),
            setup: first.setup.clone(),
            regime: first.regime(),
            control: first.control.clone(),
            source: first.source.clone(),
            train: first.data.train.clone(),
            test: first.data.test.clone(),
            seeds: runs.iter().map(|run| run.record.seed).collect(),
            accuracy: Summary::of(&all(|run| run.metrics.accuracy))?,
            majority_baseline: first.metrics.majority_baseline,
            test_cost: mean(|run| run.metrics.test_cost)?,
            training_cost: mean(|run| run.metrics.training_cost)?,
            epochs: first.epochs,
            seconds: mean(|run| run.seconds)?,
            runs,
        })
    }

    /// The interval that holds the mean accuracy over all seeds that there could be, with 95 %
    /// confidence; absent for a single run.
    fn interval(&self) -> Option<[f64; 2]> {
        let interval = self.accuracy.interval(CONFIDENCE)?;
        Some(interval.map(|end| end.clamp(0.0, 1.0)))
    }

    fn coverage(&self) -> Option<Coverage> {
        self.source.as_ref()?.coverage
    }

    /// Under [`FOR_PEOPLE`].
    pub(super) fn for_people(&self) -> [Cell; 12] {
        let source = self.source.as_ref();
        let coverage = self.coverage();
        let imported = |it: &Source| format!("{} of {}", it.imported_tensors, it.target_tensors);
        let runs = match *self.seeds {
            [seed] => format!("1 (seed {seed})"),
            _ => self.seeds.len().to_string(),
        };
        let deviation = self.accuracy.deviation;
        let deviation = deviation.map_or("–".to_owned(), |deviation| format!("{deviation:.3}"));
        let mark = if self.control.is_some() {
            " (control)"
        } else {
            ""
        };
        [
            format!("{}{mark}", self.experiment).into(),
            source.map_or(Cell::Missing, |it| Cell::Figure(imported(it))),
            coverage.map_or(Cell::Missing, |it| Cell::Figure(percents(it))),
            source.map_or(Cell::Missing, |it| {
                Cell::Figure(listed(&it.multipliers, ", "))
            }),
            Cell::Figure(runs),
            Cell::Figure(format!("{:.3} ± {deviation}", self.accuracy.mean)),
            self.interval().map_or(Cell::Missing, |[low, high]| {
                Cell::Figure(format!("{low:.3} to {high:.3}"))
            }),
            Cell::real(self.majority_baseline, 3),
            Cell::real(self.test_cost, 4),
            Cell::real(self.training_cost, 4),
            self.epochs.into(),
            Cell::Figure(duration(self.seconds)),
        ]
    }

    /// Under [`FOR_PROGRAMS`].
    pub(super) fn for_programs(&self) -> [Cell; 26] {
        let source = self.source.as_ref();
        let coverage = self.coverage();
        let accuracy = &self.accuracy;
        let exact = |value| Cell::real(value, 0);
        [
            self.experiment.as_str().into(),
            self.regime.name().into(),
            source.map(|it| it.path.display().to_string()).into(),
            source.map(|it| it.imported_tensors).into(),
            source.map(|it| it.target_tensors).into(),
            coverage.map_or(Cell::Missing, |it| exact(it.parameters)),
            coverage.map_or(Cell::Missing, |it| exact(it.multiply_adds)),
            source.map(|it| listed(&it.multipliers, " ")).into(),
            self.seeds.len().into(),
            listed(&self.seeds, " ").into(),
            exact(accuracy.mean),
            accuracy.deviation.map_or(Cell::Missing, exact),
            exact(accuracy.min),
            exact(accuracy.max),
            self.interval().map_or(Cell::Missing, |it| exact(it[0])),
            self.interval().map_or(Cell::Missing, |it| exact(it[1])),
            exact(self.majority_baseline),
            exact(self.test_cost),
            exact(self.training_cost),
            self.epochs.into(),
            exact(self.seconds),
            self.train.samples.into(),
            self.test.samples.into(),
            self.test.path.display().to_string().into(),
            self.test.sha256.as_str().into(),
            self.control.clone().into(),
        ]
    }
}

/// Of the parameters, and of the multiply-adds: `97.1 % / 99.0 %`.
fn percents(coverage: Coverage) -> String {
    let [parameters, multiply_adds] =
        [coverage.parameters, coverage.multiply_adds].map(receipt::percents);
    format!("{parameters} / {multiply_adds}")
}

/// `12.3 s`, `1 min 23 s`, `2 h 05 min`.
pub fn duration(seconds: f64) -> String {
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    if whole < 3600 {
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        format!("{} h {:02} min", whole / 3600, whole / 60 % 60)
    }
}

fn listed<T: ToString>(values: &[T], separator: &str) -> String {
    let values: Vec<String> = values.iter().map(T::to_string).collect();
    values.join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_in_the_units_that_fit() {
        let durations = [0.0, 59.94, 59.96, 83.25, 3599.7, 7500.0].map(duration);
        let expected = [
            "0.0 s",
            "59.9 s",
            "1 min 00 s",
            "1 min 23 s",
            "1 h 00 min",
            "2 h 05 min",
        ];
        assert_eq!(durations, expected);
    }
}
