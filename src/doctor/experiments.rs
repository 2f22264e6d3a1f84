//! Data files and models that experiments read: whether they are there, and whether they are what
//! the records were made of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::machine::BackendState;
use crate::config::experiment::{DataFiles, Experiment};
use crate::error::Result;
use crate::files::stamps;
use crate::model::backend;
use crate::plan::Run;
use crate::results::loaded::LoadedRecord;
use crate::results::record::Record;
use crate::runner::opened::Opened;
use crate::runner::setup;

/// An experiment, what it reads, and what is wrong with that.
#[derive(Debug, Serialize)]
pub struct Checked {
    pub experiment: String,
    pub files: Vec<InputFile>,
    /// Records of it that are there.
    pub records: usize,
    /// What would keep it from running.
    pub problems: Vec<String>,
    pub warnings: Vec<String>,
}

/// A file that an experiment reads.
#[derive(Debug, Serialize)]
pub struct InputFile {
    /// `training data`, `test data`, `drawn task`, `source model`, `initial weights`.
    pub what: &'static str,
    pub path: PathBuf,
    pub presence: Presence,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Records that were made of it, and of another file in its place.
    pub same: usize,
    pub other: usize,
}

/// Whether a file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    Present,
    /// Another of the experiments makes it.
    WillBeMade,
    /// graft draws it when it is needed.
    WillBeDrawn,
    Missing,
}

/// Checks each experiment of `runs` once.
pub(super) fn check(
    runs: &[Run],
    records: &[LoadedRecord],
    backends: &[BackendState],
) -> Vec<Checked> {
    let opened = Opened::default();
    let mut seen = BTreeSet::new();
    let new = runs
        .iter()
        .filter(|run| seen.insert(run.experiment.name.clone()));
    new.map(|run| check_one(run, records, backends, &opened))
        .collect()
}

fn check_one(
    run: &Run,
    records: &[LoadedRecord],
    backends: &[BackendState],
    opened: &Opened,
) -> Checked {
    let experiment = run.experiment.as_ref();
    let own = records.iter().map(|loaded| &loaded.record);
    let own: Vec<&Record> = own
        .filter(|record| record.experiment == experiment.name)
        .collect();
    let mut checked = Checked {
        experiment: experiment.name.clone(),
        files: Vec::new(),
        records: own.len(),
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    let backend = experiment.backend.to_string();
    let broken = backends
        .iter()
        .find(|state| state.name == backend && !state.works);
    if let Some(state) = broken {
        checked.problem(&state.text);
    }
    match files(run, &own) {
        Ok(files) => checked.files = files,
        Err(error) => checked.problem(&error.to_string()),
    }
    // All that planning finds: missing and damaged files, a model that does not fit the data. Of a model
    // that is yet to be made there is nothing to look into.
    let is_made = |file: &InputFile| file.presence == Presence::WillBeMade;
    if !checked.files.iter().any(is_made)
        && let Err(error) = opened.outline(experiment)
    {
        checked.problem(&error.to_string());
    }
    let here = backend::arithmetic();
    let elsewhere = own.iter().filter(|record| {
        let build = record.build.as_ref();
        build.is_some_and(|build| build.arithmetic != here)
    });
    let elsewhere = elsewhere.count();
    if elsewhere > 0 {
        checked.warnings.push(format!(
            "{}: {elsewhere} of {} records were computed by other arithmetic than that of this \
             machine: their last bits may be others",
            checked.experiment, checked.records
        ));
    }
    for file in &checked.files {
        if file.other > 0 {
            checked.warnings.push(format!(
                "{}: {} {} is not the one that {} of {} records were made of",
                checked.experiment,
                file.what,
                file.path.display(),
                file.other,
                file.other + file.same
            ));
        }
    }
    checked
}

impl Checked {
    fn problem(&mut self, text: &str) {
        self.problems.push(format!("{}: {text}", self.experiment));
    }
}

fn files(run: &Run, records: &[&Record]) -> Result<Vec<InputFile>> {
    let experiment = run.experiment.as_ref();
    let mut files = Vec::new();
    match setup::present(&experiment.data)? {
        Some((train, test)) => {
            let of = |record: &Record| Some(record.data.train.sha256.clone());
            files.push(file("training data", &train, run, records, of));
            let of = |record: &Record| Some(record.data.test.sha256.clone());
            files.push(file("test data", &test, run, records, of));
        }
        None => files.push(to_be_drawn(experiment)),
    }
    if let Some(path) = &experiment.source_model {
        let of = |record: &Record| Some(record.source.as_ref()?.sha256.clone());
        files.push(file("source model", path, run, records, of));
    }
    if let Some(path) = &experiment.model.initial_weights {
        let of = |record: &Record| Some(record.initial_weights.as_ref()?.sha256.clone());
        files.push(file("initial weights", path, run, records, of));
    }
    Ok(files)
}

fn to_be_drawn(experiment: &Experiment) -> InputFile {
    let name = match &experiment.data.files {
        DataFiles::Drawn { builtin, .. } => Path::new(builtin),
        DataFiles::Files { train, .. } => train,
    };
    InputFile {
        what: "drawn task",
        path: experiment.data.root.join(name),
        presence: Presence::WillBeDrawn,
        bytes: None,
        sha256: None,
        same: 0,
        other: 0,
    }
}

/// The file, held against the checksum that each record gives `of` it.
fn file(
    what: &'static str,
    path: &Path,
    run: &Run,
    records: &[&Record],
    of: impl Fn(&Record) -> Option<String>,
) -> InputFile {
    let stamp = stamps::stamp(path).ok();
    let presence = match &stamp {
        Some(_) => Presence::Present,
        None if run.maker(path).is_some() => Presence::WillBeMade,
        None => Presence::Missing,
    };
    let stated: Vec<String> = records.iter().filter_map(|record| of(record)).collect();
    let sha256 = stamp.as_ref().map(|stamp| stamp.sha256.clone());
    let same = |stated: &&String| Some(*stated) == sha256.as_ref();
    let same = stated.iter().filter(same).count();
    let other = match presence {
        Presence::Present => stated.len() - same,
        _ => 0,
    };
    InputFile {
        what,
        path: path.to_owned(),
        presence,
        bytes: stamp.map(|stamp| stamp.bytes),
        sha256,
        same,
        other,
    }
}
