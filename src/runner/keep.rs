//! Keeping what the frozen layers at the beginning of a network give for each sample: where, and under
//! which key.

mod key;

use std::sync::Arc;

use super::identity::Contents;
use super::setup::{Inputs, Outline};
use super::shared::Shared;
use super::watch::Watch;
use crate::cache::{Cache, Entry, Filling, Found, Key, Making};
use crate::config::experiment::Experiment;
use crate::error::Result;
use crate::train::features::{Features, Rows};
use crate::train::prefix::Prefix;
use crate::train::saving::saving;
use crate::train::{Split, Trainer};

/// Features of a data file that take at most so many bytes are held in memory.
const IN_MEMORY: u64 = 256 << 20;

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
