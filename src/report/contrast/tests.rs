use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::results::answers::tests::put_outputs;
use crate::results::loaded::LoadedRecord;
use crate::results::record::tests::{example, example_from_scratch};
use crate::results::record::{OUTPUTS, Record};

type Example = fn(&str, u64, f64) -> Record;

/// An experiment with a run for each of these accuracies, from this seed on, and their outputs.
fn row(results: &Path, example: Example, name: &str, seed: u64, accuracies: &[f64]) -> Row {
    let runs = accuracies.iter().zip(seed..).map(|(&accuracy, seed)| {
        let record = example(name, seed, accuracy);
        let dir = results.join(format!("{name}-{seed}"));
        put_outputs(&dir, &record);
        LoadedRecord { dir, record }
    });
    let runs: Vec<LoadedRecord> = runs.collect();
    Row::of(&runs.iter().collect::<Vec<_>>()).unwrap()
}

fn results() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn texts(rows: &[Row]) -> Vec<String> {
    let (contrasts, errors) = contrasts(rows);
    assert_eq!(errors, []);
    contrasts.iter().map(Contrast::text).collect()
}

#[test]
fn several_seeds_of_each_make_a_verdict_on_the_experiments() {
    let results = results();
    let rows = [
        row(
            results.path(),
            example_from_scratch,
            "scratch",
            1,
            &[0.75, 0.8125, 0.875],
        ),
        row(results.path(), example, "tuned", 1, &[0.625, 0.6875, 0.75]),
    ];
    assert_eq!(
        texts(&rows),
        [
            "tuned is worse than scratch: -12.5 percentage points (0.688 against 0.812), 95 % interval \
          -13.7 to -11.3; p < 0.0001; 3 runs each, paired by seed."
        ]
    );
}

#[test]
fn experiments_whose_seeds_differ_more_than_they_do_cannot_be_told_apart() {
    let results = results();
    let rows = [
        row(
            results.path(),
            example_from_scratch,
            "scratch",
            1,
            &[0.625, 0.75, 0.875],
        ),
        row(results.path(), example, "tuned", 7, &[0.6875, 0.8125]),
    ];
    let texts = texts(&rows);
    let expected =
        "tuned and scratch cannot be told apart: +0.0 percentage points (0.750 against 0.750)";
    assert!(texts[0].starts_with(expected), "{texts:?}");
    assert!(
        texts[0].ends_with("p = 1.0000; 2 runs against 3 runs."),
        "{texts:?}"
    );
}

#[test]
fn a_single_run_each_tells_two_models_apart_and_no_experiments() {
    let results = results();
    let rows = [
        row(results.path(), example_from_scratch, "scratch", 1, &[0.5]),
        row(results.path(), example, "tuned", 1, &[0.75]),
    ];
    let (contrasts, _) = contrasts(&rows);
    assert_eq!(contrasts[0].verdict(), Verdict::CannotBeToldApart);
    assert_eq!(
        contrasts[0].text(),
        "tuned and scratch cannot be told apart by a single run each: +25.0 percentage points \
         (0.750 against 0.500). Of these two trained models, tuned's is the better one (500 samples \
         told right by the one alone, 0 by the other; McNemar's test, p < 0.0001), which may be the \
         luck of its seed."
    );
}

#[test]
fn a_single_run_against_several_is_not_tested_either() {
    let results = results();
    let rows = [
        row(
            results.path(),
            example_from_scratch,
            "scratch",
            1,
            &[0.5, 0.5],
        ),
        row(results.path(), example, "tuned", 1, &[0.75]),
    ];
    let (contrasts, _) = contrasts(&rows);
    assert_eq!(contrasts[0].verdict(), Verdict::CannotBeToldApart);
    assert_eq!(
        (contrasts[0].evidence, contrasts[0].corrected),
        (Evidence::SingleRun, None)
    );
}

#[test]
fn verdicts_are_corrected_for_the_number_of_comparisons() {
    let results = results();
    let spread = [0.75, 0.78, 0.81];
    let rows = [
        row(
            results.path(),
            example_from_scratch,
            "scratch",
            1,
            &[0.66, 0.69, 0.63],
        ),
        row(results.path(), example, "a", 4, &spread),
    ];
    let (alone, _) = contrasts(&rows);
    assert_eq!(alone[0].verdict(), Verdict::Better, "{}", alone[0].text());
    let [scratch, a] = rows;
    let rows = [
        scratch,
        a,
        row(results.path(), example, "b", 7, &spread),
        row(results.path(), example, "c", 10, &spread),
    ];
    let (among_six, _) = contrasts(&rows);
    assert_eq!((among_six.len(), among_six[0].comparisons), (6, 6));
    assert_eq!(among_six[0].verdict(), Verdict::CannotBeToldApart);
    assert!(among_six[0].text().contains("corrected for 6 comparisons"));
}

#[test]
fn of_more_than_four_those_that_import_are_tested_against_those_from_scratch() {
    let results = results();
    let make = |example: Example, name: &str| row(results.path(), example, name, 1, &[0.5, 0.75]);
    let mut rows: Vec<Row> = ["a", "b", "c", "d"]
        .map(|name| make(example, name))
        .to_vec();
    assert_eq!(contrasts(&rows).0.len(), 6);
    rows.push(make(example, "e"));
    assert!(contrasts(&rows).0.is_empty() && are_too_many(&rows));
    rows.push(make(example_from_scratch, "scratch"));
    let (contrasts, _) = contrasts(&rows);
    assert!(contrasts.len() == 5 && !are_too_many(&rows));
    assert!(contrasts.iter().all(|it| it.reference == "scratch"));
}

#[test]
fn experiments_on_other_test_data_are_not_tested_and_other_training_data_are_named() {
    let results = results();
    let tuned = row(results.path(), example, "tuned", 1, &[0.75, 0.75]);
    let mut other = row(
        results.path(),
        example_from_scratch,
        "scratch",
        1,
        &[0.5, 0.5],
    );
    other.train.sha256 = "less".to_owned();
    let rows = [tuned, other];
    assert!(texts(&rows)[0].ends_with(" They were trained on different data."));
    let [tuned, mut other] = rows;
    other.test.sha256 = "another".to_owned();
    assert_eq!(texts(&[tuned, other]), [] as [String; 0]);
}

#[test]
fn without_outputs_nothing_is_claimed() {
    let results = results();
    let rows = [
        row(
            results.path(),
            example_from_scratch,
            "scratch",
            1,
            &[0.5, 0.5],
        ),
        row(results.path(), example, "tuned", 1, &[0.75, 0.75]),
    ];
    std::fs::remove_file(results.path().join("tuned-2").join(OUTPUTS)).unwrap();
    let (contrasts, errors) = contrasts(&rows);
    assert!(
        errors[0].to_string().contains("tuned-2/outputs.csv"),
        "{errors:?}"
    );
    assert_eq!(contrasts[0].verdict(), Verdict::NotTested);
    assert_eq!(
        contrasts[0].text(),
        "tuned and scratch were not tested, for want of outputs: +25.0 percentage points (0.750 \
         against 0.500); 2 runs each."
    );
}
