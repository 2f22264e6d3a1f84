//! What a run leaves: the record, its files, and the functions that read them.
//!
//! Plain data and files, for any floor to read. It knows no training, no tensor and no
//! configuration: a caller hands it a name, an identity and finished numbers.
//!
//! A record is a directory, `results/<experiment>/` for an experiment with one seed and
//! `results/<experiment>/seed-<seed>/` for one with several. [`writer`] puts it there in one step;
//! [`find`] finds and loads records; [`summary`] keeps one row a record in `results/results.csv`.

pub mod answers;
pub mod batches;
pub mod commit;
pub mod find;
pub mod inference;
pub mod loaded;
pub mod metrics;
mod real;
pub mod record;
pub mod rows;
pub mod statistics;
pub mod summary;
pub mod time;
pub mod writer;

use std::path::{Path, PathBuf};

/// The directory of all records, in the directory where graft runs.
pub const RESULTS: &str = "results";

/// The directory of one run's record below `results`; `several` says whether the experiment has
/// more than one seed.
pub fn record_dir(results: &Path, experiment: &str, seed: u64, several: bool) -> PathBuf {
    let experiment = results.join(experiment);
    if several {
        experiment.join(format!("seed-{seed}"))
    } else {
        experiment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_experiment_with_several_seeds_has_a_directory_a_seed() {
        let results = Path::new("results");
        let one = record_dir(results, "faces/fine_tuning", 42, false);
        let of_several = record_dir(results, "faces/fine_tuning", 42, true);
        assert_eq!(one, Path::new("results/faces/fine_tuning"));
        assert_eq!(of_several, Path::new("results/faces/fine_tuning/seed-42"));
    }
}
