//! Convolution, with zeros around the image on any side and channels in groups.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::{ConvOptions, PadMode};

use crate::model::spec::Padding;

/// Weight (filters, channels of a group, rows, columns).
#[derive(Module, Debug)]
pub struct Convolution {
    pub(super) weight: Param<Tensor<4>>,
    stride: usize,
    #[module(skip)]
    padding: Padding,
    groups: usize,
}

impl Convolution {
    /// Filters of so many `groups`, a place every `stride` pixels.
    pub fn new(weight: Param<Tensor<4>>, stride: usize, padding: Padding, groups: usize) -> Self {
        Self {
            weight,
            stride,
            padding,
            groups,
        }
    }

    /// (batch, channels, height, width) to (batch, filters, height, width).
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let (images, padding) = self.padded(images);
        let options = ConvOptions::new([self.stride; 2], padding, [1, 1], self.groups);
        conv2d(images, self.weight.val(), None, options)
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
