//! What is known of a submission once it has been looked at: plain data, kept between calls.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::finding::{Finding, Kind};
use crate::results::record::Regime;

/// All that marks are computed from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The submission's name.
    pub name: String,
    /// In the order of their places.
    pub experiments: Vec<Looked>,
    pub records: Vec<Judged>,
    /// Links, escapes, records that cannot be read.
    pub findings: Vec<Finding>,
}

/// One experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Looked {
    pub place: String,
    /// Its name; absent where it is no experiment.
    pub name: Option<String>,
    /// What it is by its source model and its multiplier; absent where that cannot be said.
    pub regime: Option<Regime>,
    pub findings: Vec<Finding>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    pub place: String,
    pub experiment: String,
    pub seed: u64,
    pub regime: Regime,
    /// What is taken away, where it is a control of another experiment.
    #[serde(default)]
    pub control: Option<String>,
    /// Name of the grader's data; absent: others.
    pub data: Option<String>,
    /// Name of the rubric's source model; absent: from scratch, or another.
    pub source: Option<String>,
    /// Of the imported layers, as the experiment comes to on the grader's side.
    pub multipliers: Vec<f64>,
    /// Share of the parameters that is imported, likewise.
    pub coverage: f64,
    pub accuracy: f64,
    pub verdict: Verdict,
    /// The verdict in words.
    pub how: String,
    /// What the record says against itself, the submission or the grader's files.
    pub claims: Vec<Finding>,
    /// What the re-run says against it.
    pub reruns: Vec<Finding>,
    pub fingerprint: Fingerprint,
}

/// What verification came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The same bits, of all or of the replayed parts.
    Identical,
    /// Equal within the tolerance between processors.
    Close,
    Differs,
    /// It could not be re-run, or was not since it contradicts itself.
    NotVerified,
}

/// What two runs do not share by chance: when it began and how long it took, to the last digit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    pub started: String,
    /// The bits of the record's seconds, in hexadecimal.
    pub seconds: String,
    /// SHA-256 of `timings.csv`; empty where there is none.
    pub timings: String,
    /// SHA-256 of the model.
    pub model: String,
}

impl Fingerprint {
    /// Whether it is the same run. Equal models are none: equal experiments make them.
    pub fn is_same_run(&self, other: &Self) -> bool {
        let same_time = self.started == other.started && self.seconds == other.seconds;
        same_time || (!self.timings.is_empty() && self.timings == other.timings)
    }
}

impl Judged {
    /// Whether the record stands: consistent, and equal to its re-run.
    pub fn is_verified(&self) -> bool {
        let same = matches!(self.verdict, Verdict::Identical | Verdict::Close);
        same && self.claims.is_empty() && self.reruns.is_empty()
    }

    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.claims.iter().chain(&self.reruns)
    }
}

impl Report {
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        let experiments = self.experiments.iter().flat_map(|looked| &looked.findings);
        let records = self.records.iter().flat_map(Judged::findings);
        self.findings.iter().chain(experiments).chain(records)
    }

    /// The kinds of all findings, each once.
    pub fn kinds(&self) -> BTreeSet<Kind> {
        self.findings().map(|finding| finding.kind).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A verified run of fine-tuning.
    pub fn judged(place: &str, seed: u64) -> Judged {
        Judged {
            place: place.to_owned(),
            experiment: "fine_tuning".to_owned(),
            seed,
            regime: Regime::FineTuning,
            control: None,
            data: Some("smiles".to_owned()),
            source: Some("own".to_owned()),
            multipliers: vec![0.001],
            coverage: 0.5,
            accuracy: 0.75,
            verdict: Verdict::Identical,
            how: String::new(),
            claims: Vec::new(),
            reruns: Vec::new(),
            fingerprint: Fingerprint {
                started: format!("{place} {seed}"),
                seconds: String::new(),
                timings: String::new(),
                model: String::new(),
            },
        }
    }

    /// A submission with these records and no experiment.
    pub fn report(name: &str, records: Vec<Judged>) -> Report {
        Report {
            name: name.to_owned(),
            experiments: Vec::new(),
            records,
            findings: Vec::new(),
        }
    }
}
