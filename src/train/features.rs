//! What the frozen prefix gives for each sample of a data file, computed once and kept.
//!
//! It knows neither where a file of them lies nor by what it is found again.

use burn::tensor::Device;

use crate::cache::Entry;
use crate::error::Result;
use crate::model::layer::{self, Values};
use crate::numbers::{Dtype, Numbers};

/// A row a sample, in the order of the data file.
#[derive(Debug)]
pub struct Features {
    form: Form,
    rows: Rows,
}

/// What a row holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// (channels, height, width) or (features).
    pub shape: Vec<usize>,
    /// Precision of the run.
    pub dtype: Dtype,
    /// Precision in which the values are kept.
    pub kept_in: Dtype,
}

/// Where the rows are: little-endian values in C order.
#[derive(Debug)]
pub enum Rows {
    Memory(Vec<u8>),
    File(Entry),
}

impl Form {
    /// Bytes of one row.
    pub fn row_bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.kept_in.size()
    }

    /// `values` as a row keeps them.
    pub fn bytes(&self, values: Numbers) -> Vec<u8> {
        let values = values.to(self.kept_in);
        let mut bytes = Vec::with_capacity(values.len() * self.kept_in.size());
        values
            .le_bytes()
            .for_each(|chunk| bytes.extend_from_slice(&chunk));
        bytes
    }

    /// What comes back of `values` once they are kept.
    pub fn rounded(&self, values: Numbers) -> Numbers {
        values.to(self.kept_in).to(self.dtype)
    }

    /// Values of whole rows on `device`.
    pub fn values(&self, numbers: Numbers, device: &Device) -> Values {
        let samples = numbers.len() / self.shape.iter().product::<usize>();
        match *self.shape.as_slice() {
            [channels, height, width] => {
                let shape = [samples, channels, height, width];
                Values::Maps(layer::tensor(&shape, numbers, device))
            }
            _ => Values::Features(layer::tensor(&[samples, self.shape[0]], numbers, device)),
        }
    }
}

impl Features {
    pub fn new(form: Form, rows: Rows) -> Self {
        Self { form, rows }
    }

    /// Whether they are in memory, and reading them takes no time.
    pub fn are_in_memory(&self) -> bool {
        matches!(self.rows, Rows::Memory(_))
    }

    /// The rows of these samples, one after another, in the precision of the run.
    ///
    /// # Errors
    /// The file of them can no longer be read.
    pub fn read(&self, samples: &[usize]) -> Result<Numbers> {
        let size = self.form.row_bytes();
        let mut bytes = Vec::with_capacity(samples.len() * size);
        match &self.rows {
            Rows::Memory(rows) => {
                for &sample in samples {
                    bytes.extend_from_slice(&rows[sample * size..][..size]);
                }
            }
            Rows::File(entry) => entry.read(samples, &mut bytes)?,
        }
        let values = Numbers::from_le_bytes(self.form.kept_in, &bytes);
        Ok(values.to(self.form.dtype))
    }
}
