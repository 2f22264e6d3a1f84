//! Linear layers and their gradients: x·Wᵀ, g·W and gᵀ·x, for few samples and many weights.
//!
//! What takes time is reading the weights, or writing their gradient: each of them goes through the
//! processor once, for all samples together. An output is a sum in one order, whatever the batch.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use super::disjoint::Disjoint;
use super::wide::{LANES, Vector, wide};

/// Sizes: x is (batch, inputs), the weight (outputs, inputs), y (batch, outputs), in C order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    pub batch: usize,
    pub inputs: usize,
    pub outputs: usize,
}

/// Inputs, of all samples, that stay in a near cache.
const BLOCK: usize = 512;
/// Outputs of a task.
const ROWS: usize = 16;
/// Outputs, and samples, whose sums are in registers.
const TILE: usize = 4;
/// Inputs of a task that goes through all outputs, and those of them whose sums are in registers.
const PART: usize = 512;
const GROUP: usize = 4 * LANES;

/// y = x·wᵀ, plus `bias` (outputs), then `relu`.
pub fn forward(
    sizes: Sizes,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    relu: bool,
    y: &mut [f32],
) {
    let Sizes {
        batch,
        inputs,
        outputs,
    } = sizes;
    let y = Disjoint::new(y);
    let tasks = w.par_chunks(ROWS * inputs).enumerate();
    tasks.for_each_init(Vec::new, |sums, (task, w)| {
        let rows = w.len() / inputs;
        sums.clear();
        sums.resize(batch * ROWS, [0.0; LANES]);
        dots(inputs, x, w, sums);
        for sample in 0..batch {
            let first = task * ROWS;
            // SAFETY: a task has these outputs of each sample alone.
            let y = unsafe { y.part(sample * outputs + first, rows) };
            let sums = &sums[sample * ROWS..];
            for (nth, (y, sum)) in y.iter_mut().zip(sums).enumerate() {
                let value = sum.sum() + bias.map_or(0.0, |bias| bias[first + nth]);
                *y = if relu && value < 0.0 { 0.0 } else { value };
            }
        }
    });
}

/// Gradient for x. `output`: y, if the ReLU was fused; gradients then count where y > 0.
pub fn input_gradient(sizes: Sizes, dy: &[f32], output: Option<&[f32]>, w: &[f32], dx: &mut [f32]) {
    let dy = passed(dy, output);
    let dx = Disjoint::new(dx);
    let tasks = (0..sizes.inputs).into_par_iter().step_by(PART);
    tasks.for_each_init(Vec::new, |sums, first| {
        let width = PART.min(sizes.inputs - first);
        sums.clear();
        sums.resize(sizes.batch * PART, 0.0);
        combine(sizes, &dy, &w[first..], width, sums);
        for (sample, sums) in sums.chunks_exact(PART).enumerate() {
            // SAFETY: a task has these inputs of each sample alone.
            let dx = unsafe { dx.part(sample * sizes.inputs + first, width) };
            dx.copy_from_slice(&sums[..width]);
        }
    });
}

/// Gradient for w. `output` as of [`input_gradient`].
pub fn weight_gradient(
    sizes: Sizes,
    x: &[f32],
    dy: &[f32],
    output: Option<&[f32]>,
    dw: &mut [f32],
) {
    let dy = passed(dy, output);
    let tasks = dw.par_chunks_mut(ROWS * sizes.inputs).enumerate();
    tasks.for_each_init(Vec::new, |block, (task, dw)| {
        outer(sizes, x, &dy[task * ROWS..], block, dw);
    });
}

/// Gradient for the bias. `output` as of [`input_gradient`].
pub fn bias_gradient(sizes: Sizes, dy: &[f32], output: Option<&[f32]>, db: &mut [f32]) {
    let dy = passed(dy, output);
    for (place, db) in db.iter_mut().enumerate() {
        *db = dy[place..].iter().step_by(sizes.outputs).sum();
    }
}

/// The errors that pass a fused ReLU.
fn passed<'a>(dy: &'a [f32], output: Option<&[f32]>) -> Cow<'a, [f32]> {
    match output {
        None => Cow::Borrowed(dy),
        Some(output) => {
            let values = dy.iter().zip(output);
            Cow::Owned(
                values
                    .map(|(&dy, &y)| if y > 0.0 { dy } else { 0.0 })
                    .collect(),
            )
        }
    }
}

wide! {
    /// Adds to the sums of each sample, [`ROWS`] apart, the products of its inputs and each row of w.
    fn dots<V>(inputs: usize, x: &[f32], w: &[f32], sums: &mut [[f32; LANES]]) {
        for first in (0..inputs).step_by(BLOCK) {
            let block = first..inputs.min(first + BLOCK);
            for (tile, w) in w.chunks(TILE * inputs).enumerate() {
                let w = rows(w, inputs, &block);
                let samples = x.chunks(TILE * inputs).zip(sums.chunks_mut(TILE * ROWS));
                for (x, sums) in samples {
                    let (count, sums) = (x.len() / inputs, &mut sums[tile * TILE..]);
                    let x = rows(x, inputs, &block);
                    match count {
                        1 => dots_of_tile::<V, 1>(x, w, sums),
                        2 => dots_of_tile::<V, 2>(x, w, sums),
                        3 => dots_of_tile::<V, 3>(x, w, sums),
                        _ => dots_of_tile::<V, 4>(x, w, sums),
                    }
                }
            }
        }
    }
}

/// The part `of` each row. Where rows run out the last one stands in.
#[inline(always)]
fn rows<'a>(values: &'a [f32], width: usize, of: &Range<usize>) -> [&'a [f32]; TILE] {
    let last = values.len() / width - 1;
    let mut rows = [values; TILE];
    for (nth, row) in rows.iter_mut().enumerate() {
        let start = nth.min(last) * width;
        *row = &values[start + of.start..start + of.end];
    }
    rows
}

#[inline(always)]
fn dots_of_tile<V: Vector, const SAMPLES: usize>(
    x: [&[f32]; TILE],
    w: [&[f32]; TILE],
    sums: &mut [[f32; LANES]],
) {
    let mut tile = [[V::splat(0.0); TILE]; SAMPLES];
    for (sample, tile) in tile.iter_mut().enumerate() {
        for (row, sum) in tile.iter_mut().enumerate() {
            *sum = V::load(&sums[sample * ROWS + row]);
        }
    }
    let [(x0, x_end0), (x1, x_end1), (x2, x_end2), (x3, x_end3)] = x.map(<[f32]>::as_chunks);
    let [(w0, w_end0), (w1, w_end1), (w2, w_end2), (w3, w_end3)] = w.map(<[f32]>::as_chunks);
    let x = x0.iter().zip(x1).zip(x2).zip(x3);
    let w = w0.iter().zip(w1).zip(w2).zip(w3);
    for ((((x0, x1), x2), x3), (((w0, w1), w2), w3)) in x.zip(w) {
        let (x, w) = ([x0, x1, x2, x3], [w0, w1, w2, w3]);
        add_products(&mut tile, V::load_four(x), V::load_four(w));
    }
    if !w_end0.is_empty() {
        let x = V::load_four_parts([x_end0, x_end1, x_end2, x_end3]);
        let w = V::load_four_parts([w_end0, w_end1, w_end2, w_end3]);
        add_products(&mut tile, x, w);
    }
    for (sample, tile) in tile.iter().enumerate() {
        for (row, sum) in tile.iter().enumerate() {
            sum.store(&mut sums[sample * ROWS + row]);
        }
    }
}

#[inline(always)]
fn add_products<V: Vector, const SAMPLES: usize>(
    sums: &mut [[V; TILE]; SAMPLES],
    x: [V; TILE],
    w: [V; TILE],
) {
    for sample in 0..SAMPLES {
        for row in 0..TILE {
            sums[sample][row] = sums[sample][row].add_product(x[sample], w[row]);
        }
    }
}

wide! {
    /// Adds to the sums of each sample, [`PART`] apart, all rows of w, each times its error. `w` begins
    /// at the first of the `width` inputs.
    fn combine<V>(sizes: Sizes, dy: &[f32], w: &[f32], width: usize, sums: &mut [f32]) {
        let Sizes { inputs, outputs, .. } = sizes;
        let mut rest = [0.0; ROWS * GROUP];
        for first in (0..outputs).step_by(ROWS) {
            let rows = ROWS.min(outputs - first);
            for start in (0..width).step_by(GROUP) {
                let end = width.min(start + GROUP);
                let mut w = (&w[first * inputs + start..], inputs);
                if end - start < GROUP {
                    for (row, rest) in rest.chunks_exact_mut(GROUP).enumerate().take(rows) {
                        rest[..end - start].copy_from_slice(&w.0[row * inputs..][..end - start]);
                    }
                    w = (&rest, GROUP);
                }
                let errors = dy.chunks(TILE * outputs);
                let sums = sums[start..].chunks_mut(TILE * PART);
                for (dy, sums) in errors.zip(sums) {
                    let (samples, dy) = (dy.len() / outputs, &dy[first..]);
                    match samples {
                        1 => combine_tile::<V, 1>(w, rows, dy, outputs, sums),
                        2 => combine_tile::<V, 2>(w, rows, dy, outputs, sums),
                        3 => combine_tile::<V, 3>(w, rows, dy, outputs, sums),
                        _ => combine_tile::<V, 4>(w, rows, dy, outputs, sums),
                    }
                }
            }
        }
    }
}

/// For one group of inputs: `rows` rows of w, which are so far apart.
#[inline(always)]
fn combine_tile<V: Vector, const SAMPLES: usize>(
    (w, apart): (&[f32], usize),
    rows: usize,
    dy: &[f32],
    outputs: usize,
    sums: &mut [f32],
) {
    let mut tile = [[V::splat(0.0); GROUP / LANES]; SAMPLES];
    let mut errors = [dy; SAMPLES];
    for (sample, (tile, errors)) in tile.iter_mut().zip(&mut errors).enumerate() {
        let (sums, _) = sums[sample * PART..][..GROUP].as_chunks();
        *tile = V::load_four([&sums[0], &sums[1], &sums[2], &sums[3]]);
        *errors = &dy[sample * outputs..][..rows];
    }
    for row in 0..rows {
        let (w, _) = w[row * apart..][..GROUP].as_chunks();
        let w = V::load_four([&w[0], &w[1], &w[2], &w[3]]);
        for (tile, errors) in tile.iter_mut().zip(&errors) {
            let error = V::splat(errors[row]);
            for (sum, w) in tile.iter_mut().zip(w) {
                *sum = sum.add_product(error, w);
            }
        }
    }
    for (sample, tile) in tile.iter().enumerate() {
        let (sums, _) = sums[sample * PART..][..GROUP].as_chunks_mut();
        for (sum, value) in sums.iter_mut().zip(tile) {
            value.store(sum);
        }
    }
}

wide! {
    /// Rows of the weights' gradient: all samples, each times its error, which of the first sample is
    /// the first of `dy`. `block` is room for inputs.
    fn outer<V>(sizes: Sizes, x: &[f32], dy: &[f32], block: &mut Vec<f32>, dw: &mut [f32]) {
        const WIDTH: usize = 2 * LANES;
        let Sizes { batch, inputs, outputs } = sizes;
        for first in (0..inputs).step_by(BLOCK) {
            let width = BLOCK.min(inputs - first);
            // The inputs of all samples side by side, with zeros up to a multiple of the lanes.
            let padded = width.next_multiple_of(WIDTH);
            block.clear();
            block.resize(batch * padded, 0.0);
            for (x, block) in x.chunks_exact(inputs).zip(block.chunks_exact_mut(padded)) {
                block[..width].copy_from_slice(&x[first..first + width]);
            }
            for (tile, dw) in dw.chunks_mut(TILE * inputs).enumerate() {
                let errors = &dy[tile * TILE..];
                for start in (0..width).step_by(WIDTH) {
                    let sums = outer_of_tile::<V>(&block[start..], padded, errors, outputs);
                    let count = WIDTH.min(width - start);
                    for (dw, sums) in dw.chunks_exact_mut(inputs).zip(&sums) {
                        let dw = &mut dw[first + start..][..count];
                        match dw.as_chunks_mut() {
                            ([one, two], []) => {
                                sums[0].store(one);
                                sums[1].store(two);
                            }
                            _ => {
                                let mut values = [[0.0; LANES]; 2];
                                sums[0].store(&mut values[0]);
                                sums[1].store(&mut values[1]);
                                dw.copy_from_slice(&values.as_flattened()[..count]);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Of two vectors of inputs; what is behind the last output comes out, and is not wanted.
#[inline(always)]
fn outer_of_tile<V: Vector>(
    x: &[f32],
    padded: usize,
    dy: &[f32],
    outputs: usize,
) -> [[V; 2]; TILE] {
    let mut sums = [[V::splat(0.0); 2]; TILE];
    for (x, dy) in x.chunks(padded).zip(dy.chunks(outputs)) {
        let (x, _) = x[..2 * LANES].as_chunks();
        let x = [V::load(&x[0]), V::load(&x[1])];
        for (row, sums) in sums.iter_mut().enumerate() {
            let error = V::splat(dy.get(row).copied().unwrap_or(0.0));
            *sums = [
                sums[0].add_product(error, x[0]),
                sums[1].add_product(error, x[1]),
            ];
        }
    }
    sums
}

#[cfg(test)]
mod tests;
