//! Convolution, with zeros around the image on any side and channels in groups.
//!
//! By graft's kernels where they are for the device and the precision, else by Burn.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::{ConvOptions, PadMode};

use crate::kernels::{self, extension};
use crate::model::spec::Padding;

/// Weight (filters, channels of a group, rows, columns).
#[derive(Module, Debug)]
pub struct Convolution {
    pub(super) weight: Param<Tensor<4>>,
    stride: usize,
    #[module(skip)]
    padding: Padding,
    groups: usize,
    /// No kernel that trades accuracy for speed.
    #[module(skip)]
    exact: bool,
}

impl Convolution {
    /// Filters of so many `groups`, a place every `stride` pixels.
    pub fn new(weight: Param<Tensor<4>>, stride: usize, padding: Padding, groups: usize) -> Self {
        Self {
            weight,
            stride,
            padding,
            groups,
            exact: false,
        }
    }

    /// Whether kernels that trade accuracy for speed are kept out.
    pub fn set_exact(&mut self, exact: bool) {
        self.exact = exact;
    }

    /// (batch, channels, height, width) to (batch, filters, height, width).
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        if extension::is_for(&images) {
            return self.fused(images, None, false);
        }
        let (images, padding) = self.padded(images);
        let options = ConvOptions::new([self.stride; 2], padding, [1, 1], self.groups);
        conv2d(images, self.weight.val(), None, options)
    }

    /// The same with the `bias` (filters) and the ReLU behind it, as one operation. Only of images
    /// that the kernels are for.
    pub fn fused(&self, images: Tensor<4>, bias: Option<Tensor<1>>, relu: bool) -> Tensor<4> {
        extension::convolve(images, self.weight.val(), bias, self.options(relu))
    }

    /// Whether [`pooled`](Self::pooled) is for these images.
    pub fn pools(&self, images: &Tensor<4>) -> bool {
        extension::pools(images, &self.weight.val(), self.options(true))
    }

    /// The same with the `bias` (filters), the ReLU and the max pooling of 2x2 behind it, as one
    /// operation.
    pub fn pooled(&self, images: Tensor<4>, bias: Tensor<1>) -> Tensor<4> {
        extension::convolve_and_pool(images, self.weight.val(), bias, self.options(true))
    }

    fn options(&self, relu: bool) -> extension::Convolution {
        extension::Convolution {
            stride: self.stride,
            padding: self.padding.into(),
            groups: self.groups,
            relu,
            exact: self.exact,
        }
    }

    /// The images, with zeros around them where opposite sides differ; and what is left to add.
    fn padded(&self, images: Tensor<4>) -> (Tensor<4>, [usize; 2]) {
        let Padding {
            top,
            bottom,
            left,
            right,
        } = self.padding;
        if top == bottom && left == right {
            return (images, [top, left]);
        }
        let padded = images.pad([(top, bottom), (left, right)], PadMode::Constant(0.0));
        (padded, [0, 0])
    }
}

impl From<Padding> for kernels::convolution::Padding {
    fn from(padding: Padding) -> Self {
        let Padding {
            top,
            bottom,
            left,
            right,
        } = padding;
        Self {
            top,
            bottom,
            left,
            right,
        }
    }
}
