//! What training tells whoever watches it.

use super::Trainer;
use crate::error::Result;
use crate::results::rows::{MetricsRow, Timing};

/// Who watches a training, and may stop it.
pub trait Observer {
    /// A batch is done.
    fn batch(&mut self, batch: &Step<'_>);
    /// An epoch is done.
    fn epoch(&mut self, row: &MetricsRow, timing: &Timing);
    /// Keep this trainer's state, with [`Trainer::write_checkpoint`].
    fn checkpoint(&mut self, trainer: &Trainer<'_>) -> Result<()>;
    /// Keep this trainer's state for good, with [`Trainer::write_state`]: so many epochs are done.
    fn state(&mut self, trainer: &Trainer<'_>, epochs: usize) -> Result<()>;
    /// Asked after each batch: leave a checkpoint and stop?
    fn stop_requested(&self) -> bool;
}

/// One batch that training has gone through, as it was before the update that it brought about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step<'a> {
    /// Counted from 0, as is `batch` within it.
    pub epoch: usize,
    pub batch: usize,
    /// Samples of the epoch so far, those of this batch included.
    pub samples: usize,
    /// The samples of this batch, by their rows in the training file.
    pub sample_ids: &'a [usize],
    /// Mean over the batch.
    pub cost: f64,
    /// Base learning rate of the update.
    pub learning_rate: f64,
    /// (samples of the batch, classes) in C order.
    pub confidences: &'a [f64],
    /// Digest of all weights after the update, where it is due.
    pub weights: Option<&'a str>,
}
