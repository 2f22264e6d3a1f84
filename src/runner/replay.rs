//! Single stretches of a run, trained again from states that its record holds.

use std::collections::BTreeMap;

use super::on_pool;
use super::prepare::{self, Prepared, Training};
use super::shared::Shared;
use super::watch::batch_row;
use super::write;
use super::{Reporter, setup::Inputs};
use crate::error::{Error, Result};
use crate::numbers::Numbers;
use crate::plan::Run;
use crate::results::batches::BatchRow;
use crate::results::rows::{MetricsRow, OutputRow, Timing};
use crate::train::checkpoint::Checkpoint;
use crate::train::{Observer, Step, Trainer};

/// A run that is ready to train. It leaves no record.
pub struct Replay<'a> {
    training: Box<Training<'a>>,
}

/// What a stretch of training gave.
#[derive(Debug, Default)]
pub struct Stretch {
    pub metrics: Vec<MetricsRow>,
    pub batches: Vec<BatchRow>,
}

impl<'a> Replay<'a> {
    /// Prepares `run`, of which nothing stands at its place yet.
    ///
    /// # Errors
    /// Whatever keeps it from its start, or somebody asked for an end.
    pub fn open(run: &'a Run, shared: &Shared, reporter: &'a mut dyn Reporter) -> Result<Self> {
        match on_pool(|| prepare::prepare(run, false, shared, reporter))? {
            Prepared::Ready(training) => Ok(Self { training }),
            Prepared::Ended(_) => Err(Error::new("stopped before the replay began")),
        }
    }

    /// Digest of all weights as they stand.
    pub fn digest(&self) -> String {
        self.training.trainer.digest()
    }

    /// Goes on from `state`.
    ///
    /// # Errors
    /// It is of another network.
    pub fn resume(&mut self, state: Checkpoint) -> Result<()> {
        self.training.trainer.resume(state)
    }

    /// Trains on until so many epochs are done.
    ///
    /// # Errors
    /// As [`Trainer::train`].
    pub fn train_until(&mut self, epochs: usize) -> Result<Stretch> {
        let Training {
            trainer, inputs, ..
        } = self.training.as_mut();
        let Inputs { train, test } = inputs;
        let mut stretch = Stretch::default();
        on_pool(|| trainer.train_until(epochs, train, Some(test), &mut stretch))?;
        Ok(stretch)
    }

    /// What the model gives for the test samples whose trained layers have these weights, by their
    /// names in files.
    ///
    /// # Errors
    /// They are of another network; the test file cannot be read.
    pub fn outputs(&mut self, weights: BTreeMap<String, Numbers>) -> Result<Vec<OutputRow>> {
        let Training {
            trainer, inputs, ..
        } = self.training.as_mut();
        let evaluation = on_pool(|| {
            trainer.set_weights(weights)?;
            trainer.evaluate(&inputs.test)
        })?;
        Ok(write::output_rows(&evaluation, &inputs.test.data))
    }

    /// The weights of trained layers as they stand, by their names in files.
    pub fn weights(&self) -> BTreeMap<String, Numbers> {
        let tensors = self.training.trainer.trained_tensors().into_iter();
        tensors
            .map(|tensor| (tensor.name(), tensor.values))
            .collect()
    }
}

impl Observer for Stretch {
    fn batch(&mut self, step: &Step<'_>) {
        self.batches.push(batch_row(step));
    }

    fn epoch(&mut self, row: &MetricsRow, _: &Timing) {
        self.metrics.push(row.clone());
    }

    fn checkpoint(&mut self, _: &Trainer<'_>) -> Result<()> {
        Ok(())
    }

    fn state(&mut self, _: &Trainer<'_>, _: usize) -> Result<()> {
        Ok(())
    }

    fn stop_requested(&self) -> bool {
        false
    }
}
