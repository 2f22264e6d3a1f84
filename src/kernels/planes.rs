//! Direct convolution of planes: one channel by one filter, or by a few.
//!
//! A plane is copied with its padding into a buffer in which a stride's columns stand side by side, so
//! that what a filter's cell sees of neighbouring pixels is neighbouring, too.

use super::convolution::Shape;
use super::wide::{LANES, Vector, wide};

/// How a padded plane lies in a buffer.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    kernel: usize,
    stride: usize,
    /// Of the padded plane.
    rows: usize,
    /// Columns of one phase of the stride, and what a vector reads behind the last.
    phase: usize,
}

impl Layout {
    /// For a pass that gives `output` rows and columns.
    pub fn new(shape: &Shape, output: [usize; 2]) -> Self {
        let (kernel, stride) = (shape.kernel[0], shape.stride);
        Self {
            kernel,
            stride,
            rows: (output[0] - 1) * stride + kernel,
            phase: output[1].next_multiple_of(LANES) + kernel,
        }
    }

    pub fn buffer(&self) -> Vec<f32> {
        vec![0.0; self.rows * self.stride * self.phase]
    }

    /// What the cells of one filter row see of an output row, from the first column on.
    fn row<'a>(&self, buffer: &'a [f32], row: usize) -> &'a [f32] {
        let width = self.stride * self.phase;
        &buffer[row * width..][..width]
    }

    /// The rows of a buffer from this one on.
    pub fn below<'a>(&self, buffer: &'a [f32], row: usize) -> &'a [f32] {
        &buffer[row * self.stride * self.phase..]
    }

    /// Where a filter's column begins in a [`row`](Self::row).
    fn column(&self, column: usize) -> usize {
        column % self.stride * self.phase + column / self.stride
    }

    /// Writes a plane behind `before` rows and columns of zeros, its values `apart`. What is beyond
    /// the last row or column that is read stays outside.
    pub fn spread(
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
pub fn passed<'a>(
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
    pub fn correlate<V>(
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
    /// Adds to the sums of each cell what it sees of a plane, each pixel times its error: for each of
    /// some filters, whose errors are `dy`. Sums do not depend on how many filters come together.
    pub fn gather<V>(
        layout: Layout,
        buffer: &[f32],
        dy: &[&[f32]],
        width: usize,
        sums: &mut [[f32; LANES]],
    ) {
        match (layout.kernel, dy) {
            (3, &[a, b, c]) => gather_by::<V, 3, 3>(layout, buffer, [a, b, c], width, sums),
            (3, _) => {
                for (dy, sums) in dy.iter().zip(sums.chunks_exact_mut(3 * 3)) {
                    gather_by::<V, 1, 3>(layout, buffer, [dy], width, sums);
                }
            }
            _ => {
                for (dy, sums) in dy.iter().zip(sums.chunks_exact_mut(5 * 5)) {
                    gather_by::<V, 1, 5>(layout, buffer, [dy], width, sums);
                }
            }
        }
    }
}

#[inline(always)]
fn gather_by<V: Vector, const FILTERS: usize, const KERNEL: usize>(
    layout: Layout,
    buffer: &[f32],
    dy: [&[f32]; FILTERS],
    width: usize,
    sums: &mut [[f32; LANES]],
) {
    // Indexed by constants throughout: so the compiler keeps all of them in registers.
    let mut filters = [[[V::splat(0.0); KERNEL]; KERNEL]; FILTERS];
    for (nth, filter) in filters.iter_mut().enumerate() {
        for (row, cells) in filter.iter_mut().enumerate() {
            for (column, cell) in cells.iter_mut().enumerate() {
                *cell = V::load(&sums[(nth * KERNEL + row) * KERNEL + column]);
            }
        }
    }
    for nth in 0..dy[0].len() / width {
        let mut rows = [buffer; KERNEL];
        for (row, values) in rows.iter_mut().enumerate() {
            *values = layout.row(buffer, nth * layout.stride + row);
        }
        let mut errors = dy;
        for errors in &mut errors {
            *errors = &errors[nth * width..(nth + 1) * width];
        }
        for start in (0..width).step_by(LANES) {
            let mut error = [V::splat(0.0); FILTERS];
            for (error, errors) in error.iter_mut().zip(errors) {
                // Behind the last error are zeros: what is read there counts for nothing.
                *error = match errors[start..].first_chunk() {
                    Some(errors) => V::load(errors),
                    None => V::load_part(&errors[start..]),
                };
            }
            for (row, values) in rows.into_iter().enumerate() {
                for column in 0..KERNEL {
                    let seen = at::<V>(values, start + layout.column(column));
                    for (filter, &error) in filters.iter_mut().zip(&error) {
                        filter[row][column] = filter[row][column].add_product(seen, error);
                    }
                }
            }
        }
    }
    for (nth, filter) in filters.iter().enumerate() {
        for (row, cells) in filter.iter().enumerate() {
            for (column, cell) in cells.iter().enumerate() {
                cell.store(&mut sums[(nth * KERNEL + row) * KERNEL + column]);
            }
        }
    }
}
