//! Writing HDF5 by the HDF5 project's own library.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use ::hdf5::types::FixedUnicode;
use ::hdf5::{Dataset, H5Type};
use ndarray::ArrayView;

use super::super::{Attribute, Element, Place, Rows, rows_per_chunk};
use super::{TEXT_BYTES, failed};
use crate::error::{At, Error, Result};

/// An HDF5 file that is being written, readable by HDF5 1.8 and later.
pub struct Writer {
    path: PathBuf,
    file: ::hdf5::File,
}

impl Writer {
    /// As `pure::Writer::create`.
    pub fn create(path: &Path) -> Result<Self> {
        // The library writes for HDF5 1.8 unless told otherwise.
        let file = ::hdf5::File::create(path)
            .map_err(failed)
            .at(path.display())?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// As `pure::Writer::table`.
    pub fn table<T: Element>(
        &self,
        name: &str,
        rows: Rows,
        columns: usize,
    ) -> Result<TableWriter<T>> {
        let place = Place {
            path: self.path.clone(),
            table: name.to_owned(),
        };
        let builder = self.file.new_dataset::<T>();
        let chunk = rows_per_chunk(columns.max(1), size_of::<T>());
        let dataset = match (rows, columns) {
            (Rows::Known(rows), 0) => builder.shape(rows).create(name),
            (Rows::Known(rows), _) => builder.shape((rows, columns)).create(name),
            (Rows::Growing, 0) => builder.chunk(chunk).shape(0..).create(name),
            (Rows::Growing, _) => {
                let builder = builder.chunk((chunk, columns));
                builder.shape((0.., columns)).create(name)
            }
        };
        Ok(TableWriter {
            dataset: dataset.map_err(failed).at(&place)?,
            place,
            rows,
            columns,
            written: 0,
            element: PhantomData,
        })
    }

    /// As `pure::Writer::finish`.
    pub fn finish(self) -> Result<()> {
        self.file.close().map_err(failed).at(self.path.display())
    }
}

/// A table that is being written, row after row.
pub struct TableWriter<T> {
    place: Place,
    dataset: Dataset,
    rows: Rows,
    columns: usize,
    written: usize,
    element: PhantomData<T>,
}

impl<T: Element> TableWriter<T> {
    /// As `pure::TableWriter::append`.
    pub fn append(&mut self, values: &[T]) -> Result<()> {
        self.append_here(values).at(&self.place)
    }

    fn append_here(&mut self, values: &[T]) -> Result<()> {
        let columns = self.columns.max(1);
        if !values.len().is_multiple_of(columns) {
            let problem = format!("{} values are no whole rows of {columns}", values.len());
            return Err(Error::new(problem));
        }
        let (start, end) = (self.written, self.written + values.len() / columns);
        if self.rows == Rows::Growing && self.columns == 0 {
            self.dataset.resize(end).map_err(failed)?;
        } else if self.rows == Rows::Growing {
            self.dataset.resize((end, columns)).map_err(failed)?;
        }
        if self.columns == 0 {
            self.dataset
                .write_slice(values, start..end)
                .map_err(failed)?;
        } else {
            let view = ArrayView::from_shape((end - start, columns), values).map_err(failed)?;
            self.dataset
                .write_slice(view, (start..end, ..))
                .map_err(failed)?;
        }
        self.written = end;
        Ok(())
    }

    /// As `pure::TableWriter::attribute`.
    pub fn attribute(&self, name: &str, value: &Attribute) -> Result<()> {
        let done = match value {
            Attribute::Integers(values) => write_attribute(&self.dataset, name, values),
            Attribute::Floats(values) => write_attribute(&self.dataset, name, values),
            Attribute::Strings(texts) => write_texts(&self.dataset, name, texts),
        };
        done.at(format_args!("attribute {name}")).at(&self.place)
    }

    /// As `pure::TableWriter::finish`.
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

fn write_texts(dataset: &Dataset, name: &str, texts: &[String]) -> Result<()> {
    fn write<const WIDTH: usize>(dataset: &Dataset, name: &str, texts: &[String]) -> Result<()> {
        let fixed = texts.iter().map(|text| {
            // One byte stays free for the zero at the end.
            let text = Some(text).filter(|text| text.len() < WIDTH);
            text.and_then(|text| text.parse::<FixedUnicode<WIDTH>>().ok())
                .ok_or_else(|| Error::new("a string is too long"))
        });
        write_attribute(dataset, name, &fixed.collect::<Result<Vec<_>>>()?)
    }
    match texts.iter().map(String::len).max().unwrap_or(0) {
        0..32 => write::<32>(dataset, name, texts),
        32..256 => write::<256>(dataset, name, texts),
        _ => write::<TEXT_BYTES>(dataset, name, texts),
    }
}

fn write_attribute<T: H5Type>(dataset: &Dataset, name: &str, values: &[T]) -> Result<()> {
    let builder = dataset.new_attr::<T>();
    // A single value is written as a scalar, as `nclass` is in neon's files.
    match values {
        [value] => {
            let attribute = builder.create(name).map_err(failed)?;
            attribute.write_scalar(value).map_err(failed)
        }
        _ => {
            let attribute = builder.shape(values.len()).create(name).map_err(failed)?;
            attribute.write(values).map_err(failed)
        }
    }
}
