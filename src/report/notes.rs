//! What a comparison can tell, in words, and what it cannot.
//!
//! Descriptions of the figures only: differences, whether runs overlap, how much the choice of the
//! test samples leaves uncertain. Whether a difference is significant is not claimed.

use super::cell::grouped;
use super::controls;
use super::row::Row;
use crate::results::record::Regime;
use crate::results::statistics::{Summary, standard_error_of_share};

/// Sentences on `rows`, warnings first. `copies` records were left out as copies of others.
pub(super) fn notes(rows: &[Row], copies: usize) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(different_tests(rows));
    notes.extend(same_names(rows));
    notes.extend(left_out(copies));
    notes.extend(rows.iter().filter_map(not_above_baseline));
    let (warnings, of_controls) = controls::notes(rows);
    notes.extend(warnings);
    let pairs: Vec<Pair> = rows.iter().filter_map(|row| Pair::of(row, rows)).collect();
    notes.extend(pairs.iter().map(Pair::difference));
    notes.extend(of_controls);
    if pairs.iter().any(Pair::has_a_single_run) {
        notes.push(
            "A single run cannot tell a difference from the luck of its seed: repeat with `seeds = 5`."
                .to_owned(),
        );
    }
    notes.extend(sampling(&pairs));
    notes
}

/// An experiment with imported layers, and the one from scratch that it is measured by.
struct Pair<'a> {
    row: &'a Row,
    scratch: &'a Row,
}

impl<'a> Pair<'a> {
    /// `None` for a row that is from scratch itself, or a control, or where there is none on the same training
    /// and test data. Of several, the best is taken.
    fn of(row: &'a Row, rows: &'a [Row]) -> Option<Self> {
        if row.regime == Regime::FromScratch || row.control.is_some() {
            return None;
        }
        let scratch = rows
            .iter()
            .filter(|it| it.regime == Regime::FromScratch && it.control.is_none())
            .filter(|it| it.train.sha256 == row.train.sha256 && it.test.sha256 == row.test.sha256)
            .max_by(|a, b| a.accuracy.mean.total_cmp(&b.accuracy.mean))?;
        Some(Self { row, scratch })
    }

    fn has_a_single_run(&self) -> bool {
        self.row.accuracy.n == 1 || self.scratch.accuracy.n == 1
    }

    /// What importing made of the accuracy.
    fn difference(&self) -> String {
        let (ours, theirs) = (&self.row.accuracy, &self.scratch.accuracy);
        // Rounded, and -0 made 0.
        let points = ((ours.mean - theirs.mean) * 1000.0).round() / 10.0 + 0.0;
        format!(
            "{}: {points:+.1} percentage points against {} ({:.3} against {:.3}, {} against {}){}.",
            self.row.experiment,
            self.scratch.experiment,
            ours.mean,
            theirs.mean,
            runs(ours),
            runs(theirs),
            self.overlap()
        )
    }

    /// How the runs of the two lie to one another; nothing where one has a single run.
    fn overlap(&self) -> String {
        let (ours, theirs) = (&self.row.accuracy, &self.scratch.accuracy);
        let scratch = &self.scratch.experiment;
        if self.has_a_single_run() {
            String::new()
        } else if ours.min > theirs.max {
            format!("; every run is above every run of {scratch}")
        } else if ours.max < theirs.min {
            format!("; every run is below every run of {scratch}")
        } else {
            "; their runs overlap".to_owned()
        }
    }
}

/// A warning where not all rows were measured on the same test data.
fn different_tests(rows: &[Row]) -> Option<String> {
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        let same = |group: &&mut Vec<&Row>| {
            group
                .first()
                .is_some_and(|first| first.test.sha256 == row.test.sha256)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    if groups.len() < 2 {
        return None;
    }
    let described: Vec<String> = groups
        .iter()
        .filter_map(|group| {
            let names: Vec<&str> = group.iter().map(|row| row.experiment.as_str()).collect();
            let test = &group.first()?.test;
            let sha256: String = test.sha256.chars().take(8).collect();
            Some(format!(
                "{} on {} (sha256 {sha256})",
                names.join(", "),
                test.path.display()
            ))
        })
        .collect();
    Some(format!(
        "warning: accuracies can only be compared on the same test data: {}.",
        described.join("; ")
    ))
}

/// A warning for names that stand in more than one row.
fn same_names(rows: &[Row]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let count = |rows: &[Row]| {
            rows.iter()
                .filter(|it| it.experiment == row.experiment)
                .count()
        };
        let (before, all) = (count(&rows[..index]), count(rows));
        if before == 0 && all > 1 {
            warnings.push(format!(
                "warning: {all} rows are named {}: the experiment, its data or its source model \
                 changed between these runs. Delete the records that you do not mean.",
                row.experiment
            ));
        }
    }
    warnings
}

fn left_out(copies: usize) -> Option<String> {
    match copies {
        0 => None,
        1 => Some("warning: 1 record is a copy of another and left out.".to_owned()),
        _ => Some(format!(
            "warning: {copies} records are copies of others and left out."
        )),
    }
}

fn not_above_baseline(row: &Row) -> Option<String> {
    let (accuracy, baseline) = (row.accuracy.mean, row.majority_baseline);
    // Not `accuracy <= baseline`: a NaN is not above it either.
    let above = accuracy > baseline;
    // A control need not be.
    (!above && row.control.is_none()).then(|| {
        format!(
            "warning: {} ({accuracy:.3}) is not above always answering the most frequent class ({baseline:.3}).",
            row.experiment
        )
    })
}

fn runs(accuracy: &Summary) -> String {
    match accuracy.n {
        1 => "1 run".to_owned(),
        n => format!("{n} runs"),
    }
}

/// What the choice of the test samples leaves uncertain: the most over the rows compared.
fn sampling(pairs: &[Pair]) -> Option<String> {
    let error = |row: &Row| standard_error_of_share(row.accuracy.mean, row.test.samples);
    let rows = pairs.iter().flat_map(|pair| [pair.row, pair.scratch]);
    let row = rows.max_by(|a, b| error(a).total_cmp(&error(b)))?;
    Some(format!(
        "On {} test samples an accuracy of {:.3} is uncertain by {:.1} percentage points (one \
         standard error) for the choice of the samples alone.",
        grouped(row.test.samples),
        row.accuracy.mean,
        error(row) * 100.0
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::record::Record;
    use crate::results::record::tests::{example, example_from_scratch};

    /// An experiment with a run for each of these accuracies.
    fn row(example: fn(&str, u64, f64) -> Record, name: &str, accuracies: &[f64]) -> Row {
        let seeds = 1..;
        let runs = accuracies.iter().zip(seeds);
        let runs: Vec<Record> = runs
            .map(|(&accuracy, seed)| example(name, seed, accuracy))
            .collect();
        Row::of(&runs.iter().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn runs_that_all_lie_below_are_said_to() {
        let rows = [
            row(example, "tuned", &[0.625, 0.6875]),
            row(example_from_scratch, "scratch", &[0.75, 0.8125, 0.875]),
        ];
        assert_eq!(
            notes(&rows, 0)[0],
            "tuned: -15.6 percentage points against scratch (0.656 against 0.812, 2 runs against \
             3 runs); every run is below every run of scratch."
        );
    }

    #[test]
    fn of_several_from_scratch_the_best_is_the_measure() {
        let rows = [
            row(example_from_scratch, "poor", &[0.625, 0.625]),
            row(example_from_scratch, "good", &[0.75, 0.75]),
            row(example, "tuned", &[0.75, 0.75]),
        ];
        let notes = notes(&rows, 0);
        assert!(
            notes[0].starts_with("tuned: +0.0 percentage points against good"),
            "{notes:?}"
        );
        assert!(notes[0].ends_with("their runs overlap."), "{notes:?}");
    }

    #[test]
    fn nothing_is_measured_by_a_run_on_other_data() {
        let tuned = row(example, "tuned", &[0.75]);
        let mut on_less = row(example_from_scratch, "scratch", &[0.625]);
        on_less.train.sha256 = "less".to_owned();
        assert_eq!(notes(&[tuned, on_less], 0), [] as [String; 0]);
    }

    #[test]
    fn the_samples_alone_are_counted_where_they_leave_most_uncertain() {
        let rows = [
            row(example, "tuned", &[0.9, 0.9]),
            row(example_from_scratch, "scratch", &[0.8, 0.8]),
        ];
        // sqrt(0.8 * 0.2 / 2000) = 0.0089
        let notes = notes(&rows, 0);
        let expected = "On 2,000 test samples an accuracy of 0.800 is uncertain by 0.9";
        assert!(notes[1].starts_with(expected), "{notes:?}");
    }
}
