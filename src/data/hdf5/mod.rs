//! The one place that reads and writes HDF5: tables of numbers by rows, and their attributes.
//!
//! It knows no images, labels or layers. Two implementations stand behind the same interface:
//! `pure`, on the crate rust-hdf5, needs nothing but a Rust compiler and is the default; `native`,
//! on the HDF5 project's C library, is chosen by the Cargo feature `libhdf5`. With that feature,
//! the tests compare the two.

#[cfg(any(not(feature = "libhdf5"), test))]
#[cfg_attr(feature = "libhdf5", allow(dead_code, unused_imports))]
mod pure;
mod superblock;

#[cfg(feature = "libhdf5")]
mod native;

#[cfg(feature = "libhdf5")]
pub use native::{File, Table, TableWriter, Writer};
#[cfg(not(feature = "libhdf5"))]
pub use pure::{File, Table, TableWriter, Writer};

use std::fmt;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// Numbers as read, in the narrowest of three types that holds each of them exactly (64-bit
/// integers beyond 2⁵³ are rounded).
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Stored as uint8.
    U8(Vec<u8>),
    /// Stored as int8, int16, uint16, float16 or float32.
    F32(Vec<f32>),
    /// Stored as 32- or 64-bit integers, or float64.
    F64(Vec<f64>),
}

impl Values {
    pub fn len(&self) -> usize {
        match self {
            Values::U8(values) => values.len(),
            Values::F32(values) => values.len(),
            Values::F64(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory that the values take.
    pub fn bytes(&self) -> usize {
        match self {
            Values::U8(values) => values.len(),
            Values::F32(values) => 4 * values.len(),
            Values::F64(values) => 8 * values.len(),
        }
    }

    /// Every value as a 64-bit number, exactly.
    pub fn to_f64(&self) -> Vec<f64> {
        match self {
            Values::U8(values) => values.iter().map(|&value| value.into()).collect(),
            Values::F32(values) => values.iter().map(|&value| value.into()).collect(),
            Values::F64(values) => values.clone(),
        }
    }
}

/// The value of an attribute; a scalar is one element.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// Integers of any width; read from uint64, values beyond `i64` are an error.
    Integers(Vec<i64>),
    /// Floating-point numbers of any width.
    Floats(Vec<f64>),
    /// Strings of fixed or variable length. Written with fixed length, in UTF-8.
    Strings(Vec<String>),
}

/// A number type that graft writes.
#[cfg(not(feature = "libhdf5"))]
pub trait Element: rust_hdf5::H5Type {}
/// A number type that graft writes.
#[cfg(feature = "libhdf5")]
pub trait Element: rust_hdf5::H5Type + ::hdf5::H5Type {}

impl Element for u8 {}
impl Element for i32 {}
impl Element for f32 {}

/// Where a table is, as messages say it: `train.h5: input`.
#[derive(Debug, Clone)]
pub struct Place {
    path: PathBuf,
    table: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.table)
    }
}

/// How many rows a table that is being written will have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Exactly so many: stored in one piece, which is quickest to read.
    Known(usize),
    /// As many as are appended: stored in chunks of whole rows, about 1 MiB each.
    Growing,
}

/// Bytes of one chunk of a [`Rows::Growing`] table.
const CHUNK_BYTES: usize = 1 << 20;

/// A row of more bytes than this is taken for a broken file, not for data.
const LARGEST_ROW: usize = 1 << 30;

fn rows_per_chunk(columns: usize, element_bytes: usize) -> usize {
    (CHUNK_BYTES / (columns * element_bytes).max(1)).max(1)
}

/// The number of elements in `shape` and in one of its rows, unless the shape is impossible.
fn extent(shape: &[usize], element_bytes: usize) -> Result<(usize, usize)> {
    let Some((&rows, columns)) = shape.split_first() else {
        return Err(Error::new("is a single value, not a table"));
    };
    let product = |sizes: &[usize]| {
        let product = sizes
            .iter()
            .try_fold(1usize, |product, &size| product.checked_mul(size));
        product.filter(|product| product.checked_mul(element_bytes).is_some())
    };
    match (product(shape), product(columns)) {
        (Some(_), Some(columns)) if columns * element_bytes <= LARGEST_ROW => Ok((rows, columns)),
        _ => Err(Error::new(format!("has an impossible shape, {shape:?}"))
            .help("the file is probably damaged; make or copy it again")),
    }
}

#[cfg(test)]
mod tests;
