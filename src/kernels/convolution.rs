//! Convolutions and their gradients, by the kernel that fits their sizes.

use super::{columns, depthwise};

/// Sizes of a convolution. All maps are (batch, channels, height, width) in C order, weights
/// (filters, channels of a group, rows, columns).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub batch: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub filters: usize,
    /// Rows, columns.
    pub kernel: [usize; 2],
    pub stride: usize,
    pub padding: Padding,
    /// Parts into which channels and filters are cut; a filter sees the channels of its part.
    pub groups: usize,
}

/// Rows and columns of zeros around an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Padding {
    pub top: usize,
    pub bottom: usize,
    pub left: usize,
    pub right: usize,
}

impl Shape {
    /// Height and width of the output.
    pub fn output(&self) -> [usize; 2] {
        let Padding {
            top,
            bottom,
            left,
            right,
        } = self.padding;
        let places = |size: usize, kernel: usize| (size - kernel) / self.stride + 1;
        [
            places(self.height + top + bottom, self.kernel[0]),
            places(self.width + left + right, self.kernel[1]),
        ]
    }

    /// Values of an input image.
    pub fn image(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Pixels of an output map.
    pub fn pixels(&self) -> usize {
        self.output().iter().product()
    }

    /// Values of one filter.
    pub fn filter(&self) -> usize {
        self.channels / self.groups * self.kernel[0] * self.kernel[1]
    }
}

/// y = x * w, plus `bias` (filters), then `relu`. `exact`: without kernels that trade accuracy for
/// speed, that is, without Winograd's.
pub fn forward(
    shape: &Shape,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    relu: bool,
    exact: bool,
    y: &mut [f32],
) {
    let _ = exact;
    match depthwise::fits(shape) {
        true => depthwise::forward(shape, x, w, bias, relu, y),
        false => columns::forward(shape, x, w, bias, relu, y),
    }
}

/// Gradient for x. `output`: y, if the ReLU was fused; gradients then count where y > 0.
pub fn input_gradient(
    shape: &Shape,
    dy: &[f32],
    output: Option<&[f32]>,
    w: &[f32],
    exact: bool,
    dx: &mut [f32],
) {
    let _ = exact;
    match depthwise::fits(shape) {
        true => depthwise::input_gradient(shape, dy, output, w, dx),
        false => columns::input_gradient(shape, dy, output, w, dx),
    }
}

/// Gradients for w and for the bias. `output` as of [`input_gradient`].
pub fn weight_gradient(
    shape: &Shape,
    x: &[f32],
    dy: &[f32],
    output: Option<&[f32]>,
    exact: bool,
    dw: &mut [f32],
    db: Option<&mut [f32]>,
) {
    let _ = exact;
    match depthwise::fits(shape) {
        true => depthwise::weight_gradient(shape, x, dy, output, dw),
        false => columns::weight_gradient(shape, x, dy, output, dw),
    }
    if let Some(db) = db {
        bias_gradient(shape, dy, output, db);
    }
}

/// Gradient for the bias: the sum over all images and pixels, image after image.
pub fn bias_gradient(shape: &Shape, dy: &[f32], output: Option<&[f32]>, db: &mut [f32]) {
    use rayon::prelude::*;

    let pixels = shape.pixels();
    db.par_iter_mut().enumerate().for_each(|(filter, db)| {
        let places = (0..shape.batch).map(|image| (image * shape.filters + filter) * pixels);
        *db = places
            .map(|first| {
                let output = output.map(|y| &y[first..first + pixels]);
                sum(&dy[first..first + pixels], output)
            })
            .sum();
    });
}

/// The sum of `values`, of those alone above which `output` is positive, in sixteen lanes.
fn sum(values: &[f32], output: Option<&[f32]>) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0f32; LANES];
    match output {
        None => {
            for values in values.chunks(LANES) {
                lanes.iter_mut().zip(values).for_each(|(sum, v)| *sum += v);
            }
        }
        Some(output) => {
            for (values, output) in values.chunks(LANES).zip(output.chunks(LANES)) {
                for ((sum, &value), &y) in lanes.iter_mut().zip(values).zip(output) {
                    *sum += if y > 0.0 { value } else { 0.0 };
                }
            }
        }
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests;
