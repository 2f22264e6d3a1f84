//! `metrics.csv` and `outputs.csv` against the figures in `record.json`, and `inference.txt` against both.

use std::fs;

use super::claim::Claim;
use super::{Findings, What};
use crate::results::inference;
use crate::results::metrics::{accuracy, majority_baseline};
use crate::results::record::{self, Metrics};
use crate::results::rows::OutputRow;
use crate::train::order;
use crate::train::schedule::{self, Time};
use crate::train::{evaluate, loss};

/// A row an epoch, the last of which is the one that the record sums up, at the rates of the schedule.
pub fn check_metrics(claim: &Claim, findings: &mut Findings) {
    let (Some(rows), Some(experiment)) = (&claim.metrics, &claim.experiment) else {
        return;
    };
    let record = &claim.loaded.record;
    findings.expect(rows.len() == experiment.epochs, What::Epochs, || {
        let (found, stated) = (rows.len(), experiment.epochs);
        format!("metrics.csv has {found} epochs, the experiment {stated}")
    });
    if let Some((place, row)) = (1..).zip(rows).find(|(place, row)| row.epoch != *place) {
        let text = format!("line {place} of metrics.csv is of epoch {}", row.epoch);
        findings.add(What::Metrics, text);
    }
    if let Some(last) = rows.last() {
        let claimed = record.metrics.training_cost;
        findings.expect(same(last.training_cost, claimed), What::Metrics, || {
            let cost = last.training_cost;
            format!("record.json says a training cost of {claimed}, metrics.csv {cost}")
        });
        let is_last = rows.len() == experiment.epochs;
        let evaluated = last.accuracy.filter(|_| is_last);
        findings.expect(
            evaluated.is_none_or(|accuracy| same(accuracy, record.metrics.accuracy)),
            What::Metrics,
            || {
                let claimed = record.metrics.accuracy;
                format!("record.json says an accuracy of {claimed}, metrics.csv another one")
            },
        );
    }
    let samples = record.data.train.samples as usize;
    for (epoch, row) in rows.iter().enumerate() {
        let steps = order::batches(&experiment.data, epoch, samples, experiment.batch_size);
        let step = steps.saturating_sub(1);
        let time = Time { epoch, step, steps };
        let base = experiment.optimizer.rule.learning_rate;
        let expected = schedule::rate(&experiment.schedule, base, time);
        if !same(expected, row.learning_rate) {
            let (epoch, found) = (row.epoch, row.learning_rate);
            let text = format!(
                "metrics.csv says a learning rate of {found} in epoch {epoch}, the schedule {expected}"
            );
            return findings.add(What::Metrics, text);
        }
    }
}

/// A row a test sample, from which accuracy, cost and `inference.txt` follow.
pub fn check_outputs(claim: &Claim, findings: &mut Findings) {
    let (Some(rows), Some(experiment)) = (&claim.outputs, &claim.experiment) else {
        return;
    };
    let record = &claim.loaded.record;
    let expected = record.data.test.samples as usize;
    findings.expect(rows.len() == expected, What::Outputs, || {
        format!(
            "outputs.csv has {} samples, the test file {expected}",
            rows.len()
        )
    });
    if let Some(text) = rows
        .iter()
        .enumerate()
        .find_map(|(place, row)| wrong(place, row))
    {
        findings.add(What::Outputs, text);
    }
    if rows.is_empty() || rows.iter().any(|row| row.confidences.is_empty()) {
        return findings.add(What::Outputs, "outputs.csv has no confidences");
    }
    let path = claim.loaded.dir.join(record::INFERENCE);
    let text = fs::read_to_string(&path).unwrap_or_default();
    findings.expect(text == inference::to_text(rows), What::Outputs, || {
        "inference.txt does not say what outputs.csv says".to_string()
    });
    let labels: Vec<usize> = rows.iter().map(|row| row.label).collect();
    let predicted: Vec<usize> = rows.iter().map(|row| row.predicted).collect();
    let confidences: Vec<f64> = rows
        .iter()
        .flat_map(|row| row.confidences.clone())
        .collect();
    let classes: Vec<u32> = labels.iter().map(|&label| label as u32).collect();
    let cost = loss::reported(experiment.loss.name, &confidences, &classes) / rows.len() as f64;
    let Metrics {
        test_cost,
        accuracy: claimed,
        majority_baseline: baseline,
        ..
    } = record.metrics;
    let found = accuracy(&labels, &predicted).unwrap_or(f64::NAN);
    let majority = majority_baseline(&labels).unwrap_or(f64::NAN);
    for (name, claimed, found) in [
        ("an accuracy", claimed, found),
        ("a majority baseline", baseline, majority),
        ("a test cost", test_cost, cost),
    ] {
        findings.expect(same(claimed, found), What::Metrics, || {
            format!("record.json says {name} of {claimed}, outputs.csv gives {found}")
        });
    }
}

/// What is impossible about the row of `outputs.csv` at `place`.
fn wrong(place: usize, row: &OutputRow) -> Option<String> {
    let index = row.index;
    if index != place {
        return Some(format!(
            "outputs.csv has sample {index} where {place} should be"
        ));
    }
    let likeliest = evaluate::most_confident(&row.confidences);
    if likeliest != row.predicted {
        let predicted = row.predicted;
        return Some(format!(
            "sample {index} of outputs.csv is said to be of class {predicted}, its confidences say {likeliest}"
        ));
    }
    let sum: f64 = row.confidences.iter().sum();
    let is_one = (sum - 1.0).abs() < 1e-3;
    (!is_one).then(|| format!("the confidences of sample {index} of outputs.csv sum to {sum}"))
}

fn same(one: f64, other: f64) -> bool {
    one == other || (one.is_nan() && other.is_nan())
}
