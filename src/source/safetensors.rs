//! graft's own model files: tensors `<layer>.<role>` in the safetensors format. Other programs write
//! the same with names of their own.
//!
//! Written so that the same tensors give the same bytes, and never half: a reader sees the old
//! file or the new one. A file may also hold byte strings (an optimizer's state), as tensors of
//! u8. This module does not know what the tensors are for.
//! Format: <https://github.com/huggingface/safetensors#format>.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde_json::{Map, Value, json};

use super::element::{ByteOrder, Element};
use super::layers::{self, Layers};
use super::pieces::Pieces;
use super::{Contents, Format, document, strides};
use crate::error::{At, Error, Result};
use crate::files::write_atomically_with;
use crate::numbers::{self, Numbers};

/// One tensor to be written.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub name: &'a str,
    pub shape: &'a [usize],
    pub data: EntryData<'a>,
}

/// The values of an [`Entry`].
#[derive(Debug, Clone, Copy)]
pub enum EntryData<'a> {
    Numbers(&'a Numbers),
    Bytes(&'a [u8]),
    /// As tensors of i64.
    Integers(&'a [i64]),
}

impl EntryData<'_> {
    /// Bytes of one element.
    fn element_size(&self) -> usize {
        match self {
            EntryData::Numbers(numbers) => numbers.dtype().size(),
            EntryData::Bytes(_) => 1,
            EntryData::Integers(_) => size_of::<i64>(),
        }
    }
}

/// One tensor as read.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub name: String,
    pub shape: Vec<usize>,
    /// Whether its type in the file is one of floats.
    pub is_float: bool,
    pub data: StoredData,
}

/// The values of a [`Stored`] tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum StoredData {
    /// A float type, or integers but u8, which become f32.
    Numbers(Numbers),
    /// A tensor of u8.
    Bytes(Vec<u8>),
}

/// All that a file holds: its tensors in the order of the file, and its metadata.
#[derive(Debug, Clone, PartialEq)]
pub struct Stock {
    pub tensors: Vec<Stored>,
    pub metadata: BTreeMap<String, String>,
}

/// Writes `entries` to `path`, wide elements first, else in the given order.
///
/// # Errors
/// A name twice, a shape that does not fit its values, whatever the file system refuses. The file
/// at `path`, if there was one, is then as before.
pub fn write<'a>(
    path: &Path,
    entries: impl IntoIterator<Item = Entry<'a>>,
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    // The format wants tensors aligned to their elements.
    let mut entries: Vec<_> = entries.into_iter().collect();
    entries.sort_by_key(|entry| Reverse(entry.data.element_size()));
    let header = header(&entries, metadata).at(path.display())?;
    write_atomically_with(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        entries
            .iter()
            .try_for_each(|entry| write_data(file, entry.data))
    })
}

/// Reads every tensor of the file at `path`.
///
/// # Errors
/// A file that is missing or damaged, a tensor of booleans or of an exotic float type.
pub fn load(path: &Path) -> Result<Stock> {
    let pieces = Pieces::open(path).at(path.display())?;
    decode(&pieces).at(path.display())
}

/// The layers of the model in `pieces`: `conv1_1.weight` is the tensor `weight` of the layer
/// `conv1_1`. Byte strings and what an optimizer remembers belong to no layer, and what only counts
/// is left out.
pub(super) fn read_layers(pieces: &Pieces) -> Result<Contents> {
    let stock = decode(pieces)?;
    document::check_states(stock.tensors.iter().map(|stored| stored.name.as_str()))?;
    // Their sizes are checked already.
    let mut found = Layers::of_at_most(u64::MAX);
    for stored in stock.tensors {
        let (layer, role) = layers::split(&stored.name);
        let is_aside = layers::is_bookkeeping(stored.is_float, &stored.shape, role);
        match stored.data {
            StoredData::Numbers(values) if !is_aside && !document::is_state(&stored.name) => {
                found.push((layer, role), &stored.name, stored.shape, values)?;
            }
            _ => {}
        }
    }
    let mut metadata = stock.metadata;
    for (key, author) in [
        (document::GRAFT_MODEL, "graft"),
        (document::NEON_MODEL, "neon"),
    ] {
        // A long text, for `convert`.
        if metadata.remove(key).is_some() {
            metadata.insert("layers described by".to_string(), author.to_string());
        }
    }
    Ok(Contents {
        format: Format::Safetensors,
        layers: found.finish(),
        metadata,
    })
}

/// Everything that the file in `pieces` holds.
pub(super) fn decode(pieces: &Pieces) -> Result<Stock> {
    let (start, header) = read_header(pieces)?;
    let names = header.offset_keys();
    let mut tensors = Vec::with_capacity(names.len());
    let mut end = 0;
    for name in names {
        let place = name.escape_debug();
        let info = header
            .info(&name)
            .ok_or_else(|| damaged("a tensor is lost"))?;
        let (first, last) = info.data_offsets;
        if first != end || size(info) != last.checked_sub(first) {
            return Err(damaged("a tensor does not fit its place").at(place));
        }
        end = last;
        let data = values(pieces, start + first as u64, info).map_err(|e| e.at(place))?;
        tensors.push(Stored {
            shape: info.shape.clone(),
            is_float: element(info.dtype).is_some_and(Element::is_float),
            name,
            data,
        });
    }
    if start.checked_add(end as u64) != Some(pieces.len()) {
        return Err(damaged("its length is not what its header says"));
    }
    let metadata = header.metadata().clone().unwrap_or_default();
    Ok(Stock {
        tensors,
        metadata: metadata.into_iter().collect(),
    })
}

/// Bytes of the longest header, as the format limits it.
const LONGEST_HEADER: u64 = 100_000_000;

/// The header, and where the data begin.
fn read_header(pieces: &Pieces) -> Result<(u64, Metadata)> {
    let length = u64::from_le_bytes(pieces.array(0)?);
    if length > LONGEST_HEADER {
        return Err(damaged("its header is too long"));
    }
    let header = serde_json::from_slice(&pieces.read(8, length)?);
    Ok((8 + length, header.map_err(damaged)?))
}

fn damaged(problem: impl fmt::Display) -> Error {
    Error::new(format!("is not a complete safetensors file: {problem}"))
        .help("the file is truncated or damaged: copy it again and compare its size")
}

/// Bytes of a tensor, if so many can be.
fn size(info: &TensorInfo) -> Option<usize> {
    let bits = strides::count(&info.shape)?.checked_mul(info.dtype.bitsize())?;
    (bits % 8 == 0).then_some(bits / 8)
}

fn element(dtype: Dtype) -> Option<Element> {
    Some(match dtype {
        Dtype::U8 => Element::U8,
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::Bf16,
        Dtype::F32 => Element::F32,
        Dtype::F64 => Element::F64,
        Dtype::I8 => Element::I8,
        Dtype::I16 => Element::I16,
        Dtype::I32 => Element::I32,
        Dtype::I64 => Element::I64,
        Dtype::U16 => Element::U16,
        Dtype::U32 => Element::U32,
        Dtype::U64 => Element::U64,
        _ => return None,
    })
}

fn values(pieces: &Pieces, start: u64, info: &TensorInfo) -> Result<StoredData> {
    let (first, last) = info.data_offsets;
    let length = (last - first) as u64;
    if info.dtype == Dtype::U8 {
        return pieces.read(start, length).map(StoredData::Bytes);
    }
    let element = element(info.dtype).ok_or_else(|| {
        let problem = format!("tensors of type {} are not supported", info.dtype);
        Error::new(problem).help("floats of 16 to 64 bits and integers are read")
    })?;
    // Before anything is allocated.
    pieces.check(start, length)?;
    let count = length as usize / element.size();
    let order = ByteOrder::Little;
    let numbers = match element.is_as_in_memory(order) {
        true => Element::read(count, |to| pieces.fill(start, to)),
        false => element.decode(order, count, |take: &mut dyn FnMut(&[u8])| {
            pieces.for_each_block(start, length, take)
        }),
    };
    numbers.map(StoredData::Numbers)
}

/// The header as JSON, padded to a multiple of 8 bytes. Ours and not the crate's, which writes
/// the metadata in the order of a hash table: different at every call.
fn header(entries: &[Entry], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    let mut fields = Map::new();
    if !metadata.is_empty() {
        fields.insert("__metadata__".to_string(), json!(metadata));
    }
    let mut start = 0;
    for entry in entries {
        let (dtype, count, size) = match entry.data {
            EntryData::Numbers(numbers) => {
                let size = numbers.len() * numbers.dtype().size();
                (dtype_name(numbers.dtype()), numbers.len(), size)
            }
            EntryData::Bytes(bytes) => ("U8", bytes.len(), bytes.len()),
            EntryData::Integers(integers) => ("I64", integers.len(), size_of_val(integers)),
        };
        if entry.shape.iter().product::<usize>() != count {
            let problem = format!("{count} values do not have the shape {:?}", entry.shape);
            return Err(Error::new(problem).at(entry.name));
        }
        let end = start + size;
        let info = json!({"dtype": dtype, "shape": entry.shape, "data_offsets": [start, end]});
        if fields.insert(entry.name.to_string(), info).is_some() {
            return Err(Error::new("is written twice").at(entry.name));
        }
        start = end;
    }
    let mut header = Value::Object(fields).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

fn write_data(file: &mut impl Write, data: EntryData) -> std::io::Result<()> {
    match data {
        EntryData::Bytes(bytes) => file.write_all(bytes),
        EntryData::Integers(integers) => integers
            .iter()
            .try_for_each(|integer| file.write_all(&integer.to_le_bytes())),
        EntryData::Numbers(numbers) => file.write_all(&numbers.le_bytes()),
    }
}

/// How the format calls a precision.
fn dtype_name(dtype: numbers::Dtype) -> &'static str {
    match dtype {
        numbers::Dtype::F32 => "F32",
        numbers::Dtype::F64 => "F64",
        numbers::Dtype::F16 => "F16",
        numbers::Dtype::Bf16 => "BF16",
    }
}

#[cfg(test)]
mod tests;
