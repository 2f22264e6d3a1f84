//! Memory that outputs of kernels come from and go back to.
//!
//! Every training step wants buffers of the same sizes. The system would give each anew, by pages that
//! it fills with zeros; for large maps that takes longer than many a layer. Here a buffer that is
//! dropped waits for the next output of about its size. Together, what is in use and what waits is
//! bounded by a little more than was ever in use at once.
//!
//! A buffer is made with zeros in it and comes back with what was last written: its values are never
//! uninitialized, only arbitrary.

use std::mem::MaybeUninit;
use std::sync::{Mutex, MutexGuard};

use burn::tensor::{AllocationProperty, Bytes};
use burn_std::{AccessError, AccessPolicy, AllocationController};

/// Values of a cache line, on which buffers begin.
const LINE: usize = 16;
/// Smaller buffers are left to the system, which keeps such ones itself.
const LEAST: usize = 1 << 15;

static POOL: Mutex<Pool> = Mutex::new(Pool {
    free: Vec::new(),
    waiting: 0,
    used: 0,
    most_used: 0,
});

/// Counted in values.
struct Pool {
    /// The longest waiting first.
    free: Vec<Vec<f32>>,
    waiting: usize,
    used: usize,
    most_used: usize,
}

/// `count` values that `fill` writes, every one: before, they are arbitrary.
pub fn filled(count: usize, fill: impl FnOnce(&mut [f32])) -> Bytes {
    if count < LEAST {
        let mut values = vec![0.0; count];
        fill(&mut values);
        return Bytes::from_elems(values);
    }
    let mut buffer = Buffer::new(count);
    fill(buffer.values_mut());
    // SAFETY: a buffer has `count` values of four bytes, all of them initialized.
    unsafe { Bytes::from_controller(Box::new(buffer), count * size_of::<f32>()) }
}

impl Pool {
    fn lock() -> MutexGuard<'static, Pool> {
        // Nothing panics while it is locked that would leave it half changed.
        POOL.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A waiting buffer that holds `size` values and not many more.
    fn take(&mut self, size: usize) -> Option<Vec<f32>> {
        let fits = |buffer: &&Vec<f32>| (size..=size + size / 8).contains(&buffer.len());
        let best = self.free.iter().filter(fits).map(Vec::len).min()?;
        let place = self.free.iter().rposition(|buffer| buffer.len() == best)?;
        let buffer = self.free.remove(place);
        self.waiting -= buffer.len();
        self.begin(buffer.len());
        Some(buffer)
    }

    fn begin(&mut self, size: usize) {
        self.used += size;
        self.most_used = self.most_used.max(self.used);
    }

    /// Takes those out that have waited longest, as many as are above the bound.
    fn surplus(&mut self) -> Vec<Vec<f32>> {
        let bound = self.most_used + self.most_used / 4;
        let above = |pool: &Self| pool.used + pool.waiting > bound && !pool.free.is_empty();
        let mut surplus = Vec::new();
        while above(self) {
            let buffer = self.free.remove(0);
            self.waiting -= buffer.len();
            surplus.push(buffer);
        }
        surplus
    }

    fn put(&mut self, buffer: Vec<f32>) -> Vec<Vec<f32>> {
        self.used -= buffer.len();
        self.waiting += buffer.len();
        self.free.push(buffer);
        self.surplus()
    }
}

/// A buffer in use.
struct Buffer {
    values: Vec<f32>,
    /// Of the first value on the border of a line.
    start: usize,
    count: usize,
}

impl Buffer {
    fn new(count: usize) -> Self {
        let size = count + LINE;
        let recycled = Pool::lock().take(size);
        let values = recycled.unwrap_or_else(|| {
            let surplus = {
                let mut pool = Pool::lock();
                pool.begin(size);
                pool.surplus()
            };
            // Before the new one is made, and not while others wait for the pool.
            drop(surplus);
            vec![0.0; size]
        });
        let misplaced = values.as_ptr() as usize % (LINE * size_of::<f32>());
        let start = (LINE - misplaced / size_of::<f32>()) % LINE;
        Self {
            values,
            start,
            count,
        }
    }

    fn values(&self) -> &[f32] {
        &self.values[self.start..self.start + self.count]
    }

    fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.start..self.start + self.count]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let surplus = Pool::lock().put(std::mem::take(&mut self.values));
        drop(surplus);
    }
}

impl AllocationController for Buffer {
    fn alloc_align(&self) -> usize {
        // Burn's largest one.
        align_of::<u128>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(
        &mut self,
        _: AccessPolicy,
    ) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let values = self.values_mut();
        let (start, length) = (values.as_mut_ptr().cast(), size_of_val(values));
        // SAFETY: the bytes of these values, which the caller keeps initialized.
        Ok(unsafe { std::slice::from_raw_parts_mut(start, length) })
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let values = self.values();
        let (start, length) = (values.as_ptr().cast(), size_of_val(values));
        // SAFETY: the bytes of these values.
        Ok(unsafe { std::slice::from_raw_parts(start, length) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_keeps_what_fits_and_no_more_than_was_used() {
        let mut pool = Pool {
            free: Vec::new(),
            waiting: 0,
            used: 0,
            most_used: 0,
        };
        for size in [100, 200, 300] {
            pool.begin(size);
        }
        for size in [100, 200, 300] {
            assert!(pool.put(vec![0.0; size]).is_empty());
        }
        assert!(pool.take(301).is_none(), "too large");
        assert!(pool.take(150).is_none(), "far smaller than all that fit");
        assert_eq!(pool.take(190).map(|buffer| buffer.len()), Some(200));
        assert_eq!((pool.used, pool.waiting, pool.most_used), (200, 400, 600));
        // 200 in use, 300 more: what waits goes, the oldest first, until 750 are left.
        pool.begin(300);
        let gone: Vec<_> = pool.surplus().iter().map(Vec::len).collect();
        assert_eq!(gone, [100, 300]);
    }

    #[test]
    fn bytes_hold_what_was_filled_in_and_begin_on_a_line() {
        for _ in 0..3 {
            let bytes = filled(LEAST + 1, |values| {
                assert_eq!(values.as_ptr() as usize % 64, 0);
                values
                    .iter_mut()
                    .enumerate()
                    .for_each(|(place, v)| *v = place as f32);
            });
            let mut copy = bytes.clone();
            copy[0..4].copy_from_slice(&7.0f32.to_ne_bytes());
            let value =
                |place: usize| f32::from_ne_bytes(bytes[4 * place..][..4].try_into().unwrap());
            assert_eq!(bytes.len(), 4 * (LEAST + 1));
            assert_eq!((value(0), value(LEAST)), (0.0, LEAST as f32));
        }
    }
}
