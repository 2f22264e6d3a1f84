//! Where a training stands, in numbers; it is part of every checkpoint.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::evaluate::Evaluation;
use super::order;
use super::schedule::Time;
use crate::config::experiment::Data;
use crate::results::rows::{GroupRate, MetricsRow, Timing};

/// Where a training stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs done.
    pub epoch: usize,
    /// Batches done of the current epoch.
    pub batch: usize,
    /// Samples and summed cost of those batches.
    pub samples: usize,
    pub cost: f64,
    /// Seconds spent on the current epoch, and those of them spent waiting for batches.
    pub seconds: f64,
    pub waiting: f64,
    /// A row a finished epoch.
    pub rows: Vec<MetricsRow>,
    pub timings: Vec<Timing>,
}

impl Progress {
    /// The step that is done last in the current epoch, which is over.
    pub fn last_step(&self) -> Time {
        let (epoch, steps) = (self.epoch, self.batch);
        let step = steps.saturating_sub(1);
        Time { epoch, step, steps }
    }

    /// Ends the current epoch, whose last step was at these rates: that of `[optimizer]`, those of the
    /// groups.
    pub fn close_epoch(
        &mut self,
        (learning_rate, group_learning_rates): (f64, Vec<GroupRate>),
        evaluation: Option<Evaluation>,
    ) {
        let epoch = self.epoch + 1;
        self.rows.push(MetricsRow {
            epoch,
            training_cost: self.cost / self.samples as f64,
            test_cost: evaluation.as_ref().map(|evaluation| evaluation.cost),
            accuracy: evaluation.as_ref().map(|evaluation| evaluation.accuracy),
            learning_rate,
            group_learning_rates,
        });
        self.timings.push(Timing {
            epoch,
            seconds: self.seconds,
            images_per_second: self.samples as f64 / self.seconds.max(1e-9),
            seconds_waiting: self.waiting,
        });
        self.epoch = epoch;
        (self.batch, self.samples) = (0, 0);
        (self.cost, self.seconds, self.waiting) = (0.0, 0.0, 0.0);
    }

    /// The last batch so far of a training on `samples`, as (epoch, batch), both counted from 1.
    pub fn last_batch(
        &self,
        data: &Data,
        samples: usize,
        batch_size: usize,
    ) -> Option<(usize, usize)> {
        let Progress { epoch, batch, .. } = *self;
        match (epoch.checked_sub(1), batch) {
            (None, 0) => None,
            (Some(last), 0) => Some((epoch, order::batches(data, last, samples, batch_size))),
            (_, batch) => Some((epoch + 1, batch)),
        }
    }

    /// Seconds of training so far, those before an interruption included.
    pub fn all_seconds(&self) -> f64 {
        let epochs: f64 = self.timings.iter().map(|timing| timing.seconds).sum();
        epochs + self.seconds
    }

    /// The same, whenever it is reached.
    pub fn without_times(&self) -> Self {
        Self {
            seconds: 0.0,
            waiting: 0.0,
            timings: Vec::new(),
            ..self.clone()
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}, batch {}", self.epoch + 1, self.batch + 1)
    }
}
