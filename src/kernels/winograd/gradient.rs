//! The gradient for filters and bias: g' = Gᵀ [Σ (A y' Aᵀ) ⊙ (Bᵀ x B)] G, summed over all tiles.
//!
//! Tiles come in portions, whose size follows from the sizes of the maps alone: the sum is the same
//! whatever the number of threads.

use super::forward::InputTransform;
use super::maps::{Maps, Pixels};
use super::products::ALL_POINTS;
use super::sums::{MOST_ROWS, Products, Sizes};
use super::tiles::{CHUNK, Chunk, PATCH, Window};
use super::transform::{self, POINTS, TILE};
use crate::kernels::scratch::{self, Shared};
use crate::kernels::simd::{self, InstructionSet, Kernel, LANES, Lanes};
use crate::kernels::tasks::{self, Place};

/// Values of transformed tiles that stay in the cache that cores share, and the least and the most
/// chunks of a portion.
const PORTION: usize = 3 << 20;
const CHUNKS: [usize; 2] = [4, 10];

/// Gradients for filters (`filters`, channels of `maps`, 3, 3) and for the bias, of the maps `x`
/// and of the gradient `dy` for the output.
pub fn filter_gradient(
    set: InstructionSet,
    maps: Maps,
    filters: usize,
    x: Pixels<'_>,
    dy: Pixels<'_>,
    dw: &mut [f32],
    db: Option<&mut [f32]>,
) {
    let outputs = Maps {
        channels: filters,
        ..maps
    };
    x.check(maps);
    dy.check(outputs);
    assert_eq!(dw.len(), filters * maps.channels * 9);
    assert!(db.as_ref().is_none_or(|db| db.len() == filters));
    let per_tile = ALL_POINTS * (maps.channels + filters);
    let chunks = (PORTION / per_tile / CHUNK).clamp(CHUNKS[0], CHUNKS[1]);
    let tiles = chunks.min(maps.tiles().div_ceil(CHUNK)) * CHUNK;
    let sizes = Sizes {
        rows: filters.next_multiple_of(MOST_ROWS),
        channels: maps.channels.next_multiple_of(LANES),
        tiles,
    };
    let mut memory = Shared::take(sizes.all());
    let [inputs, errors, sums] = sizes.split(memory.floats());
    let mut biases = vec![0.0f64; filters];

    let all = maps.tiles().div_ceil(CHUNK);
    for begin in (0..all).step_by(chunks) {
        let portion = begin..all.min(begin + chunks);
        let of = |maps| {
            portion
                .clone()
                .map(|nth| Chunk::new(maps, nth))
                .collect::<Vec<_>>()
        };
        let portion = Portion {
            set,
            sizes,
            input: of(maps),
            output: of(outputs),
        };
        portion.transform([x, dy], [Place::of(inputs), Place::of(errors)], &mut biases);
        portion.multiply([inputs, errors], sums, begin == 0);
    }
    let place = Place::of(dw);
    let sums = &*sums;
    tasks::each(filters, |filter| {
        let channels = maps.channels;
        // SAFETY: each task has a filter of its own.
        let to = unsafe { place.at(filter * channels * 9) };
        simd::run(
            set,
            FilterAdjoint {
                sums,
                sizes,
                filter,
                channels,
                to,
            },
        );
    });
    if let Some(db) = db {
        for (to, bias) in db.iter_mut().zip(biases) {
            *to = bias as f32;
        }
    }
}

/// Tiles that are transformed, multiplied and added to the sums together.
struct Portion {
    set: InstructionSet,
    sizes: Sizes,
    input: Vec<Chunk>,
    output: Vec<Chunk>,
}

impl Portion {
    fn tiles(&self) -> usize {
        self.input.iter().map(|chunk| chunk.vectors() * LANES).sum()
    }

    /// Both transforms, and the sums of `dy` for the bias.
    fn transform(
        &self,
        [x, dy]: [Pixels<'_>; 2],
        [inputs, errors]: [Place; 2],
        biases: &mut [f64],
    ) {
        let channels = self.input[0].maps().channels;
        let [input_stride, error_stride, _] = self.sizes.strides();
        tasks::each(channels, |channel| {
            scratch::with_own([PATCH], |[patch]| {
                for (nth, chunk) in self.input.iter().enumerate() {
                    chunk.fill(Window::Input, x, channel, patch);
                    // SAFETY: each task has a channel of its own.
                    let to = unsafe { inputs.at(channel * self.sizes.tiles + nth * CHUNK) };
                    let stride = input_stride;
                    simd::run(
                        self.set,
                        InputTransform {
                            chunk,
                            patch,
                            to,
                            stride,
                        },
                    );
                }
            });
        });
        let biases = tasks::Each::of(biases);
        let filters = biases.len();
        tasks::each(filters, |filter| {
            // SAFETY: each task has a filter of its own.
            let bias = unsafe { &mut *biases.at(filter) };
            scratch::with_own([PATCH], |[patch]| {
                for (nth, chunk) in self.output.iter().enumerate() {
                    chunk.fill(Window::Output, dy, filter, patch);
                    // SAFETY: each task has a filter of its own.
                    let to = unsafe { errors.at(filter * self.sizes.tiles + nth * CHUNK) };
                    let stride = error_stride;
                    simd::run(
                        self.set,
                        OutputAdjoint {
                            chunk,
                            patch,
                            to,
                            stride,
                            bias: &mut *bias,
                        },
                    );
                }
            });
        });
    }

    /// Adds the products of all tiles to the sums at each point, or begins with them.
    fn multiply(&self, [inputs, errors]: [&[f32]; 2], sums: &mut [f32], first: bool) {
        let Sizes {
            channels, tiles, ..
        } = self.sizes;
        let strides = self.sizes.strides();
        let place = Place::of(sums);
        tasks::each(ALL_POINTS, |point| {
            scratch::with_own([channels * tiles], |[turned]| {
                simd::run(
                    self.set,
                    Products {
                        sizes: self.sizes,
                        channels: self.input[0].maps().channels,
                        filters: self.output[0].maps().channels,
                        tiles: self.tiles(),
                        inputs: &inputs[point * strides[0]..],
                        errors: &errors[point * strides[1]..],
                        // SAFETY: each task has a point of its own.
                        sums: unsafe { place.at(point * strides[2]) },
                        turned: turned.as_mut_ptr(),
                        first,
                    },
                );
            });
        });
    }
}

/// A y' Aᵀ of one filter of a chunk, to (point, tile), the points `stride` apart; and the sum of y'.
struct OutputAdjoint<'a> {
    chunk: &'a Chunk,
    patch: &'a [f32],
    to: *mut f32,
    stride: usize,
    bias: &'a mut f64,
}

impl Kernel for OutputAdjoint<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        unsafe {
            let mut sum = L::splat(0.0);
            for vector in 0..self.chunk.vectors() {
                let mut rows = [[L::splat(0.0); POINTS]; TILE];
                for (row, values) in rows.iter_mut().enumerate() {
                    let pixels = self.chunk.output_row::<L>(self.patch, row, vector);
                    sum = sum.add(pixels[0].add(pixels[1]).add(pixels[2].add(pixels[3])));
                    *values = transform::output_adjoint(pixels);
                }
                let to = self.to.add(vector * LANES);
                let [a, b, c, d] = &rows;
                for column in 0..POINTS {
                    let values = [a[column], b[column], c[column], d[column]];
                    let values = transform::output_adjoint(values);
                    for (row, value) in values.into_iter().enumerate() {
                        value.store(to.add((row * POINTS + column) * self.stride));
                    }
                }
            }
            let mut lanes = [0.0f32; LANES];
            sum.store(lanes.as_mut_ptr());
            for lane in lanes {
                *self.bias += f64::from(lane);
            }
        }
    }
}

/// Gᵀ u G of one filter's sums, to (channel, 3, 3).
struct FilterAdjoint<'a> {
    sums: &'a [f32],
    sizes: Sizes,
    filter: usize,
    channels: usize,
    to: *mut f32,
}

impl Kernel for FilterAdjoint<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        unsafe {
            let [_, _, stride] = self.sizes.strides();
            let mut channel = 0;
            while channel < self.channels {
                let sums = self
                    .sums
                    .as_ptr()
                    .add(self.filter * self.sizes.channels + channel);
                let mut columns = [[L::splat(0.0); 3]; POINTS];
                for (column, values) in columns.iter_mut().enumerate() {
                    let mut points = [L::splat(0.0); POINTS];
                    for (row, point) in points.iter_mut().enumerate() {
                        *point = L::load(sums.add((row * POINTS + column) * stride));
                    }
                    *values = transform::filter_adjoint(points);
                }
                let [a, b, c, d, e, f] = &columns;
                let mut taps = [[0.0f32; LANES]; 9];
                for row in 0..3 {
                    let points = [a[row], b[row], c[row], d[row], e[row], f[row]];
                    let values = transform::filter_adjoint(points);
                    for (column, value) in values.into_iter().enumerate() {
                        value.store(taps[row * 3 + column].as_mut_ptr());
                    }
                }
                for lane in 0..LANES.min(self.channels - channel) {
                    for (tap, values) in taps.iter().enumerate() {
                        *self.to.add((channel + lane) * 9 + tap) = values[lane];
                    }
                }
                channel += LANES;
            }
        }
    }
}
