//! A slice to which several tasks write, each to places of its own.

use std::marker::PhantomData;

/// Borrows a slice for the time in which tasks write to it.
pub struct Disjoint<'a> {
    start: *mut f32,
    length: usize,
    slice: PhantomData<&'a mut [f32]>,
}

// SAFETY: `rows` is the only way to the values, and its callers promise that no place is given out
// to two tasks.
unsafe impl Sync for Disjoint<'_> {}
unsafe impl Send for Disjoint<'_> {}

impl<'a> Disjoint<'a> {
    pub fn new(slice: &'a mut [f32]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            length: slice.len(),
            slice: PhantomData,
        }
    }

    /// `count` values from `first` on.
    ///
    /// # Safety
    /// Nobody else has any of them as long as the result lives.
    #[allow(clippy::mut_from_ref)] // As of a cell: who may write where is the caller's promise.
    pub unsafe fn part(&self, first: usize, count: usize) -> &mut [f32] {
        assert!(first <= self.length && count <= self.length - first);
        // SAFETY: the part lies in the slice, which is borrowed for 'a; the caller has it alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(first), count) }
    }
}
