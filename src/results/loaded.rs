//! A record together with its files: reading them, and checking that they are as they were written.

use std::fs;
use std::path::{Path, PathBuf};

use super::batches::{self, BatchRow};
use super::record::{BATCHES, METRICS, OUTPUTS, RECORD, REQUIRED, Record, TIMINGS};
use super::rows::{MetricsRow, OutputRow, Timing, read_metrics, read_outputs, read_timings};
use crate::error::{At, Error, Result};
use crate::files::FileStamp;

/// Bytes of the largest file whose checksum the quick check computes: 16 MiB.
const QUICK_LIMIT: u64 = 16 << 20;

/// A record and the directory it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedRecord {
    pub dir: PathBuf,
    pub record: Record,
}

impl LoadedRecord {
    /// As [`Record::read`].
    pub fn read(dir: &Path) -> Result<Self> {
        Ok(Self {
            dir: dir.to_owned(),
            record: Record::read(dir)?,
        })
    }

    /// The rows of `metrics.csv`.
    pub fn metrics(&self) -> Result<Vec<MetricsRow>> {
        read_metrics(&self.dir.join(METRICS))
    }

    /// The rows of `timings.csv`; none in records of older versions.
    pub fn timings(&self) -> Result<Vec<Timing>> {
        let path = self.dir.join(TIMINGS);
        match path.exists() {
            true => read_timings(&path),
            false => Ok(Vec::new()),
        }
    }

    /// The rows of `batches.csv`; `None` if the experiment wanted none.
    pub fn batches(&self) -> Result<Option<Vec<BatchRow>>> {
        let path = self.dir.join(BATCHES);
        path.exists().then(|| batches::read(&path)).transpose()
    }

    /// The rows of `outputs.csv`.
    pub fn outputs(&self) -> Result<Vec<OutputRow>> {
        read_outputs(&self.dir.join(OUTPUTS))
    }

    /// Compares every file with its length and checksum in the record.
    ///
    /// Errors: names the first file that is missing or differs.
    pub fn check_files(&self) -> Result<()> {
        self.check(u64::MAX)
    }

    /// Compares every file with its length, and those up to 16 MiB with their checksum: enough to
    /// notice an edited table or a truncated model, and quick for any model.
    ///
    /// Errors: as [`check_files`](Self::check_files).
    pub fn check_files_quickly(&self) -> Result<()> {
        self.check(QUICK_LIMIT)
    }

    /// Computes checksums of files of at most `limit` bytes.
    fn check(&self, limit: u64) -> Result<()> {
        let files = &self.record.files;
        if let Some(name) = REQUIRED.iter().find(|name| !files.contains_key(**name)) {
            let problem = format!("does not list {name}");
            return Err(Error::new(problem).at(self.dir.join(RECORD).display()));
        }
        let mut files = files.iter();
        files.try_for_each(|(name, stamp)| check_file(&self.dir.join(name), stamp, limit))
    }
}

fn check_file(path: &Path, stamp: &FileStamp, limit: u64) -> Result<()> {
    let bytes = fs::metadata(path).at(path.display())?.len();
    let same = bytes == stamp.bytes && (bytes > limit || FileStamp::of(path)? == *stamp);
    if same {
        return Ok(());
    }
    Err(Error::new("changed since the run wrote it").at(path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::record::MODEL;
    use super::super::record::tests::example;
    use super::*;

    /// A record whose files have ten bytes, the model eleven.
    fn loaded(dir: &Path) -> LoadedRecord {
        let mut record = example("faces", 42, 0.85);
        for name in REQUIRED {
            let bytes = if name == MODEL { 11 } else { 10 };
            fs::write(dir.join(name), vec![0; bytes]).unwrap();
            let stamp = FileStamp::of(&dir.join(name)).unwrap();
            record.files.insert(name.to_owned(), stamp);
        }
        LoadedRecord {
            dir: dir.to_owned(),
            record,
        }
    }

    #[test]
    fn a_limited_check_reads_only_files_up_to_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let loaded = loaded(directory.path());
        loaded.check_files().unwrap();
        fs::write(directory.path().join(MODEL), [1; 11]).unwrap();
        loaded.check(10).unwrap();
        let error = loaded.check(11).unwrap_err().to_string();
        assert!(
            error.contains("model.safetensors: changed since"),
            "{error}"
        );
        fs::write(directory.path().join(METRICS), [1; 10]).unwrap();
        assert!(loaded.check(10).is_err());
    }

    #[test]
    fn a_shorter_file_is_noticed_whatever_its_size() {
        let directory = tempfile::tempdir().unwrap();
        let loaded = loaded(directory.path());
        fs::write(directory.path().join(MODEL), [0; 10]).unwrap();
        assert!(loaded.check(0).is_err());
    }

    #[test]
    fn a_record_that_lists_no_model_is_not_complete() {
        let directory = tempfile::tempdir().unwrap();
        let mut loaded = loaded(directory.path());
        loaded.record.files.remove(MODEL);
        let error = loaded.check_files().unwrap_err().to_string();
        assert!(error.contains("does not list model.safetensors"), "{error}");
    }
}
