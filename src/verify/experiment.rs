//! A record against its experiment, and against the files that both name.

use std::path::Path;

use super::claim::Claim;
use super::{Findings, MOST_SAMPLES, What};
use crate::config::experiment::{Control, Experiment};
use crate::files::stamps;
use crate::results::record::{DataFile, Record};
use crate::runner::identity::Contents;
use crate::runner::{self, setup};
use crate::source::receipt::{Entry, Outcome};

/// What the record says of the experiment, without any other file.
pub fn check(claim: &Claim, findings: &mut Findings) {
    let record = &claim.loaded.record;
    findings.expect(
        record.data.train.sha256 != record.data.test.sha256,
        What::Data,
        || "trained on the test set: both data files have the same checksum".to_string(),
    );
    let Some(experiment) = &claim.experiment else {
        return;
    };
    let mut same = |holds: bool, what, name: &str, of_record: String, of_experiment: String| {
        findings.expect(holds, what, || {
            format!("record.json says {name} {of_record}, experiment.toml {of_experiment}")
        });
    };
    same(
        record.epochs == experiment.epochs,
        What::Epochs,
        "epochs",
        record.epochs.to_string(),
        experiment.epochs.to_string(),
    );
    same(
        experiment.seeds.contains(&record.seed),
        What::Seed,
        "seed",
        record.seed.to_string(),
        format!("{:?}", experiment.seeds),
    );
    same(
        record.experiment == experiment.name,
        What::Experiment,
        "name",
        record.experiment.clone(),
        experiment.name.clone(),
    );
    same(
        record.backend == experiment.backend.to_string(),
        What::Experiment,
        "backend",
        record.backend.clone(),
        experiment.backend.to_string(),
    );
    let control = experiment.control.map(Control::name);
    let said = |control: Option<&str>| format!("{:?}", control.unwrap_or("none"));
    same(
        record.control.as_deref() == control,
        What::Experiment,
        "control",
        said(record.control.as_deref()),
        said(control),
    );
    if let Some(receipt) = &claim.receipt {
        let is_random = experiment.control == Some(Control::RandomBackbone);
        let contradicts = |entry: &Entry| match entry.outcome {
            Outcome::Imported { .. } => is_random,
            Outcome::Withheld { .. } => !is_random,
            Outcome::NotImported { .. } => false,
        };
        let holds = !receipt.tensors.iter().any(contradicts);
        findings.expect(holds, What::Source, || {
            "receipt.json does not go with the control of experiment.toml: a random backbone is not \
             imported, and nothing else is withheld"
                .to_string()
        });
    }
    match (&experiment.source_model, &record.source) {
        (Some(_), None) => findings.add(
            What::Source,
            "experiment.toml names a source model, and the record says that nothing was imported",
        ),
        (None, Some(_)) => findings.add(
            What::Source,
            "the record says that layers were imported, and experiment.toml names no source model",
        ),
        _ => {}
    }
}

/// Whether numbers of samples are such that the order of samples can be worked out.
pub fn has_possible_sizes(claim: &Claim, findings: &mut Findings) -> bool {
    let samples = claim.loaded.record.data.train.samples;
    let batch = claim.experiment.as_ref().map_or(1, |it| it.batch_size);
    let most = MOST_SAMPLES as u64;
    let is_possible = (1..=most).contains(&samples) && batch <= MOST_SAMPLES;
    findings.expect(is_possible, What::Data, || {
        format!(
            "{samples} training samples in batches of {batch}: costs and batches were not looked at"
        )
    });
    is_possible
}

/// The files that record and experiment name, where they are there, and the identity that follows.
pub fn outside(claim: &Claim, findings: &mut Findings) {
    let Some(experiment) = &claim.experiment else {
        return;
    };
    let record = &claim.loaded.record;
    let files = match setup::present(&experiment.data) {
        Ok(files) => files,
        Err(error) => return findings.add(What::Data, error.to_string()),
    };
    let all_there = match &files {
        Some((train, test)) => {
            let train = same_file(train, &record.data.train, "training", findings);
            same_file(test, &record.data.test, "test", findings) && train
        }
        None => {
            let text = "the built-in task's data are not drawn yet";
            findings.unchecked.push(text.to_string());
            false
        }
    };
    let sources = sources(experiment, record, findings);
    if all_there && sources && record.graft == env!("CARGO_PKG_VERSION") {
        match runner::identity_of(experiment, &Contents::of(record), record.seed) {
            Ok(identity) => findings.expect(
                identity == record.identity,
                What::Experiment,
                || "the identity in record.json is not that of experiment.toml, its data and its source".into(),
            ),
            Err(error) => findings.add(What::Experiment, error.to_string()),
        }
    } else {
        findings
            .unchecked
            .push("the identity, for want of what it is computed from".to_string());
    }
}

/// Whether the file is there and the one of the record.
fn same_file(path: &Path, claimed: &DataFile, which: &str, findings: &mut Findings) -> bool {
    same_content(
        path,
        &claimed.sha256,
        What::Data,
        &format!("the {which} file"),
        findings,
    )
}

fn same_content(
    path: &Path,
    sha256: &str,
    what: What,
    name: &str,
    findings: &mut Findings,
) -> bool {
    if !path.exists() {
        let text = format!("{name} {}, which is not here", path.display());
        findings.unchecked.push(text);
        return false;
    }
    match stamps::stamp(path) {
        Ok(stamp) if stamp.sha256 == sha256 => true,
        Ok(_) => {
            findings.add(
                what,
                format!(
                    "{name} {} is not the one that the run read: another checksum",
                    path.display()
                ),
            );
            false
        }
        Err(error) => {
            findings.add(what, error.to_string());
            false
        }
    }
}

/// Whether all models that the run starts from are there and those of the record.
fn sources(experiment: &Experiment, record: &Record, findings: &mut Findings) -> bool {
    let mut all = true;
    if let (Some(path), Some(source)) = (&experiment.source_model, &record.source) {
        let name = "the source model";
        all &= same_content(path, &source.sha256, What::Source, name, findings);
    }
    if let (Some(path), Some(initial)) =
        (&experiment.model.initial_weights, &record.initial_weights)
    {
        let name = "the file of initial weights";
        all &= same_content(path, &initial.sha256, What::Source, name, findings);
    }
    all
}
