//! Where the tiles of maps are, and how their pixels come into vectors and out of them.
//!
//! A vector holds one pixel of sixteen tiles. Four tiles that stand side by side are sixteen
//! pixels of a row: one load, and a transposition within the vector's quarters, bring pixel j of
//! all tiles together. Rows are first copied, with the zeros around the map, to a small patch, so
//! that borders and odd sizes need no case of their own.

use super::maps::{Maps, NONE, Pixels};
use super::transform::{POINTS, TILE};
use crate::kernels::simd::{LANES, Lanes};
use crate::kernels::tasks::{Each, Place};

/// Tiles that go through the transforms and products together.
pub const CHUNK: usize = 48;
/// Values between two rows of a patch: room for tiles that all stand alone, for reading a vector
/// beyond the last one, and for zeros.
const STRIDE: usize = CHUNK * POINTS + 32;
/// Where a patch row has zeros.
const ZEROS: usize = STRIDE - 16;
/// Size of a patch.
pub const PATCH: usize = POINTS * STRIDE;

/// Up to [`CHUNK`] tiles, one after another through rows and images.
pub struct Chunk {
    maps: Maps,
    runs: Vec<Run>,
    tiles: Vec<Tile>,
    /// Where tiles are in a patch for six and for four pixels a tile; to whole vectors, the last
    /// ones being zeros.
    offsets: [Vec<usize>; 2],
}

/// Tiles side by side in a row.
struct Run {
    image: usize,
    y: usize,
    x: usize,
    count: usize,
}

#[derive(Clone, Copy)]
struct Tile {
    image: usize,
    y: usize,
    x: usize,
}

/// What a tile takes of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// 6x6 pixels, from one above and left of the tile.
    Input,
    /// The tile's own 4x4.
    Output,
}

impl Window {
    fn side(self) -> usize {
        match self {
            Window::Input => POINTS,
            Window::Output => TILE,
        }
    }

    /// Pixels above and left of the tile.
    fn before(self) -> usize {
        (self.side() - TILE) / 2
    }
}

impl Chunk {
    /// The `nth` chunk of the maps' tiles.
    pub fn new(maps: Maps, nth: usize) -> Self {
        let (rows, columns) = (maps.height.div_ceil(TILE), maps.width.div_ceil(TILE));
        let tiles = nth * CHUNK..maps.tiles().min((nth + 1) * CHUNK);
        let mut chunk = Self {
            maps,
            runs: Vec::new(),
            tiles: Vec::with_capacity(CHUNK),
            offsets: [Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK)],
        };
        let mut next = tiles.start;
        while next < tiles.end {
            let (row, column) = (next / columns, next % columns);
            let count = (columns - column).min(tiles.end - next);
            chunk.push(Run {
                image: row / rows,
                y: row % rows * TILE,
                x: column * TILE,
                count,
            });
            next += count;
        }
        for offsets in &mut chunk.offsets {
            offsets.resize(offsets.len().next_multiple_of(LANES), ZEROS);
        }
        chunk
    }

    /// All of them.
    pub fn all(maps: Maps) -> Vec<Self> {
        let count = maps.tiles().div_ceil(CHUNK);
        (0..count).map(|nth| Self::new(maps, nth)).collect()
    }

    fn push(&mut self, run: Run) {
        let begins = [
            self.runs
                .iter()
                .map(|run| run.count * TILE + 2)
                .sum::<usize>(),
            self.tiles.len() * TILE,
        ];
        for nth in 0..run.count {
            for (offsets, begin) in self.offsets.iter_mut().zip(begins) {
                offsets.push(begin + nth * TILE);
            }
            self.tiles.push(Tile {
                image: run.image,
                y: run.y,
                x: run.x + nth * TILE,
            });
        }
        self.runs.push(run);
    }

    /// The maps whose tiles these are.
    pub fn maps(&self) -> Maps {
        self.maps
    }

    /// Vectors that hold a pixel of each tile.
    pub fn vectors(&self) -> usize {
        self.offsets[0].len() / LANES
    }

    /// Copies what the tiles take of `channel` to `patch`, with zeros outside of the map.
    pub fn fill(&self, window: Window, pixels: Pixels<'_>, channel: usize, patch: &mut [f32]) {
        let Maps {
            channels,
            height,
            width,
            ..
        } = self.maps;
        let before = window.before();
        for row in 0..window.side() {
            let out = &mut patch[row * STRIDE..][..STRIDE];
            out[ZEROS..].fill(0.0);
            let mut at = 0;
            for run in &self.runs {
                let length = run.count * TILE + 2 * before;
                let part = &mut out[at..at + length];
                at += length;
                let y = (run.y + row).wrapping_sub(before);
                if y >= height {
                    part.fill(0.0);
                    continue;
                }
                let left = before.saturating_sub(run.x);
                let from = run.x + left - before;
                let count = (length - left).min(width - from);
                part[..left].fill(0.0);
                part[left + count..].fill(0.0);
                let plane = run.image * channels + channel;
                let inner = &mut part[left..left + count];
                pixels.copy(plane, [height, width], [y, from], inner);
            }
        }
    }

    /// Row `row` of what sixteen tiles take: six vectors, a pixel each. `patch` was filled for
    /// [`Window::Input`].
    ///
    /// # Safety
    /// As for [`Lanes`]; `patch` has [`PATCH`] values.
    #[inline(always)]
    pub unsafe fn input_row<L: Lanes>(&self, patch: &[f32], row: usize, vector: usize) -> [L; 6] {
        unsafe {
            let places = self.offsets[0].as_ptr().add(vector * LANES);
            let row = patch.as_ptr().add(row * STRIDE);
            let [mut first, mut second] = [[L::splat(0.0); 4]; 2];
            for group in 0..4 {
                let at = places.add(group * 4);
                let begin = row.add(*at);
                if *at.add(3) == *at + 3 * TILE {
                    first[group] = L::load(begin);
                    second[group] = L::load(begin.add(TILE));
                } else {
                    first[group] = L::gather4(row, at);
                    second[group] = L::gather4(row.add(TILE), at);
                }
            }
            let [a, b, c, d] = L::transpose_quarters(first);
            let [e, f, _, _] = L::transpose_quarters(second);
            [a, b, c, d, e, f]
        }
    }

    /// Row `row` of sixteen tiles: four vectors, a pixel each. `patch` was filled for
    /// [`Window::Output`].
    ///
    /// # Safety
    /// As for [`Lanes`]; `patch` has [`PATCH`] values.
    #[inline(always)]
    pub unsafe fn output_row<L: Lanes>(&self, patch: &[f32], row: usize, vector: usize) -> [L; 4] {
        unsafe {
            let places = self.offsets[1].as_ptr().add(vector * LANES);
            let row = patch.as_ptr().add(row * STRIDE);
            let mut groups = [L::splat(0.0); 4];
            for (group, pixels) in groups.iter_mut().enumerate() {
                let at = places.add(group * 4);
                *pixels = L::gather4(row, at);
            }
            L::transpose_quarters(groups)
        }
    }

    /// Writes sixteen tiles, `rows[row][pixel]`, to `channel` of maps of `channels` that begin at `to`.
    ///
    /// # Safety
    /// As for [`Lanes`]; `to` has the size of the maps, and nobody else uses these tiles of it.
    #[inline(always)]
    pub unsafe fn store<L: Lanes>(
        &self,
        channels: usize,
        rows: [[L; 4]; TILE],
        vector: usize,
        channel: usize,
        to: Place,
    ) {
        unsafe {
            let Maps { height, width, .. } = self.maps;
            let begin =
                |tile: Tile| ((tile.image * channels + channel) * height + tile.y) * width + tile.x;
            let mut groups = [[L::splat(0.0); 4]; TILE];
            for (row, groups) in rows.into_iter().zip(&mut groups) {
                *groups = L::transpose_quarters(row);
            }
            let rows = groups;
            for group in 0..4 {
                let first = vector * LANES + group * 4;
                if first >= self.tiles.len() {
                    break;
                }
                let tile = self.tiles[first];
                let side_by_side = first + 3 < self.tiles.len()
                    && self.offsets[0][first + 3] == self.offsets[0][first] + 3 * TILE;
                let inside = height - tile.y;
                if side_by_side && tile.x + LANES <= width {
                    let to = to.at(begin(tile));
                    for (row, values) in rows.iter().enumerate().take(inside) {
                        values[group].store(to.add(row * width));
                    }
                    continue;
                }
                let mut pixels = [0.0; LANES];
                for (row, values) in rows.iter().enumerate() {
                    values[group].store(pixels.as_mut_ptr());
                    let tiles = self.tiles.iter().skip(first).take(4);
                    for (tile, pixels) in tiles.zip(pixels.chunks_exact(TILE)) {
                        if tile.y + row < height {
                            let count = TILE.min(width - tile.x);
                            let to = to.at(begin(*tile) + row * width);
                            std::ptr::copy_nonoverlapping(pixels.as_ptr(), to, count);
                        }
                    }
                }
            }
        }
    }

    /// Writes the largest of each 2x2 pixels of sixteen tiles, `rows[row][pixel]`, none of them below
    /// 0, to `channel` of maps of `channels` and of half the height and width, which begin at `to`;
    /// and which one that is to `winners`, the first one of equals, [`NONE`] if it is 0.
    ///
    /// # Safety
    /// As for [`Lanes`]; `to` and `winners` have the size of such maps, and nobody else uses these
    /// tiles of them. Height and width are even.
    #[inline(always)]
    pub unsafe fn store_pooled<L: Lanes>(
        &self,
        channels: usize,
        rows: [[L; 4]; TILE],
        vector: usize,
        channel: usize,
        to: Place,
        winners: Each<u8>,
    ) {
        unsafe {
            let (height, width) = (self.maps.height / 2, self.maps.width / 2);
            let mut largest = [L::splat(0.0); 4];
            let mut places = [L::splat(0.0); 4];
            for nth in 0..4 {
                let (upper, lower, pixel) =
                    (&rows[nth / 2 * 2], &rows[nth / 2 * 2 + 1], nth % 2 * 2);
                let four = [
                    upper[pixel],
                    upper[pixel + 1],
                    lower[pixel],
                    lower[pixel + 1],
                ];
                (largest[nth], places[nth]) = largest_of(four);
            }
            let largest = L::transpose_quarters(largest);
            let places = L::transpose_quarters(places);
            for group in 0..4 {
                let first = vector * LANES + group * 4;
                let [mut values, mut numbers] = [[0.0f32; LANES]; 2];
                largest[group].store(values.as_mut_ptr());
                places[group].store(numbers.as_mut_ptr());
                for (nth, tile) in self.tiles.iter().skip(first).take(4).enumerate() {
                    let (y, x) = (tile.y / 2, tile.x / 2);
                    let count = (width - x).min(2);
                    for row in 0..(height - y).min(2) {
                        let plane = tile.image * channels + channel;
                        let begin = (plane * height + y + row) * width + x;
                        for pixel in 0..count {
                            let from = nth * 4 + row * 2 + pixel;
                            *to.at(begin + pixel) = values[from];
                            *winners.at(begin + pixel) = numbers[from] as u8;
                        }
                    }
                }
            }
        }
    }
}

/// The largest of four values, none below 0, and which one it is, as [`Pixels::Pooled`] counts. What
/// is not a number counts as the largest.
#[inline(always)]
unsafe fn largest_of<L: Lanes>([a, b, c, d]: [L; 4]) -> (L, L) {
    unsafe {
        let largest = a.max(b).max(c).max(d);
        let place = c.select_equal(largest, L::splat(2.0), L::splat(3.0));
        let place = b.select_equal(largest, L::splat(1.0), place);
        let place = a.select_equal(largest, L::splat(0.0), place);
        let place = largest.select_equal(L::splat(0.0), L::splat(f32::from(NONE)), place);
        let sum = a.add(b).add(c.add(d));
        (sum.select_equal(sum, largest, sum), place)
    }
}
