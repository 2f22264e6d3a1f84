//! HDF5 by the crate rust-hdf5: pure Rust, the default.

mod write;

pub use write::{TableWriter, Writer};

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use rust_hdf5::format::FormatContext;
use rust_hdf5::format::global_heap::{GlobalHeapCollection, decode_vlen_reference};
use rust_hdf5::{DatatypeMessage, H5Attribute, H5Dataset, H5File, H5Type, StorageLayout};

use super::superblock::{self, Superblock};
use super::{Attribute, Place, Values, extent};
use crate::error::{At, Error, Result};

/// An HDF5 file, open for reading.
pub struct File {
    path: PathBuf,
    superblock: Superblock,
    file: H5File,
}

impl File {
    /// Opens `path`.
    ///
    /// # Errors
    /// If it cannot be read, is not an HDF5 file, or is truncated.
    pub fn open(path: &Path) -> Result<Self> {
        let superblock = superblock::check(path).at(path.display())?;
        let file = H5File::options()
            .best_effort_locking()
            .open(path)
            .map_err(failed)
            .at(path.display())?;
        Ok(Self {
            path: path.to_owned(),
            superblock,
            file,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all datasets, with their groups: `group/dataset`.
    pub fn names(&self) -> Vec<String> {
        self.file.dataset_names()
    }

    /// Whether the dataset called `name` is a single value, which is no table.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn is_single(&self, name: &str) -> Result<bool> {
        let dataset = self.file.dataset(name).map_err(failed);
        let dataset = dataset.at(format_args!("{}: {name}", self.path.display()))?;
        Ok(dataset.shape().is_empty())
    }

    /// The file's own attribute called `name`, if it is a text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.file.attr_string(name).ok()
    }

    /// The table called `name`; `None` if the file has none.
    ///
    /// # Errors
    /// If it is not a table of numbers, or claims to be larger than its file.
    pub fn table(&self, name: &str) -> Result<Option<Table>> {
        if !self.names().iter().any(|found| found == name) {
            return Ok(None);
        }
        let place = Place {
            path: self.path.clone(),
            table: name.to_owned(),
        };
        let open = || -> Result<(H5Dataset, DatatypeMessage)> {
            let dataset = self.file.dataset(name).map_err(failed)?;
            let datatype = base(dataset.datatype().map_err(failed)?);
            Ok((dataset, datatype))
        };
        let (dataset, datatype) = open().at(&place)?;
        Table::new(place, self.superblock, dataset, datatype).map(Some)
    }
}

/// A table of numbers: the first dimension counts rows, the others together are its columns.
pub struct Table {
    place: Place,
    superblock: Superblock,
    dataset: H5Dataset,
    datatype: DatatypeMessage,
    shape: Vec<usize>,
    rows: usize,
    columns: usize,
    compressed_chunk: Option<usize>,
}

impl Table {
    fn new(
        place: Place,
        superblock: Superblock,
        dataset: H5Dataset,
        datatype: DatatypeMessage,
    ) -> Result<Self> {
        let shape = dataset.shape();
        let (rows, columns) = extent(&shape, dataset.element_size()).at(&place)?;
        let layout = dataset.storage_layout().map_err(failed).at(&place)?;
        let outside = !dataset
            .external_files()
            .map_err(failed)
            .at(&place)?
            .is_empty();
        let bytes = (rows * columns * dataset.element_size()) as u64;
        if layout == StorageLayout::Contiguous && !outside && bytes > superblock.file_length {
            return Err(Error::new(format!(
                "should hold {bytes} bytes, but its file has only {}",
                superblock.file_length
            ))
            .at(&place));
        }
        let filters = dataset.filters().map_err(failed).at(&place)?;
        let chunk = dataset.chunk_dims().filter(|_| !filters.is_empty());
        Ok(Self {
            place,
            superblock,
            datatype,
            shape,
            rows,
            columns,
            compressed_chunk: chunk.and_then(|sizes| sizes.first().copied()),
            dataset,
        })
    }

    /// The file and the name, for messages.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// An error at this table.
    pub fn fault(&self, problem: impl Into<String>) -> Error {
        Error::new(problem).at(&self.place)
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values in a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes that one of the [`Values`] will take.
    pub fn value_bytes(&self) -> usize {
        match (&self.datatype, self.dataset.element_size()) {
            (DatatypeMessage::FixedPoint { signed: false, .. }, 1) => 1,
            (DatatypeMessage::FixedPoint { .. }, 1 | 2) => 4,
            (DatatypeMessage::FloatingPoint { .. }, 2 | 4) => 4,
            _ => 8,
        }
    }

    /// The stored type, as numpy names it: `uint8`, `float32` …
    pub fn type_name(&self) -> String {
        let bits = 8 * self.dataset.element_size();
        match self.datatype {
            DatatypeMessage::FixedPoint { signed: true, .. } => format!("int{bits}"),
            DatatypeMessage::FixedPoint { .. } => format!("uint{bits}"),
            DatatypeMessage::FloatingPoint { .. } => format!("float{bits}"),
            _ => self.datatype.to_string(),
        }
    }

    /// Rows that are compressed together, so that reading one costs as much as reading all of
    /// them; `None` if rows can be read one by one.
    pub fn compressed_together(&self) -> Option<usize> {
        self.compressed_chunk
    }

    /// The values of these rows, in row-major order.
    ///
    /// # Errors
    /// If they lie outside the table, cannot be read or decompressed, or are not numbers.
    pub fn read(&self, rows: Range<usize>) -> Result<Values> {
        let values = self.read_here(&rows).at(&self.place)?;
        if values.len() != rows.len() * self.columns {
            return Err(Error::new("gave fewer values than its shape promises").at(&self.place));
        }
        Ok(values)
    }

    /// Names of all attributes.
    pub fn attribute_names(&self) -> Result<Vec<String>> {
        self.dataset.attr_names().map_err(failed).at(&self.place)
    }

    /// The attribute called `name`; `None` if there is none.
    pub fn attribute(&self, name: &str) -> Result<Option<Attribute>> {
        if !self.attribute_names()?.iter().any(|found| found == name) {
            return Ok(None);
        }
        let attribute = self.dataset.attr(name).map_err(failed);
        attribute
            .and_then(|attribute| self.attribute_value(&attribute))
            .at(format_args!("attribute {name}"))
            .at(&self.place)
            .map(Some)
    }

    fn read_here(&self, rows: &Range<usize>) -> Result<Values> {
        use DatatypeMessage::{FixedPoint, FloatingPoint};
        match self.datatype {
            FixedPoint {
                size: 1,
                signed: false,
                ..
            } => Ok(Values::U8(self.slice(rows)?)),
            FixedPoint { size: 1, .. } => self.slice::<i8>(rows).map(narrow),
            FixedPoint {
                size: 2,
                signed: false,
                ..
            } => self.slice::<u16>(rows).map(narrow),
            FixedPoint { size: 2, .. } => self.slice::<i16>(rows).map(narrow),
            FixedPoint {
                size: 4,
                signed: false,
                ..
            } => self.slice::<u32>(rows).map(wide),
            FixedPoint { size: 4, .. } => self.slice::<i32>(rows).map(wide),
            FixedPoint {
                size: 8,
                signed: false,
                ..
            } => Ok(Values::F64(
                self.slice::<u64>(rows)?
                    .iter()
                    .map(|&value| value as f64)
                    .collect(),
            )),
            FixedPoint { size: 8, .. } => Ok(Values::F64(
                self.slice::<i64>(rows)?
                    .iter()
                    .map(|&value| value as f64)
                    .collect(),
            )),
            FloatingPoint { size: 2, .. } => {
                let (starts, counts) = self.selection(rows);
                let values = self.dataset.read_numeric_slice_as(&starts, &counts);
                values.map(Values::F32).map_err(failed)
            }
            FloatingPoint { size: 4, .. } => Ok(Values::F32(self.slice(rows)?)),
            FloatingPoint { size: 8, .. } => Ok(Values::F64(self.slice(rows)?)),
            _ => Err(Error::new(format!("holds {}, not numbers", self.datatype))),
        }
    }

    fn slice<T: H5Type>(&self, rows: &Range<usize>) -> Result<Vec<T>> {
        let (starts, counts) = self.selection(rows);
        self.dataset.read_slice(&starts, &counts).map_err(failed)
    }

    fn selection(&self, rows: &Range<usize>) -> (Vec<usize>, Vec<usize>) {
        let mut starts = vec![0; self.shape.len()];
        let mut counts = self.shape.clone();
        (starts[0], counts[0]) = (rows.start, rows.len());
        (starts, counts)
    }

    fn attribute_value(&self, attribute: &H5Attribute) -> Result<Attribute> {
        let datatype = base(attribute.datatype().map_err(failed)?);
        match datatype {
            DatatypeMessage::FixedPoint { .. } => attribute
                .read_numeric_as()
                .map(Attribute::Integers)
                .map_err(failed),
            DatatypeMessage::FloatingPoint { size: 8, .. } => attribute
                .read_numeric_as()
                .map(Attribute::Floats)
                .map_err(failed),
            DatatypeMessage::FloatingPoint { .. } => {
                let values = attribute.read_numeric_as::<f32>().map_err(failed)?;
                Ok(Attribute::Floats(
                    values.into_iter().map(f64::from).collect(),
                ))
            }
            DatatypeMessage::FixedString { size, padding, .. } => {
                let bytes = attribute.read_raw().map_err(failed)?;
                let texts = bytes.chunks(size.max(1) as usize);
                texts
                    .map(|text| fixed_text(text, padding))
                    .collect::<Result<_>>()
                    .map(Attribute::Strings)
            }
            DatatypeMessage::VarLenString { .. } => self.heap_texts(attribute),
            other => Err(Error::new(format!(
                "is {other}, neither numbers nor strings"
            ))),
        }
    }

    /// Strings of variable length lie in a heap of their own; rust-hdf5 follows only the first
    /// reference of an attribute.
    fn heap_texts(&self, attribute: &H5Attribute) -> Result<Attribute> {
        let context = FormatContext {
            sizeof_addr: self.superblock.address_bytes,
            sizeof_size: self.superblock.length_bytes,
        };
        let references = attribute.read_raw().map_err(failed)?;
        let mut file = fs::File::open(&self.place.path)?;
        let mut texts = Vec::new();
        for reference in references.chunks(8 + usize::from(context.sizeof_addr)) {
            let (length, address, index) =
                decode_vlen_reference(reference, &context).map_err(failed)?;
            if length == 0 {
                texts.push(String::new());
                continue;
            }
            let mut heap = vec![0; 32];
            let start = self.superblock.base.saturating_add(address);
            file.seek(SeekFrom::Start(start))?;
            file.read_exact(&mut heap)?;
            let size = GlobalHeapCollection::decode_size(&heap, &context).map_err(failed)? as u64;
            heap.clear();
            file.seek(SeekFrom::Start(start))?;
            file.by_ref()
                .take(size.min(self.superblock.file_length))
                .read_to_end(&mut heap)?;
            let (heap, _) = GlobalHeapCollection::decode(&heap, &context).map_err(failed)?;
            let index = u16::try_from(index).map_err(failed)?;
            let text = heap
                .get_object(index)
                .ok_or_else(|| Error::new("has lost its strings"))?;
            texts.push(String::from_utf8(text.to_vec()).map_err(failed)?);
        }
        Ok(Attribute::Strings(texts))
    }
}

/// The type of the values: an enumeration, such as h5py's bool, is stored as integers.
fn base(datatype: DatatypeMessage) -> DatatypeMessage {
    match datatype {
        DatatypeMessage::Enum { base, .. } => *base,
        other => other,
    }
}

fn narrow<T: Into<f32> + Copy>(values: Vec<T>) -> Values {
    Values::F32(values.iter().map(|&value| value.into()).collect())
}

fn wide<T: Into<f64> + Copy>(values: Vec<T>) -> Values {
    Values::F64(values.iter().map(|&value| value.into()).collect())
}

fn fixed_text(bytes: &[u8], padding: u8) -> Result<String> {
    let end = match padding {
        2 => bytes
            .iter()
            .rposition(|&byte| byte != b' ')
            .map_or(0, |last| last + 1),
        _ => bytes
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(bytes.len()),
    };
    String::from_utf8(bytes[..end].to_vec()).map_err(failed)
}

fn failed(error: impl fmt::Display) -> Error {
    Error::new(error.to_string())
}
