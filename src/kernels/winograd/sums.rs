//! The sums over tiles that the gradient for filters is made of: at each of the 36 points, a matrix
//! (filter, tile) times a matrix (tile, channel).
//!
//! Sums go through the tiles in their order.

use super::products::ALL_POINTS;
use crate::kernels::simd::{Kernel, LANES, Lanes};

/// Channels whose sums are in registers together: two vectors.
const CHANNELS: usize = 2 * LANES;
/// The most filters whose sums are in registers together.
pub const MOST_ROWS: usize = 8;
/// Filters and channels, to whole blocks, and tiles of a portion.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub rows: usize,
    pub channels: usize,
    pub tiles: usize,
}

impl Sizes {
    /// Values from one point to the next of the transformed inputs, of the transformed outputs'
    /// gradients, and of the sums. Not multiples of a page.
    pub fn strides(self) -> [usize; 3] {
        let Self {
            rows,
            channels,
            tiles,
        } = self;
        [
            channels * tiles + LANES,
            rows * tiles + LANES,
            rows * channels + LANES,
        ]
    }

    /// Values of all three.
    pub fn all(self) -> usize {
        self.strides().iter().sum::<usize>() * ALL_POINTS
    }

    /// The three, one behind the other in `memory`.
    pub fn split(self, memory: &mut [f32]) -> [&mut [f32]; 3] {
        let [inputs, errors, _] = self.strides();
        let (inputs, rest) = memory.split_at_mut(inputs * ALL_POINTS);
        let (errors, sums) = rest.split_at_mut(errors * ALL_POINTS);
        [inputs, errors, sums]
    }
}

/// (filter, tile) times (channel, tile) transposed, at one point.
pub struct Products<'a> {
    pub sizes: Sizes,
    pub channels: usize,
    pub filters: usize,
    pub tiles: usize,
    pub inputs: &'a [f32],
    pub errors: &'a [f32],
    pub sums: *mut f32,
    pub turned: *mut f32,
    pub first: bool,
}

impl Kernel for Products<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        unsafe {
            let mut channel = 0;
            while channel < self.channels {
                let vectors = (self.channels - channel)
                    .div_ceil(LANES)
                    .min(CHANNELS / LANES);
                for vector in 0..vectors {
                    self.turn::<L>(channel + vector * LANES, vector, vectors);
                }
                let mut filter = 0;
                while filter < self.filters {
                    match (vectors, L::VECTORS) {
                        (2, 2..) => self.block::<L, 2>(filter, channel, 0, vectors),
                        _ => {
                            for vector in 0..vectors {
                                self.block::<L, 1>(filter, channel, vector, vectors);
                            }
                        }
                    }
                    filter += L::ROWS;
                }
                channel += vectors * LANES;
            }
        }
    }
}

impl Products<'_> {
    /// Sixteen channels to (tile, channel), the tiles `vectors` vectors apart.
    #[inline(always)]
    unsafe fn turn<L: Lanes>(&self, channel: usize, vector: usize, vectors: usize) {
        unsafe {
            // Channels beyond the last one repeat it; nobody uses their sums.
            let mut offsets = [[0; 4]; 4];
            for (row, offsets) in offsets.iter_mut().enumerate() {
                for (quarter, offset) in offsets.iter_mut().enumerate() {
                    let channel = (channel + quarter * 4 + row).min(self.channels - 1);
                    *offset = channel * self.sizes.tiles;
                }
            }
            let mut tile = 0;
            while tile < self.tiles {
                let from = self.inputs.as_ptr().add(tile);
                let [a, b, c, d] = &offsets;
                let rows = L::transpose_quarters([
                    L::gather4(from, a.as_ptr()),
                    L::gather4(from, b.as_ptr()),
                    L::gather4(from, c.as_ptr()),
                    L::gather4(from, d.as_ptr()),
                ]);
                for (row, values) in rows.into_iter().enumerate() {
                    let at = ((tile + row) * vectors + vector) * LANES;
                    values.store(self.turned.add(at));
                }
                tile += 4;
            }
        }
    }

    #[inline(always)]
    unsafe fn block<L: Lanes, const VECTORS: usize>(
        &self,
        filter: usize,
        channel: usize,
        vector: usize,
        vectors: usize,
    ) {
        unsafe {
            let mut block = [[L::splat(0.0); VECTORS]; MOST_ROWS];
            let errors = self.errors.as_ptr().add(filter * self.sizes.tiles);
            let turned = self.turned.add(vector * LANES);
            for tile in 0..self.tiles {
                let turned = turned.add(tile * vectors * LANES);
                let mut values = [L::splat(0.0); VECTORS];
                for (nth, value) in values.iter_mut().enumerate() {
                    *value = L::load(turned.add(nth * LANES));
                }
                for (row, sums) in block.iter_mut().enumerate().take(L::ROWS) {
                    let factor = L::splat(*errors.add(row * self.sizes.tiles + tile));
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum = value.mul_add(factor, *sum);
                    }
                }
            }
            for (row, sums) in block.iter().enumerate().take(L::ROWS) {
                let at = (filter + row) * self.sizes.channels + channel + vector * LANES;
                for (nth, &sum) in sums.iter().enumerate() {
                    let to = self.sums.add(at + nth * LANES);
                    let sum = match self.first {
                        true => sum,
                        false => L::load(to).add(sum),
                    };
                    sum.store(to);
                }
            }
        }
    }
}
