//! How the elements of a tensor lie in a row of elements: sizes and strides, checked.
//!
//! numpy's Fortran order and PyTorch's views, which may skip, permute or repeat elements. It knows
//! neither files nor element types.

use std::cmp::Reverse;

use crate::error::{Error, Result};

/// Most dimensions of a tensor.
pub const MOST_DIMENSIONS: usize = 64;

/// A tensor's sizes, and how many elements apart its neighbours lie along each dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct Strides {
    /// Dimensions by falling stride: in this order the places never fall.
    dimensions: Vec<Dimension>,
    /// One behind the last element that is used.
    span: usize,
    count: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Dimension {
    size: usize,
    stride: usize,
    /// Distance of neighbours in C order.
    target: usize,
}

/// Number of elements of this shape, if there can be so many.
pub fn count(shape: &[usize]) -> Option<usize> {
    // A dimension of no elements must not hide an overflow: what follows multiplies in any order.
    let mut sizes = shape.iter().map(|&size| size.max(1));
    let bound = sizes.try_fold(1usize, |n, size| n.checked_mul(size));
    bound.filter(|_| shape.len() <= MOST_DIMENSIONS)?;
    Some(shape.iter().product())
}

impl Strides {
    /// # Errors
    /// A shape that is impossible, strides that do not belong to it, elements that overlap
    /// otherwise than by being repeated along a dimension.
    pub fn new(shape: &[usize], strides: &[usize]) -> Result<Self> {
        let impossible = || Error::new("its shape and strides are impossible");
        let count = count(shape).ok_or_else(impossible)?;
        if shape.len() != strides.len() {
            return Err(impossible());
        }
        let mut target = 1;
        let mut dimensions = Vec::with_capacity(shape.len());
        let mut span = 1usize;
        for (&size, &stride) in shape.iter().zip(strides).rev() {
            dimensions.push(Dimension {
                size,
                stride,
                target,
            });
            target *= size.max(1);
            let reach = size.saturating_sub(1).checked_mul(stride);
            span = reach
                .and_then(|reach| span.checked_add(reach))
                .ok_or_else(impossible)?;
        }
        dimensions.retain(|dimension| dimension.size != 1);
        // Of equal strides, as of dimensions that repeat, the order does not matter.
        dimensions.sort_by_key(|dimension| Reverse(dimension.stride));
        if count == 0 {
            dimensions.clear();
            span = 0;
        }
        let mut reach = 0;
        for dimension in dimensions
            .iter()
            .rev()
            .filter(|dimension| dimension.stride > 0)
        {
            if dimension.stride <= reach {
                return Err(Error::new("its elements overlap one another in the file")
                    .help("save `tensor.contiguous()` instead"));
            }
            reach += (dimension.size - 1) * dimension.stride;
        }
        Ok(Self {
            dimensions,
            span,
            count,
        })
    }

    /// Fortran order: the first index runs fastest.
    ///
    /// # Errors
    /// A shape that is impossible.
    pub fn fortran(shape: &[usize]) -> Result<Self> {
        let mut strides = Vec::with_capacity(shape.len());
        let mut stride = 1usize;
        for &size in shape {
            strides.push(stride);
            stride = stride.saturating_mul(size.max(1));
        }
        Self::new(shape, &strides)
    }

    /// Number of elements of the tensor.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Number of elements between the first one and behind the last one.
    pub fn span(&self) -> usize {
        self.span
    }

    /// Whether the elements lie in C order side by side.
    pub fn is_plain(&self) -> bool {
        let plain = |dimension: &Dimension| dimension.stride == dimension.target;
        self.dimensions.iter().all(plain)
    }

    /// For each element its place in the file and its place in C order, the former never falling.
    pub fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut index = vec![0; self.dimensions.len()];
        let (mut from, mut to) = (0, 0);
        (0..self.count).map(move |_| {
            let place = (from, to);
            for (i, dimension) in index.iter_mut().zip(&self.dimensions).rev() {
                *i += 1;
                from += dimension.stride;
                to += dimension.target;
                if *i < dimension.size {
                    break;
                }
                *i = 0;
                from -= dimension.size * dimension.stride;
                to -= dimension.size * dimension.target;
            }
            place
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places in the file by C order.
    fn lying(shape: &[usize], strides: &[usize]) -> Result<Vec<usize>> {
        let strides = Strides::new(shape, strides)?;
        let places: Vec<_> = strides.places().collect();
        assert!(places.is_sorted_by_key(|place| place.0));
        assert!(places.iter().all(|place| place.0 < strides.span()));
        let mut lying = vec![usize::MAX; strides.count()];
        places.iter().for_each(|&(from, to)| lying[to] = from);
        Ok(lying)
    }

    #[test]
    fn every_view_that_is_no_overlap_is_followed() -> Result<()> {
        assert_eq!(lying(&[2, 3], &[3, 1])?, [0, 1, 2, 3, 4, 5]);
        assert_eq!(lying(&[2, 3], &[1, 2])?, [0, 2, 4, 1, 3, 5]);
        assert_eq!(lying(&[2, 2], &[8, 3])?, [0, 3, 8, 11]);
        assert_eq!(lying(&[2, 1, 2], &[1, 77, 2])?, [0, 2, 1, 3]);
        assert_eq!(lying(&[2, 3], &[0, 1])?, [0, 1, 2, 0, 1, 2]);
        assert_eq!(lying(&[3], &[0])?, [0, 0, 0]);
        assert_eq!(lying(&[], &[])?, [0]);
        assert!(lying(&[0, 3], &[3, 1])?.is_empty());
        assert!(Strides::new(&[2, 1, 3], &[3, 9, 1])?.is_plain());
        assert!(!Strides::fortran(&[2, 3])?.is_plain());
        assert_eq!(Strides::fortran(&[2, 3])?, Strides::new(&[2, 3], &[1, 2])?);
        Ok(())
    }

    #[test]
    fn overlaps_and_overflows_are_refused() {
        let huge = usize::MAX / 2;
        for (shape, strides) in [
            (&[3, 3][..], &[1, 1][..]),
            (&[2, 3], &[2, 1]),
            (&[huge, 3], &[1, 1]),
            (&[huge, 0, 3], &[1, 1, 1]),
            (&[3, 3], &[huge, huge]),
            (&[2], &[1, 1]),
            (&[1; 65], &[1; 65]),
        ] {
            assert!(Strides::new(shape, strides).is_err(), "{shape:?}");
        }
    }
}
