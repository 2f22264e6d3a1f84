//! `batches.csv`: a row a minibatch: which samples it held, what it cost, which weights it left.
//!
//! Rows are appended as training goes, and those that a resumed training will write again are cut
//! off: the file of an interrupted run ends like that of an uninterrupted one.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{At, Error, Result};
use crate::files::{hexadecimal, write_atomically};

/// One step of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchRow {
    /// From 1.
    pub epoch: usize,
    /// From 1 in each epoch.
    pub batch: usize,
    /// Samples in this batch.
    pub samples: usize,
    /// Their mean cost, before the update.
    pub cost: f64,
    /// Base learning rate of the update.
    pub learning_rate: f64,
    /// [`hash_of_samples`] of the batch; empty in older records.
    #[serde(default)]
    pub sample_ids: String,
    /// Digest of all weights after the update, where it was taken.
    #[serde(default)]
    pub weights: Option<String>,
}

/// The first 16 hexadecimal digits of the SHA-256 of the samples' rows in the training file, 64 bits
/// each, little-endian.
pub fn hash_of_samples(samples: &[usize]) -> String {
    let mut hash = Sha256::new();
    for &sample in samples {
        hash.update((sample as u64).to_le_bytes());
    }
    hexadecimal(&hash.finalize()[..8])
}

/// Reads `batches.csv`.
///
/// # Errors
/// The file cannot be read, or a row does not hold what it should.
pub fn read(path: &Path) -> Result<Vec<BatchRow>> {
    let file = File::open(path).at(path.display())?;
    let rows = csv::Reader::from_reader(file).into_deserialize();
    let rows: Result<_, csv::Error> = rows.collect();
    rows.map_err(from_csv).at(path.display())
}

/// The file while it is written.
#[derive(Debug)]
pub struct BatchLog {
    path: PathBuf,
    writer: csv::Writer<File>,
}

impl BatchLog {
    /// Opens the file at `path` for a training whose last batch so far is `done`, as (epoch, batch),
    /// both counted from 1. Later rows, and one that was cut short, are removed.
    ///
    /// # Errors
    /// Rows of what is done are missing; whatever the file system refuses.
    pub fn open(path: &Path, done: Option<(usize, usize)>) -> Result<Self> {
        let is_done = |row: &BatchRow| Some((row.epoch, row.batch)) <= done;
        let mut kept = csv::Writer::from_writer(Vec::new());
        let mut last = None;
        for row in rows_until_damage(path)?.iter().filter(|row| is_done(row)) {
            kept.serialize(row).map_err(from_csv).at(path.display())?;
            last = Some((row.epoch, row.batch));
        }
        if last != done {
            return Err(
                Error::new("rows of batches before the checkpoint are missing")
                    .at(path.display())
                    .help("run with --force to train from the start"),
            );
        }
        let kept = kept.into_inner().map_err(|e| Error::new(e.to_string()));
        write_atomically(path, &kept.at(path.display())?)?;
        let file = OpenOptions::new().append(true).open(path);
        let file = file.at(path.display())?;
        let mut writer = csv::WriterBuilder::new();
        Ok(Self {
            path: path.to_owned(),
            writer: writer.has_headers(done.is_none()).from_writer(file),
        })
    }

    /// Appends a row. It may wait in memory until [`flush`](Self::flush).
    ///
    /// # Errors
    /// Whatever the file system refuses.
    pub fn push(&mut self, row: &BatchRow) -> Result<()> {
        let written = self.writer.serialize(row).map_err(from_csv);
        written.at(self.path.display())
    }

    /// Brings all rows to the disk: before a checkpoint is written, and at the end.
    ///
    /// # Errors
    /// Whatever the file system refuses.
    pub fn flush(&mut self) -> Result<()> {
        self.writer.flush().at(self.path.display())?;
        self.writer.get_ref().sync_data().at(self.path.display())
    }
}

/// The rows of a file that may end in the middle of one; none if there is no file.
fn rows_until_damage(path: &Path) -> Result<Vec<BatchRow>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read(path).at(path.display())?;
    // A last line without its end may be a shorter number.
    let end = text.iter().rposition(|&byte| byte == b'\n');
    let whole = &text[..end.map_or(0, |end| end + 1)];
    let rows = csv::Reader::from_reader(whole).into_deserialize();
    Ok(rows
        .map_while(|row: Result<BatchRow, _>| row.ok())
        .collect())
}

fn from_csv(error: csv::Error) -> Error {
    Error::new(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: usize, batch: usize) -> BatchRow {
        BatchRow {
            epoch,
            batch,
            samples: 16,
            cost: 1.0 / (epoch * 10 + batch) as f64,
            learning_rate: 1e-3,
            sample_ids: hash_of_samples(&[epoch, batch]),
            weights: (batch == 2).then(|| "5".repeat(64)),
        }
    }

    fn read(path: &Path) -> Vec<BatchRow> {
        let rows = csv::Reader::from_path(path).unwrap().into_deserialize();
        rows.map(Result::unwrap).collect()
    }

    fn written(path: &Path, rows: &[(usize, usize)]) {
        let mut log = BatchLog::open(path, None).unwrap();
        for &(epoch, batch) in rows {
            log.push(&row(epoch, batch)).unwrap();
        }
        log.flush().unwrap();
    }

    #[test]
    fn rows_read_back_bit_for_bit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("batches.csv");
        written(&path, &[(1, 1), (1, 2)]);
        assert_eq!(read(&path), [row(1, 1), row(1, 2)]);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(
            "epoch,batch,samples,cost,learning_rate,sample_ids,weights\n1,1,16,0.0909"
        ));
    }

    #[test]
    fn a_resumed_file_ends_like_an_uninterrupted_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("batches.csv");
        let all = [(1, 1), (1, 2), (2, 1), (2, 2)];
        written(&path, &all);
        let whole = std::fs::read(&path).unwrap();
        for rows in 0..all.len() {
            let done = rows.checked_sub(1).map(|last| all[last]);
            // The process was killed while it wrote the last row.
            std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
            let mut log = BatchLog::open(&path, done).unwrap();
            for &(epoch, batch) in &all[rows..] {
                log.push(&row(epoch, batch)).unwrap();
            }
            log.flush().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn missing_rows_are_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("batches.csv");
        written(&path, &[(1, 1)]);
        let error = BatchLog::open(&path, Some((1, 2))).unwrap_err().to_string();
        assert!(
            error.contains("before the checkpoint are missing"),
            "{error}"
        );
    }
}
