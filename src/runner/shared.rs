//! What the runs of one command need not find out each for itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cache::Key;
use crate::train::features::Features;

/// Kept features of two files, of two networks.
const FEATURES: usize = 4;

/// Kept features.
#[derive(Default)]
pub struct Shared {
    /// Each with its key, those used last behind; a few, since some are in memory.
    features: Mutex<Vec<(Key, Arc<Features>)>>,
    turn: Mutex<()>,
}

impl Shared {
    /// Waits until nobody else prepares a run.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        locked(&self.turn)
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

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
