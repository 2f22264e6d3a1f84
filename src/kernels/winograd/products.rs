//! The products at the 36 points: small matrices, one block of sums in registers after another.
//!
//! A sum goes through its terms in their order, whatever the block, so that results depend neither
//! on the instruction set's block nor on threads. Long sums are made of the sums of [`SPAN`] terms:
//! rounding errors grow with the terms that are added one after another.

use super::tiles::CHUNK;
use super::transform::POINTS;
use crate::kernels::simd::{LANES, Lanes};

/// Points of a tile.
pub const ALL_POINTS: usize = POINTS * POINTS;
/// Filters that go through products and output transform together.
pub const BLOCK: usize = 32;
/// Channels that are summed up before they are added to the others.
const SPAN: usize = 128;
/// The most rows and vectors of any instruction set.
const MOST_ROWS: usize = 8;
const MOST_VECTORS: usize = 3;

/// Values from one point to the next of transformed tiles of so many channels. Not a multiple of
/// a page: what belongs together would fall on the same places of the cache.
pub fn point_stride(channels: usize) -> usize {
    channels * CHUNK + LANES
}

/// Values of transformed filters from one point to the next, for sums over so many channels.
pub fn filter_stride(channels: usize) -> usize {
    BLOCK * channels
}

/// Multiplies a block of filters by a chunk of tiles at each point.
///
/// `filters`: (point, row block, channel, row of the block), `rows` of them; `tiles`: (point,
/// channel, tile) at [`point_stride`]; `sums`: (point, filter, tile) at [`point_stride`] of
/// [`BLOCK`].
///
/// # Safety
/// As for [`Lanes`]; the three have these sizes.
#[inline(always)]
pub unsafe fn multiply<L: Lanes>(
    filters: *const f32,
    tiles: *const f32,
    sums: *mut f32,
    channels: usize,
    rows: usize,
    vectors: usize,
) {
    unsafe {
        for point in 0..ALL_POINTS {
            let filters = filters.add(point * filter_stride(channels));
            let tiles = tiles.add(point * point_stride(channels));
            let sums = sums.add(point * point_stride(BLOCK));
            let mut vector = 0;
            while vector < vectors {
                let count = (vectors - vector).min(L::VECTORS);
                let mut row = 0;
                while row < rows {
                    let filters = filters.add(row * channels);
                    let tiles = tiles.add(vector * LANES);
                    let sums = sums.add(row * CHUNK + vector * LANES);
                    match count {
                        3 => block::<L, 3>(filters, tiles, sums, channels),
                        2 => block::<L, 2>(filters, tiles, sums, channels),
                        _ => block::<L, 1>(filters, tiles, sums, channels),
                    }
                    row += L::ROWS;
                }
                vector += count;
            }
        }
    }
}

/// A block of sums over all channels.
#[inline(always)]
unsafe fn block<L: Lanes, const VECTORS: usize>(
    filters: *const f32,
    tiles: *const f32,
    sums: *mut f32,
    channels: usize,
) {
    unsafe {
        let mut begin = 0;
        while begin < channels {
            let count = SPAN.min(channels - begin);
            let filters = filters.add(begin * L::ROWS);
            let block = span::<L, VECTORS>(filters, tiles.add(begin * CHUNK), count);
            for (row, values) in block.iter().enumerate().take(L::ROWS) {
                for (nth, &value) in values.iter().enumerate() {
                    let to = sums.add(row * CHUNK + nth * LANES);
                    let sum = if begin == 0 {
                        value
                    } else {
                        L::load(to).add(value)
                    };
                    sum.store(to);
                }
            }
            begin += count;
        }
    }
}

/// A block of sums over some channels.
#[inline(always)]
unsafe fn span<L: Lanes, const VECTORS: usize>(
    filters: *const f32,
    tiles: *const f32,
    channels: usize,
) -> [[L; VECTORS]; MOST_ROWS] {
    unsafe {
        let mut block = [[L::splat(0.0); VECTORS]; MOST_ROWS];
        for channel in 0..channels {
            let tiles = tiles.add(channel * CHUNK);
            let filters = filters.add(channel * L::ROWS);
            let mut values = [L::splat(0.0); VECTORS];
            for (nth, value) in values.iter_mut().enumerate() {
                *value = L::load(tiles.add(nth * LANES));
            }
            for (row, sums) in block.iter_mut().enumerate().take(L::ROWS) {
                let factor = L::splat(*filters.add(row));
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = value.mul_add(factor, *sum);
                }
            }
        }
        block
    }
}

const _: () = assert!(MOST_VECTORS * LANES == CHUNK);
