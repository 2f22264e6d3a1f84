//! Depthwise convolutions: each channel has one filter of its own (Howard et al. 2017).
//!
//! A plane is copied with its padding into a buffer in which a stride's columns stand side by side, so
//! that what a filter's cell sees of neighbouring pixels is neighbouring, too.

use rayon::prelude::*;

use super::convolution::{Padding, Shape};
use super::disjoint::Disjoint;
use super::wide::{LANES, Vector, wide};

/// Whether these kernels are for a convolution.
pub fn fits(shape: &Shape) -> bool {
    let Padding {
        top,
        bottom,
        left,
        right,
    } = shape.padding;
    let [rows, columns] = shape.kernel;
    shape.groups == shape.channels
        && shape.filters == shape.channels
        && rows == columns
        && [3, 5].contains(&rows)
        && [top, bottom, left, right].iter().all(|&size| size < rows)
}

/// y = x * w, plus bias, then ReLU. All as of [`super::convolution::forward`].
pub fn forward(
    shape: &Shape,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    relu: bool,
    y: &mut [f32],
) {
    let size = [shape.height, shape.width];
    let output = shape.output();
    let layout = Layout::new(shape, output);
    let planes = y.par_chunks_mut(shape.pixels()).enumerate();
    planes.for_each_init(
        || layout.buffer(),
        |buffer, (plane, y)| {
            let channel = plane % shape.channels;
            let x = &x[plane * size[0] * size[1]..][..size[0] * size[1]];
            layout.spread(x, size, [shape.padding.top, shape.padding.left], 1, buffer);
            let w = &w[channel * shape.filter()..][..shape.filter()];
            correlate(
                layout,
                buffer,
                w,
                bias.map_or(0.0, |bias| bias[channel]),
                output[1],
                y,
            );
            if relu {
                y.iter_mut()
                    .for_each(|y| *y = if *y < 0.0 { 0.0 } else { *y });
            }
        },
    );
}

/// Gradient for x, as of [`super::convolution::input_gradient`]: the errors, with zeros between them
/// for the stride, and the filters turned around.
pub fn input_gradient(
    shape: &Shape,
    dy: &[f32],
    output: Option<&[f32]>,
    w: &[f32],
    dx: &mut [f32],
) {
    let (pixels, size, edge) = (shape.pixels(), shape.output(), shape.kernel[0] - 1);
    let layout = Layout::new(
        &Shape {
            stride: 1,
            ..*shape
        },
        [shape.height, shape.width],
    );
    let before = [edge - shape.padding.top, edge - shape.padding.left];
    let planes = dx.par_chunks_mut(shape.height * shape.width).enumerate();
    planes.for_each_init(
        || (layout.buffer(), Vec::new()),
        |(buffer, errors), (plane, dx)| {
            let errors = passed(dy, output, plane * pixels..(plane + 1) * pixels, errors);
            layout.spread(errors, size, before, shape.stride, buffer);
            let channel = plane % shape.channels;
            let mut w = w[channel * shape.filter()..][..shape.filter()].to_vec();
            w.reverse();
            correlate(layout, buffer, &w, 0.0, shape.width, dx);
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
    let (pixels, size) = (shape.pixels(), [shape.height, shape.width]);
    let [_, width] = shape.output();
    let layout = Layout::new(shape, shape.output());
    let dw = Disjoint::new(dw);
    (0..shape.channels).into_par_iter().for_each_init(
        || (layout.buffer(), Vec::new()),
        |(buffer, errors), channel| {
            // SAFETY: a task has the filter of its channel alone.
            let dw = unsafe { dw.part(channel * shape.filter(), shape.filter()) };
            let mut sums = vec![[0.0; LANES]; shape.filter()];
            for image in 0..shape.batch {
                let plane = image * shape.channels + channel;
                let x = &x[plane * size[0] * size[1]..][..size[0] * size[1]];
                layout.spread(x, size, [shape.padding.top, shape.padding.left], 1, buffer);
                let errors = passed(dy, output, plane * pixels..(plane + 1) * pixels, errors);
                gather(layout, buffer, errors, width, &mut sums);
            }
            for (dw, sums) in dw.iter_mut().zip(sums) {
                *dw = sums.sum();
            }
        },
    );
}

/// How a padded plane lies in a buffer.
#[derive(Debug, Clone, Copy)]
struct Layout {
    kernel: usize,
    stride: usize,
    /// Of the padded plane.
    rows: usize,
    /// Columns of one phase of the stride, and what a vector reads behind the last.
    phase: usize,
}

impl Layout {
    /// For a pass that gives `output` rows and columns.
    fn new(shape: &Shape, output: [usize; 2]) -> Self {
        let (kernel, stride) = (shape.kernel[0], shape.stride);
        Self {
            kernel,
            stride,
            rows: (output[0] - 1) * stride + kernel,
            phase: output[1].next_multiple_of(LANES) + kernel,
        }
    }

    fn buffer(&self) -> Vec<f32> {
        vec![0.0; self.rows * self.stride * self.phase]
    }

    /// What the cells of one filter row see of an output row, from the first column on.
    fn row<'a>(&self, buffer: &'a [f32], row: usize) -> &'a [f32] {
        let width = self.stride * self.phase;
        &buffer[row * width..][..width]
    }

    /// Where a filter's column begins in a [`row`](Self::row).
    fn column(&self, column: usize) -> usize {
        column % self.stride * self.phase + column / self.stride
    }

    /// Writes a plane behind `before` rows and columns of zeros, its values `apart`. What is beyond
    /// the last row or column that is read stays outside.
    fn spread(
        &self,
        plane: &[f32],
        [height, width]: [usize; 2],
        before: [usize; 2],
        apart: usize,
        buffer: &mut [f32],
    ) {
        for (nth, values) in plane.chunks_exact(width).enumerate().take(height) {
            let row = before[0] + nth * apart;
            if row >= self.rows {
                break;
            }
            let start = row * self.stride * self.phase;
            let row = &mut buffer[start..][..self.stride * self.phase];
            match self.stride {
                1 => {
                    let places = row[before[1]..].iter_mut().step_by(apart);
                    places.zip(values).for_each(|(to, from)| *to = *from);
                }
                // Only errors are set apart, and their pass has no stride.
                stride => {
                    for (nth, phase) in row.chunks_exact_mut(self.phase).enumerate() {
                        // The first value whose padded column belongs to the phase, and its place.
                        let first = (nth + stride * before[1] - before[1]) % stride;
                        let start = (before[1] + first) / stride;
                        let values = values.get(first..).unwrap_or_default();
                        let values = values.iter().step_by(stride);
                        let places = phase[start..].iter_mut();
                        places.zip(values).for_each(|(to, from)| *to = *from);
                    }
                }
            }
        }
    }
}

/// The errors that pass a fused ReLU.
fn passed<'a>(
    dy: &'a [f32],
    output: Option<&[f32]>,
    of: std::ops::Range<usize>,
    buffer: &'a mut Vec<f32>,
) -> &'a [f32] {
    let Some(output) = output else {
        return &dy[of];
    };
    buffer.clear();
    let values = dy[of.clone()].iter().zip(&output[of]);
    buffer.extend(values.map(|(&dy, &y)| if y > 0.0 { dy } else { 0.0 }));
    buffer
}

wide! {
    /// A plane of outputs, rows of `width`.
    fn correlate<V>(
        layout: Layout,
        buffer: &[f32],
        w: &[f32],
        bias: f32,
        width: usize,
        y: &mut [f32],
    ) {
        match layout.kernel {
            3 => correlate_by::<V, 3>(layout, buffer, w, bias, width, y),
            _ => correlate_by::<V, 5>(layout, buffer, w, bias, width, y),
        }
    }
}

#[inline(always)]
fn correlate_by<V: Vector, const KERNEL: usize>(
    layout: Layout,
    buffer: &[f32],
    w: &[f32],
    bias: f32,
    width: usize,
    y: &mut [f32],
) {
    let mut filter = [[V::splat(0.0); KERNEL]; KERNEL];
    for (cells, w) in filter.iter_mut().zip(w.chunks_exact(KERNEL)) {
        for (cell, &w) in cells.iter_mut().zip(w) {
            *cell = V::splat(w);
        }
    }
    for (nth, y) in y.chunks_exact_mut(width).enumerate() {
        let mut rows = [buffer; KERNEL];
        for (row, values) in rows.iter_mut().enumerate() {
            *values = layout.row(buffer, nth * layout.stride + row);
        }
        for (start, y) in (0..).step_by(LANES).zip(y.chunks_mut(LANES)) {
            let mut sum = V::splat(bias);
            for (cells, row) in filter.iter().zip(rows) {
                for (column, &cell) in cells.iter().enumerate() {
                    sum = sum.add_product(cell, at::<V>(row, start + layout.column(column)));
                }
            }
            let mut values = [0.0; LANES];
            sum.store(&mut values);
            y.copy_from_slice(&values[..y.len()]);
        }
    }
}

#[inline(always)]
fn at<V: Vector>(row: &[f32], start: usize) -> V {
    match row[start..].first_chunk() {
        Some(values) => V::load(values),
        None => unreachable!("a row has room for a vector behind its last column"),
    }
}

wide! {
    /// Adds to the sums of each cell what it sees of a plane, each pixel times its error.
    fn gather<V>(
        layout: Layout,
        buffer: &[f32],
        dy: &[f32],
        width: usize,
        sums: &mut [[f32; LANES]],
    ) {
        match layout.kernel {
            3 => gather_by::<V, 3>(layout, buffer, dy, width, sums),
            _ => gather_by::<V, 5>(layout, buffer, dy, width, sums),
        }
    }
}

#[inline(always)]
fn gather_by<V: Vector, const KERNEL: usize>(
    layout: Layout,
    buffer: &[f32],
    dy: &[f32],
    width: usize,
    sums: &mut [[f32; LANES]],
) {
    let mut filter = [[V::splat(0.0); KERNEL]; KERNEL];
    for (cells, sums) in filter.iter_mut().zip(sums.chunks_exact(KERNEL)) {
        for (cell, sum) in cells.iter_mut().zip(sums) {
            *cell = V::load(sum);
        }
    }
    for (nth, dy) in dy.chunks_exact(width).enumerate() {
        for (start, dy) in (0..).step_by(LANES).zip(dy.chunks(LANES)) {
            // Behind the last error are zeros: what is read there counts for nothing.
            let error = match dy.first_chunk() {
                Some(dy) => V::load(dy),
                None => V::load_part(dy),
            };
            for (row, cells) in filter.iter_mut().enumerate() {
                let values = layout.row(buffer, nth * layout.stride + row);
                for (column, cell) in cells.iter_mut().enumerate() {
                    let seen = at::<V>(values, start + layout.column(column));
                    *cell = cell.add_product(seen, error);
                }
            }
        }
    }
    for (cells, sums) in filter.iter().zip(sums.chunks_exact_mut(KERNEL)) {
        for (cell, sum) in cells.iter().zip(sums) {
            cell.store(sum);
        }
    }
}
