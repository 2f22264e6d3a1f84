//! From the paths on a command line to the experiments a command works on: the files themselves,
//! and the experiments beside them that make a model which is not there yet.

use std::path::{Path, PathBuf};

use crate::config::experiment::Experiment;
use crate::config::{self, Loaded, Overrides};
use crate::plan;

/// Loads the experiments of `paths`. Where a model that an experiment starts from does not exist and
/// is not made by another of them, an experiment in the same directory that makes it is added.
pub fn gather(paths: &[PathBuf], overrides: &Overrides, results: &Path) -> Loaded {
    let mut loaded = config::load_all(paths, overrides);
    let mut beside: Option<Vec<Experiment>> = None;
    let mut next = 0;
    while let Some(experiment) = loaded.experiments.get(next) {
        next += 1;
        let models: Vec<PathBuf> = experiment.models_read().map(Path::to_path_buf).collect();
        for model in models {
            let made = |experiment: &Experiment| plan::leaves(experiment, results, &model);
            if model.exists() || loaded.experiments.iter().any(made) {
                continue;
            }
            let beside = beside.get_or_insert_with(|| {
                config::load_all(&directories(paths), overrides).experiments
            });
            loaded
                .experiments
                .extend(beside.iter().find(|e| made(e)).cloned());
        }
    }
    loaded
}

fn directories(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> = Vec::new();
    for path in paths.iter().filter(|path| path.is_file()) {
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        if !directories.contains(&parent) {
            directories.push(parent);
        }
    }
    directories
}
