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
mod pace;
pub mod prefix;
mod progress;
pub mod saving;
pub mod schedule;
mod split;
pub mod updates;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::config::experiment::{self, Experiment, Statistics};
use crate::error::{Error, Result};
use crate::model::digest::{self, TensorDigest};
use crate::model::layer::Draw;
use crate::model::network::{NamedTensor, Network, Weights};
use crate::model::spec::{LayerSpec, NetworkSpec};
use crate::numbers::Numbers;
use crate::results::rows::{MetricsRow, Timing};
use checkpoint::Checkpoint;
use evaluate::Evaluation;
use groups::LayerRate;
use loader::{Batch, Loading};
pub use observer::{Observer, Step};
use pace::Pace;
use prefix::Prefix;
pub use progress::Progress;
use schedule::Time;
pub use split::Split;
use updates::Updates;

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All epochs are done.
    Complete,
    /// The observer asked to stop; it has a checkpoint.
    Stopped,
}

/// A model in training.
pub struct Trainer<'a> {
    experiment: &'a Experiment,
    seed: u64,
    device: Device,
    prefix: Prefix,
    /// Of the tensors of `prefix`, from when a digest of all was first asked for.
    prefix_digests: OnceCell<Vec<TensorDigest>>,
    trained: Network,
    updates: Updates,
    progress: Progress,
    pace: Pace,
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
        let behind = spec.layers.iter().skip(layers);
        let trained_numbers: usize = behind.map(LayerSpec::parameter_count).sum();
        Ok(Self {
            experiment,
            seed,
            prefix: Prefix::new(frozen, layers, spec, precision, device.clone()),
            prefix_digests: OnceCell::new(),
            device,
            trained,
            updates,
            progress: Progress::default(),
            // The weights, and as much again that an optimizer remembers.
            pace: Pace::new(2 * (trained_numbers * dtype.size()) as u64),
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
        self.ahead = None;
        Ok(())
    }

    /// Gives the trained layers these weights, by name in files, and nothing else of a [`Checkpoint`].
    ///
    /// # Errors
    /// They are of another network.
    pub fn set_weights(&mut self, weights: BTreeMap<String, Numbers>) -> Result<()> {
        self.trained.restore(weights)
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

    /// Writes the same to stay, without times: the same bytes whenever the same run is run.
    ///
    /// # Errors
    /// Whatever the file system refuses.
    pub fn write_state(&self, path: &Path, identity: &str) -> Result<()> {
        let progress = self.progress.without_times();
        let optimizer = self.updates.state()?;
        let weights = self.trained.tensors();
        checkpoint::write(path, &weights, &optimizer, &progress, identity)
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
        self.train_until(self.experiment.epochs, train, test, observer)
    }

    /// The same, until so many epochs are done.
    ///
    /// # Errors
    /// As [`train`](Self::train).
    pub fn train_until(
        &mut self,
        epochs: usize,
        train: &Split,
        test: Option<&Split>,
        observer: &mut dyn Observer,
    ) -> Result<End> {
        while self.progress.epoch < epochs {
            if self.train_epoch(train, observer)? == End::Stopped {
                observer.checkpoint(self)?;
                return Ok(End::Stopped);
            }
            let epochs = self.progress.epoch + 1;
            let is_due = epochs.is_multiple_of(self.experiment.evaluation.every);
            let test = test.filter(|_| is_due);
            let evaluation = test.map(|test| self.evaluate(test)).transpose()?;
            self.close_epoch(evaluation);
            let Progress { rows, timings, .. } = &self.progress;
            if let (Some(row), Some(timing)) = (rows.last(), timings.last()) {
                observer.epoch(row, timing);
            }
            let done = self.progress.epoch == self.experiment.epochs;
            let experiment::Checkpoint { every, keep } = self.experiment.checkpoint;
            if !done && keep > 0 && self.progress.epoch.is_multiple_of(keep) {
                observer.state(self, self.progress.epoch)?;
            }
            let is_due = every > 0 && self.progress.epoch.is_multiple_of(every);
            if !done && is_due && self.pace.allows() {
                self.keep_checkpoint(observer)?;
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
        self.progress.all_seconds()
    }

    /// The last batch so far of a training on `samples`, as (epoch, batch), both counted from 1.
    pub fn last_batch(&self, samples: usize) -> Option<(usize, usize)> {
        let Experiment {
            data, batch_size, ..
        } = self.experiment;
        self.progress.last_batch(data, samples, *batch_size)
    }

    /// The tensors behind the frozen prefix.
    pub fn trained_tensors(&self) -> Vec<NamedTensor> {
        self.trained.tensors()
    }

    /// A row an epoch so far.
    pub fn rows(&self) -> &[MetricsRow] {
        &self.progress.rows
    }

    /// How long each of them took.
    pub fn timings(&self) -> &[Timing] {
        &self.progress.timings
    }

    /// Digest of every tensor of the model.
    pub fn digest(&self) -> String {
        let of_prefix = || digest::of_tensors(&self.prefix.tensors());
        let mut digests = self.prefix_digests.get_or_init(of_prefix).clone();
        digests.extend(digest::of_tensors(&self.trained.tensors()));
        digest::of_model(digests)
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
            let sample_ids = batch.samples.clone();
            let size = sample_ids.len();
            let number = self.progress.batch;
            let (cost, confidences) = self.step(batch, train.transform.shape(), steps)?;
            self.progress.batch += 1;
            let weights = self.is_digest_due(steps).then(|| self.digest());
            self.progress.samples += size;
            self.progress.cost += cost;
            self.progress.seconds = before + started.elapsed().as_secs_f64();
            observer.batch(&Step {
                epoch,
                batch: number,
                samples: self.progress.samples,
                sample_ids: &sample_ids,
                cost: cost / size as f64,
                learning_rate: self.updates.rate(Time {
                    epoch,
                    step: number,
                    steps,
                }),
                confidences: &confidences,
                weights: weights.as_deref(),
            });
            if observer.stop_requested() {
                return Ok(End::Stopped);
            }
            if self.experiment.checkpoint.every > 0 && self.pace.is_overdue() {
                self.keep_checkpoint(observer)?;
            }
        }
    }

    /// Whether the record wants the digest of the weights after the batch that is done, in an epoch of so
    /// many steps.
    fn is_digest_due(&self, steps: usize) -> bool {
        let experiment::Record {
            batches,
            weights_every: every,
        } = self.experiment.record;
        let done = self.progress.batch;
        batches && (done == steps || (every > 0 && done.is_multiple_of(every)))
    }

    fn keep_checkpoint(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let mut pace = std::mem::replace(&mut self.pace, Pace::new(0));
        let kept = pace.written(|| observer.checkpoint(self));
        self.pace = pace;
        kept
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
        let last = self.progress.last_step();
        let rates = (self.updates.rate(last), self.updates.group_rates(last));
        self.progress.close_epoch(rates, evaluation);
    }
}
