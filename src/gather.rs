//! From the paths on a command line to the experiments a command works on: the files themselves,
//! and the experiments beside them that make a model which is not there yet.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::config::experiment::Experiment;
use crate::config::{self, Loaded, Overrides};
use crate::plan;

/// Loads the experiments of `paths`. Where a model that an experiment starts from does not exist and
/// is not made by another of them, an experiment in the same directory that makes it is added.
pub fn gather(paths: &[PathBuf], overrides: &Overrides, results: &Path) -> Loaded {
    let mut loaded = config::load_all(paths, overrides);
    let left_by = |experiment: &Experiment| plan::left_by(experiment, results);
    // Models that need no other experiment.
    let mut made: HashSet<PathBuf> = loaded.experiments.iter().flat_map(left_by).collect();
    let mut beside: Option<Makers> = None;
    let mut next = 0;
    while let Some(experiment) = loaded.experiments.get(next) {
        next += 1;
        let models: Vec<PathBuf> = experiment.models_read().map(plan::plain).collect();
        for model in models {
            if made.contains(&model) || model.exists() {
                continue;
            }
            let beside = beside.get_or_insert_with(|| {
                let experiments = config::load_all(&directories(paths), overrides).experiments;
                Makers::new(experiments, results)
            });
            if let Some(maker) = beside.of(&model) {
                made.extend(left_by(maker));
                loaded.experiments.push(maker.clone());
            }
        }
    }
    loaded
}

/// Experiments by the models that they would leave.
struct Makers {
    experiments: Vec<Experiment>,
    places: HashMap<PathBuf, usize>,
}

impl Makers {
    fn new(experiments: Vec<Experiment>, results: &Path) -> Self {
        let mut places = HashMap::new();
        for (place, experiment) in experiments.iter().enumerate() {
            for model in plan::left_by(experiment, results) {
                places.entry(model).or_insert(place);
            }
        }
        Self {
            experiments,
            places,
        }
    }

    /// The first that would leave `model`.
    fn of(&self, model: &Path) -> Option<&Experiment> {
        Some(&self.experiments[*self.places.get(model)?])
    }
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
