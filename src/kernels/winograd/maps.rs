//! The maps of a convolution, and what stands in them.
//!
//! It knows nothing of tiles' transforms.

use super::transform::TILE;

/// Maps (images, channels, height, width), in C order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maps {
    pub images: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Maps {
    /// Pixels of a channel of an image.
    pub fn plane(&self) -> usize {
        self.height * self.width
    }

    /// Tiles of 4x4 that cover all images.
    pub fn tiles(&self) -> usize {
        self.images * self.height.div_ceil(TILE) * self.width.div_ceil(TILE)
    }
}

/// What maps are made of.
#[derive(Clone, Copy)]
pub enum Pixels<'a> {
    /// (images, channels, height, width).
    Plain(&'a [f32]),
    /// The first where the second is above 0, elsewhere 0: the gradient for what went into a ReLU,
    /// of that for what came out, and of what came out.
    Masked(&'a [f32], &'a [f32]),
    /// The first, of half the height and width, at that of each 2x2 pixels which the second names,
    /// elsewhere 0: the gradient for what went into a ReLU and a max pooling behind it, of that for
    /// what came out.
    Pooled(&'a [f32], &'a [u8]),
}

/// In [`Pixels::Pooled`]: none of the four. The others count through rows.
pub const NONE: u8 = 4;

impl Pixels<'_> {
    /// # Panics
    /// They are not of the size of `maps`.
    pub fn check(self, maps: Maps) {
        let size = maps.images * maps.channels * maps.plane();
        match self {
            Pixels::Plain(values) => assert_eq!(values.len(), size),
            Pixels::Masked(values, mask) => assert_eq!([values.len(), mask.len()], [size; 2]),
            Pixels::Pooled(values, winners) => {
                assert!(maps.height.is_multiple_of(2) && maps.width.is_multiple_of(2));
                assert_eq!([values.len(), winners.len()], [size / 4; 2]);
            }
        }
    }

    /// The pixels of a row of `plane` from a place on.
    pub(super) fn copy(
        self,
        plane: usize,
        [height, width]: [usize; 2],
        [y, x]: [usize; 2],
        out: &mut [f32],
    ) {
        let begin = (plane * height + y) * width + x;
        match self {
            Pixels::Plain(values) => out.copy_from_slice(&values[begin..begin + out.len()]),
            Pixels::Masked(values, mask) => {
                let places = begin..begin + out.len();
                let pairs = values[places.clone()].iter().zip(&mask[places]);
                for (out, (&value, &mask)) in out.iter_mut().zip(pairs) {
                    *out = if mask > 0.0 { value } else { 0.0 };
                }
            }
            Pixels::Pooled(values, winners) => {
                let (height, width) = (height / 2, width / 2);
                let row = (plane * height + y / 2) * width;
                let (values, winners) = (&values[row..row + width], &winners[row..row + width]);
                let number = (y % 2 * 2) as u8;
                let value = |x: usize| match winners[x / 2] == number + (x % 2) as u8 {
                    true => values[x / 2],
                    false => 0.0,
                };
                let odd = x % 2;
                if odd == 1 {
                    out[0] = value(x);
                }
                let first = (x + odd) / 2;
                let mut pairs = out[odd..].chunks_exact_mut(2);
                let both = values[first..].iter().zip(&winners[first..]);
                for (pair, (&value, &winner)) in pairs.by_ref().zip(both) {
                    pair[0] = if winner == number { value } else { 0.0 };
                    pair[1] = if winner == number + 1 { value } else { 0.0 };
                }
                let last = x + out.len() - 1;
                if let [rest] = &mut out[odd..].chunks_exact_mut(2).into_remainder() {
                    *rest = value(last);
                }
            }
        }
    }
}
