//! The run's log and checkpoints, between the training loop and whoever watches.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Event, Reporter};
use crate::error::{At, Error, Result};
use crate::results::batches::{BatchLog, BatchRow, hash_of_samples};
use crate::results::record;
use crate::results::rows::{self, MetricsRow, Timing};
use crate::results::writer::RecordWriter;
use crate::train::checkpoint::{self, Checkpoint};
use crate::train::{Observer, Step, Trainer};

/// Passes on what happens, and writes it to the record's log.
pub struct Watch<'a> {
    reporter: &'a mut dyn Reporter,
    log: File,
    log_path: PathBuf,
    /// Of the record's files.
    directory: PathBuf,
    checkpoint: PathBuf,
    /// The checkpoint before.
    previous: PathBuf,
    /// Kept in each checkpoint.
    identity: String,
    /// Training samples an epoch.
    samples: usize,
    /// The first line that could not be written to the log.
    failure: Option<std::io::Error>,
    /// Unless the experiment wants no batches.
    batches: Option<BatchLog>,
    /// The first row that could not be written there.
    lost: Option<Error>,
}

impl<'a> Watch<'a> {
    pub fn new(
        reporter: &'a mut dyn Reporter,
        writer: &RecordWriter,
        identity: &str,
        samples: usize,
    ) -> Result<Self> {
        let log_path = writer.path(record::LOG);
        let mut options = OpenOptions::new();
        let log = options.create(true).append(true).open(&log_path);
        Ok(Self {
            reporter,
            log: log.at(log_path.display())?,
            log_path,
            directory: writer.path(""),
            checkpoint: writer.path("checkpoint.safetensors"),
            previous: writer.path("checkpoint.previous.safetensors"),
            identity: identity.to_string(),
            samples,
            failure: None,
            batches: None,
            lost: None,
        })
    }

    /// Whoever is told.
    pub fn reporter(&mut self) -> &mut dyn Reporter {
        self.reporter
    }

    /// The newest checkpoint that an interrupted run left whole. Damaged ones are reported.
    pub fn checkpoint(&mut self) -> Option<Checkpoint> {
        for path in [self.checkpoint.clone(), self.previous.clone()] {
            match checkpoint::read_if_there(&path, &self.identity) {
                Ok(Some(checkpoint)) => return Some(checkpoint),
                Ok(None) => {}
                Err(error) => self.warn(&format!("{error}; it is not used")),
            }
        }
        None
    }

    pub fn note(&mut self, text: &str) {
        self.write(text);
        self.reporter.event(Event::Note(text));
    }

    pub fn warn(&mut self, text: &str) {
        self.write(&format!("warning: {text}"));
        self.reporter.event(Event::Warning(text));
    }

    /// Keeps every batch from here on in `path`.
    ///
    /// # Errors
    /// As [`BatchLog::open`].
    pub fn keep_batches(&mut self, path: &Path, trainer: &Trainer<'_>) -> Result<()> {
        self.batches = Some(BatchLog::open(path, trainer.last_batch(self.samples))?);
        Ok(())
    }

    /// Of `of` samples, what the frozen layers give is computed for `done`.
    pub fn features(&mut self, done: usize, of: usize) {
        self.reporter.event(Event::Features { done, of });
    }

    /// Whether the run is to leave what it has and stop.
    pub fn is_stop_requested(&self) -> bool {
        self.reporter.stop_requested()
    }

    pub fn training(&mut self) {
        let samples = self.samples;
        self.reporter.event(Event::Training { samples });
    }

    /// Ends the log and the file of batches.
    ///
    /// # Errors
    /// A line of them could not be written.
    pub fn close(&mut self) -> Result<()> {
        self.flush_batches()?;
        match self.failure.take() {
            Some(error) => Err(error).at(self.log_path.display()),
            None => self.log.sync_all().at(self.log_path.display()),
        }
    }

    fn flush_batches(&mut self) -> Result<()> {
        match (self.lost.take(), &mut self.batches) {
            (Some(error), _) => Err(error),
            (None, Some(batches)) => batches.flush(),
            (None, None) => Ok(()),
        }
    }

    fn write(&mut self, text: &str) {
        if let Err(error) = writeln!(self.log, "{text}") {
            self.failure.get_or_insert(error);
        }
    }
}

/// The row of `batches.csv` for a step.
pub fn batch_row(step: &Step<'_>) -> BatchRow {
    BatchRow {
        epoch: step.epoch + 1,
        batch: step.batch + 1,
        samples: step.sample_ids.len(),
        cost: step.cost,
        learning_rate: step.learning_rate,
        sample_ids: hash_of_samples(step.sample_ids),
        weights: step.weights.map(str::to_owned),
    }
}

impl Observer for Watch<'_> {
    fn batch(&mut self, step: &Step<'_>) {
        let row = batch_row(step);
        if let Some(Err(error)) = self.batches.as_mut().map(|batches| batches.push(&row)) {
            self.lost.get_or_insert(error);
        }
        self.reporter.event(Event::Batch {
            epoch: step.epoch,
            samples: step.samples.min(self.samples),
            of: self.samples,
            cost: step.cost,
        });
    }

    fn epoch(&mut self, row: &MetricsRow, timing: &Timing) {
        self.write(&rows::line(row, timing));
        self.reporter.event(Event::Epoch(row, timing));
    }

    fn checkpoint(&mut self, trainer: &Trainer<'_>) -> Result<()> {
        self.flush_batches()?;
        if self.checkpoint.exists() {
            // The one before stays, for the day on which the new one is damaged.
            fs::rename(&self.checkpoint, &self.previous).at(self.previous.display())?;
        }
        trainer.write_checkpoint(&self.checkpoint, &self.identity)
    }

    fn state(&mut self, trainer: &Trainer<'_>, epochs: usize) -> Result<()> {
        let path = self.directory.join(record::state(epochs));
        trainer.write_state(&path, &self.identity)
    }

    fn stop_requested(&self) -> bool {
        self.is_stop_requested()
    }
}
