//! What a record says against itself, by [`crate::verify`]'s check, in the names of the table of
//! verdicts.

use std::collections::BTreeSet;

use super::finding::{Finding, Kind};
use super::submission::Claimed;
use crate::results::batches;
use crate::results::record::BATCHES;
use crate::verify::check::check_inside;
use crate::verify::{self, What};

/// The findings on a record whose data, epochs and size have been found to be what they may be: the
/// check believes its numbers.
pub fn contradictions(claimed: &Claimed) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let found = check_inside(&claimed.dir).findings;
    let is_edited = |file: &str| {
        let mut found = found.iter();
        found.any(|found| found.what == What::Files && found.text.starts_with(file))
    };
    let is_frozen = claimed.experiment.learning_rate_multiplier.imported == 0.0;
    let (outputs, metrics) = (is_edited("outputs.csv"), is_edited("metrics.csv"));
    for found in &found {
        let text = found
            .text
            .replace(&format!("{}/", claimed.dir.display()), "");
        // Of two that contradict each other, the edited one is wrong.
        let of_both = found.text.contains("outputs.csv gives");
        let kind = match outputs && !metrics && of_both {
            true => Kind::OutputsEdited,
            false => kind(found, is_frozen),
        };
        let finding = Finding::new(kind, claimed.place.as_str(), text);
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    if !findings.is_empty() && is_of_test_file(claimed) {
        let text = "batches.csv counts the samples of the test file in every epoch, and not those of the training file";
        findings.retain(|finding| finding.kind != Kind::OtherSeed);
        findings.push(Finding::new(
            Kind::TrainedOnTest,
            claimed.place.as_str(),
            text,
        ));
    }
    specific(findings)
}

/// That a file is not as it was written is said only where nothing says more.
fn specific(mut findings: Vec<Finding>) -> Vec<Finding> {
    let kinds: BTreeSet<Kind> = findings.iter().map(|finding| finding.kind).collect();
    if kinds.iter().any(|&kind| kind != Kind::Inconsistent) {
        findings.retain(|finding| finding.kind != Kind::Inconsistent);
    }
    findings
}

/// `is_frozen` says whether the experiment freezes what it imports.
fn kind(found: &verify::Finding, is_frozen: bool) -> Kind {
    let is_of = |file: &str| found.text.starts_with(file);
    match found.what {
        What::Files if is_of("metrics.csv") || is_of("batches.csv") => Kind::MetricsEdited,
        What::Files if is_of("outputs.csv") || is_of("inference.txt") => Kind::OutputsEdited,
        What::Files if is_of("model.") => Kind::WeightsSwapped,
        What::Files | What::Record => Kind::Inconsistent,
        What::Experiment if is_frozen && is_of("record.json says multipliers") => Kind::NotFrozen,
        What::Experiment => Kind::OtherExperiment,
        What::Data if found.text.starts_with("trained on the test set") => Kind::TrainedOnTest,
        What::Data => Kind::OtherData,
        What::Source => Kind::SourceModelReplaced,
        What::Seed => Kind::OtherSeed,
        What::Epochs => Kind::OtherEpochs,
        What::Batches | What::Metrics => Kind::MetricsEdited,
        What::Outputs => Kind::OutputsEdited,
        What::Model if is_of("record.json") => Kind::Inconsistent,
        What::Model => Kind::WeightsSwapped,
        What::Frozen => Kind::NotFrozen,
        What::Training => Kind::NotReproduced,
    }
}

fn is_of_test_file(claimed: &Claimed) -> bool {
    let data = &claimed.record.data;
    let rows = batches::read(&claimed.dir.join(BATCHES)).unwrap_or_default();
    let first = rows.iter().filter(|row| row.epoch == 1);
    let samples: u64 = first.map(|row| row.samples as u64).sum();
    samples == data.test.samples && samples != data.train.samples
}
