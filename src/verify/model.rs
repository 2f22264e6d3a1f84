//! The trained model against the last digest in `batches.csv` and, where layers stood still, against the
//! receipt of their import.

use super::claim::{Claim, Model};
use super::{Findings, What};
use crate::files::hexadecimal;
use crate::model::digest;
use crate::results::record::epochs_of_state;
use crate::runner::write;
use crate::source::receipt::{Outcome, Receipt};
use crate::train::groups::LayerRate;

/// Whether the model can be what this run left.
pub fn check(claim: &Claim, findings: &mut Findings) {
    let Some(model) = &claim.model else { return };
    last_digest(claim, model, findings);
    let rates = match claim.rates() {
        None => return,
        Some(Err(error)) => return findings.add(What::Experiment, error.to_string()),
        Some(Ok(rates)) => rates,
    };
    let (record, receipt) = (&claim.loaded.record, claim.receipt.as_ref());
    let parameters = write::parameters(&model.spec, &rates, receipt);
    findings.expect(parameters == record.parameters, What::Model, || {
        "record.json counts other parameters than the model and its receipt have".to_string()
    });
    let Some(receipt) = receipt else {
        return findings.expect(record.source.is_none(), What::Source, || {
            "receipt.json is missing, though layers were imported".to_string()
        });
    };
    let source = write::source_of(receipt, &rates);
    match &record.source {
        Some(claimed) if claimed.sha256 != source.sha256 => findings.add(
            What::Source,
            "receipt.json is of another source model than record.json says",
        ),
        Some(claimed) if claimed.multipliers != source.multipliers => {
            let (said, found) = (&claimed.multipliers, &source.multipliers);
            let text = format!(
                "record.json says multipliers of {said:?} for imported layers, experiment.toml {found:?}"
            );
            findings.add(What::Experiment, text);
        }
        Some(claimed) => findings.expect(*claimed == source, What::Source, || {
            "record.json says another import than receipt.json".to_string()
        }),
        None => {}
    }
    frozen(receipt, &rates, model, findings);
}

fn last_digest(claim: &Claim, model: &Model, findings: &mut Findings) {
    let rows = claim.batches.iter().flatten();
    let digests = rows.filter_map(|row| Some((row.epoch, row.weights.as_ref()?)));
    let digests: Vec<_> = digests.collect();
    let Some(&(_, last)) = digests.last() else {
        return;
    };
    let of_model = digest::of_model(model.tensors.clone());
    if *last == of_model {
        return;
    }
    let earlier = digests
        .iter()
        .rev()
        .find(|(_, digest)| **digest == of_model);
    let text = match earlier {
        Some((epoch, _)) => {
            format!("the model is the one after epoch {epoch}, and not that of the end of training")
        }
        None => {
            "the model is not the one that this training left: its weights are not those of the \
                 last line of batches.csv"
                .to_string()
        }
    };
    findings.add(What::Model, text);
}

/// Imported layers that stood still have the values of their import.
fn frozen(receipt: &Receipt, rates: &[LayerRate], model: &Model, findings: &mut Findings) {
    let mut moved = Vec::new();
    for entry in &receipt.tensors {
        let is_frozen = rates
            .iter()
            .any(|rate| rate.layer == entry.layer && rate.frozen);
        let Outcome::Imported {
            sha256: Some(sha256),
            dtype: Some(dtype),
            ..
        } = &entry.outcome
        else {
            continue;
        };
        if *dtype != model.dtype {
            // Rounded to the precision of the run, the values have another checksum.
            continue;
        }
        let name = format!("{}.{}", entry.layer, entry.role);
        let found = model.tensors.iter().find(|(other, _)| *other == name);
        if is_frozen && found.is_none_or(|(_, digest)| hexadecimal(digest) != *sha256) {
            moved.push(name);
        }
    }
    if let Some(first) = moved.first() {
        let text = format!(
            "{} tensors of frozen layers are not what was imported ({first}{}): they were trained",
            moved.len(),
            if moved.len() > 1 { ", …" } else { "" }
        );
        findings.add(What::Frozen, text);
    }
}

/// The epochs after which the record has states to replay from, ascending.
pub fn states(claim: &Claim) -> Vec<usize> {
    let names = claim.loaded.record.files.keys();
    let mut epochs: Vec<usize> = names.filter_map(|name| epochs_of_state(name)).collect();
    epochs.sort_unstable();
    epochs
}
