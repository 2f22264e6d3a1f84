//! Filters, and their transform.

use super::products::{ALL_POINTS, BLOCK, filter_stride};
use super::transform::{self, POINTS};
use crate::kernels::simd::{Kernel, LANES, Lanes};

/// Filters 3x3 and how a convolution uses them.
#[derive(Clone, Copy)]
pub struct Filters<'a> {
    /// (filters, channels, 3, 3), of the network's convolution.
    pub values: &'a [f32],
    pub filters: usize,
    pub channels: usize,
    /// For the gradient of the input: filters and channels change places, and filters are turned.
    pub turned: bool,
}

impl Filters<'_> {
    /// Channels that go in, and that come out.
    pub(super) fn sizes(&self) -> [usize; 2] {
        match self.turned {
            false => [self.channels, self.filters],
            true => [self.filters, self.channels],
        }
    }
}

/// Values of a transformed block of filters.
pub fn block_size(channels: usize) -> usize {
    ALL_POINTS * filter_stride(channels)
}

/// G g Gᵀ of a block of filters, to (point, row block, channel, row of the block).
pub struct FilterTransform<'a> {
    pub filters: Filters<'a>,
    pub block: usize,
    pub to: *mut f32,
}

impl Kernel for FilterTransform<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        unsafe {
            let [channels, outputs] = self.filters.sizes();
            let rows = BLOCK.min(outputs - self.block * BLOCK);
            let mut row = 0;
            while row < rows {
                let to = self.to.add(row * channels);
                // A vector: the rows of a few channels.
                let mut at = 0;
                while at < channels * L::ROWS {
                    let mut taps = [[0.0f32; LANES]; 9];
                    for lane in 0..LANES {
                        let channel = (at + lane) / L::ROWS;
                        let output = self.block * BLOCK + row + lane % L::ROWS;
                        if channel < channels && output < outputs {
                            self.filters.taps(output, channel, &mut taps, lane);
                        }
                    }
                    let valid = LANES.min(channels * L::ROWS - at);
                    transform_filter::<L>(&taps, to.add(at), filter_stride(channels), valid);
                    at += LANES;
                }
                row += L::ROWS;
            }
        }
    }
}

impl Filters<'_> {
    /// The nine values of one filter, to a lane of nine vectors.
    #[inline(always)]
    fn taps(&self, output: usize, input: usize, taps: &mut [[f32; LANES]; 9], lane: usize) {
        let begin = match self.turned {
            false => (output * self.channels + input) * 9,
            true => (input * self.channels + output) * 9,
        };
        let values = &self.values[begin..begin + 9];
        for (tap, &value) in values.iter().enumerate() {
            let tap = if self.turned { 8 - tap } else { tap };
            taps[tap][lane] = value;
        }
    }
}

#[inline(always)]
unsafe fn transform_filter<L: Lanes>(
    taps: &[[f32; LANES]; 9],
    to: *mut f32,
    stride: usize,
    valid: usize,
) {
    unsafe {
        let mut columns = [[L::splat(0.0); POINTS]; 3];
        for (row, columns) in columns.iter_mut().enumerate() {
            let tap = row * 3;
            *columns = transform::filter([
                L::load(taps[tap].as_ptr()),
                L::load(taps[tap + 1].as_ptr()),
                L::load(taps[tap + 2].as_ptr()),
            ]);
        }
        for column in 0..POINTS {
            let [a, b, c] = &columns;
            let values = transform::filter([a[column], b[column], c[column]]);
            for (row, value) in values.into_iter().enumerate() {
                let to = to.add((row * POINTS + column) * stride);
                if valid == LANES {
                    value.store(to);
                } else {
                    let mut values = [0.0; LANES];
                    value.store(values.as_mut_ptr());
                    std::ptr::copy_nonoverlapping(values.as_ptr(), to, valid);
                }
            }
        }
    }
}
