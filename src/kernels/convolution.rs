//! Convolutions and their gradients, by the kernel that fits their sizes.

use rayon::prelude::*;

use super::simd::InstructionSet;
use super::winograd::{self, Filters, Maps, NONE, Output};
use super::{columns, depthwise, few};

/// The gradient for an output, and what of it passes the ReLU and the pooling that are fused.
pub use super::winograd::Pixels as Errors;

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
    if depthwise::fits(shape) {
        return depthwise::forward(shape, x, w, bias, relu, y);
    }
    if !is_for_winograd(shape, exact) {
        return columns::forward(shape, x, w, bias, relu, y);
    }
    let output = match relu {
        true => Output::Relu(y),
        false => Output::Plain(y),
    };
    let set = InstructionSet::best();
    winograd::convolve(
        set,
        inputs(shape),
        filters(shape, w),
        Errors::Plain(x),
        bias,
        output,
    );
}

/// Whether [`forward_pooled`] is for this convolution.
pub fn pools(shape: &Shape, exact: bool) -> bool {
    let is_even = shape.height.is_multiple_of(2) && shape.width.is_multiple_of(2);
    is_for_winograd(shape, exact) && is_even
}

/// [`forward`] with a ReLU, and behind it the largest value of each 2x2 pixels: y has half the height
/// and width. `winners` says which of them that is, as [`Errors::Pooled`] wants it.
pub fn forward_pooled(
    shape: &Shape,
    x: &[f32],
    w: &[f32],
    bias: &[f32],
    y: &mut [f32],
    winners: &mut [u8],
) {
    let (set, output) = (InstructionSet::best(), Output::Pooled(y, winners));
    let (maps, filters, x) = (inputs(shape), filters(shape, w), Errors::Plain(x));
    winograd::convolve(set, maps, filters, x, Some(bias), output);
}

/// Gradient for x.
pub fn input_gradient(shape: &Shape, errors: Errors<'_>, w: &[f32], exact: bool, dx: &mut [f32]) {
    if is_for_winograd(shape, exact) {
        let maps = Maps {
            channels: shape.filters,
            ..inputs(shape)
        };
        let turned = Filters {
            turned: true,
            ..filters(shape, w)
        };
        let set = InstructionSet::best();
        return winograd::convolve(set, maps, turned, errors, None, Output::Plain(dx));
    }
    let (dy, output) = unpooled(errors);
    match depthwise::fits(shape) {
        true => depthwise::input_gradient(shape, dy, output, w, dx),
        false => columns::input_gradient(shape, dy, output, w, dx),
    }
}

/// Gradients for w and for the bias.
pub fn weight_gradient(
    shape: &Shape,
    x: &[f32],
    errors: Errors<'_>,
    exact: bool,
    dw: &mut [f32],
    db: Option<&mut [f32]>,
) {
    let pooled = matches!(errors, Errors::Pooled(..));
    let few = few::fits(shape) && !pooled;
    if is_for_winograd(shape, exact) && !few {
        let (set, maps, x) = (InstructionSet::best(), inputs(shape), Errors::Plain(x));
        return winograd::filter_gradient(set, maps, shape.filters, x, errors, dw, db);
    }
    let (dy, output) = unpooled(errors);
    match depthwise::fits(shape) {
        true => depthwise::weight_gradient(shape, x, dy, output, dw),
        false if few => few::weight_gradient(shape, x, dy, output, dw),
        false => columns::weight_gradient(shape, x, dy, output, dw),
    }
    if let Some(db) = db {
        bias_gradient(shape, errors, db);
    }
}

/// dy, and y if the ReLU was fused.
fn unpooled<'a>(errors: Errors<'a>) -> (&'a [f32], Option<&'a [f32]>) {
    match errors {
        Errors::Plain(dy) => (dy, None),
        Errors::Masked(dy, y) => (dy, Some(y)),
        Errors::Pooled(..) => unreachable!("callers ask `pools` first"),
    }
}

/// Whether Winograd's kernels are for this convolution. On maps of 2x2 their tiles would be mostly
/// zeros.
fn is_for_winograd(shape: &Shape, exact: bool) -> bool {
    const ONE: Padding = Padding {
        top: 1,
        bottom: 1,
        left: 1,
        right: 1,
    };
    let around = (shape.kernel, shape.stride, shape.padding, shape.groups);
    let large = shape.height > 2 || shape.width > 2;
    !exact && large && around == ([3, 3], 1, ONE, 1)
}

fn inputs(shape: &Shape) -> Maps {
    Maps {
        images: shape.batch,
        channels: shape.channels,
        height: shape.height,
        width: shape.width,
    }
}

fn filters<'a>(shape: &Shape, values: &'a [f32]) -> Filters<'a> {
    Filters {
        values,
        filters: shape.filters,
        channels: shape.channels,
        turned: false,
    }
}

/// Gradient for the bias: the sum over all images and pixels, image after image.
pub fn bias_gradient(shape: &Shape, errors: Errors<'_>, db: &mut [f32]) {
    let pixels = match errors {
        Errors::Pooled(..) => shape.pixels() / 4,
        Errors::Plain(_) | Errors::Masked(..) => shape.pixels(),
    };
    db.par_iter_mut().enumerate().for_each(|(filter, db)| {
        let planes = (0..shape.batch).map(|image| image * shape.filters + filter);
        let places = planes.map(|plane| plane * pixels..(plane + 1) * pixels);
        *db = match errors {
            Errors::Plain(dy) => places.map(|at| sum(&dy[at], |_| true)).sum(),
            Errors::Masked(dy, y) => places
                .map(|at| sum(&dy[at.clone()], |nth| y[at.start + nth] > 0.0))
                .sum(),
            Errors::Pooled(dy, winners) => places
                .map(|at| sum(&dy[at.clone()], |nth| winners[at.start + nth] != NONE))
                .sum(),
        };
    });
}

/// The sum of those `values` that `passes` lets pass, in sixteen lanes.
fn sum(values: &[f32], passes: impl Fn(usize) -> bool) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0f32; LANES];
    for (block, values) in values.chunks(LANES).enumerate() {
        for (lane, (sum, &value)) in lanes.iter_mut().zip(values).enumerate() {
            *sum += if passes(block * LANES + lane) {
                value
            } else {
                0.0
            };
        }
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests;
