//! `results/results.csv`: one row a run, over all records.

use std::fmt::Debug;
use std::path::Path;

use serde::Serialize;

use super::find::load_all;
use super::loaded::LoadedRecord;
use crate::error::{Error, Result};
use crate::files::lock::FileLock;
use crate::files::write_atomically;

/// Name of the table in the results directory.
pub const SUMMARY: &str = "results.csv";

/// Writes `results.csv` anew from the records that stand below `results`: by experiment, seed and
/// directory. Returns what is wrong with the records that are left out.
///
/// Errors: `results` cannot be read or written.
pub fn write_summary(results: &Path) -> Result<Vec<Error>> {
    // Whoever writes last must have read last, or a run that ended meanwhile loses its row.
    let _lock = FileLock::acquire(&results.join(format!("{SUMMARY}.lock")))?;
    let (mut records, damaged) = load_all(results)?;
    records.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    let mut writer = csv::Writer::from_writer(Vec::new());
    let path = results.join(SUMMARY);
    let failed = |error: &dyn Debug| Error::new(format!("{error:?}")).at(path.display());
    for loaded in &records {
        writer
            .serialize(Row::new(results, loaded))
            .map_err(|error| failed(&error))?;
    }
    let content = writer.into_inner().map_err(|error| failed(&error))?;
    write_atomically(&path, &content)?;
    Ok(damaged)
}

/// One line of `results.csv`. The names of the fields are the names of its columns.
#[derive(Serialize)]
struct Row<'a> {
    experiment: &'a str,
    seed: u64,
    regime: &'static str,
    accuracy: f64,
    majority_baseline: f64,
    test_cost: f64,
    training_cost: f64,
    epochs: usize,
    seconds: f64,
    imported_tensors: usize,
    target_tensors: Option<usize>,
    coverage_parameters: Option<f64>,
    coverage_multiply_adds: Option<f64>,
    trained_parameters: u64,
    frozen_parameters: u64,
    train_samples: u64,
    test_samples: u64,
    backend: &'a str,
    graft: &'a str,
    started: &'a str,
    /// Directory below `results`, with `/` on every system.
    record: String,
}

impl<'a> Row<'a> {
    fn new(results: &Path, loaded: &'a LoadedRecord) -> Self {
        let record = &loaded.record;
        let source = record.source.as_ref();
        let coverage = source.and_then(|source| source.coverage);
        let below = loaded.dir.strip_prefix(results).unwrap_or(&loaded.dir);
        let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        Self {
            experiment: &record.experiment,
            seed: record.seed,
            regime: record.regime().name(),
            accuracy: record.metrics.accuracy,
            majority_baseline: record.metrics.majority_baseline,
            test_cost: record.metrics.test_cost,
            training_cost: record.metrics.training_cost,
            epochs: record.epochs,
            seconds: record.seconds,
            imported_tensors: source.map_or(0, |source| source.imported_tensors),
            target_tensors: source.map(|source| source.target_tensors),
            coverage_parameters: coverage.map(|coverage| coverage.parameters),
            coverage_multiply_adds: coverage.map(|coverage| coverage.multiply_adds),
            trained_parameters: record.parameters.trained,
            frozen_parameters: record.parameters.frozen,
            train_samples: record.data.train.samples,
            test_samples: record.data.test.samples,
            backend: &record.backend,
            graft: &record.graft,
            started: &record.started,
            record: parts.join("/"),
        }
    }
}

fn sort_key(loaded: &LoadedRecord) -> (&str, u64, &Path) {
    (&loaded.record.experiment, loaded.record.seed, &loaded.dir)
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{example, example_from_scratch};
    use super::super::record::{RECORD, Record};
    use super::*;
    use std::fs;

    fn put(results: &Path, dir: &str, record: &Record) {
        let dir = results.join(dir);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(RECORD), record.to_json().unwrap()).unwrap();
    }

    #[test]
    fn the_table_has_a_row_a_run_by_experiment_and_seed() {
        let results = tempfile::tempdir().unwrap();
        put(
            results.path(),
            "tuned/seed-10",
            &example("tuned", 10, 0.875),
        );
        put(results.path(), "tuned/seed-9", &example("tuned", 9, 0.75));
        put(
            results.path(),
            "scratch",
            &example_from_scratch("scratch", 1, 0.5),
        );
        put(
            results.path(),
            "unfinished.partial",
            &example("unfinished", 1, 0.5),
        );
        fs::create_dir(results.path().join("broken")).unwrap();
        fs::write(results.path().join("broken").join(RECORD), "{").unwrap();

        let damaged = write_summary(results.path()).unwrap();
        assert_eq!(damaged.len(), 1);
        let figures = "0.5,0.4,0.30000000000000004,10,83.25";
        let versions = "300,2000,cpu,0.1.0,2026-11-23T20:37:05Z";
        assert_eq!(
            fs::read_to_string(results.path().join(SUMMARY)).unwrap(),
            format!(
                "experiment,seed,regime,accuracy,majority_baseline,test_cost,training_cost,epochs,seconds,\
                 imported_tensors,target_tensors,coverage_parameters,coverage_multiply_adds,\
                 trained_parameters,frozen_parameters,train_samples,test_samples,\
                 backend,graft,started,record\n\
                 scratch,1,from_scratch,0.5,{figures},0,,,,1234567,0,{versions},scratch\n\
                 tuned,9,fine_tuning,0.75,{figures},26,32,0.648,0.95,1234567,0,{versions},tuned/seed-9\n\
                 tuned,10,fine_tuning,0.875,{figures},26,32,0.648,0.95,1234567,0,{versions},tuned/seed-10\n"
            )
        );
    }

    #[test]
    fn writing_again_drops_the_rows_of_records_that_are_gone() {
        let results = tempfile::tempdir().unwrap();
        put(results.path(), "a", &example("a", 1, 0.5));
        put(results.path(), "b", &example("b", 1, 0.5));
        write_summary(results.path()).unwrap();
        fs::remove_dir_all(results.path().join("a")).unwrap();
        write_summary(results.path()).unwrap();
        let table = fs::read_to_string(results.path().join(SUMMARY)).unwrap();
        assert_eq!(table.lines().count(), 2);
        assert!(!results.path().join("results.csv.lock").exists());
    }
}
