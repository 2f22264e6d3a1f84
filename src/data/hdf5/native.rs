//! HDF5 by the HDF5 project's own library, through the crate hdf5 (hdf5-metno).
//!
//! The same interface as the module `pure`; chosen by the Cargo feature `libhdf5`, which needs the
//! library and its headers (Debian: libhdf5-dev). A damaged file can crash that library, and graft
//! with it; do not choose it for files that you do not trust.

mod write;

pub use write::{TableWriter, Writer};

use std::ops::Range;
use std::path::{Path, PathBuf};

use ::hdf5::plist::dataset_create::Layout;
use ::hdf5::types::{
    FixedAscii, FixedUnicode, FloatSize, IntSize, TypeDescriptor, VarLenAscii, VarLenUnicode,
};
use ::hdf5::{Dataset, Group, H5Type, Hyperslab, SliceOrIndex};
use ndarray::ArrayD;

use super::superblock;
use super::{Attribute, Place, Values, extent};
use crate::error::{At, Error, Result};

/// Longest fixed string that is read or written, in bytes.
const TEXT_BYTES: usize = 2048;

/// Groups within groups that are looked into.
const GROUP_DEPTH: usize = 32;

/// An HDF5 file, open for reading.
pub struct File {
    path: PathBuf,
    file: ::hdf5::File,
    file_length: u64,
    names: Vec<String>,
}

impl File {
    /// As `pure::File::open`.
    pub fn open(path: &Path) -> Result<Self> {
        let superblock = superblock::check(path).at(path.display())?;
        let open = || -> Result<(::hdf5::File, Vec<String>)> {
            let file = ::hdf5::File::open(path).map_err(failed)?;
            let mut names = Vec::new();
            list(&file, GROUP_DEPTH, &mut names)?;
            Ok((file, names))
        };
        let (file, names) = open().at(path.display())?;
        Ok(Self {
            path: path.to_owned(),
            file,
            file_length: superblock.file_length,
            names,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// As `pure::File::names`.
    pub fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    /// As `pure::File::is_single`.
    pub fn is_single(&self, name: &str) -> Result<bool> {
        let dataset = self.file.dataset(name).map_err(failed);
        let dataset = dataset.at(format_args!("{}: {name}", self.path.display()))?;
        Ok(dataset.shape().is_empty())
    }

    /// As `pure::File::text`.
    pub fn text(&self, name: &str) -> Option<String> {
        let attribute = self.file.attr(name).ok()?;
        match attribute_value(&attribute).ok()? {
            Attribute::Strings(texts) => texts.into_iter().next(),
            _ => None,
        }
    }

    /// As `pure::File::table`.
    pub fn table(&self, name: &str) -> Result<Option<Table>> {
        if !self.names.iter().any(|found| found == name) {
            return Ok(None);
        }
        let place = Place {
            path: self.path.clone(),
            table: name.to_owned(),
        };
        let open = || -> Result<Table> {
            let dataset = self.file.dataset(name).map_err(failed)?;
            let datatype = dataset.dtype().map_err(failed)?;
            let shape = dataset.shape();
            let (rows, columns) = extent(&shape, datatype.size())?;
            let bytes = (rows * columns * datatype.size()) as u64;
            let outside = !dataset.dcpl().map_err(failed)?.external().is_empty();
            if dataset.layout() == Layout::Contiguous && !outside && bytes > self.file_length {
                let problem = format!("should hold {bytes} bytes, but its file has fewer");
                return Err(Error::new(problem));
            }
            let compressed = !dataset.filters().is_empty();
            let chunk = dataset.chunk().filter(|_| compressed);
            Ok(Table {
                place: place.clone(),
                datatype: datatype.to_descriptor().map_err(failed)?,
                shape,
                rows,
                columns,
                compressed_chunk: chunk.and_then(|sizes| sizes.first().copied()),
                dataset,
            })
        };
        open().at(&place).map(Some)
    }
}

/// A table of numbers: the first dimension counts rows, the others together are its columns.
pub struct Table {
    place: Place,
    dataset: Dataset,
    datatype: TypeDescriptor,
    shape: Vec<usize>,
    rows: usize,
    columns: usize,
    compressed_chunk: Option<usize>,
}

impl Table {
    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn fault(&self, problem: impl Into<String>) -> Error {
        Error::new(problem).at(&self.place)
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    pub fn value_bytes(&self) -> usize {
        match (&self.datatype, self.datatype.size()) {
            (TypeDescriptor::Unsigned(_), 1) => 1,
            (TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_), 1 | 2) => 4,
            (TypeDescriptor::Float(_), 2 | 4) | (TypeDescriptor::Boolean, _) => 4,
            _ => 8,
        }
    }

    pub fn type_name(&self) -> String {
        match &self.datatype {
            // h5py's bool, an enumeration of int8.
            TypeDescriptor::Boolean => "int8".to_owned(),
            other => other.to_string(),
        }
    }

    pub fn compressed_together(&self) -> Option<usize> {
        self.compressed_chunk
    }

    /// As `pure::Table::read`.
    pub fn read(&self, rows: Range<usize>) -> Result<Values> {
        let read = || match &self.datatype {
            TypeDescriptor::Unsigned(IntSize::U1) => self.slice(&rows).map(Values::U8),
            TypeDescriptor::Boolean => {
                let values = self.slice::<bool>(&rows)?;
                Ok(Values::F32(values.into_iter().map(f32::from).collect()))
            }
            TypeDescriptor::Integer(IntSize::U1 | IntSize::U2)
            | TypeDescriptor::Unsigned(IntSize::U2)
            | TypeDescriptor::Float(FloatSize::U2 | FloatSize::U4) => {
                self.slice(&rows).map(Values::F32)
            }
            TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_) | TypeDescriptor::Float(_) => {
                self.slice(&rows).map(Values::F64)
            }
            other => Err(Error::new(format!("holds {other}, not numbers"))),
        };
        read().at(&self.place)
    }

    /// As `pure::Table::attribute_names`.
    pub fn attribute_names(&self) -> Result<Vec<String>> {
        self.dataset.attr_names().map_err(failed).at(&self.place)
    }

    /// As `pure::Table::attribute`.
    pub fn attribute(&self, name: &str) -> Result<Option<Attribute>> {
        if !self.attribute_names()?.iter().any(|found| found == name) {
            return Ok(None);
        }
        let attribute = self.dataset.attr(name).map_err(failed);
        attribute
            .and_then(|attribute| attribute_value(&attribute))
            .at(format_args!("attribute {name}"))
            .at(&self.place)
            .map(Some)
    }

    fn slice<T: H5Type>(&self, rows: &Range<usize>) -> Result<Vec<T>> {
        if rows.end > self.rows {
            return Err(Error::new(format!("has no row {}", rows.end - 1)));
        }
        let mut selection = vec![SliceOrIndex::from(rows.clone())];
        selection.resize(self.shape.len(), SliceOrIndex::from(..));
        let values: ArrayD<T> = self
            .dataset
            .read_slice(Hyperslab::from(selection))
            .map_err(failed)?;
        Ok(values.into_raw_vec_and_offset().0)
    }
}

/// Names of the datasets in a group and in the groups within it.
fn list(group: &Group, depth: usize, names: &mut Vec<String>) -> Result<()> {
    for dataset in group.datasets().map_err(failed)? {
        names.push(dataset.name().trim_start_matches('/').to_owned());
    }
    if depth > 0 {
        for inner in group.groups().map_err(failed)? {
            list(&inner, depth - 1, names)?;
        }
    }
    Ok(())
}

fn attribute_value(attribute: &::hdf5::Attribute) -> Result<Attribute> {
    let datatype = attribute
        .dtype()
        .and_then(|datatype| datatype.to_descriptor());
    fn raw<T: H5Type>(attribute: &::hdf5::Attribute) -> Result<Vec<T>> {
        attribute.read_raw().map_err(failed)
    }
    fn texts<T: H5Type + ToString>(attribute: &::hdf5::Attribute) -> Result<Attribute> {
        let texts = raw::<T>(attribute)?;
        Ok(Attribute::Strings(texts.iter().map(T::to_string).collect()))
    }
    match datatype.map_err(failed)? {
        TypeDescriptor::Unsigned(IntSize::U8) => {
            let values = raw::<u64>(attribute)?.into_iter();
            let values = values.map(|value| i64::try_from(value).map_err(failed));
            values.collect::<Result<_>>().map(Attribute::Integers)
        }
        TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_) => {
            raw(attribute).map(Attribute::Integers)
        }
        TypeDescriptor::Boolean => {
            let values = raw::<bool>(attribute)?;
            Ok(Attribute::Integers(
                values.into_iter().map(i64::from).collect(),
            ))
        }
        TypeDescriptor::Float(_) => raw(attribute).map(Attribute::Floats),
        TypeDescriptor::FixedAscii(size) if size < TEXT_BYTES => {
            texts::<FixedAscii<TEXT_BYTES>>(attribute)
        }
        TypeDescriptor::FixedUnicode(size) if size < TEXT_BYTES => {
            texts::<FixedUnicode<TEXT_BYTES>>(attribute)
        }
        TypeDescriptor::VarLenAscii => texts::<VarLenAscii>(attribute),
        TypeDescriptor::VarLenUnicode => texts::<VarLenUnicode>(attribute),
        other => Err(Error::new(format!(
            "is {other}, neither numbers nor strings"
        ))),
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::new(error.to_string())
}
