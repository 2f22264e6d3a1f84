//! A record against the submission it is in: another experiment, other epochs, another seed.

use std::path::PathBuf;

use super::finding::{Finding, Kind};
use super::submission::{Claimed, Submission};
use crate::config::experiment::Experiment;

/// What the record says against the submission it is in: another experiment, other epochs, another
/// seed.
pub fn against_submission(claimed: &Claimed, submission: &Submission) -> Vec<Finding> {
    let (record, experiment) = (&claimed.record, &claimed.experiment);
    let mut findings = Vec::new();
    let find = |kind, text: String| Finding::new(kind, claimed.place.as_str(), text);
    match submission.named(&record.experiment) {
        None => findings.push(without_experiment(claimed, submission)),
        Some(submitted) => {
            let differing = differences(submitted, experiment).into_iter();
            findings.extend(differing.map(|(kind, text)| find(kind, text)));
        }
    }
    if !experiment.seeds.contains(&record.seed) {
        let text = format!(
            "record.json says seed {}, its experiment.toml {:?}",
            record.seed, experiment.seeds
        );
        findings.push(find(Kind::OtherSeed, text));
    }
    findings
}

/// That the record's experiment was not handed in, or is none.
fn without_experiment(claimed: &Claimed, submission: &Submission) -> Finding {
    let name = &claimed.record.experiment;
    let file = format!("experiments/{name}.toml");
    let mut all = submission.experiments.iter();
    let broken = all.find_map(|submitted| match &submitted.experiment {
        Err(finding) if submitted.place == file => Some(finding),
        _ => None,
    });
    match broken {
        Some(finding) => {
            let text = format!("its experiment `{file}` is not valid: see there");
            Finding::new(finding.kind, claimed.place.as_str(), text)
        }
        None => {
            let text = format!("there is no experiment `{name}` in experiments/");
            Finding::new(Kind::OtherExperiment, claimed.place.as_str(), text)
        }
    }
}

/// What sets the record's experiment apart from the submitted one, where it changes the outcome.
fn differences(submitted: &Experiment, claimed: &Experiment) -> Vec<(Kind, String)> {
    let [one, other] = [submitted, claimed].map(|experiment| {
        let mut bare = experiment.clone();
        bare.cache = submitted.cache.clone();
        bare.save_path = None;
        bare.data.root = PathBuf::new();
        bare.backend = submitted.backend;
        bare.checkpoint = submitted.checkpoint.clone();
        bare.record = submitted.record.clone();
        bare.evaluation = submitted.evaluation.clone();
        bare.to_toml().unwrap_or_default()
    });
    let lines: Vec<(&str, &str)> = one
        .lines()
        .zip(other.lines())
        .filter(|(a, b)| a != b)
        .collect();
    let Some(&(expected, found)) = lines.first() else {
        let same = one.len() == other.len();
        let more = (
            Kind::OtherExperiment,
            "its experiment.toml is not that of experiments/".to_owned(),
        );
        return if same { Vec::new() } else { vec![more] };
    };
    let kind = match expected.split([' ', '=']).next().unwrap_or_default() {
        "seeds" => Kind::OtherSeed,
        "epochs" => Kind::OtherEpochs,
        "source_model" => Kind::SourceModelReplaced,
        "train" | "test" | "builtin" | "draw_seed" => Kind::OtherData,
        "imported" if submitted.learning_rate_multiplier.imported == 0.0 => Kind::NotFrozen,
        _ => Kind::OtherExperiment,
    };
    let text = format!(
        "the record is of an experiment with `{found}`, the submitted one has `{expected}`"
    );
    vec![(kind, text)]
}
