//! Writing HDF5 by the crate rust-hdf5.

use std::iter::once;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use rust_hdf5::{DatatypeMessage, H5Dataset, H5File, H5FileOptions, H5Type, LibverBound};

use super::super::{Attribute, Element, Place, Rows, rows_per_chunk};
use super::failed;
use crate::error::{At, Error, Result};

/// An HDF5 file that is being written, readable by HDF5 1.8 and later.
pub struct Writer {
    path: PathBuf,
    file: H5File,
}

impl Writer {
    /// Creates or overwrites the file at `path`.
    pub fn create(path: &Path) -> Result<Self> {
        let file = H5FileOptions::new()
            .libver(LibverBound::V18)
            .best_effort_locking()
            .create(path)
            .map_err(failed)
            .at(path.display())?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Begins a table of `columns` values a row; `columns = 0` makes a list, of one dimension.
    pub fn table<T: Element>(
        &self,
        name: &str,
        rows: Rows,
        columns: usize,
    ) -> Result<TableWriter<T>> {
        let tail = (columns > 0).then_some(columns);
        let shape = |rows: usize| once(rows).chain(tail).collect::<Vec<_>>();
        let builder = self.file.new_dataset::<T>();
        let builder = match rows {
            Rows::Known(rows) => builder.shape(shape(rows)),
            Rows::Growing => {
                let limits: Vec<_> = once(None).chain(tail.map(Some)).collect();
                let chunk = shape(rows_per_chunk(columns.max(1), size_of::<T>()));
                builder.shape(shape(0)).chunk(&chunk).max_shape(&limits)
            }
        };
        let place = Place {
            path: self.path.clone(),
            table: name.to_owned(),
        };
        Ok(TableWriter {
            dataset: builder.create(name).map_err(failed).at(&place)?,
            place,
            rows,
            columns,
            written: 0,
            element: PhantomData,
        })
    }

    /// Writes out everything that is still in memory. A file that is dropped instead may be
    /// incomplete.
    pub fn finish(self) -> Result<()> {
        self.file.close().map_err(failed).at(self.path.display())
    }
}

/// A table that is being written, row after row.
pub struct TableWriter<T> {
    place: Place,
    dataset: H5Dataset,
    rows: Rows,
    columns: usize,
    written: usize,
    element: PhantomData<T>,
}

impl<T: Element> TableWriter<T> {
    /// Appends whole rows.
    ///
    /// # Errors
    /// If `values` is not a whole number of rows, there are more than announced, or the disk is full.
    pub fn append(&mut self, values: &[T]) -> Result<()> {
        let columns = self.columns.max(1);
        if !values.len().is_multiple_of(columns) {
            let problem = format!("{} values are no whole rows of {columns}", values.len());
            return Err(Error::new(problem).at(&self.place));
        }
        let rows = values.len() / columns;
        let done = match self.rows {
            Rows::Growing => self.dataset.append(values),
            Rows::Known(_) if self.columns == 0 => {
                self.dataset.write_slice(&[self.written], &[rows], values)
            }
            Rows::Known(_) => {
                self.dataset
                    .write_slice(&[self.written, 0], &[rows, columns], values)
            }
        };
        self.written += rows;
        done.map_err(failed).at(&self.place)
    }

    /// Adds an attribute.
    pub fn attribute(&self, name: &str, value: &Attribute) -> Result<()> {
        let done = match value {
            Attribute::Integers(values) => write_attribute(&self.dataset, name, values),
            Attribute::Floats(values) => write_attribute(&self.dataset, name, values),
            Attribute::Strings(texts) => write_texts(&self.dataset, name, texts),
        };
        done.at(format_args!("attribute {name}")).at(&self.place)
    }

    /// Ends the table.
    ///
    /// # Errors
    /// If fewer rows were appended than announced.
    pub fn finish(self) -> Result<()> {
        match self.rows {
            Rows::Known(rows) if rows != self.written => {
                let problem = format!("has {} of its {rows} rows", self.written);
                Err(Error::new(problem).at(&self.place))
            }
            _ => Ok(()),
        }
    }
}

/// A string of fixed width, padded with zeros.
#[derive(Clone, Copy)]
struct Text<const WIDTH: usize>([u8; WIDTH]);

impl<const WIDTH: usize> H5Type for Text<WIDTH> {
    fn hdf5_type() -> DatatypeMessage {
        DatatypeMessage::fixed_string_utf8(WIDTH as u32)
    }

    fn element_size() -> usize {
        WIDTH
    }
}

impl<const WIDTH: usize> Text<WIDTH> {
    fn new(text: &str) -> Self {
        let mut bytes = [0; WIDTH];
        bytes
            .iter_mut()
            .zip(text.bytes())
            .for_each(|(place, byte)| *place = byte);
        Self(bytes)
    }
}

fn write_texts(dataset: &H5Dataset, name: &str, texts: &[String]) -> Result<()> {
    const SHORT: usize = 32;
    const MEDIUM: usize = 256;
    const LONG: usize = 2048;
    fn write<const WIDTH: usize>(dataset: &H5Dataset, name: &str, texts: &[String]) -> Result<()> {
        let texts: Vec<_> = texts.iter().map(|text| Text::<WIDTH>::new(text)).collect();
        write_attribute(dataset, name, &texts)
    }
    // One byte stays free for the zero at the end.
    match texts.iter().map(String::len).max().unwrap_or(0) {
        0..SHORT => write::<SHORT>(dataset, name, texts),
        SHORT..MEDIUM => write::<MEDIUM>(dataset, name, texts),
        MEDIUM..LONG => write::<LONG>(dataset, name, texts),
        length => Err(Error::new(format!(
            "a string of {length} bytes is too long"
        ))),
    }
}

fn write_attribute<T: H5Type>(dataset: &H5Dataset, name: &str, values: &[T]) -> Result<()> {
    let builder = dataset.new_attr::<T>();
    // A single value is written as a scalar, as `nclass` is in neon's files.
    let builder = match values.len() {
        1 => builder.shape(()),
        length => builder.shape([length]),
    };
    let attribute = builder.create(name).map_err(failed)?;
    attribute.write_array(values).map_err(failed)
}
