//! What a comparison can tell, in words, and what it cannot: warnings, the verdicts, and how much the
//! choice of the test samples leaves uncertain.

use super::cell::grouped;
use super::contrast::{Contrast, are_too_many, by_test};
use super::controls;
use super::row::Row;
use crate::error::Error;
use crate::results::statistics::standard_error_of_share;

/// Sentences on `rows`, warnings first. `copies` records were left out as copies of others, and
/// some outputs are `unreadable`.
pub(super) fn notes(
    rows: &[Row],
    contrasts: &[Contrast],
    copies: usize,
    unreadable: Vec<Error>,
) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(different_tests(rows));
    notes.extend(same_names(rows));
    notes.extend(left_out(copies));
    notes.extend(
        unreadable
            .iter()
            .map(|error| format!("warning: {error}; its experiment is left out of the tests.")),
    );
    notes.extend(rows.iter().filter_map(not_above_baseline));
    let (warnings, of_controls) = controls::notes(rows);
    notes.extend(warnings);
    notes.extend(contrasts.iter().map(Contrast::text));
    notes.extend(of_controls);
    if are_too_many(rows) {
        notes.push(
            "More than four experiments on the same test data are only tested where some import \
             and some are from scratch; name two to four records to have these tested."
                .to_owned(),
        );
    }
    if contrasts.iter().any(has_a_single_run) {
        notes.push(
            "A single run cannot tell a difference from the luck of its seed: repeat with `seeds = 5`."
                .to_owned(),
        );
    }
    notes.extend(sampling(rows, contrasts));
    notes
}

fn has_a_single_run(contrast: &Contrast) -> bool {
    contrast.accuracies.iter().any(|accuracy| accuracy.n == 1)
}

/// A warning where not all rows were measured on the same test data.
fn different_tests(rows: &[Row]) -> Option<String> {
    let groups = by_test(rows);
    if groups.len() < 2 {
        return None;
    }
    let described: Vec<String> = groups
        .iter()
        .filter_map(|group| {
            let names = group.iter().map(|&index| rows[index].experiment.as_str());
            let names: Vec<&str> = names.collect();
            let test = &rows[*group.first()?].test;
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

/// What the choice of the test samples leaves uncertain: the most over the rows compared.
fn sampling(rows: &[Row], contrasts: &[Contrast]) -> Option<String> {
    let error = |row: &Row| standard_error_of_share(row.accuracy.mean, row.test.samples);
    let compared = |row: &&Row| {
        let names = |it: &Contrast| [&it.experiment, &it.reference].contains(&&row.experiment);
        contrasts.iter().any(names)
    };
    let rows = rows.iter().filter(compared);
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
    use crate::report::contrast::contrasts;
    use crate::results::loaded::LoadedRecord;
    use crate::results::record::Record;
    use crate::results::record::tests::{example, example_from_scratch};

    /// An experiment with a run for each of these accuracies, and no outputs.
    fn row(example: fn(&str, u64, f64) -> Record, name: &str, accuracies: &[f64]) -> Row {
        let runs = accuracies
            .iter()
            .zip(1..)
            .map(|(&accuracy, seed)| LoadedRecord {
                dir: format!("no/such/{name}-{seed}").into(),
                record: example(name, seed, accuracy),
            });
        let runs: Vec<LoadedRecord> = runs.collect();
        Row::of(&runs.iter().collect::<Vec<_>>()).unwrap()
    }

    fn all(rows: &[Row]) -> Vec<String> {
        let (contrasts, unreadable) = contrasts(rows);
        notes(rows, &contrasts, 0, unreadable)
    }

    #[test]
    fn outputs_that_cannot_be_read_are_a_warning_a_row() {
        let rows = [
            row(example, "tuned", &[0.9, 0.9]),
            row(example_from_scratch, "scratch", &[0.8, 0.8]),
        ];
        let notes = all(&rows);
        for (note, path) in notes.iter().zip(["tuned-1", "scratch-1"]) {
            let start = format!("warning: no/such/{path}/outputs.csv: ");
            assert!(note.starts_with(&start), "{notes:?}");
        }
        assert!(notes[2].starts_with("tuned and scratch were not tested"));
    }

    #[test]
    fn the_samples_alone_are_counted_where_they_leave_most_uncertain() {
        let rows = [
            row(example, "tuned", &[0.9, 0.9]),
            row(example_from_scratch, "scratch", &[0.8, 0.8]),
        ];
        // sqrt(0.8 * 0.2 / 2000) = 0.0089
        let notes = all(&rows);
        let expected = "On 2,000 test samples an accuracy of 0.800 is uncertain by 0.9";
        assert!(notes[3].starts_with(expected), "{notes:?}");
    }
}
