//! The convolution, and the gradient for its input, which is a convolution with turned filters.

use super::filters::{FilterTransform, Filters, block_size};
use super::maps::{Maps, Pixels};
use super::products::{ALL_POINTS, BLOCK, multiply, point_stride};
use super::tiles::{CHUNK, Chunk, PATCH, Window};
use super::transform::{self, POINTS, TILE};
use crate::kernels::scratch::{self, Shared};
use crate::kernels::simd::{self, InstructionSet, Kernel, LANES, Lanes};
use crate::kernels::tasks::{self, Each, Place};

/// What becomes of the sums, and where they go.
pub enum Output<'a> {
    /// (images, filters, height, width).
    Plain(&'a mut [f32]),
    /// Behind a ReLU.
    Relu(&'a mut [f32]),
    /// Behind a ReLU and a max pooling of 2x2, of maps of even height and width; and which pixels
    /// won, as [`Pixels::Pooled`] wants it.
    Pooled(&'a mut [f32], &'a mut [u8]),
}

/// The convolution of `x` with filters, plus the bias: 3x3, stride 1, a row and column of zeros on
/// all sides. `maps` has the channels of `x`.
pub fn convolve(
    set: InstructionSet,
    maps: Maps,
    filters: Filters<'_>,
    x: Pixels<'_>,
    bias: Option<&[f32]>,
    output: Output<'_>,
) {
    let [channels, outputs] = filters.sizes();
    assert_eq!(maps.channels, channels);
    assert_eq!(filters.values.len(), channels * outputs * 9);
    assert!(bias.is_none_or(|bias| bias.len() == outputs));
    x.check(maps);
    let size = maps.images * outputs * maps.plane();
    let target = match output {
        Output::Plain(y) => {
            assert_eq!(y.len(), size);
            Target::Maps {
                y: Place::of(y),
                relu: false,
            }
        }
        Output::Relu(y) => {
            assert_eq!(y.len(), size);
            Target::Maps {
                y: Place::of(y),
                relu: true,
            }
        }
        Output::Pooled(y, winners) => {
            assert!(maps.height.is_multiple_of(2) && maps.width.is_multiple_of(2));
            assert_eq!([y.len(), winners.len()], [size / 4; 2]);
            Target::Pooled {
                y: Place::of(y),
                winners: Each::of(winners),
            }
        }
    };
    let job = Job {
        set,
        maps,
        filters,
        x,
        bias,
        target,
    };
    match maps.tiles() >= outputs {
        true => job.by_tiles(channels, outputs),
        false => job.by_filters(channels, outputs),
    }
}

#[derive(Clone, Copy)]
enum Target {
    Maps { y: Place, relu: bool },
    Pooled { y: Place, winners: Each<u8> },
}

struct Job<'a> {
    set: InstructionSet,
    maps: Maps,
    filters: Filters<'a>,
    x: Pixels<'a>,
    bias: Option<&'a [f32]>,
    target: Target,
}

/// Values of a chunk's transformed tiles.
fn chunk_size(channels: usize) -> usize {
    ALL_POINTS * point_stride(channels)
}

impl Job<'_> {
    /// Many tiles: all filters are transformed first, then a task takes a chunk of tiles through
    /// everything within the caches of its core.
    fn by_tiles(&self, channels: usize, outputs: usize) {
        let blocks = outputs.div_ceil(BLOCK);
        let mut filters = Shared::take(blocks * block_size(channels));
        let place = Place::of(filters.floats());
        tasks::each(blocks, |block| {
            // SAFETY: each task has a block of its own.
            let to = unsafe { place.at(block * block_size(channels)) };
            self.transform_filters(block, to);
        });
        let filters = &*filters.floats();
        tasks::each(self.maps.tiles().div_ceil(CHUNK), |nth| {
            let chunk = Chunk::new(self.maps, nth);
            let sizes = [PATCH, chunk_size(channels), chunk_size(BLOCK)];
            scratch::with_own(sizes, |[patch, tiles, sums]| {
                self.transform_tiles(&chunk, 0..channels, patch, tiles.as_mut_ptr());
                for block in 0..blocks {
                    let filters = &filters[block * block_size(channels)..];
                    self.finish(&chunk, block, filters.as_ptr(), tiles.as_ptr(), sums);
                }
            });
        });
    }

    /// Few tiles: all tiles are transformed first, then a task takes a block of filters through
    /// everything.
    fn by_filters(&self, channels: usize, outputs: usize) {
        let chunks = Chunk::all(self.maps);
        let mut tiles = Shared::take(chunks.len() * chunk_size(channels));
        let place = Place::of(tiles.floats());
        const PART: usize = 32;
        let parts = channels.div_ceil(PART);
        tasks::each(chunks.len() * parts, |task| {
            let (nth, part) = (task / parts, task % parts);
            let part = part * PART..channels.min((part + 1) * PART);
            // SAFETY: each task has channels of a chunk of its own.
            let to = unsafe { place.at(nth * chunk_size(channels)) };
            scratch::with_own([PATCH], |[patch]| {
                self.transform_tiles(&chunks[nth], part, patch, to);
            });
        });
        let tiles = &*tiles.floats();
        tasks::each(outputs.div_ceil(BLOCK), |block| {
            let sizes = [block_size(channels), chunk_size(BLOCK)];
            scratch::with_own(sizes, |[filters, sums]| {
                self.transform_filters(block, filters.as_mut_ptr());
                for (chunk, tiles) in chunks.iter().zip(tiles.chunks(chunk_size(channels))) {
                    self.finish(chunk, block, filters.as_ptr(), tiles.as_ptr(), sums);
                }
            });
        });
    }

    fn transform_filters(&self, block: usize, to: *mut f32) {
        let filters = self.filters;
        simd::run(self.set, FilterTransform { filters, block, to });
    }

    fn transform_tiles(
        &self,
        chunk: &Chunk,
        channels: std::ops::Range<usize>,
        patch: &mut [f32],
        to: *mut f32,
    ) {
        let stride = point_stride(self.maps.channels);
        for channel in channels {
            chunk.fill(Window::Input, self.x, channel, patch);
            // SAFETY: the chunk's transformed tiles begin at `to`.
            let to = unsafe { to.add(channel * CHUNK) };
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
    }

    fn finish(
        &self,
        chunk: &Chunk,
        block: usize,
        filters: *const f32,
        tiles: *const f32,
        sums: &mut [f32],
    ) {
        let job = self;
        simd::run(
            self.set,
            Finish {
                job,
                chunk,
                block,
                filters,
                tiles,
                sums: sums.as_mut_ptr(),
            },
        );
    }
}

/// Bᵀ d B of one channel of a chunk, to (point, tile), the points `stride` apart.
pub struct InputTransform<'a> {
    pub chunk: &'a Chunk,
    pub patch: &'a [f32],
    pub to: *mut f32,
    pub stride: usize,
}

impl Kernel for InputTransform<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        unsafe {
            for vector in 0..self.chunk.vectors() {
                let mut rows = [[L::splat(0.0); POINTS]; POINTS];
                for (row, values) in rows.iter_mut().enumerate() {
                    *values = transform::input(self.chunk.input_row(self.patch, row, vector));
                }
                let to = self.to.add(vector * LANES);
                for column in 0..POINTS {
                    let [a, b, c, d, e, f] = &rows;
                    let values = [
                        a[column], b[column], c[column], d[column], e[column], f[column],
                    ];
                    for (row, value) in transform::input(values).into_iter().enumerate() {
                        value.store(to.add((row * POINTS + column) * self.stride));
                    }
                }
            }
        }
    }
}

/// Products, output transform, bias and ReLU of a block of filters and a chunk of tiles.
struct Finish<'a> {
    job: &'a Job<'a>,
    chunk: &'a Chunk,
    block: usize,
    filters: *const f32,
    tiles: *const f32,
    sums: *mut f32,
}

impl Kernel for Finish<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        unsafe {
            let [channels, outputs] = self.job.filters.sizes();
            let first = self.block * BLOCK;
            let rows = BLOCK.min(outputs - first);
            let vectors = self.chunk.vectors();
            multiply::<L>(self.filters, self.tiles, self.sums, channels, rows, vectors);
            for row in 0..rows {
                let bias = self.job.bias.map_or(0.0, |bias| bias[first + row]);
                for vector in 0..vectors {
                    let sums = self.sums.add(row * CHUNK + vector * LANES);
                    let values = output_tile::<L>(sums, L::splat(bias));
                    let (chunk, output) = (self.chunk, first + row);
                    match self.job.target {
                        Target::Maps { y, relu: false } => {
                            chunk.store(outputs, values, vector, output, y);
                        }
                        Target::Maps { y, relu: true } => {
                            chunk.store(outputs, rectified(values), vector, output, y);
                        }
                        Target::Pooled { y, winners } => {
                            let values = rectified(values);
                            chunk.store_pooled(outputs, values, vector, output, y, winners);
                        }
                    }
                }
            }
        }
    }
}

/// Aᵀ m A of sixteen tiles, `[row][pixel]`.
#[inline(always)]
unsafe fn output_tile<L: Lanes>(sums: *const f32, bias: L) -> [[L; 4]; TILE] {
    unsafe {
        let stride = point_stride(BLOCK);
        let mut columns = [[L::splat(0.0); TILE]; POINTS];
        for (column, values) in columns.iter_mut().enumerate() {
            let mut points = [L::splat(0.0); POINTS];
            for (row, point) in points.iter_mut().enumerate() {
                *point = L::load(sums.add((row * POINTS + column) * stride));
            }
            *values = transform::output(points);
        }
        let [a, b, c, d, e, f] = &columns;
        let mut rows = [[L::splat(0.0); 4]; TILE];
        for (row, values) in rows.iter_mut().enumerate() {
            let points = [a[row], b[row], c[row], d[row], e[row], f[row]];
            for (value, output) in values.iter_mut().zip(transform::output(points)) {
                *value = output.add(bias);
            }
        }
        rows
    }
}

/// The ReLU; what is not a number stays so.
#[inline(always)]
unsafe fn rectified<L: Lanes>(mut rows: [[L; 4]; TILE]) -> [[L; 4]; TILE] {
    unsafe {
        for value in rows.as_flattened_mut() {
            *value = L::splat(0.0).max(*value);
        }
        rows
    }
}
