//! Memory that kernels work in, kept from call to call: fresh pages cost more than the arithmetic
//! that goes on in them.
//!
//! It knows nothing of what is kept there.

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

/// Sixteen f32, aligned as the widest vectors want it.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

const FLOATS: usize = 16;

/// Aligned floats of any content.
#[derive(Default)]
pub struct Buffer {
    lines: Vec<Line>,
    floats: usize,
}

impl Buffer {
    /// At least `floats` of them.
    fn grow(&mut self, floats: usize) {
        let lines = floats.div_ceil(FLOATS);
        if lines > self.lines.len() {
            // What was there is not worth copying.
            self.lines = Vec::new();
            self.lines = vec![Line([0.0; FLOATS]); lines];
        }
        self.floats = floats;
    }

    /// The floats.
    pub fn floats(&mut self) -> &mut [f32] {
        // SAFETY: a line is sixteen floats without padding, and `grow` made room for `floats`.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.floats) }
    }
}

/// Gives `work` this thread's own memory, in parts of these sizes. Their content is whatever the
/// last one left there.
pub fn with_own<const N: usize>(sizes: [usize; N], work: impl FnOnce([&mut [f32]; N])) {
    thread_local! {
        static OWN: RefCell<Buffer> = const { RefCell::new(Buffer { lines: Vec::new(), floats: 0 }) };
    }
    let sizes = sizes.map(|size| size.next_multiple_of(FLOATS));
    OWN.with(|own| {
        // A task that runs within another one of the same thread gets memory of its own.
        let mut fresh = Buffer::default();
        let mut own = own.try_borrow_mut();
        let buffer = match &mut own {
            Ok(own) => &mut **own,
            Err(_) => &mut fresh,
        };
        buffer.grow(sizes.iter().sum());
        let mut rest = buffer.floats();
        work(sizes.map(|size| {
            let (part, behind) = std::mem::take(&mut rest).split_at_mut(size);
            rest = behind;
            part
        }));
    });
}

/// Memory that all threads share while a kernel runs.
pub struct Shared(Buffer);

static SHARED: Mutex<Vec<Buffer>> = Mutex::new(Vec::new());

impl Shared {
    /// `floats` of any content.
    pub fn take(floats: usize) -> Self {
        let mut kept = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        // The smallest that is large enough, or else the largest.
        kept.sort_by_key(|buffer| buffer.lines.len());
        let fits = kept
            .iter()
            .position(|buffer| buffer.lines.len() * FLOATS >= floats);
        let at = fits.or(kept.len().checked_sub(1));
        let mut buffer = at.map(|at| kept.swap_remove(at)).unwrap_or_default();
        drop(kept);
        buffer.grow(floats);
        Self(buffer)
    }

    /// The floats.
    pub fn floats(&mut self) -> &mut [f32] {
        self.0.floats()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut kept = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(std::mem::take(&mut self.0));
    }
}
