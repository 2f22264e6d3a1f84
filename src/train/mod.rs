//! The training loop, written out: batches, forward, backward, one update a group, metrics.
//!
//! It is told what to train on and reports through an [`Observer`]; it knows no TOML, no terminal
//! and no `results/`.

pub mod checkpoint;
mod clip;
pub mod evaluate;
pub mod features;
pub mod groups;
pub mod loader;
pub mod loss;
mod observer;
pub mod optimizer;
pub mod order;
pub mod prefix;
pub mod saving;
pub mod schedule;
pub mod updates;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::config::experiment::{Experiment, Statistics};
use crate::data::dataset::Dataset;
use crate::data::transform::Transform;
use crate::error::{Error, Result};
use crate::model::layer::Draw;
use crate::model::network::{NamedTensor, Network, Weights};
use crate::model::spec::NetworkSpec;
use crate::random::Stream;
use crate::results::rows::MetricsRow;
use checkpoint::Checkpoint;
use evaluate::Evaluation;
use features::Features;
use groups::LayerRate;
use loader::{Batch, Loading};
pub use observer::{Observer, Step};
use prefix::Prefix;
use schedule::Time;
use updates::Updates;

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All epochs are done.
    Complete,
    /// The observer asked to stop; it has a checkpoint.
    Stopped,
}

/// One data file as training sees it.
#[derive(Clone)]
pub struct Split {
    pub data: Arc<Dataset>,
    pub transform: Transform,
    /// The class of each sample: the file's, unless a control shuffles them.
    pub labels: Arc<[u32]>,
    /// What the frozen prefix gives for each sample, where it is kept.
    pub features: Option<Arc<Features>>,
}

impl Split {
    /// The file as it is, of which nothing is kept yet.
    pub fn new(data: Arc<Dataset>, transform: Transform) -> Self {
        Self {
            labels: data.labels().into(),
            data,
            transform,
            features: None,
        }
    }

    /// Deals the labels out anew, in an order that follows from `seed`: as many of each class as
    /// before.
    pub fn shuffle_labels(&mut self, seed: u64) {
        let order = Stream::new(seed, "shuffled labels", &[]).permutation(self.labels.len());
        self.labels = order.iter().map(|&sample| self.labels[sample]).collect();
    }
}

/// Where a training stands.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
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
    #[serde(default)]
    pub waiting: f64,
    /// A row a finished epoch.
    pub rows: Vec<MetricsRow>,
}

/// A model in training.
pub struct Trainer<'a> {
    experiment: &'a Experiment,
    seed: u64,
    device: Device,
    prefix: Prefix,
    trained: Network,
    updates: Updates,
    progress: Progress,
    /// An epoch to come, and its batches: the first are being read.
    ahead: Option<(usize, Loading)>,
}

impl<'a> Trainer<'a> {
    /// Builds the target model with imported `weights`, freezes what `rates` freezes and cuts off
    /// the frozen prefix.
    ///
    /// # Errors
    /// Weights that do not fit `spec`.
    pub fn new(
        experiment: &'a Experiment,
        spec: &NetworkSpec,
        rates: &[LayerRate],
        weights: Weights,
        seed: u64,
        device: Device,
    ) -> Result<Self> {
        let frozen: Vec<bool> = rates.iter().map(|rate| rate.frozen).collect();
        let on = device.clone().autodiff();
        let network = Network::new(spec, weights, seed, experiment.dtype, &on)?;
        let keeps = experiment.batch_norm.statistics == Statistics::Keep;
        let kept = rates.iter();
        let kept: Vec<bool> = kept
            .map(|rate| keeps && rate.imported && !rate.frozen)
            .collect();
        let network = network.exact(experiment.exact);
        let network = network.freeze_layers(&frozen).keep_statistics(&kept);
        let updates = Updates::new(experiment, &network, spec, rates);
        let layers = groups::frozen_prefix(spec, rates);
        let (frozen, trained) = network.split(layers);
        let is_kept = saving::saving(experiment, spec, rates).is_some();
        let dtype = experiment.dtype;
        let precision = (dtype, experiment.cache.rounds(dtype).filter(|_| is_kept));
        Ok(Self {
            experiment,
            seed,
            prefix: Prefix::new(frozen, layers, spec, precision, device.clone()),
            device,
            trained,
            updates,
            progress: Progress::default(),
            ahead: None,
        })
    }

    /// Goes on from `checkpoint`.
    ///
    /// # Errors
    /// The checkpoint is of another network.
    pub fn resume(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.trained.restore(checkpoint.weights)?;
        self.updates.restore(checkpoint.optimizer)?;
        self.progress = checkpoint.progress;
        Ok(())
    }

    /// Writes all that [`resume`](Self::resume) needs to `path`, as of the run `identity`.
    ///
    /// # Errors
    /// Whatever the file system refuses.
    pub fn write_checkpoint(&self, path: &Path, identity: &str) -> Result<()> {
        let optimizer = self.updates.state()?;
        let weights = self.trained.tensors();
        checkpoint::write(path, &weights, &optimizer, &self.progress, identity)
    }

    /// Trains until all epochs are done or the observer stops it. With `test`, evaluates that file
    /// after every so many epochs as the experiment says.
    ///
    /// # Errors
    /// Reading fails, the cost is no longer a number, or the observer cannot keep a checkpoint.
    pub fn train(
        &mut self,
        train: &Split,
        test: Option<&Split>,
        observer: &mut dyn Observer,
    ) -> Result<End> {
        while self.progress.epoch < self.experiment.epochs {
            if self.train_epoch(train, observer)? == End::Stopped {
                observer.checkpoint(self)?;
                return Ok(End::Stopped);
            }
            let epochs = self.progress.epoch + 1;
            let is_due = epochs.is_multiple_of(self.experiment.evaluation.every);
            let test = test.filter(|_| is_due);
            let evaluation = test.map(|test| self.evaluate(test)).transpose()?;
            self.close_epoch(evaluation);
            if let Some(row) = self.progress.rows.last() {
                observer.epoch(row);
            }
            let every = self.experiment.checkpoint.every;
            let done = self.progress.epoch == self.experiment.epochs;
            if !done && every > 0 && self.progress.epoch.is_multiple_of(every) {
                observer.checkpoint(self)?;
            }
        }
        Ok(End::Complete)
    }

    /// Confidences for every sample of `split`, with the weights as they stand.
    ///
    /// # Errors
    /// Whatever reading the file brings.
    pub fn evaluate(&self, split: &Split) -> Result<Evaluation> {
        evaluate::evaluate(
            &self.prefix,
            &self.trained.valid(),
            split,
            self.experiment.batch_size,
            self.experiment.loss.name,
        )
    }

    /// One update of every group, on a batch of images of this shape, the epoch having so many steps.
    /// Returns the summed cost of the batch and its confidences, as they were before the update.
    ///
    /// # Errors
    /// The cost is no longer a number.
    pub fn step(
        &mut self,
        batch: Batch,
        shape: [usize; 3],
        steps: usize,
    ) -> Result<(f64, Vec<f64>)> {
        let Progress {
            epoch, batch: step, ..
        } = self.progress;
        let draw = Draw {
            seed: self.seed,
            epoch,
            samples: &batch.samples,
        };
        let features = self.prefix.of(batch.entering, shape).autodiff();
        let logits = self.trained.forward(features, Some(draw)).features();
        let [_, classes] = logits.dims();

        let host = logits.clone().inner().into_data();
        let host: Vec<f64> = host.iter::<f64>().collect();
        let confidences = loss::confidences(&host, classes, self.experiment.dtype);
        let cost = loss::reported(self.experiment.loss.name, &confidences, &batch.labels);
        if host.iter().any(|logit| !logit.is_finite()) {
            return Err(Error::new(format!(
                "the cost is no longer a number in epoch {}, batch {}",
                epoch + 1,
                step + 1
            ))
            .help("training has diverged: lower optimizer.learning_rate, or preprocessing.scale"));
        }

        let mut gradients =
            loss::descended(&self.experiment.loss, logits, self.labels(&batch.labels)).backward();
        let time = Time { epoch, step, steps };
        let network = std::mem::take(&mut self.trained);
        self.trained = self.updates.step(network, &mut gradients, time);
        Ok((cost, confidences))
    }

    /// What the update rule of each trained tensor remembers of it, as [`Updates::states`] says.
    ///
    /// # Errors
    /// Burn cannot write, or read back, its record.
    pub fn states(&self) -> Result<updates::States> {
        self.updates.states()
    }

    /// The layers at the beginning that stand still.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// Every tensor of the model, in the order of the layers.
    pub fn tensors(&self) -> Vec<NamedTensor> {
        let mut tensors = self.prefix.tensors();
        tensors.extend(self.trained.tensors());
        tensors
    }

    /// Seconds of training so far, those before an interruption included.
    pub fn seconds(&self) -> f64 {
        let epochs: f64 = self.progress.rows.iter().map(|row| row.seconds).sum();
        epochs + self.progress.seconds
    }

    /// The last batch so far of a training on `samples`, as (epoch, batch), both counted from 1.
    pub fn last_batch(&self, samples: usize) -> Option<(usize, usize)> {
        let Progress { epoch, batch, .. } = self.progress;
        let Experiment {
            data, batch_size, ..
        } = self.experiment;
        match (epoch.checked_sub(1), batch) {
            (None, 0) => None,
            (Some(last), 0) => Some((epoch, order::batches(data, last, samples, *batch_size))),
            (_, batch) => Some((epoch + 1, batch)),
        }
    }

    /// A row an epoch so far.
    pub fn rows(&self) -> &[MetricsRow] {
        &self.progress.rows
    }

    fn train_epoch(&mut self, train: &Split, observer: &mut dyn Observer) -> Result<End> {
        let batch_size = self.experiment.batch_size;
        let epoch = self.progress.epoch;
        let steps = order::batches(&self.experiment.data, epoch, train.data.len(), batch_size);
        let mut batches = match self.ahead.take() {
            Some((of, batches)) if (of, 0) == (epoch, self.progress.batch) => batches,
            _ => self.batches(train, epoch, self.progress.batch)?,
        };
        let started = Instant::now();
        let before = self.progress.seconds;
        loop {
            let asked = Instant::now();
            let Some(batch) = batches.next().transpose()? else {
                if epoch + 1 < self.experiment.epochs {
                    // While this epoch is evaluated and closed.
                    self.ahead = Some((epoch + 1, self.batches(train, epoch + 1, 0)?));
                }
                return Ok(End::Complete);
            };
            self.progress.waiting += asked.elapsed().as_secs_f64();
            let size = batch.samples.len();
            let number = self.progress.batch;
            let (cost, confidences) = self.step(batch, train.transform.shape(), steps)?;
            self.progress.batch += 1;
            self.progress.samples += size;
            self.progress.cost += cost;
            self.progress.seconds = before + started.elapsed().as_secs_f64();
            observer.batch(&Step {
                epoch,
                batch: number,
                samples: self.progress.samples,
                size,
                cost: cost / size as f64,
                learning_rate: self.updates.rate(Time {
                    epoch,
                    step: number,
                    steps,
                }),
                confidences: &confidences,
            });
            if observer.stop_requested() {
                return Ok(End::Stopped);
            }
        }
    }

    /// The batches of `epoch` but the first `done`.
    fn batches(&self, train: &Split, epoch: usize, done: usize) -> Result<Loading> {
        let Experiment {
            data, batch_size, ..
        } = self.experiment;
        let mut order = order::samples(data, self.seed, epoch, train.data.len(), *batch_size);
        order.drain(..(done * batch_size).min(order.len()));
        loader::batches(train, order, *batch_size)
    }

    fn labels(&self, labels: &[u32]) -> Tensor<1, Int> {
        let labels: Vec<i64> = labels.iter().map(|&label| i64::from(label)).collect();
        let shape = [labels.len()];
        Tensor::from_data(
            TensorData::new(labels, shape),
            &self.device.clone().autodiff(),
        )
    }

    fn close_epoch(&mut self, evaluation: Option<Evaluation>) {
        let Progress {
            epoch,
            batch: steps,
            samples,
            ..
        } = self.progress;
        let step = steps.saturating_sub(1);
        let last = Time { epoch, step, steps };
        let progress = &mut self.progress;
        progress.rows.push(MetricsRow {
            epoch: epoch + 1,
            training_cost: progress.cost / samples as f64,
            test_cost: evaluation.as_ref().map(|evaluation| evaluation.cost),
            accuracy: evaluation.as_ref().map(|evaluation| evaluation.accuracy),
            learning_rate: self.updates.rate(last),
            group_learning_rates: self.updates.group_rates(last),
            seconds: progress.seconds,
            images_per_second: samples as f64 / progress.seconds.max(1e-9),
            seconds_waiting: Some(progress.waiting),
        });
        progress.epoch += 1;
        (progress.batch, progress.samples) = (0, 0);
        (progress.cost, progress.seconds, progress.waiting) = (0.0, 0.0, 0.0);
    }
}
