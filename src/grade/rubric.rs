//! The rubric: what is asked for, what it is worth, and what is allowed. As strict as an experiment:
//! an unknown key is an error that says where and what was meant.
//!
//! It knows no submission; whether its data are there is [`super::grounds`]' business, and what keys
//! alone cannot say that of [`super::sense`].

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml_edit::Document;

use super::sense::checked;
use crate::config::experiment::Backend;
use crate::config::snippet::Snippet;
use crate::error::{At, Result};
use crate::pattern;
use crate::results::record::Regime;

/// A rubric as its file says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rubric {
    /// Heading of the sheets.
    pub title: String,
    /// Known to the grader alone: it decides which parts of a run are replayed under `--samples`.
    pub secret: String,
    /// CSV file with the columns `submission` and `seed`: the seed that every run but the source
    /// model's is to have.
    #[serde(default)]
    pub seeds: Option<PathBuf>,
    /// The device of all re-runs; absent: as each experiment says.
    #[serde(default)]
    pub backend: Option<Backend>,
    pub points: Points,
    /// Data that may be used.
    pub data: Vec<DataSet>,
    /// Models that may be imported.
    #[serde(default)]
    pub source_model: Vec<Source>,
    /// Experiments that must be there.
    #[serde(default)]
    pub regime: Vec<Required>,
    #[serde(default)]
    pub comparison: Vec<Comparison>,
    #[serde(default)]
    pub limits: Limits,
}

/// Most points of each criterion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Points {
    pub experiments: f64,
    pub regimes: f64,
    pub consistency: f64,
    pub verification: f64,
    pub bounds: f64,
    pub comparisons: f64,
}

/// A training and a test file of the grader, or a drawn task.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSet {
    pub name: String,
    /// A drawn task; then neither `train` nor `test`.
    #[serde(default)]
    pub builtin: Option<String>,
    #[serde(default = "usual_draw_seed")]
    pub draw_seed: u64,
    #[serde(default)]
    pub train: Option<PathBuf>,
    #[serde(default)]
    pub test: Option<PathBuf>,
}

/// A model that may be imported: a file of the grader, or one that the submission has trained itself
/// on the data of this name, by a record that is verified like any other.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub name: String,
    #[serde(default)]
    pub path: Option<PathBuf>,
    #[serde(default)]
    pub trained_on: Option<String>,
}

/// Runs that must be there, and what they must be.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Required {
    pub regime: Regime,
    /// Name of a `[[data]]`.
    pub data: String,
    /// Name of a `[[source_model]]`; absent: any allowed one.
    #[serde(default)]
    pub source_model: Option<String>,
    /// Of all imported layers.
    #[serde(default)]
    pub multiplier: Option<Within>,
    /// Share of the target's parameters that must be imported, at least.
    #[serde(default)]
    pub coverage: f64,
    /// Runs with different seeds, at least.
    #[serde(default = "one")]
    pub seeds: usize,
    /// Bounds of the mean accuracy.
    #[serde(default)]
    pub accuracy: Option<Within>,
}

/// Regimes that must be there side by side, each with the same seeds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    pub between: Vec<Regime>,
    /// Name of a `[[data]]`.
    pub data: String,
    /// Seeds that all of them have, at least.
    #[serde(default = "one")]
    pub seeds: usize,
}

/// A number, or the least and the greatest, both included.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Within {
    Exactly(f64),
    Between([f64; 2]),
}

/// What one run, and one submission, may take.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub max_epochs: usize,
    pub max_parameters: u64,
    /// Wall time of one re-run, in minutes.
    pub max_minutes: f64,
    /// Resident memory of one re-run, in gigabytes.
    pub max_memory: f64,
    /// Of one file, in gigabytes.
    pub max_file_size: f64,
    /// Entries of all directories of a submission.
    pub max_files: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_epochs: 100,
            max_parameters: 200_000_000,
            max_minutes: 60.0,
            max_memory: 16.0,
            max_file_size: 1.0,
            max_files: 2000,
        }
    }
}

impl Limits {
    pub fn max_file_bytes(&self) -> u64 {
        (self.max_file_size * 1e9) as u64
    }
}

impl Within {
    /// Least and greatest.
    pub fn ends(self) -> [f64; 2] {
        match self {
            Within::Exactly(value) => [value, value],
            Within::Between(ends) => ends,
        }
    }

    /// Whether `value` is in it, but for a rounding error.
    pub fn holds(self, value: f64) -> bool {
        let [least, most] = self.ends();
        let slack = 1e-12;
        least - slack <= value && value <= most + slack
    }
}

impl std::fmt::Display for Within {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Within::Exactly(value) => write!(f, "{value}"),
            Within::Between([least, most]) => write!(f, "{least} to {most}"),
        }
    }
}

impl Rubric {
    /// Reads a rubric, and its text.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, has an unknown key, a wrong type, or contradicts itself.
    pub fn read(path: &Path) -> Result<(Self, String)> {
        let text = std::fs::read_to_string(path).at(path.display())?;
        let rubric = Self::parse(path, &text)?;
        Ok((rubric, text))
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let at = |span: Option<std::ops::Range<usize>>, problem: String| {
            Snippet::new(path, text, span.unwrap_or_default()).error(problem)
        };
        let document = Document::parse(text.to_owned())
            .map_err(|error| at(error.span(), format!("not valid TOML: {}", error.message())))?;
        let rubric: Rubric = toml_edit::de::from_document(document).map_err(|error| {
            let (problem, remedy) = in_words(error.message());
            let error = at(error.span(), problem);
            match remedy {
                Some(remedy) => error.help(remedy),
                None => error,
            }
        })?;
        checked(&rubric).map_err(|error| error.at(path.display()))?;
        Ok(rubric)
    }
}

/// serde's message in graft's words, and what was meant.
fn in_words(message: &str) -> (String, Option<String>) {
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (Some(wrong), true) = (words.first(), message.starts_with("unknown ")) else {
        return (message.trim().to_owned(), None);
    };
    let what = match message.starts_with("unknown field") {
        true => "key",
        false => "word",
    };
    let remedy = match pattern::closest(wrong, words[1..].iter().copied()) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("there are: {}", words[1..].join(", ")),
    };
    (format!("unknown {what} `{wrong}`"), Some(remedy))
}

fn usual_draw_seed() -> u64 {
    2018
}

fn one() -> usize {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUBRIC: &str = r#"
title = "Exercise"
secret = "s"
[points]
regimes = 2
[[data]]
name = "smiles"
builtin = "drawn_smiles"
[[source_model]]
name = "own"
trained_on = "smiles"
[[regime]]
regime = "fine_tuning"
data = "smiles"
source_model = "own"
multiplier = [0.0001, 0.01]
"#;

    fn message(from: &str, to: &str) -> String {
        let text = RUBRIC.replace(from, to);
        let error = Rubric::parse(Path::new("rubric.toml"), &text).unwrap_err();
        error.to_string()
    }

    #[test]
    fn a_rubric_reads_with_its_defaults() {
        let rubric = Rubric::parse(Path::new("rubric.toml"), RUBRIC).unwrap();
        assert_eq!(rubric.limits.max_epochs, 100);
        assert_eq!(rubric.regime[0].seeds, 1);
        assert!(rubric.regime[0].multiplier.unwrap().holds(0.001));
        assert!(!rubric.regime[0].multiplier.unwrap().holds(0.0));
    }

    #[test]
    fn the_shipped_rubrics_are_valid() {
        for name in ["rubric.toml", "rubric_drawn.toml"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("experiments/grading")
                .join(name);
            Rubric::read(&path).unwrap();
        }
    }

    #[test]
    fn an_unknown_key_is_pointed_at_with_what_was_meant() {
        let shown = message("multiplier =", "multiplyer =");
        assert!(
            shown.starts_with("rubric.toml:16:1: unknown key `multiplyer`"),
            "{shown}"
        );
        assert!(
            shown.ends_with("help: did you mean `multiplier`?"),
            "{shown}"
        );
        let shown = message("\"fine_tuning\"", "\"fine_tunning\"");
        assert!(shown.contains("did you mean `fine_tuning`?"), "{shown}");
    }

    #[test]
    fn names_and_ranges_are_checked() {
        assert!(
            message("trained_on = \"smiles\"", "trained_on = \"smile\"")
                .contains("no [[data]] is called `smile`")
        );
        assert!(message("[0.0001, 0.01]", "[0.01, 0.0001]").contains("[least, greatest]"));
        assert!(message("builtin", "train").contains("either `builtin`, or `train` and `test`"));
        assert!(message("regimes = 2", "regimes = -2").contains("no negative"));
    }
}
