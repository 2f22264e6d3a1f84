//! What the runs of one command need not find out each for itself.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::cache::Key;
use crate::error::Result;
use crate::train::features::Features;

/// Kept features of two files, of two networks.
const FEATURES: usize = 4;

/// Checksums of files, and kept features.
#[derive(Default)]
pub struct Shared {
    /// Each with its key, those used last behind; a few, since some are in memory.
    features: Mutex<Vec<(Key, Arc<Features>)>>,
    checksums: Mutex<HashMap<PathBuf, (Stamp, String)>>,
    turn: Mutex<()>,
}

/// What changes when a file is written: its length, and when that was.
type Stamp = (u64, SystemTime);

impl Shared {
    /// Waits until nobody else prepares a run.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        locked(&self.turn)
    }

    /// The checksum of the file at `path`, computed by `compute` unless it is known and the file has
    /// not been written since.
    pub(super) fn checksum(
        &self,
        path: &Path,
        compute: impl FnOnce() -> Result<String>,
    ) -> Result<String> {
        let stamp = stamp(path);
        if let Some((known, checksum)) = locked(&self.checksums).get(path)
            && Some(known) == stamp.as_ref()
        {
            return Ok(checksum.clone());
        }
        let checksum = compute()?;
        if let Some(stamp) = stamp {
            let known = (stamp, checksum.clone());
            locked(&self.checksums).insert(path.to_owned(), known);
        }
        Ok(checksum)
    }

    /// The features under `key`, if they are known.
    pub(super) fn features(&self, key: &Key) -> Option<Arc<Features>> {
        let mut features = locked(&self.features);
        let place = features.iter().position(|(other, _)| other == key)?;
        let found = features.remove(place);
        let shared = found.1.clone();
        features.push(found);
        Some(shared)
    }

    /// Lets others know of features; those that were used least recently are forgotten.
    pub(super) fn share(&self, key: Key, new: Arc<Features>) {
        let mut features = locked(&self.features);
        if features.len() == FEATURES {
            features.remove(0);
        }
        features.push((key, new));
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
