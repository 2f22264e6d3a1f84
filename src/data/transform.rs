//! What happens to samples between a data file and the network.
//!
//! It knows numbers alone: which mean is subtracted, and why, is for others to say.

use std::sync::Arc;

use super::dataset::Pixel;
use super::resize::resized;
use crate::error::{Error, Result};
use crate::numbers::{Dtype, Numbers};

/// What happens to a sample, in this order: it is resized, its channels are put in order, each value
/// becomes `(value - mean) * scale / deviation`, each step rounded to `dtype`; half precisions compute
/// in f32, and so does resizing.
#[derive(Debug, Clone, PartialEq)]
pub struct Steps {
    /// Shape of a sample as it comes, (channels, height, width).
    pub from: [usize; 3],
    /// Side of the squares to which samples are resized, see [`resized`]; `None`: they are not.
    pub size: Option<usize>,
    /// Whether the network gets the last channel first: of RGB, BGR.
    pub reversed: bool,
    /// Subtracted: a value for each value of a sample before it is resized, a value a channel, or one
    /// for all; channels in the network's order. Empty: nothing.
    pub mean: Vec<f64>,
    pub scale: f64,
    /// Divided by: a value a channel, in the network's order, or one for all. Empty: nothing.
    pub deviation: Vec<f64>,
    pub dtype: Dtype,
}

/// [`Steps`] that fit their samples.
#[derive(Debug, Clone)]
pub struct Transform {
    steps: Steps,
    mean: Mean,
}

/// What is subtracted from a sample as the network gets it.
#[derive(Debug, Clone)]
enum Mean {
    /// From each plane its own.
    Planes(Vec<f64>),
    Values(Arc<Vec<f64>>),
}

impl Steps {
    /// Samples of this shape as they are.
    pub fn none(from: [usize; 3], dtype: Dtype) -> Self {
        Self {
            from,
            size: None,
            reversed: false,
            mean: Vec::new(),
            scale: 1.0,
            deviation: Vec::new(),
            dtype,
        }
    }

    /// Shape of a sample as the network gets it, (channels, height, width).
    pub fn to(&self) -> [usize; 3] {
        match self.size {
            Some(size) => [self.from[0], size, size],
            None => self.from,
        }
    }
}

impl Transform {
    /// # Errors
    /// Samples without values, or too many; a mean or a deviation that does not fit them.
    pub fn new(steps: Steps) -> Result<Self> {
        let [from, to] = [steps.from, steps.to()].map(|shape| {
            let values = shape
                .iter()
                .try_fold(1usize, |n, &side| n.checked_mul(side));
            values.filter(|&values| values > 0)
        });
        let (Some(from), Some(_)) = (from, to) else {
            return Err(Error::new(format!("samples of {:?} values", steps.from)));
        };
        let channels = steps.from[0];
        let fits = |list: &[f64]| [0, 1, channels].contains(&list.len());
        if !fits(&steps.deviation) {
            let count = steps.deviation.len();
            let problem = format!("a deviation of {count} values for {channels} channels");
            return Err(Error::new(problem));
        }
        let mean = match &steps.mean[..] {
            [] => Mean::Planes(vec![0.0; channels]),
            &[mean] => Mean::Planes(vec![mean; channels]),
            mean if mean.len() == channels => Mean::Planes(mean.to_vec()),
            // A mean of pixels goes with the pixels.
            mean if mean.len() == from => Mean::Values(Arc::new(match steps.size {
                Some(size) => resized(mean, [steps.from[1], steps.from[2]], size)?,
                None => mean.to_vec(),
            })),
            mean => {
                let problem = format!("a mean of {} values for samples of {from}", mean.len());
                return Err(Error::new(problem));
            }
        };
        Ok(Self { steps, mean })
    }

    pub fn steps(&self) -> &Steps {
        &self.steps
    }

    /// Shape of a sample as the network gets it, (channels, height, width).
    pub fn shape(&self) -> [usize; 3] {
        self.steps.to()
    }

    /// Precision of the result.
    pub fn dtype(&self) -> Dtype {
        self.steps.dtype
    }

    /// Whole samples, one after the other, for the network.
    ///
    /// # Errors
    /// They cannot be resized.
    pub fn of(&self, pixels: Vec<f32>) -> Result<Numbers> {
        Ok(match self.steps.dtype {
            Dtype::F64 => Numbers::F64(self.applied(pixels.into_iter().map(f64::from).collect())?),
            dtype => Numbers::F32(self.applied(pixels)?).to(dtype),
        })
    }

    /// The same in the precision of the samples.
    pub(super) fn applied<T: Pixel>(&self, samples: Vec<T>) -> Result<Vec<T>> {
        let steps = &self.steps;
        let [channels, height, width] = steps.from;
        let mut samples = match steps.size {
            Some(size) => resized(&samples, [height, width], size)?,
            None => samples,
        };
        let [_, height, width] = steps.to();
        let plane = height * width;
        if steps.reversed {
            samples
                .chunks_exact_mut(channels * plane)
                .for_each(|sample| reverse(sample, plane));
        }
        self.centre_and_scale(&mut samples, plane);
        if !steps.deviation.is_empty() {
            let deviations = steps.deviation.iter().map(|&by| T::nearest(by)).cycle();
            for (plane, by) in samples.chunks_exact_mut(plane).zip(deviations) {
                plane
                    .iter_mut()
                    .for_each(|value| *value = value.divided(by));
            }
        }
        Ok(samples)
    }

    fn centre_and_scale<T: Pixel>(&self, samples: &mut [T], plane: usize) {
        let scale = T::nearest(self.steps.scale);
        match &self.mean {
            Mean::Planes(means) => {
                let means = means.iter().map(|&mean| T::nearest(mean)).cycle();
                for (plane, mean) in samples.chunks_exact_mut(plane).zip(means) {
                    plane
                        .iter_mut()
                        .for_each(|value| *value = value.transformed(mean, scale));
                }
            }
            Mean::Values(means) => {
                for sample in samples.chunks_mut(means.len()) {
                    for (value, &mean) in sample.iter_mut().zip(means.iter()) {
                        *value = value.transformed(T::nearest(mean), scale);
                    }
                }
            }
        }
    }
}

/// The planes of a sample in the opposite order.
pub fn reverse<T>(sample: &mut [T], plane: usize) {
    sample.reverse();
    sample.chunks_mut(plane).for_each(<[T]>::reverse);
}

#[cfg(test)]
#[path = "transform_tests.rs"]
mod tests;
