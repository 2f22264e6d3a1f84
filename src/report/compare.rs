//! `graft compare`: one row an experiment, its seeds taken together, and in words below what the
//! figures can tell.
//!
//! Runs are only averaged if they differ in nothing but the seed; see
//! [`Record::setup`](crate::results::record::Record::setup).

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::Serialize;

use super::contrast::{self, Contrast};
use super::notes;
use super::row::{FOR_PEOPLE, FOR_PROGRAMS, Row};
use super::table::{Format, Table, json};
use crate::results::loaded::LoadedRecord;

/// In which order the experiments are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As the records come.
    Given,
    /// By directory, then those on the same test data together, then from scratch, fine-tuning,
    /// feature extraction, then by name.
    Sorted,
}

/// Experiments side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub rows: Vec<Row>,
    /// Which of them differ.
    pub contrasts: Vec<Contrast>,
    /// Sentences on what the rows tell; warnings first. CSV has no place for them.
    pub notes: Vec<String>,
}

/// Puts the experiments of `records` side by side. A record of the same run as another, copied to
/// a second directory, counts once.
pub fn compare(records: &[LoadedRecord], order: Order) -> Comparison {
    let (groups, copies) = group(records);
    let mut rows: Vec<Row> = groups.iter().filter_map(|group| Row::of(group)).collect();
    if order == Order::Sorted {
        sort(&mut rows);
    }
    let (contrasts, unreadable) = contrast::contrasts(&rows);
    let notes = notes::notes(&rows, &contrasts, copies, unreadable);
    Comparison {
        rows,
        contrasts,
        notes,
    }
}

impl Comparison {
    /// The table, and below it the notes where the format has a place for them. JSON is an object
    /// of `rows`, `comparisons` and `notes`.
    pub fn render(&self, format: Format) -> String {
        /// What JSON shows.
        #[derive(Serialize)]
        struct Object<'a> {
            rows: Table,
            comparisons: Table,
            notes: &'a [String],
        }
        let notes = &self.notes;
        let list = |bullet: &str| -> String {
            let lines = notes.iter().map(|note| format!("{bullet}{note}\n"));
            lines.collect()
        };
        match format {
            Format::Terminal => self.for_people().render(format) + &list(""),
            Format::Markdown if notes.is_empty() => self.for_people().render(format),
            Format::Markdown => self.for_people().render(format) + "\n" + &list("- "),
            Format::Csv => self.for_programs().render(format),
            Format::Json => json(&Object {
                rows: self.for_programs(),
                comparisons: contrast::for_programs(&self.contrasts),
                notes,
            }),
        }
    }

    fn for_people(&self) -> Table {
        let rows = self.rows.iter().map(Row::for_people);
        rows.fold(Table::new(FOR_PEOPLE), Table::row)
    }

    fn for_programs(&self) -> Table {
        let rows = self.rows.iter().map(Row::for_programs);
        rows.fold(Table::new(FOR_PROGRAMS), Table::row)
    }
}

/// The records by experiment and setup, in the order of each one's first, and the number of
/// copies that were left out.
fn group(records: &[LoadedRecord]) -> (Vec<Vec<&LoadedRecord>>, usize) {
    let mut groups: Vec<Vec<&LoadedRecord>> = Vec::new();
    let mut seen = BTreeSet::new();
    for loaded in records {
        let record = &loaded.record;
        let name = (&record.experiment, &record.setup);
        if !seen.insert((name, record.seed)) {
            continue;
        }
        let same = |group: &&mut Vec<&LoadedRecord>| {
            let first = group.first().map(|first| &first.record);
            first.is_some_and(|first| (&first.experiment, &first.setup) == name)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(loaded),
            None => groups.push(vec![loaded]),
        }
    }
    (groups, records.len() - seen.len())
}

fn sort(rows: &mut [Row]) {
    let tests: Vec<_> = rows
        .iter()
        .map(|row| (directory(row).to_owned(), row.test.sha256.clone()))
        .collect();
    rows.sort_by_cached_key(|row| {
        let place = (directory(row).to_owned(), row.test.sha256.clone());
        // The larger company first: a source task stands below the experiments that build on it.
        let company = Reverse(tests.iter().filter(|test| **test == place).count());
        (
            place.0,
            company,
            place.1,
            row.regime,
            row.experiment.clone(),
            row.setup.clone(),
        )
    });
}

/// What stands before the last `/` of the experiment's name.
fn directory(row: &Row) -> &str {
    row.experiment
        .rsplit_once('/')
        .map_or("", |(directory, _)| directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::answers::tests::put_outputs;
    use crate::results::record::Record;
    use crate::results::record::tests::{example, example_from_scratch};
    use std::path::Path;
    use tempfile::TempDir;

    fn loaded(record: Record) -> LoadedRecord {
        let dir = format!("results/{}/seed-{}", record.experiment, record.seed).into();
        LoadedRecord { dir, record }
    }

    /// The same with its outputs, below `results`.
    fn with_outputs(results: &Path, record: Record) -> LoadedRecord {
        let name = format!("{}-{}", record.experiment, record.seed);
        let dir = results.join(name.replace('/', "-"));
        put_outputs(&dir, &record);
        LoadedRecord { dir, record }
    }

    /// The three regimes over two seeds each, and the source task with one, in no good order.
    fn suite() -> (TempDir, Vec<LoadedRecord>) {
        let frozen = |seed, accuracy| {
            let mut record = example("feature_extraction", seed, accuracy);
            record.source.as_mut().unwrap().multipliers = vec![0.0];
            record
        };
        let mut source = example_from_scratch("a_source", 1, 0.625);
        source.data.test.path = "data/source_test.h5".into();
        source.data.test.sha256 = "5".repeat(64);
        source.metrics.majority_baseline = 0.1;
        source.seconds = 4000.0;
        let records = [
            source,
            frozen(1, 0.75),
            frozen(2, 0.875),
            example("fine_tuning", 2, 0.875),
            example("fine_tuning", 1, 0.8125),
            example_from_scratch("from_scratch", 1, 0.6875),
            example_from_scratch("from_scratch", 2, 0.75),
        ];
        let results = tempfile::tempdir().unwrap();
        let records = records.map(|record| with_outputs(results.path(), record));
        (results, records.to_vec())
    }

    fn names(comparison: &Comparison) -> Vec<&str> {
        comparison
            .rows
            .iter()
            .map(|row| row.experiment.as_str())
            .collect()
    }

    #[test]
    fn the_terminal_shows_a_row_an_experiment_and_what_it_tells() {
        let text = compare(&suite().1, Order::Sorted).render(Format::Terminal);
        let rule = "─".repeat(159);
        assert_eq!(text, format!(
            "\
{rule}
experiment          imported         coverage  multiplier        runs       accuracy  95 % of the mean  baseline  test cost  training cost  epochs        time
{rule}
from_scratch               –                –           –           2  0.719 ± 0.044    0.322 to 1.000     0.500     0.4000         0.3000      10  1 min 23 s
fine_tuning         26 of 32  64.8 % / 95.0 %       0.001           2  0.844 ± 0.044    0.447 to 1.000     0.500     0.4000         0.3000      10  1 min 23 s
feature_extraction  26 of 32  64.8 % / 95.0 %           0           2  0.812 ± 0.088    0.018 to 1.000     0.500     0.4000         0.3000      10  1 min 23 s
a_source                   –                –           –  1 (seed 1)      0.625 ± –                 –     0.100     0.4000         0.3000      10  1 h 06 min
{rule}
warning: accuracies can only be compared on the same test data: from_scratch, fine_tuning, feature_extraction on data/test.h5 (sha256 20000000); a_source on data/source_test.h5 (sha256 55555555).
fine_tuning is better than from_scratch: +12.5 percentage points (0.844 against 0.719), 95 % interval +11.0 to +14.0; p < 0.0001, corrected for 3 comparisons < 0.0001; 2 runs each, paired by seed.
feature_extraction and from_scratch cannot be told apart: +9.4 percentage points (0.812 against 0.719), 95 % interval -30.3 to +49.1; p = 0.2048, corrected for 3 comparisons = 0.4097; 2 runs each, paired by seed.
feature_extraction and fine_tuning cannot be told apart: -3.1 percentage points (0.812 against 0.844), 95 % interval -42.8 to +36.6; p = 0.5000, corrected for 3 comparisons = 0.5000; 2 runs each, paired by seed.
On 2,000 test samples an accuracy of 0.719 is uncertain by 1.0 percentage points (one standard error) for the choice of the samples alone.
"
        ));
    }

    #[test]
    fn csv_has_every_digit_and_no_notes() {
        let text = compare(&suite().1, Order::Sorted).render(Format::Csv);
        let (test, source_test) = (format!("{:0<64}", 2), "5".repeat(64));
        assert_eq!(text, format!(
            "\
experiment,regime,source_model,imported_tensors,target_tensors,coverage_parameters,coverage_multiply_adds,imported_multipliers,runs,seeds,accuracy_mean,accuracy_deviation,accuracy_min,accuracy_max,accuracy_low,accuracy_high,majority_baseline,test_cost,training_cost,epochs,seconds,train_samples,test_samples,test_data,test_sha256,control
from_scratch,from_scratch,,,,,,,2,1 2,0.71875,0.04419417382415922,0.6875,0.75,0.3216811019945405,1.0,0.5,0.4,0.30000000000000004,10,83.25,300,2000,data/test.h5,{test},
fine_tuning,fine_tuning,models/source.safetensors,26,32,0.648,0.95,0.001,2,1 2,0.84375,0.04419417382415922,0.8125,0.875,0.4466811019945405,1.0,0.5,0.4,0.30000000000000004,10,83.25,300,2000,data/test.h5,{test},
feature_extraction,feature_extraction,models/source.safetensors,26,32,0.648,0.95,0,2,1 2,0.8125,0.08838834764831845,0.75,0.875,0.01836220398908095,1.0,0.5,0.4,0.30000000000000004,10,83.25,300,2000,data/test.h5,{test},
a_source,from_scratch,,,,,,,1,1,0.625,,0.625,0.625,,,0.1,0.4,0.30000000000000004,10,4000.0,300,2000,data/source_test.h5,{source_test},
"
        ));
    }

    #[test]
    fn markdown_lists_the_notes_below() {
        let results = tempfile::tempdir().unwrap();
        let pair = [
            example("fine_tuning", 42, 0.5),
            example_from_scratch("from_scratch", 42, 0.75),
        ]
        .map(|record| with_outputs(results.path(), record));
        let text = compare(&pair, Order::Given).render(Format::Markdown);
        assert_eq!(text, "\
| experiment | imported | coverage | multiplier | runs | accuracy | 95 % of the mean | baseline | test cost | training cost | epochs | time |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| fine_tuning | 26 of 32 | 64.8 % / 95.0 % | 0.001 | 1 (seed 42) | 0.500 ± – | – | 0.500 | 0.4000 | 0.3000 | 10 | 1 min 23 s |
| from_scratch | – | – | – | 1 (seed 42) | 0.750 ± – | – | 0.500 | 0.4000 | 0.3000 | 10 | 1 min 23 s |

- warning: fine_tuning (0.500) is not above always answering the most frequent class (0.500).
- fine_tuning and from_scratch cannot be told apart by a single run each: -25.0 percentage points (0.500 against 0.750). Of these two trained models, from_scratch's is the better one (0 samples told right by the one alone, 500 by the other; McNemar's test, p < 0.0001), which may be the luck of its seed.
- A single run cannot tell a difference from the luck of its seed: repeat with `seeds = 5`.
- On 2,000 test samples an accuracy of 0.500 is uncertain by 1.1 percentage points (one standard error) for the choice of the samples alone.
");
    }

    #[test]
    fn json_has_rows_and_notes() {
        let text = compare(&suite().1, Order::Sorted).render(Format::Json);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["rows"][1]["experiment"], "fine_tuning");
        assert_eq!(value["rows"][1]["accuracy_mean"], 0.84375);
        assert_eq!(
            value["rows"][3]["accuracy_deviation"],
            serde_json::Value::Null
        );
        assert!(value["notes"].as_array().unwrap().len() > 1);
        assert_eq!(value["comparisons"][0]["reference"], "from_scratch");
        assert_eq!(value["comparisons"][0]["verdict"], "better");
        assert_eq!(value["comparisons"][1]["verdict"], "cannot_be_told_apart");
    }

    #[test]
    fn sorted_rows_keep_regimes_in_order_within_their_test_data_and_directory() {
        let (_results, mut records) = suite();
        records.push(loaded(example("faces/fine_tuning", 1, 0.5)));
        let sorted = [
            "from_scratch",
            "fine_tuning",
            "feature_extraction",
            "a_source",
            "faces/fine_tuning",
        ];
        assert_eq!(names(&compare(&records, Order::Sorted)), sorted);
        let given = [
            "a_source",
            "feature_extraction",
            "fine_tuning",
            "from_scratch",
            "faces/fine_tuning",
        ];
        assert_eq!(names(&compare(&records, Order::Given)), given);
    }

    #[test]
    fn runs_of_different_setups_are_never_averaged() {
        let mut changed = example("fine_tuning", 2, 0.5);
        changed.setup = "more epochs".to_owned();
        let records = [loaded(example("fine_tuning", 1, 0.75)), loaded(changed)];
        let comparison = compare(&records, Order::Sorted);
        assert_eq!(comparison.rows.len(), 2);
        assert!(
            comparison.notes[0].contains("2 rows are named fine_tuning"),
            "{comparison:?}"
        );
    }

    #[test]
    fn a_copy_of_a_record_counts_once() {
        let record = || loaded(example("fine_tuning", 1, 0.75));
        let comparison = compare(&[record(), record()], Order::Sorted);
        assert_eq!(comparison.rows[0].accuracy.n, 1);
        assert!(
            comparison.notes[0].contains("1 record is a copy"),
            "{comparison:?}"
        );
    }

    #[test]
    fn no_records_make_an_empty_table() {
        let comparison = compare(&[], Order::Sorted);
        assert!(comparison.rows.is_empty() && comparison.notes.is_empty());
    }
}
