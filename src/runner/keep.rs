//! Keeping what the frozen layers at the beginning of a network give for each sample: whether, where,
//! under which key, and what it saves.

mod key;

use std::fmt;
use std::sync::Arc;

use super::identity::Contents;
use super::setup::{Inputs, Outline};
use super::shared::Shared;
use super::watch::Watch;
use crate::cache::{Cache, Entry, Filling, Found, Key, Making};
use crate::config::experiment::{Backend, Experiment};
use crate::error::Result;
use crate::model::spec::NetworkSpec;
use crate::numbers::Dtype;
use crate::results::record;
use crate::train::features::{Features, Rows};
use crate::train::groups::{self, LayerRate};
use crate::train::prefix::Prefix;
use crate::train::{Split, Trainer};

/// Features of a data file that take at most so many bytes are held in memory.
const IN_MEMORY: u64 = 256 << 20;

/// Where fewer multiply-adds give a byte of features, computing it takes no longer than reading it.
const WORTH_A_BYTE: u64 = 10;

/// What is saved by keeping the outputs of a network's first layers.
#[derive(Debug, Clone, PartialEq)]
pub struct Saving {
    pub layers: usize,
    /// Share of the network's multiply-adds that they stand for, 0 to 1.
    pub multiply_adds: f64,
    /// Kept of one sample.
    pub bytes: u64,
    /// How often each sample of the training file would be computed otherwise.
    pub training_times: usize,
    /// The same of the test file.
    pub test_times: usize,
    /// Precision of what is kept.
    pub dtype: Dtype,
    /// Whether that is the precision of the run.
    pub is_exact: bool,
}

/// What a run of `experiment` on this network saves; `None` if nothing is kept: it is not to be,
/// no layer stands still, it would not be worth it, or not sure to be exact. Pure.
pub fn saving(experiment: &Experiment, spec: &NetworkSpec, rates: &[LayerRate]) -> Option<Saving> {
    // Only on the processor it is known that a sample's outputs do not depend on its batch.
    if !experiment.cache.is_on || experiment.backend != Backend::Cpu {
        return None;
    }
    let layers = groups::frozen_prefix(spec, rates);
    let (prefix, _) = spec.layers.split_at(layers);
    let values: usize = prefix.last()?.output.iter().product();
    let bytes = (values * experiment.cache.dtype.size()) as u64;
    let saved: u64 = prefix.iter().map(|layer| layer.multiply_adds()).sum();
    if saved < WORTH_A_BYTE * bytes {
        return None;
    }
    let during = experiment.epochs.checked_div(experiment.evaluation.every);
    Some(Saving {
        layers,
        multiply_adds: saved as f64 / spec.multiply_adds() as f64,
        bytes,
        training_times: experiment.epochs,
        test_times: during.unwrap_or(0) + 1,
        dtype: experiment.cache.dtype,
        is_exact: experiment.cache.rounds(experiment.dtype).is_none(),
    })
}

impl fmt::Display for Saving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = |times| match times {
            1 => "once".to_string(),
            _ => format!("{times} times"),
        };
        let (training, test) = (times(self.training_times), times(self.test_times));
        write!(
            f,
            "{} layers stand still, {:.1} % of the multiply-adds: their outputs, {} kB a sample, are \
             computed once and kept, not computed {training} for a training and {test} for a test sample",
            self.layers,
            100.0 * self.multiply_adds,
            self.bytes.div_ceil(1000),
        )?;
        match self.is_exact {
            true => Ok(()),
            false => write!(
                f,
                "; kept as {}, which rounds them: results are not exactly those without it",
                self.dtype
            ),
        }
    }
}

impl From<&Saving> for record::Features {
    fn from(saving: &Saving) -> Self {
        Self {
            layers: saving.layers,
            multiply_adds: saving.multiply_adds,
            dtype: saving.dtype.to_string(),
            is_exact: saving.is_exact,
        }
    }
}

/// Gives `inputs` what the prefix of `trainer` gives for their samples, computed now or found. Returns
/// whether the run is to go on: nobody asked for an end in the meantime.
///
/// # Errors
/// A data file cannot be read.
pub fn keep(
    shared: &Shared,
    experiment: &Experiment,
    (outline, contents): (&Outline, &Contents),
    trainer: &Trainer<'_>,
    inputs: &mut Inputs,
    watch: &mut Watch<'_>,
) -> Result<bool> {
    let Some(saving) = saving(experiment, &outline.spec, &outline.rates) else {
        return Ok(true);
    };
    watch.note(&saving.to_string());
    let prefix = trainer.prefix();
    let of_prefix = key::of_prefix(experiment, prefix, &outline.spec)?;
    let files = [
        (&mut inputs.train, &contents.train),
        (&mut inputs.test, &contents.test),
    ];
    let (mut computed, mut found) = (0, 0);
    for (split, sha256) in files {
        let mut keeper = Keeper {
            cache: Cache::new(&experiment.cache.directory, experiment.cache.limit_bytes()),
            key: key::of_split(&of_prefix, split, sha256),
            prefix,
            split,
            batch_size: experiment.batch_size,
            computed: 0,
            watch,
        };
        match keeper.features(shared)? {
            Kept::Features(features) => {
                computed += keeper.computed;
                found += split.data.len() - keeper.computed;
                split.features = Some(features);
            }
            Kept::Nowhere => {}
            Kept::Stopped => return Ok(false),
        }
    }
    watch.note(&format!(
        "outputs computed for {computed} samples, found for {found}"
    ));
    Ok(true)
}

/// What came of keeping the features of one file.
enum Kept<T> {
    Features(T),
    /// There is no room: they are computed when they are needed.
    Nowhere,
    Stopped,
}

/// One file, and all that it takes to find or compute its features.
struct Keeper<'a, 'w> {
    cache: Cache,
    key: Key,
    prefix: &'a Prefix,
    split: &'a Split,
    batch_size: usize,
    /// Samples that were computed.
    computed: usize,
    watch: &'a mut Watch<'w>,
}

impl Keeper<'_, '_> {
    fn features(&mut self, shared: &Shared) -> Result<Kept<Arc<Features>>> {
        if let Some(features) = shared.features(&self.key) {
            return Ok(Kept::Features(features));
        }
        let rows = match self.rows()? {
            Kept::Features(rows) => rows,
            Kept::Nowhere => return Ok(Kept::Nowhere),
            Kept::Stopped => return Ok(Kept::Stopped),
        };
        let features = Arc::new(Features::new(self.prefix.form().clone(), rows));
        shared.share(self.key, features.clone());
        Ok(Kept::Features(features))
    }

    fn rows(&mut self) -> Result<Kept<Rows>> {
        let kept = match self.entry() {
            Ok(kept) => kept,
            // The cache is a convenience; what goes wrong with it ends no run.
            Err(Failure::Cache(error)) => {
                self.watch
                    .warn(&format!("the cache cannot be used: {error}"));
                Kept::Nowhere
            }
            Err(Failure::Run(error)) => return Err(error),
        };
        let is_small = self.bytes() <= IN_MEMORY;
        match kept {
            Kept::Stopped => Ok(Kept::Stopped),
            Kept::Features(entry) if is_small => {
                let mut rows = Vec::with_capacity(self.bytes() as usize);
                entry.read(&Vec::from_iter(0..self.split.data.len()), &mut rows)?;
                Ok(Kept::Features(Rows::Memory(rows)))
            }
            Kept::Features(entry) => Ok(Kept::Features(Rows::File(entry))),
            Kept::Nowhere if is_small => self.in_memory(),
            Kept::Nowhere => {
                let size = self.bytes().div_ceil(1_000_000);
                self.watch.warn(&format!(
                    "the outputs for {} take {size} MB, for which there is no room within \
                     cache_limit: they are computed anew each time",
                    self.split.data.path().display()
                ));
                Ok(Kept::Nowhere)
            }
        }
    }

    /// From the cache, where they are put first if they are not there.
    fn entry(&mut self) -> Result<Kept<Entry>, Failure> {
        let (rows, row_bytes) = (self.split.data.len(), self.prefix.form().row_bytes());
        let found = self.cache.find(&self.key, rows, row_bytes);
        match found.map_err(Failure::Cache)? {
            Found::Entry(entry) => return Ok(Kept::Features(entry)),
            Found::Damaged(what) => self.watch.warn(&format!("{what}: it is made anew")),
            Found::Absent => {}
        }
        let stop = || self.watch.is_stop_requested();
        let making = self.cache.make(&self.key, rows, row_bytes, &stop);
        match making.map_err(Failure::Cache)? {
            Making::Made(entry) => Ok(Kept::Features(entry)),
            Making::NoRoom => Ok(Kept::Nowhere),
            Making::Stopped => Ok(Kept::Stopped),
            Making::Begun(filling) => self.fill(filling),
        }
    }

    fn fill(&mut self, mut filling: Filling) -> Result<Kept<Entry>, Failure> {
        let mut lost = None;
        let first = filling.done();
        let complete = self.compute(first, &mut |rows| {
            // An error ends the computation, and is told from one of the data file behind it.
            lost = filling.push(&rows).err();
            lost.is_none()
        });
        let complete = complete.map_err(Failure::Run)?;
        match lost {
            Some(error) => Err(Failure::Cache(error)),
            None if !complete => Ok(Kept::Stopped),
            None => filling.finish().map(Kept::Features).map_err(Failure::Cache),
        }
    }

    fn in_memory(&mut self) -> Result<Kept<Rows>> {
        let mut all = Vec::with_capacity(self.bytes() as usize);
        let complete = self.compute(0, &mut |rows| {
            all.extend(rows);
            true
        })?;
        Ok(match complete {
            true => Kept::Features(Rows::Memory(all)),
            false => Kept::Stopped,
        })
    }

    /// Computes all rows from `first` on for `sink`, until it wants no more or somebody asks for an
    /// end. Returns whether neither happened.
    fn compute(&mut self, first: usize, sink: &mut dyn FnMut(Vec<u8>) -> bool) -> Result<bool> {
        let row_bytes = self.prefix.form().row_bytes();
        let (mut done, of) = (first, self.split.data.len());
        let watch = &mut *self.watch;
        watch.features(done, of);
        let complete = self
            .prefix
            .compute(self.split, first, self.batch_size, &mut |rows| {
                done += rows.len() / row_bytes;
                let goes_on = sink(rows);
                watch.features(done, of);
                Ok(goes_on && (done == of || !watch.is_stop_requested()))
            });
        self.computed = done - first;
        complete
    }

    /// Of all features together.
    fn bytes(&self) -> u64 {
        self.split.data.len() as u64 * self.prefix.form().row_bytes() as u64
    }
}

/// What went wrong, and with which of the two.
enum Failure {
    Cache(crate::error::Error),
    Run(crate::error::Error),
}
