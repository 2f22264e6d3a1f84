//! `graft inspect` of a record: what it says, as tables.

use super::cell::{Cell, grouped};
use super::row::duration;
use super::table::Table;
use crate::error::Result;
use crate::results::metrics::{PrecisionAndRecall, confusion_matrix, log_loss, top_k_error};
use crate::results::record::{DataFile, Record};
use crate::results::rows::{MetricsRow, OutputRow, Timing};

/// What was run, on what, with which outcome: a row a fact.
pub fn facts(record: &Record) -> Table {
    let parameters = &record.parameters;
    let metrics = &record.metrics;
    let mut table = Table::new(["fact", "value"]);
    let mut fact = |name: &str, value: String| table.push([name.to_owned(), value]);
    fact("experiment", record.experiment.clone());
    fact("seed", record.seed.to_string());
    fact("regime", record.regime().name().to_owned());
    fact("started", record.started.clone());
    fact("time", duration(record.seconds));
    fact("graft", record.graft.clone());
    fact(
        "backend",
        format!(
            "{} ({}, {} threads)",
            record.backend, record.device, record.threads
        ),
    );
    fact("training data", data_file(&record.data.train));
    fact("test data", data_file(&record.data.test));
    fact("classes", record.classes.join(", "));
    if let Some(source) = &record.source {
        let (imported, all) = (source.imported_tensors, source.target_tensors);
        let (path, format) = (source.path.display(), &source.format);
        fact(
            "source model",
            format!("{path} ({format}): {imported} of {all} tensors"),
        );
    }
    fact("parameters", grouped(parameters.total));
    fact("… imported", grouped(parameters.imported));
    fact("… trained", grouped(parameters.trained));
    fact("… frozen", grouped(parameters.frozen));
    fact("epochs", record.epochs.to_string());
    fact("training cost", format!("{:.4}", metrics.training_cost));
    fact("test cost", format!("{:.4}", metrics.test_cost));
    fact("accuracy", format!("{:.4}", metrics.accuracy));
    fact(
        "majority baseline",
        format!("{:.4}", metrics.majority_baseline),
    );
    fact("identity", record.identity.clone());
    table
}

/// A row an epoch.
pub fn epochs(rows: &[MetricsRow], timings: &[Timing]) -> Table {
    let headers = [
        "epoch",
        "training cost",
        "test cost",
        "accuracy",
        "learning rate",
        "seconds",
        "images/s",
    ];
    let real = |value: Option<f64>, decimals| {
        value.map_or(Cell::Missing, |value| Cell::real(value, decimals))
    };
    let time = |row: &MetricsRow| timings.iter().find(|timing| timing.epoch == row.epoch);
    rows.iter().fold(Table::new(headers), |table, row| {
        table.row([
            row.epoch.into(),
            Cell::real(row.training_cost, 4),
            real(row.test_cost, 4),
            real(row.accuracy, 3),
            Cell::real(row.learning_rate, 6),
            real(time(row).map(|timing| timing.seconds), 1),
            real(time(row).map(|timing| timing.images_per_second), 0),
        ])
    })
}

/// How the test samples were told apart, from the confusions of classes to single figures: the
/// confusion matrix, precision and recall of each class, and figures over all samples.
///
/// # Errors
/// No samples, or a class that is not among `names`.
pub fn test(names: &[String], rows: &[OutputRow]) -> Result<[Table; 3]> {
    let labels: Vec<usize> = rows.iter().map(|row| row.label).collect();
    let predicted: Vec<usize> = rows.iter().map(|row| row.predicted).collect();
    let confidences: Vec<&[f64]> = rows.iter().map(|row| row.confidences.as_slice()).collect();
    let matrix = confusion_matrix(&labels, &predicted, names.len())?;
    let shares = PrecisionAndRecall::of(&matrix);

    let mut figures = Table::new(["measure", "value"]);
    let mut figure = |name: &str, value| figures.push([Cell::from(name), Cell::real(value, 4)]);
    let (precision, recall) = shares.means();
    figure("mean precision", precision);
    figure("mean recall", recall);
    figure("log loss", log_loss(&labels, &confidences)?);
    if names.len() > 5 {
        figure("top-5 error", top_k_error(&labels, &confidences, 5)?);
    }
    Ok([
        confusion(names, &matrix),
        classes(names, &matrix, &shares),
        figures,
    ])
}

/// A row a class.
fn classes(names: &[String], matrix: &[Vec<u64>], shares: &PrecisionAndRecall) -> Table {
    let shares = shares.precision.iter().zip(&shares.recall);
    let rows = names.iter().zip(matrix).zip(shares).enumerate();
    let mut table = Table::new(["class", "samples", "predicted", "precision", "recall"]);
    for (class, ((name, row), (&precision, &recall))) in rows {
        table.push([
            name.as_str().into(),
            Cell::Count(row.iter().sum()),
            Cell::Count(matrix.iter().filter_map(|row| row.get(class)).sum()),
            Cell::real(precision, 4),
            Cell::real(recall, 4),
        ]);
    }
    table
}

/// A row a label, a column a prediction; see [`confusion_matrix`].
fn confusion(classes: &[String], matrix: &[Vec<u64>]) -> Table {
    let first = "label \\ predicted".to_owned();
    let mut table = Table::new([first].into_iter().chain(classes.iter().cloned()));
    for (class, row) in classes.iter().zip(matrix) {
        let counts = row.iter().map(|&count| Cell::Count(count));
        table.push([Cell::from(class.as_str())].into_iter().chain(counts));
    }
    table
}

fn data_file(file: &DataFile) -> String {
    let (path, samples) = (file.path.display(), grouped(file.samples));
    format!("{path}: {samples} samples in {} classes", file.classes)
}

#[cfg(test)]
mod tests {
    use super::super::table::Format;
    use super::*;
    use crate::results::record::tests::{example, example_from_scratch};

    #[test]
    fn the_facts_name_the_source_model_only_where_there_is_one() {
        let facts_of = |record| facts(&record).render(Format::Csv);
        let tuned = facts_of(example("fine_tuning", 42, 0.8525));
        assert!(
            tuned.contains(
                "source model,models/source.safetensors (safetensors): 26 of 32 tensors\n"
            )
        );
        assert!(tuned.contains("training data,data/train.h5: 300 samples in 2 classes\n"));
        assert!(tuned.contains("parameters,\"1,234,567\"\n"));
        let scratch = facts_of(example_from_scratch("from_scratch", 42, 0.75));
        assert!(!scratch.contains("source model"));
        assert!(scratch.contains("regime,from_scratch\n"));
    }

    #[test]
    fn an_epoch_that_was_not_evaluated_has_dashes() {
        let row = MetricsRow {
            epoch: 1,
            training_cost: 0.69325,
            test_cost: None,
            accuracy: None,
            learning_rate: 0.001,
            group_learning_rates: Vec::new(),
        };
        let timing = Timing {
            epoch: 1,
            seconds: 12.34,
            images_per_second: 162.7,
            seconds_waiting: 0.0,
        };
        let markdown = epochs(&[row], &[timing]).render(Format::Markdown);
        assert!(
            markdown.ends_with("| 1 | 0.6933 | – | – | 0.001000 | 12.3 | 163 |\n"),
            "{markdown}"
        );
    }

    /// A test of one sample a label and prediction, sure of the prediction but for a rest.
    fn outputs(classes: usize, pairs: &[(usize, usize)]) -> Vec<OutputRow> {
        let row = |(index, &(label, predicted)): (usize, &(usize, usize))| {
            let confidence = |class| match class == predicted {
                true => 0.5,
                false => 0.5 / (classes - 1) as f64,
            };
            OutputRow {
                index,
                label,
                predicted,
                confidences: (0..classes).map(confidence).collect(),
            }
        };
        pairs.iter().enumerate().map(row).collect()
    }

    #[test]
    fn a_test_is_summed_up_by_class_and_over_all() {
        let names = ["frowning", "smiling"].map(str::to_owned);
        let rows = outputs(2, &[(0, 0), (0, 0), (0, 1), (1, 1)]);
        let [_, classes, figures] = test(&names, &rows).unwrap();
        assert_eq!(
            classes.render(Format::Markdown),
            "| class | samples | predicted | precision | recall |\n\
             | --- | ---: | ---: | ---: | ---: |\n\
             | frowning | 3 | 2 | 1.0000 | 0.6667 |\n\
             | smiling | 1 | 2 | 0.5000 | 1.0000 |\n"
        );
        let figures = figures.render(Format::Markdown);
        assert!(
            figures.ends_with(
                "| mean precision | 0.7500 |\n| mean recall | 0.8333 |\n| log loss | 0.6931 |\n"
            ),
            "{figures}"
        );
    }

    #[test]
    fn the_top_5_of_more_than_5_classes_are_looked_at() {
        let names: Vec<String> = (0..6).map(|class| format!("c{class}")).collect();
        // Among equals the last class is the sixth.
        let [.., figures] = test(&names, &outputs(6, &[(0, 0), (5, 0)])).unwrap();
        let figures = figures.render(Format::Csv);
        assert!(figures.ends_with("\ntop-5 error,0.5\n"), "{figures}");
        let error = test(&names[..5], &outputs(6, &[(5, 0)])).unwrap_err();
        assert_eq!(error.to_string(), "class 5 among classes 0 to 4");
    }

    #[test]
    fn the_confusion_matrix_is_labelled_on_both_sides() {
        let classes = ["frowning", "smiling"].map(str::to_owned);
        let table = confusion(&classes, &[vec![900, 100], vec![50, 950]]);
        assert_eq!(
            table.render(Format::Csv),
            "label \\ predicted,frowning,smiling\nfrowning,900,100\nsmiling,50,950\n"
        );
    }
}
