//! A file of labelled images in neon's `HDF5Iterator` layout, validated and read sample by sample.
//!
//! The layout: `input` (samples, values), uint8 or any other number type, with attribute `lshape` =
//! (channels, height, width); `output` (samples, 1) with attribute `nclass`; optionally `mean`, a
//! dataset or an attribute of `input`, with a value for each pixel or for each channel. graft adds
//! the optional attribute `class_names` of `output`, which neon ignores.
//!
//! A [`Dataset`] does not know what its samples are used for, their order, or what is done to them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::cache::Cache;
use super::hdf5::{File, Table, Values};
use super::layout;
use crate::error::{At, Error, Result};
use crate::files::stamps;

/// Files with at most this much data are kept in memory, and that much of larger compressed ones.
const KEPT_BYTES: usize = 256 << 20;

/// Values that are read at a time when a whole file is gone through.
const STREAMED_VALUES: usize = 1 << 20;

/// An HDF5 file in neon's layout, open for reading.
///
/// Opening reads the labels and the mean; pixels are read when asked for, by any thread.
pub struct Dataset {
    path: PathBuf,
    shape: [usize; 3],
    classes: usize,
    class_names: Vec<String>,
    labels: Vec<u32>,
    stored_mean: Option<(Vec<f64>, MeanSource)>,
    input: Table,
    /// Rows that are read and kept together; `None`: rows are read one by one and not kept.
    block: Option<usize>,
    cache: Mutex<Cache>,
}

/// A type that pixels are computed in.
pub trait Pixel: Copy + Default + Into<f64> {
    /// The nearest value of this type.
    fn nearest(value: f64) -> Self;
    fn from_f32(value: f32) -> Self;
    fn is_finite(self) -> bool;
    /// `(self - mean) * scale`, each step rounded to this type.
    fn transformed(self, mean: Self, scale: Self) -> Self;
    fn divided(self, by: Self) -> Self;
}

/// Where a [`Dataset::mean`] comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeanSource {
    /// The file has a mean for every value of a sample.
    StoredPerPixel,
    /// The file has a mean for every channel.
    StoredPerChannel,
    /// The file has none: the mean of every channel is computed from all samples.
    Computed,
}

impl Dataset {
    /// Opens and validates the file at `path`.
    ///
    /// # Errors
    /// If the file is missing, truncated or not HDF5; if `input`, `output`, `lshape` or `nclass`
    /// is missing or contradicts another; if there is no sample; if a label is no class.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path)?;
        let layout = layout::validate(&file)?;
        let values = layout.input.rows().saturating_mul(layout.input.columns());
        let bytes = values.saturating_mul(layout.input.value_bytes());
        let block = if bytes <= KEPT_BYTES {
            Some(layout.input.rows())
        } else {
            layout.input.compressed_together()
        };
        Ok(Self {
            path: path.to_owned(),
            shape: layout.shape,
            classes: layout.classes,
            class_names: layout.class_names,
            labels: layout.labels,
            stored_mean: layout.mean,
            input: layout.input,
            block,
            cache: Mutex::new(Cache::new(KEPT_BYTES)),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of samples; at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a dataset is never empty")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Shape of one sample, (channels, height, width).
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Number of classes that the file declares.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Names of the classes, in the order of the labels; empty if the file has none.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The class of every sample, each below [`classes`](Self::classes).
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The type of the stored values, as numpy names it: `uint8`, `float32` …
    pub fn type_name(&self) -> String {
        self.input.type_name()
    }

    /// What [`mean`](Self::mean) will give, known without reading a sample.
    pub fn mean_source(&self) -> MeanSource {
        match self.stored_mean {
            Some((_, source)) => source,
            None => MeanSource::Computed,
        }
    }

    /// The mean of each value of a sample, in (channel, row, column) order; means of channels are
    /// repeated for each of their values. Reads all samples if the file stores none.
    ///
    /// # Errors
    /// If a sample cannot be read.
    pub fn mean(&self) -> Result<Vec<f64>> {
        match &self.stored_mean {
            Some((mean, MeanSource::StoredPerPixel)) => Ok(mean.clone()),
            Some((mean, _)) => Ok(self.for_each_value(mean)),
            None => Ok(self.for_each_value(&self.channel_mean()?)),
        }
    }

    /// Reads these samples into `out`, one after the other, each in (channel, row, column) order,
    /// with the values as stored, or nearest to them. `out` then holds `samples.len()` × C·H·W values.
    ///
    /// # Errors
    /// If there is no such sample, the file cannot be read, or a value is not finite.
    pub fn read<T: Pixel>(&self, samples: &[usize], out: &mut Vec<T>) -> Result<()> {
        let width = self.input.columns();
        out.clear();
        out.resize(samples.len() * width, T::default());
        // In the order of the file, so that neighbours are read together.
        let mut order: Vec<usize> = (0..samples.len()).collect();
        order.sort_unstable_by_key(|&position| samples[position]);
        let sorted: Vec<usize> = order.iter().map(|&position| samples[position]).collect();
        if let Some(&last) = sorted.last().filter(|&&last| last >= self.len()) {
            let problem = format!("has no sample {last}, only {}", self.len());
            return Err(self.input.fault(problem));
        }
        let mut done = 0;
        while let Some(&first) = sorted.get(done) {
            let rows = self.rows_to_read(&sorted[done..]);
            let values = match self.block {
                None => Arc::new(self.input.read(rows.clone())?),
                Some(_) => {
                    let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
                    cache.get(rows.clone(), |rows| self.input.read(rows))?
                }
            };
            debug_assert!(rows.contains(&first));
            let here = sorted[done..]
                .iter()
                .take_while(|sample| rows.contains(sample))
                .count();
            for &position in &order[done..done + here] {
                let sample = samples[position];
                let row = (sample - rows.start) * width;
                let out = &mut out[position * width..][..width];
                copy(&values, row, out)
                    .at(format_args!("sample {sample}"))
                    .at(self.input.place())?;
            }
            done += here;
        }
        Ok(())
    }

    /// SHA-256 of the whole file, in hexadecimal.
    ///
    /// # Errors
    /// If the file can no longer be read.
    pub fn sha256(&self) -> Result<String> {
        Ok(stamps::stamp(&self.path)?.sha256)
    }

    /// The rows to read for the first of these samples (in ascending order): its block, or the
    /// unbroken run that begins with it.
    fn rows_to_read(&self, sorted: &[usize]) -> std::ops::Range<usize> {
        let first = sorted[0];
        match self.block {
            Some(block) => {
                let start = first - first % block;
                start..(start + block).min(self.len())
            }
            None => {
                let steps = sorted
                    .windows(2)
                    .take_while(|pair| pair[1] - pair[0] <= 1)
                    .count();
                first..sorted[steps] + 1
            }
        }
    }

    fn channel_mean(&self) -> Result<Vec<f64>> {
        let [channels, height, width] = self.shape;
        let (plane, step) = (height * width, STREAMED_VALUES / self.input.columns());
        let (mut sums, mut pixels) = (vec![0.0f64; channels], Vec::<f64>::new());
        let samples: Vec<usize> = (0..self.len()).collect();
        for samples in samples.chunks(step.max(1)) {
            self.read(samples, &mut pixels)?;
            for (index, values) in pixels.chunks_exact(plane).enumerate() {
                sums[index % channels] += values.iter().sum::<f64>();
            }
        }
        let count = (self.len() * plane) as f64;
        Ok(sums.iter().map(|sum| sum / count).collect())
    }

    fn for_each_value(&self, channel_mean: &[f64]) -> Vec<f64> {
        let [_, height, width] = self.shape;
        let repeated = channel_mean
            .iter()
            .map(|&mean| std::iter::repeat_n(mean, height * width));
        repeated.flatten().collect()
    }
}

macro_rules! pixel {
    ($number:ty) => {
        impl Pixel for $number {
            fn nearest(value: f64) -> Self {
                value as $number
            }

            fn from_f32(value: f32) -> Self {
                value.into()
            }

            fn is_finite(self) -> bool {
                <$number>::is_finite(self)
            }

            fn transformed(self, mean: Self, scale: Self) -> Self {
                (self - mean) * scale
            }

            fn divided(self, by: Self) -> Self {
                self / by
            }
        }
    };
}

pixel!(f32);
pixel!(f64);

fn copy<T: Pixel>(values: &Values, start: usize, out: &mut [T]) -> Result<()> {
    let end = start + out.len();
    match values {
        Values::U8(values) => {
            out.iter_mut()
                .zip(&values[start..end])
                .for_each(|(out, &value)| *out = T::from_f32(value.into()));
            return Ok(());
        }
        Values::F32(values) => {
            out.iter_mut()
                .zip(&values[start..end])
                .for_each(|(out, &value)| *out = T::from_f32(value));
        }
        Values::F64(values) => {
            out.iter_mut()
                .zip(&values[start..end])
                .for_each(|(out, &value)| *out = T::nearest(value));
        }
    }
    match out.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(place) => Err(
            Error::new(format!("value {place} is {}", out[place].into()))
                .help("remove the sample from the file, or replace the value"),
        ),
    }
}

#[cfg(test)]
#[path = "dataset_tests.rs"]
mod tests;
