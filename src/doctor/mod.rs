//! What matters for reproducing a result on this machine, and what would keep experiments from
//! running here: the machine, the build, the environment, the directories, data and source models.
//!
//! It looks and reports: it trains nothing, and leaves nothing behind. It does not know how its report
//! is shown.

mod experiments;
mod machine;
mod places;

use std::path::Path;

use serde::Serialize;

use crate::config::Loaded;
use crate::plan;
use crate::results::find;
pub use experiments::{Checked, InputFile, Presence};
pub use machine::{BackendState, Build, Machine, Variable};
pub use places::Place;

/// All that was found.
#[derive(Debug, Serialize)]
pub struct Examination {
    pub machine: Machine,
    pub build: Build,
    pub backends: Vec<BackendState>,
    /// Variables of the environment that change what runs do.
    pub environment: Vec<Variable>,
    /// Where records and kept outputs go.
    pub places: Vec<Place>,
    pub experiments: Vec<Checked>,
    /// What would keep something from running.
    pub problems: Vec<String>,
    /// What is worth knowing before results are compared.
    pub warnings: Vec<String>,
}

/// Examines this machine and the experiments that were `loaded`, whose records are below `results`.
pub fn examine(loaded: Loaded, results: &Path) -> Examination {
    let mut problems: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
    let mut warnings = Vec::new();
    let backends = machine::backends(loaded.experiments.iter().map(|it| it.backend));
    let places = places::places(&loaded.experiments, results);
    for place in &places {
        let found = match place.is_needed {
            true => &mut problems,
            false => &mut warnings,
        };
        found.extend(place.problem.clone());
    }
    let (records, damaged) = match results.is_dir() {
        true => find::load_all(results).unwrap_or_else(|error| (Vec::new(), vec![error])),
        false => Default::default(),
    };
    warnings.extend(damaged.iter().map(ToString::to_string));
    let experiments = match plan::order(loaded.experiments, results) {
        Ok(runs) => experiments::check(&runs, &records, &backends),
        Err(error) => {
            problems.push(error.to_string());
            Vec::new()
        }
    };
    for checked in &experiments {
        problems.extend(checked.problems.iter().cloned());
        warnings.extend(checked.warnings.iter().cloned());
    }
    Examination {
        machine: Machine::here(),
        build: Build::this(),
        backends,
        environment: machine::environment(),
        places,
        experiments,
        problems,
        warnings,
    }
}
