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
        values.to(self.kept_in).le_bytes().into_owned()
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
        let (size, kept_in) = (self.form.row_bytes(), self.form.kept_in);
        let values = match &self.rows {
            Rows::Memory(rows) => {
                let row = |&sample: &usize| &rows[sample * size..][..size];
                Numbers::from_le_parts(kept_in, samples.iter().map(row))
            }
            Rows::File(entry) => {
                let mut bytes = Vec::with_capacity(samples.len() * size);
                entry.read(samples, &mut bytes)?;
                Numbers::from_le_bytes(kept_in, &bytes)
            }
        };
        Ok(values.to(self.form.dtype))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Cache, Making};

    fn form(kept_in: Dtype) -> Form {
        Form {
            shape: vec![2, 1, 3],
            dtype: Dtype::F32,
            kept_in,
        }
    }

    fn values() -> Numbers {
        Numbers::new(
            Dtype::F32,
            (0..24).map(|value| 1.0 / (f64::from(value) + 3.0)),
        )
    }

    fn rows(samples: &[usize]) -> impl Iterator<Item = usize> {
        samples
            .iter()
            .flat_map(|sample| sample * 6..(sample + 1) * 6)
    }

    /// The same rows, in memory and in a file.
    fn both(form: &Form, directory: &std::path::Path) -> [Features; 2] {
        let bytes = form.bytes(values());
        let cache = Cache::new(directory, 1 << 20);
        let making = cache.make(&[0; 32], 4, form.row_bytes(), &|| false);
        let Ok(Making::Begun(mut filling)) = making else {
            panic!("it is to be filled");
        };
        filling.push(&bytes).unwrap();
        let entry = filling.finish().unwrap();
        [Rows::Memory(bytes), Rows::File(entry)].map(|rows| Features::new(form.clone(), rows))
    }

    #[test]
    fn rows_come_back_from_memory_and_from_a_file_bit_for_bit() {
        let directory = tempfile::tempdir().unwrap();
        for features in both(&form(Dtype::F32), directory.path()) {
            let samples = [3, 0, 3];
            let read = features.read(&samples).unwrap();
            assert_eq!(read, values().gather(rows(&samples)));
        }
    }

    #[test]
    fn rounded_rows_are_those_that_rounding_without_keeping_gives() {
        let directory = tempfile::tempdir().unwrap();
        let form = form(Dtype::Bf16);
        let rounded = form.rounded(values());
        assert_ne!(rounded, values());
        for features in both(&form, directory.path()) {
            assert_eq!(features.read(&[0, 1, 2, 3]).unwrap(), rounded);
        }
    }
}
