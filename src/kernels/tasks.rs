//! Work in pieces, on the threads of the current pool.
//!
//! Which thread takes which piece is left to chance, so no result may depend on it: pieces write to
//! places of their own.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

/// Does `count` pieces of work, the first ones first.
pub fn each(count: usize, work: impl Fn(usize) + Sync) {
    let threads = rayon::current_num_threads().min(count);
    if threads <= 1 {
        (0..count).for_each(work);
        return;
    }
    let next = AtomicUsize::new(0);
    (0..threads).into_par_iter().with_max_len(1).for_each(|_| {
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= count {
                break;
            }
            work(piece);
        }
    });
}

/// Where several pieces write, each to a part of its own.
#[derive(Debug)]
pub struct Each<T> {
    first: *mut T,
    count: usize,
}

/// Floats that several pieces write.
pub type Place = Each<f32>;

impl<T> Clone for Each<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Each<T> {}

// SAFETY: whoever writes through `at` promises that no other piece does so at the same place.
unsafe impl<T: Send> Send for Each<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Each<T> {}

impl<T> Each<T> {
    /// All `values`.
    pub fn of(values: &mut [T]) -> Self {
        Self {
            first: values.as_mut_ptr(),
            count: values.len(),
        }
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.count
    }

    /// The place `offset` behind the first.
    ///
    /// # Safety
    /// It is within the values that this is the place of, which are still there.
    pub unsafe fn at(self, offset: usize) -> *mut T {
        debug_assert!(offset < self.count);
        // SAFETY: promised by the caller.
        unsafe { self.first.add(offset) }
    }
}
