//! Convolutions of any size as products of matrices: what a filter sees at a pixel becomes a column
//! (Chellapilla et al. 2006).
//!
//! Work is cut by the sizes of the convolution, never by the number of threads.

use rayon::prelude::*;

use super::convolution::{Padding, Shape};
use super::disjoint::Disjoint;
use super::matrix::{Matrix, multiply};

/// Values of all partial sums of a weight's gradient together, and the pieces into which its work is
/// cut.
const ROOM: usize = 1 << 22;
const PIECES: usize = 16;

/// y = x * w, plus bias, then ReLU. All as of [`super::convolution::forward`].
pub fn forward(
    shape: &Shape,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    relu: bool,
    y: &mut [f32],
) {
    let (pixels, filter) = (shape.pixels(), shape.filter());
    let filters = shape.filters / shape.groups;
    let blocks = blocks(shape);
    let tasks = shape.batch * shape.groups * blocks.len();
    let y = Disjoint::new(y);
    (0..tasks).into_par_iter().for_each_init(
        || (Vec::new(), Vec::new()),
        |(columns, product), task| {
            let (image, block) = (task / blocks.len(), &blocks[task % blocks.len()]);
            let (image, group) = (image / shape.groups, image % shape.groups);
            let count = block.len();
            let w = Matrix::new(&w[group * filters * filter..], filter);
            let columns = columns_of(shape, x, [image, group], 0..shape.group(), block, columns);
            product.resize(filters * count, 0.0);
            multiply([filters, count, filter], w, columns, product, count, false);
            for (nth, values) in product.chunks_exact(count).enumerate() {
                let place = group * filters + nth;
                let first = (image * shape.filters + place) * pixels + block.start;
                // SAFETY: a task has these pixels of this image and these filters alone.
                let y = unsafe { y.part(first, count) };
                finish(values, bias.map(|bias| bias[place]), relu, y);
            }
        },
    );
}

/// Gradient for x, as of [`super::convolution::input_gradient`].
pub fn input_gradient(
    shape: &Shape,
    dy: &[f32],
    output: Option<&[f32]>,
    w: &[f32],
    dx: &mut [f32],
) {
    let (plane, filter) = (shape.height * shape.width, shape.filter());
    let filters = shape.filters / shape.groups;
    let cells = shape.kernel[0] * shape.kernel[1];
    // A task has some channels of one image, and goes through all pixels.
    let most = (512 / cells).clamp(1, shape.group());
    let chunks = shape.group().div_ceil(most);
    let blocks = blocks(shape);
    let dx = Disjoint::new(dx);
    let tasks = shape.batch * shape.groups * chunks;
    (0..tasks).into_par_iter().for_each_init(
        || (Vec::new(), Vec::new()),
        |(errors, columns), task| {
            let (image, chunk) = (task / chunks, task % chunks);
            let (image, group) = (image / shape.groups, image % shape.groups);
            let first = chunk * most;
            let channels = first..(first + most).min(shape.group());
            let rows = channels.len() * cells;
            let w = Matrix::new(&w[group * filters * filter + first * cells..], filter);
            let place = image * shape.channels + group * shape.group() + first;
            // SAFETY: a task has these channels of this image alone.
            let dx = unsafe { dx.part(place * plane, channels.len() * plane) };
            dx.fill(0.0);
            for block in &blocks {
                let errors = errors_of(shape, dy, output, [image, group], block, errors);
                if shape.is_pointwise() {
                    let dx = &mut dx[block.start..];
                    let sizes = [rows, block.len(), filters];
                    multiply(sizes, w.transposed(), errors, dx, plane, false);
                    continue;
                }
                columns.resize(rows * block.len(), 0.0);
                let sizes = [rows, block.len(), filters];
                multiply(sizes, w.transposed(), errors, columns, block.len(), false);
                scatter(shape, columns, block, dx);
            }
        },
    );
}

/// Gradient for w, as of [`super::convolution::weight_gradient`].
pub fn weight_gradient(
    shape: &Shape,
    x: &[f32],
    dy: &[f32],
    output: Option<&[f32]>,
    dw: &mut [f32],
) {
    let (filter, filters) = (shape.filter(), shape.filters / shape.groups);
    let (cells, blocks) = (shape.kernel[0] * shape.kernel[1], blocks(shape));
    let units = shape.batch * blocks.len();
    // Each partial sum goes over some blocks of pixels; where there is no room for many, filters
    // are cut by channels, too.
    let partials = (ROOM / dw.len().max(1)).clamp(1, units.min(PIECES));
    let most = shape.group().div_ceil(PIECES.div_ceil(partials));
    let chunks = shape.group().div_ceil(most);
    let per = units.div_ceil(partials);
    let mut sums = vec![0.0; if partials > 1 { partials * dw.len() } else { 0 }];
    let count = dw.len();
    let places = Disjoint::new(if partials > 1 { &mut sums } else { dw });
    let tasks = partials * shape.groups * chunks;
    (0..tasks).into_par_iter().for_each_init(
        || (Vec::new(), Vec::new(), Vec::new()),
        |(errors, columns, product), task| {
            let (part, task) = (
                task / (shape.groups * chunks),
                task % (shape.groups * chunks),
            );
            let (group, chunk) = (task / chunks, task % chunks);
            let channels = chunk * most..((chunk + 1) * most).min(shape.group());
            let width = channels.len() * cells;
            product.clear();
            product.resize(filters * width, 0.0);
            for unit in part * per..((part + 1) * per).min(units) {
                let (image, block) = (unit / blocks.len(), &blocks[unit % blocks.len()]);
                let at = [image, group];
                let errors = errors_of(shape, dy, output, at, block, errors);
                let columns = columns_of(shape, x, at, channels.clone(), block, columns);
                let sizes = [filters, width, block.len()];
                multiply(sizes, errors, columns.transposed(), product, width, true);
            }
            for (nth, values) in product.chunks_exact(width).enumerate() {
                let filter_start = (group * filters + nth) * filter;
                let first = part * count + filter_start + channels.start * cells;
                // SAFETY: a task has these channels of these filters, in its partial sum, alone.
                unsafe { places.part(first, width) }.copy_from_slice(values);
            }
        },
    );
    if partials > 1 {
        add_up(&sums, dw);
    }
}

/// The sum of all parts, each of the size of the result, one after another.
fn add_up(parts: &[f32], sums: &mut [f32]) {
    let count = sums.len();
    let sums = sums.par_iter_mut().with_min_len(4096).enumerate();
    sums.for_each(|(place, sum)| *sum = parts[place..].iter().step_by(count).sum());
}

/// Pixels, counted row after row.
type Block = std::ops::Range<usize>;

impl Shape {
    /// Channels that a filter sees.
    fn group(&self) -> usize {
        self.channels / self.groups
    }

    /// Whether the image itself is its matrix of columns.
    fn is_pointwise(&self) -> bool {
        let Padding {
            top,
            bottom,
            left,
            right,
        } = self.padding;
        self.kernel == [1, 1] && self.stride == 1 && top + bottom + left + right == 0
    }
}

/// The output's pixels in blocks whose columns fit into a cache.
fn blocks(shape: &Shape) -> Vec<Block> {
    let pixels = shape.pixels();
    let length = ((1 << 18) / shape.filter().max(1)).clamp(128, 2048);
    // Blocks of about one length rather than a short last one.
    let length = pixels
        .div_ceil(pixels.div_ceil(length))
        .next_multiple_of(16);
    let starts = (0..pixels).step_by(length);
    starts
        .map(|start| start..(start + length).min(pixels))
        .collect()
}

/// What the filters of a group see at the pixels of `block`: (channels · rows · columns, pixels).
fn columns_of<'a>(
    shape: &Shape,
    x: &'a [f32],
    [image, group]: [usize; 2],
    channels: std::ops::Range<usize>,
    block: &Block,
    buffer: &'a mut Vec<f32>,
) -> Matrix<'a> {
    let plane = shape.height * shape.width;
    let place = image * shape.channels + group * shape.group();
    let x = &x[(place + channels.start) * plane..(place + channels.end) * plane];
    if shape.is_pointwise() {
        return Matrix::new(&x[block.start..], plane);
    }
    let cells = shape.kernel[0] * shape.kernel[1];
    buffer.resize(channels.len() * cells * block.len(), 0.0);
    let rows = buffer.chunks_exact_mut(block.len()).enumerate();
    for (nth, row) in rows {
        let x = &x[nth / cells * plane..][..plane];
        for_segments(shape, nth % cells, block, |to, from, stride| match from {
            Some(first) if stride == 1 => {
                let count = to.len();
                row[to].copy_from_slice(&x[first..first + count]);
            }
            Some(first) => {
                let values = x[first..].iter().step_by(stride);
                row[to]
                    .iter_mut()
                    .zip(values)
                    .for_each(|(to, from)| *to = *from);
            }
            None => row[to].fill(0.0),
        });
    }
    Matrix::new(buffer, block.len())
}

/// Adds columns to the pixels of which they were made; `dx`: the planes of their channels.
fn scatter(shape: &Shape, columns: &[f32], block: &Block, dx: &mut [f32]) {
    let plane = shape.height * shape.width;
    let cells = shape.kernel[0] * shape.kernel[1];
    for (nth, row) in columns.chunks_exact(block.len()).enumerate() {
        let dx = &mut dx[nth / cells * plane..][..plane];
        for_segments(shape, nth % cells, block, |from, to, stride| match to {
            Some(first) if stride == 1 => {
                let to = &mut dx[first..first + from.len()];
                to.iter_mut()
                    .zip(&row[from])
                    .for_each(|(to, from)| *to += from);
            }
            Some(first) => {
                let to = dx[first..].iter_mut().step_by(stride);
                to.zip(&row[from]).for_each(|(to, from)| *to += from);
            }
            None => {}
        });
    }
}

/// Goes through the pixels of `block` in pieces of a row: calls `of` with their places in the block,
/// and where the filter's `cell` sees the first of them in the plane, the others being a stride
/// apart; or with nothing, where it sees padding.
fn for_segments(
    shape: &Shape,
    cell: usize,
    block: &Block,
    mut of: impl FnMut(std::ops::Range<usize>, Option<usize>, usize),
) {
    let [_, width] = shape.output();
    let (row, column) = (cell / shape.kernel[1], cell % shape.kernel[1]);
    let Padding { top, left, .. } = shape.padding;
    let stride = shape.stride;
    // Of an output row, the pixels at which the cell is within the image.
    let inside = left.saturating_sub(column).div_ceil(stride)
        ..(shape.width + left).saturating_sub(column).div_ceil(stride);
    let mut pixel = block.start;
    while pixel < block.end {
        let (y, start) = (pixel / width, pixel % width);
        let end = width.min(start + block.end - pixel);
        let at = |x: usize| pixel - block.start + x - start;
        let source = (y * stride + row).checked_sub(top);
        match source.filter(|&source| source < shape.height) {
            Some(source) => {
                let first = inside.start.clamp(start, end);
                let last = inside.end.clamp(first, end);
                if start < first {
                    of(at(start)..at(first), None, stride);
                }
                if first < last {
                    let place = source * shape.width + first * stride + column - left;
                    of(at(first)..at(last), Some(place), stride);
                }
                if last < end {
                    of(at(last)..at(end), None, stride);
                }
            }
            None => of(at(start)..at(end), None, stride),
        }
        pixel += end - start;
    }
}

/// The errors of a group's filters at the pixels of `block`, (filters, pixels): those alone where
/// `output` is positive.
fn errors_of<'a>(
    shape: &Shape,
    dy: &'a [f32],
    output: Option<&[f32]>,
    [image, group]: [usize; 2],
    block: &Block,
    buffer: &'a mut Vec<f32>,
) -> Matrix<'a> {
    let pixels = shape.pixels();
    let filters = shape.filters / shape.groups;
    let first = (image * shape.filters + group * filters) * pixels + block.start;
    let Some(output) = output else {
        return Matrix::new(&dy[first..], pixels);
    };
    buffer.clear();
    for start in (first..).step_by(pixels).take(filters) {
        let of = start..start + block.len();
        let values = dy[of.clone()].iter().zip(&output[of]);
        buffer.extend(values.map(|(&dy, &y)| if y > 0.0 { dy } else { 0.0 }));
    }
    Matrix::new(buffer, block.len())
}

/// Values with bias and ReLU. What is not a number stays so.
fn finish(values: &[f32], bias: Option<f32>, relu: bool, y: &mut [f32]) {
    let bias = bias.unwrap_or(0.0);
    let pairs = y.iter_mut().zip(values);
    match relu {
        true => pairs.for_each(|(y, value)| {
            let value = value + bias;
            *y = if value < 0.0 { 0.0 } else { value };
        }),
        false => pairs.for_each(|(y, value)| *y = value + bias),
    }
}
