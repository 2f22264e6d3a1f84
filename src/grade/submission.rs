//! One submission, read as data: its experiments and its records, with all that can be said without
//! the grader's data.
//!
//! Every file goes through [`super::confine`] before anything else of graft opens it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::confine::{self, Walked};
use super::finding::{Finding, Kind};
use super::rubric::Limits;
use crate::config::experiment::Experiment;
use crate::config::{self, Environment, Overrides};
use crate::error::{Error, Result};
use crate::files::{FileStamp, hexadecimal};
use crate::results::record::{EXPERIMENT, MODEL, RECORD, Record};

/// Bases of bases, at most.
const BASES: usize = 16;

/// What a student handed in.
#[derive(Debug)]
pub struct Submission {
    /// The directory's name.
    pub name: String,
    pub root: PathBuf,
    /// Of every file's path and content.
    pub hash: String,
    pub experiments: Vec<Submitted>,
    pub records: Vec<Claimed>,
    /// What concerns no single experiment, and records that cannot be read.
    pub findings: Vec<Finding>,
    /// SHA-256 of each file, by its place.
    pub sums: BTreeMap<String, String>,
}

/// One experiment file.
#[derive(Debug)]
pub struct Submitted {
    /// Relative to the submission.
    pub place: String,
    /// The experiment, or why it is none.
    pub experiment: Result<Experiment, Finding>,
}

/// One record, of which nothing is believed yet.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Its directory, relative to the submission.
    pub place: String,
    pub dir: PathBuf,
    pub record: Record,
    /// Its `experiment.toml`.
    pub experiment: Experiment,
    /// SHA-256 of its model as it is.
    pub model: String,
}

impl Submission {
    /// The files of the submission at `root` with their checksums, and what was passed over.
    ///
    /// # Errors
    /// The directory, or a file in it, cannot be read.
    pub fn open(name: &str, root: &Path, limits: &Limits) -> Result<Self> {
        let Walked {
            files, findings, ..
        } = confine::walk(root, limits)?;
        let mut sums = BTreeMap::new();
        let mut hash = Sha256::new();
        for (place, bytes) in &files {
            let path = root.join(place);
            confine::open(&path)?;
            let sum = FileStamp::of(&path)?.sha256;
            hash.update(format!("{place}\n{bytes}\n{sum}\n"));
            sums.insert(place.clone(), sum);
        }
        for finding in &findings {
            hash.update(format!("{finding}\n"));
        }
        Ok(Self {
            name: name.to_owned(),
            root: root.to_owned(),
            hash: hexadecimal(&hash.finalize()),
            experiments: Vec::new(),
            records: Vec::new(),
            findings,
            sums,
        })
    }

    /// Reads experiments and records.
    pub fn read(&mut self) {
        let places: Vec<String> = self.sums.keys().cloned().collect();
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        for place in places.iter().filter(|place| is_experiment(place)) {
            let mut experiment = self.experiment(place);
            if let Ok(found) = &experiment
                && let Some(other) = names.insert(found.name.clone(), place.clone())
            {
                let text = format!("its name `{}` is that of `{other}` already", found.name);
                let finding = Finding::new(Kind::InvalidExperiment, place.as_str(), text);
                experiment = Err(finding.help("give one of them another `name`"));
            }
            self.experiments.push(Submitted {
                place: place.clone(),
                experiment,
            });
        }
        for place in &places {
            let Some(dir) = place
                .strip_suffix(RECORD)
                .and_then(|dir| dir.strip_suffix('/'))
            else {
                continue;
            };
            if !dir.starts_with("results/") && dir != "results" {
                continue;
            }
            match self.record(dir) {
                Ok(claimed) => self.records.push(claimed),
                Err(finding) => self.findings.push(finding),
            }
        }
    }

    /// The valid experiment of this name.
    pub fn named(&self, name: &str) -> Option<&Experiment> {
        let valid = self
            .experiments
            .iter()
            .filter_map(|e| e.experiment.as_ref().ok());
        valid.into_iter().find(|experiment| experiment.name == name)
    }

    fn experiment(&self, place: &str) -> Result<Experiment, Finding> {
        self.check_chain(place)?;
        self.load(place, Kind::InvalidExperiment)
    }

    /// Reads the file with no `GRAFT_*` of the grader's. Its paths and its bases have been checked.
    fn load(&self, place: &str, kind: Kind) -> Result<Experiment, Finding> {
        let path = self.root.join(place);
        let loaded = config::load_with(&path, &Overrides::default(), &Environment::none());
        loaded.map_err(|error| {
            Finding::new(kind, place, self.scrubbed(&error))
                .help("`graft plan` on this file says the same on your machine")
        })
    }

    /// Checks the paths of an experiment and of all its bases, before anything follows them.
    fn check_chain(&self, place: &str) -> Result<(), Finding> {
        let mut seen = BTreeSet::new();
        let mut next = Some(place.to_owned());
        while let Some(file) = next {
            if !seen.insert(file.clone()) || seen.len() > BASES {
                let text = "`extends` goes round in a circle, or too far";
                return Err(Finding::new(Kind::InvalidExperiment, place, text));
            }
            if !self.sums.contains_key(&file) {
                let text = format!("it extends `{file}`, which was not handed in as a file");
                return Err(Finding::new(Kind::InvalidExperiment, place, text));
            }
            let text = self.text(&file, Kind::InvalidExperiment)?;
            if let Some(escape) = confine::escapes_of_experiment(&text, &file).pop() {
                return Err(escape);
            }
            let document = toml_edit::Document::parse(text).ok();
            let extends = document.and_then(|document| {
                let base = document.get("extends")?.as_str()?;
                Some(confine::beside(&file, base))
            });
            next = extends;
        }
        Ok(())
    }

    fn record(&self, place: &str) -> Result<Claimed, Finding> {
        let damaged = |text: String| {
            Finding::new(Kind::DamagedRecord, place, text)
                .help("run the experiment again with `graft run --force`, and change nothing in the record")
        };
        let dir = self.root.join(place);
        self.text(&format!("{place}/{RECORD}"), Kind::DamagedRecord)?;
        let record = Record::read(&dir).map_err(|error| damaged(self.scrubbed(&error)))?;
        for (key, path) in paths_of(&record) {
            if !confine::stays_inside(Path::new(""), &path) {
                return Err(confine::escape(&format!("{place}/{RECORD}"), &key, &path));
            }
        }
        for name in record.files.keys() {
            if name.contains(['/', '\\']) || name.starts_with('.') {
                return Err(confine::escape(&format!("{place}/{RECORD}"), "files", name));
            }
        }
        let experiment = format!("{place}/{EXPERIMENT}");
        let model = format!("{place}/{MODEL}");
        let lacking = [&experiment, &model]
            .into_iter()
            .find(|file| !self.sums.contains_key(*file));
        if let Some(file) = lacking {
            return Err(damaged(format!("there is no file `{file}`")));
        }
        let text = self.text(&experiment, Kind::DamagedRecord)?;
        if let Some(escape) = confine::escapes_of_experiment(&text, &experiment).pop() {
            return Err(escape);
        }
        if text
            .lines()
            .any(|line| line.trim_start().trim_matches('"').starts_with("extends"))
        {
            return Err(damaged(
                "its experiment.toml extends another file".to_owned(),
            ));
        }
        Ok(Claimed {
            experiment: self.load(&experiment, Kind::DamagedRecord)?,
            model: self.sums.get(&model).cloned().unwrap_or_default(),
            place: place.to_owned(),
            dir,
            record,
        })
    }

    fn text(&self, place: &str, kind: Kind) -> Result<String, Finding> {
        let text = confine::read_text(&self.root.join(place));
        text.map_err(|error| Finding::new(kind, place, self.scrubbed(&error)))
    }

    /// The error as the student would see it: without the grader's directories.
    pub fn scrubbed(&self, error: &Error) -> String {
        let root = format!("{}/", self.root.display());
        error.to_string().replace(&root, "")
    }
}

/// Whether the file at `place` is an experiment, and no base.
fn is_experiment(place: &str) -> bool {
    let name = place.rsplit('/').next().unwrap_or(place);
    let stem = name.strip_suffix(".toml");
    place.starts_with("experiments/") && stem.is_some_and(|stem| !config::is_left_out(stem))
}

/// Every path that a record holds, with its key.
fn paths_of(record: &Record) -> Vec<(String, String)> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut paths = vec![
        ("data.train.path".to_owned(), text(&record.data.train.path)),
        ("data.test.path".to_owned(), text(&record.data.test.path)),
    ];
    if let Some(source) = &record.source {
        paths.push(("source.path".to_owned(), text(&source.path)));
    }
    if let Some(initial) = &record.initial_weights {
        paths.push(("initial_weights.path".to_owned(), text(&initial.path)));
    }
    paths
}
