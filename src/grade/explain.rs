//! A record that is not what its experiment comes to: what it is instead, by what agrees with the
//! re-run and what does not.
//!
//! Costs, order of samples, weights and outputs each tell something else. What only edits could have
//! made is told from what another training would make.

use std::fs;
use std::path::Path;

use super::claims::Settled;
use super::finding::{Finding, Kind};
use super::rerun::{digest_of, same_bytes};
use super::submission::Claimed;
use crate::results::batches;
use crate::results::record::{BATCHES, INFERENCE, METRICS, MODEL, OUTPUTS, RECEIPT, Regime};
use crate::source;
use crate::source::receipt::Receipt;

/// What the record is instead. `fresh` is the re-run's record, `how` the verdict in words.
pub fn explain(
    claimed: &Claimed,
    settled: &Settled,
    fresh: Option<&Path>,
    how: &str,
) -> Vec<Finding> {
    let find = |kind, text: &str| Finding::new(kind, claimed.place.as_str(), text);
    let Some(fresh) = fresh else {
        return vec![find(Kind::NotReproduced, how)];
    };
    let same = |file: &str| same_bytes(&claimed.dir.join(file), &fresh.join(file));
    let mut findings = Vec::new();
    let [own, trained] = [claimed.dir.as_path(), fresh].map(|dir| digest_of(&dir.join(MODEL)));
    if own.is_some() && own == trained {
        // The training was the stated one; the tables were changed afterwards.
        if !same(METRICS) || !same(BATCHES) {
            findings.push(find(
                Kind::MetricsEdited,
                "the model is the one that the experiment gives, the costs and accuracies in metrics.csv or batches.csv are not",
            ));
        }
        if !same(OUTPUTS) || !same(INFERENCE) {
            findings.push(find(
                Kind::OutputsEdited,
                "the model is the one that the experiment gives, its answers in outputs.csv or inference.txt are not",
            ));
        }
        if findings.is_empty() {
            findings.push(find(
                Kind::MetricsEdited,
                &format!(
                    "the model is the one that the experiment gives, the figures are not: {how}"
                ),
            ));
        }
        return findings;
    }
    if same_costs(&claimed.dir, fresh) {
        let text = "its costs are those of the experiment, its model is that of another run";
        return vec![find(Kind::WeightsSwapped, text)];
    }
    if settled.regime == Regime::FeatureExtraction && !is_frozen(claimed, fresh) {
        let text = "the experiment freezes what it imports, but these layers of its model are not those of the source model: they were trained";
        return vec![find(Kind::NotFrozen, text)];
    }
    if settled.source.is_some()
        && receipt(&claimed.dir).map(|receipt| receipt.tensors)
            != receipt(fresh).map(|receipt| receipt.tensors)
    {
        let text = "by its receipt, it imported other weights than the source model has";
        return vec![find(Kind::SourceModelReplaced, text)];
    }
    vec![find(Kind::NotReproduced, how)]
}

/// Whether every batch had the same samples, cost and rate, whatever weights are said to have come of it.
fn same_costs(claimed: &Path, fresh: &Path) -> bool {
    let read = |dir: &Path| {
        let mut rows = batches::read(&dir.join(BATCHES)).unwrap_or_default();
        rows.iter_mut().for_each(|row| row.weights = None);
        rows
    };
    let rows = read(claimed);
    !rows.is_empty() && rows == read(fresh)
}

/// Whether the imported layers of the record's model are those of the re-run, which froze them.
fn is_frozen(claimed: &Claimed, fresh: &Path) -> bool {
    let read = |dir: &Path| source::read(&dir.join(MODEL)).ok();
    let (Some(model), Some(fresh_model)) = (read(&claimed.dir), read(fresh)) else {
        return true;
    };
    let Some(receipt) = receipt(fresh) else {
        return true;
    };
    let imported = receipt.imported_layers();
    let of = |model: &source::SourceModel, name: &str| {
        model
            .layers
            .iter()
            .find(|layer| layer.name == name)
            .cloned()
    };
    imported
        .iter()
        .all(|name| of(&model, name) == of(&fresh_model, name))
}

/// What a record says was imported; its checksums are those of the values, wherever they came from.
fn receipt(dir: &Path) -> Option<Receipt> {
    let text = fs::read_to_string(dir.join(RECEIPT)).ok()?;
    serde_json::from_str(&text).ok()
}
