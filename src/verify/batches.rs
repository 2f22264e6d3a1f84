//! `batches.csv` against the seed, which says which samples came when, and against `metrics.csv`.

use super::claim::Claim;
use super::{Findings, What};
use crate::config::experiment::Experiment;
use crate::results::batches::{BatchRow, hash_of_samples};
use crate::train::order;

/// Seeds that are tried to name the one whose order the samples are in.
const SEEDS: u64 = 1000;

/// Every batch, in its order, of the samples that the seed puts there; the costs are those of the epochs.
pub fn check(claim: &Claim, findings: &mut Findings) {
    let Some(experiment) = &claim.experiment else {
        return;
    };
    let Some(rows) = &claim.batches else {
        return match experiment.record.batches {
            true => findings.add(What::Files, "batches.csv is missing"),
            false => findings
                .unchecked
                .push("single batches: the experiment kept none (record.batches = false)".into()),
        };
    };
    if rows.iter().any(|row| row.sample_ids.is_empty()) {
        let text = "the samples of each batch: an older graft wrote batches.csv";
        return findings.unchecked.push(text.to_string());
    }
    epochs(rows, experiment, findings);
    samples(claim, rows, experiment, findings);
    costs(claim, rows, findings);
}

fn epochs(rows: &[BatchRow], experiment: &Experiment, findings: &mut Findings) {
    let last = rows.iter().map(|row| row.epoch).max().unwrap_or(0);
    findings.expect(last == experiment.epochs, What::Epochs, || {
        let stated = experiment.epochs;
        format!("batches.csv goes to epoch {last}, the experiment has {stated}")
    });
}

fn samples(claim: &Claim, rows: &[BatchRow], experiment: &Experiment, findings: &mut Findings) {
    let record = &claim.loaded.record;
    let count = record.data.train.samples as usize;
    let size = experiment.batch_size;
    let mut left = rows.iter();
    for epoch in 0..experiment.epochs {
        let order = order::samples(&experiment.data, record.seed, epoch, count, size);
        for (batch, samples) in order.chunks(size).enumerate() {
            let place = format!("batch {} of epoch {}", batch + 1, epoch + 1);
            let Some(row) = left.next() else {
                return findings.add(What::Batches, format!("{place} is not in batches.csv"));
            };
            if (row.epoch, row.batch) != (epoch + 1, batch + 1) {
                let text = format!("batches.csv has another batch where {place} should be");
                return findings.add(What::Batches, text);
            }
            if row.sample_ids != hash_of_samples(samples) || row.samples != samples.len() {
                let seed = record.seed;
                let whose = seed_of(rows, experiment, count).map_or(String::new(), |seed| {
                    format!(": they are those of seed {seed}")
                });
                let text = format!("the samples of {place} are not those of seed {seed}{whose}");
                return findings.add(What::Seed, text);
            }
        }
    }
    if left.next().is_some() {
        findings.add(
            What::Epochs,
            "batches.csv has more batches than the experiment",
        );
    }
}

/// The seed that puts the samples of the first batch there, if it is a small one.
fn seed_of(rows: &[BatchRow], experiment: &Experiment, count: usize) -> Option<u64> {
    let first = rows.first().filter(|_| experiment.data.shuffle)?;
    let size = experiment.batch_size;
    (0..SEEDS).find(|&seed| {
        let order = order::samples(&experiment.data, seed, 0, count, size);
        let batch = order.chunks(size).next().unwrap_or_default();
        hash_of_samples(batch) == first.sample_ids
    })
}

fn costs(claim: &Claim, rows: &[BatchRow], findings: &mut Findings) {
    for epoch in claim.metrics.iter().flatten() {
        let of_epoch = rows.iter().filter(|row| row.epoch == epoch.epoch);
        let (cost, samples) = of_epoch.fold((0.0, 0), |(cost, samples), row| {
            (cost + row.cost * row.samples as f64, samples + row.samples)
        });
        let (mean, claimed) = (cost / samples as f64, epoch.training_cost);
        // Sums of means are rounded twice.
        let is_near = (mean - claimed).abs() <= 1e-9 * claimed.abs().max(1.0);
        if samples > 0 && !is_near && claimed.is_finite() {
            let text = format!(
                "metrics.csv says a training cost of {claimed} in epoch {}, batches.csv gives {mean}",
                epoch.epoch
            );
            return findings.add(What::Metrics, text);
        }
    }
}
