//! Max pooling. Of equal values the first, row after row, is the largest one; what is not a number is
//! larger than all.

use rayon::prelude::*;

/// Sizes of a pooling of maps (batch, channels, height, width); what lies outside does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pooling {
    /// Rows and columns of a window: at most [`Pooling::LARGEST`].
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    /// The last window may reach beyond the padding.
    pub ceil: bool,
}

impl Pooling {
    /// A place in a window is counted in a byte.
    pub const LARGEST: usize = 16;

    /// Height and width of the output.
    pub fn output(&self, input: [usize; 2]) -> [usize; 2] {
        input.map(|size| {
            let room = size + 2 * self.padding - self.kernel.min(size + 2 * self.padding);
            if !self.ceil {
                return room / self.stride + 1;
            }
            // A window begins within the image or in the padding before it.
            let places =
                (size + 2 * self.padding + self.stride - 1 - self.kernel) / self.stride + 1;
            let is_outside = (places - 1) * self.stride >= size + self.padding;
            places - usize::from(is_outside)
        })
    }

    fn is_plain(&self) -> bool {
        (self.kernel, self.stride, self.padding) == (2, 2, 0)
    }

    /// The places of `window` that are in an image of `size` rows (or columns): the first, how many,
    /// and its place in the window.
    fn within(&self, window: usize, size: usize) -> (usize, usize, usize) {
        let start = window * self.stride;
        let outside = self.padding.saturating_sub(start);
        let first = (start + outside - self.padding).min(size);
        let end = (start + self.kernel).saturating_sub(self.padding).min(size);
        (first, end.saturating_sub(first), outside)
    }
}

/// The largest value of each window in `y`, and its place there (row · kernel + column) in
/// `winners`. `input`: height and width.
pub fn forward(pooling: Pooling, input: [usize; 2], x: &[f32], y: &mut [f32], winners: &mut [u8]) {
    let [height, width] = pooling.output(input);
    let planes = x.par_chunks(input[0] * input[1]);
    let outputs = y.par_chunks_mut(height * width);
    let winners = winners.par_chunks_mut(height * width);
    planes
        .zip(outputs)
        .zip(winners)
        .for_each(|((x, y), winners)| {
            let rows = y.chunks_mut(width).zip(winners.chunks_mut(width));
            for (row, (y, winners)) in rows.enumerate() {
                let is_whole = 2 * row + 1 < input[0] && 2 * width <= input[1];
                match pooling.is_plain() && is_whole {
                    true => plain_row(&x[2 * row * input[1]..], input[1], y, winners),
                    false => any_row(pooling, input, row, x, y, winners),
                }
            }
        });
}

/// The gradient for x: that of each output at the place of its largest value.
pub fn backward(pooling: Pooling, input: [usize; 2], dy: &[f32], winners: &[u8], dx: &mut [f32]) {
    let [height, width] = pooling.output(input);
    let planes = dx.par_chunks_mut(input[0] * input[1]);
    let errors = dy
        .par_chunks(height * width)
        .zip(winners.par_chunks(height * width));
    planes.zip(errors).for_each(|(dx, (dy, winners))| {
        dx.fill(0.0);
        let rows = dy.chunks(width).zip(winners.chunks(width));
        for (row, (dy, winners)) in rows.enumerate() {
            for (column, (dy, &winner)) in dy.iter().zip(winners).enumerate() {
                let winner = usize::from(winner);
                let y = row * pooling.stride + winner / pooling.kernel;
                let x = column * pooling.stride + winner % pooling.kernel;
                dx[(y - pooling.padding) * input[1] + x - pooling.padding] += dy;
            }
        }
    });
}

/// A row of windows of 2x2, all within the image; `x` begins with their first row.
fn plain_row(x: &[f32], width: usize, y: &mut [f32], winners: &mut [u8]) {
    let (upper, _) = x[..2 * y.len()].as_chunks::<2>();
    let (lower, _) = x[width..][..2 * y.len()].as_chunks::<2>();
    let windows = upper.iter().zip(lower);
    for ((y, winner), (upper, lower)) in y.iter_mut().zip(winners).zip(windows) {
        let mut best = (upper[0], 0);
        for (value, place) in [(upper[1], 1), (lower[0], 2), (lower[1], 3)] {
            best = if value > best.0 || value.is_nan() {
                (value, place)
            } else {
                best
            };
        }
        (*y, *winner) = best;
    }
}

fn any_row(
    pooling: Pooling,
    [height, width]: [usize; 2],
    row: usize,
    x: &[f32],
    y: &mut [f32],
    winners: &mut [u8],
) {
    let (top, rows, skipped) = pooling.within(row, height);
    for (column, (y, winner)) in y.iter_mut().zip(winners).enumerate() {
        let (left, columns, before) = pooling.within(column, width);
        let mut best = (f32::NEG_INFINITY, None);
        for line in 0..rows {
            let values = &x[(top + line) * width + left..][..columns];
            for (nth, &value) in values.iter().enumerate() {
                if value > best.0 || value.is_nan() || best.1.is_none() {
                    best = (
                        value,
                        Some((skipped + line) * pooling.kernel + before + nth),
                    );
                }
            }
        }
        // No window lies in the padding alone.
        (*y, *winner) = (best.0, best.1.unwrap_or(0) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::reference::values;

    const fn pooling(kernel: usize, stride: usize, padding: usize, ceil: bool) -> Pooling {
        Pooling {
            kernel,
            stride,
            padding,
            ceil,
        }
    }

    const CASES: [(Pooling, [usize; 2]); 8] = [
        (pooling(2, 2, 0, false), [6, 8]),
        (pooling(2, 2, 0, false), [7, 5]),
        (pooling(2, 2, 0, true), [7, 5]),
        (pooling(3, 2, 0, true), [9, 8]),
        (pooling(3, 2, 1, false), [9, 8]),
        (pooling(3, 1, 1, false), [5, 1]),
        (pooling(3, 3, 1, true), [5, 7]),
        (pooling(4, 1, 2, false), [4, 4]),
    ];

    /// Largest value of a window and where it is in the plane.
    fn largest(pooling: Pooling, [height, width]: [usize; 2], x: &[f32], at: [usize; 2]) -> usize {
        let [row, column] = at.map(|place| (place * pooling.stride) as isize);
        let padding = pooling.padding as isize;
        let mut best: Option<usize> = None;
        for cell in 0..(pooling.kernel * pooling.kernel) as isize {
            let kernel = pooling.kernel as isize;
            let (y, x_at) = (
                row + cell / kernel - padding,
                column + cell % kernel - padding,
            );
            if (0..height as isize).contains(&y) && (0..width as isize).contains(&x_at) {
                let place = y as usize * width + x_at as usize;
                best = best.filter(|&best| x[best] >= x[place]).or(Some(place));
            }
        }
        best.expect("a window sees the image")
    }

    #[test]
    fn outputs_are_largest_values_and_gradients_go_to_the_first_of_them() {
        for (pooling, input) in CASES {
            let plane = input[0] * input[1];
            // Few different values, so that many are equal.
            let x: Vec<f32> = values("x", 6 * plane)
                .iter()
                .map(|v| (v * 2.0).round())
                .collect();
            let [height, width] = pooling.output(input);
            let count = 6 * height * width;
            let dy = values("dy", count);
            let (mut y, mut winners) = (vec![f32::NAN; count], vec![0; count]);
            let mut dx = vec![f32::NAN; x.len()];
            forward(pooling, input, &x, &mut y, &mut winners);
            backward(pooling, input, &dy, &winners, &mut dx);
            let mut expected = vec![0.0; x.len()];
            for place in 0..count {
                let (image, at) = (place / (height * width), place % (height * width));
                let of = &x[image * plane..][..plane];
                let best = largest(pooling, input, of, [at / width, at % width]);
                assert_eq!(y[place], of[best], "{pooling:?}");
                expected[image * plane + best] += dy[place];
            }
            assert_eq!(dx, expected, "{pooling:?}");
        }
    }

    #[test]
    fn what_is_not_a_number_is_largest() {
        for pooling in [pooling(2, 2, 0, false), pooling(2, 2, 0, true)] {
            let (mut y, mut winners) = ([0.0], [9]);
            forward(
                pooling,
                [2, 2],
                &[1.0, f32::NAN, 2.0, 0.5],
                &mut y,
                &mut winners,
            );
            assert!(y[0].is_nan());
            assert_eq!(winners, [1]);
        }
    }
}
