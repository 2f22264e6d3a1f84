//! graft's own model files: tensors `<layer>.<role>` in the safetensors format.
//!
//! Written so that the same tensors give the same bytes, and never half: a reader sees the old
//! file or the new one. A file may also hold byte strings (an optimizer's state), as tensors of
//! u8. This module does not know what the tensors are for.
//! Format: <https://github.com/huggingface/safetensors#format>.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};

use super::element::{ByteOrder, Element};
use super::{Contents, Format, SourceLayer, SourceTensor, document};
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
    let bytes = std::fs::read(path).at(path.display())?;
    decode(&bytes).at(path.display())
}

/// The layers of the model in `bytes`: `conv1_1.weight` is the tensor `weight` of the layer
/// `conv1_1`. Byte strings and what an optimizer remembers belong to no layer.
pub(super) fn read_layers(bytes: &[u8]) -> Result<Contents> {
    let stock = decode(bytes)?;
    document::check_states(stock.tensors.iter().map(|stored| stored.name.as_str()))?;
    let mut layers: Vec<SourceLayer> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for stored in stock.tensors {
        let StoredData::Numbers(values) = stored.data else {
            continue;
        };
        if document::is_state(&stored.name) {
            continue;
        }
        let Some((layer, role)) = stored.name.rsplit_once('.') else {
            let problem = format!("tensor `{}` names no layer", stored.name.escape_debug());
            return Err(Error::new(problem).help("names are `<layer>.<role>`: `conv1_1.weight`"));
        };
        let place = *places.entry(layer.to_string()).or_insert_with(|| {
            layers.push(SourceLayer {
                name: layer.to_string(),
                kind: None,
                filter: None,
                tensors: Vec::new(),
            });
            layers.len() - 1
        });
        layers[place].tensors.push(SourceTensor {
            name: role.to_string(),
            path: None,
            shape: stored.shape,
            values,
        });
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
        layers,
        metadata,
    })
}

/// Everything that the file in `bytes` holds.
pub(super) fn decode(bytes: &[u8]) -> Result<Stock> {
    let damaged = |error: safetensors::SafeTensorError| {
        Error::new(format!("is not a complete safetensors file: {error}"))
            .help("the file is truncated or damaged: copy it again and compare its size")
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let mut tensors = Vec::with_capacity(file.len());
    for name in header.offset_keys() {
        let view = file.tensor(&name).map_err(damaged)?;
        let data = values(&view).map_err(|e| e.at(name.escape_debug()))?;
        let shape = view.shape().to_vec();
        tensors.push(Stored { name, shape, data });
    }
    let metadata = header.metadata().clone().unwrap_or_default();
    Ok(Stock {
        tensors,
        metadata: metadata.into_iter().collect(),
    })
}

fn values(view: &TensorView) -> Result<StoredData> {
    let element = match view.dtype() {
        Dtype::U8 => return Ok(StoredData::Bytes(view.data().to_vec())),
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
        other => {
            let problem = format!("tensors of type {other} are not supported");
            return Err(Error::new(problem).help("floats of 16 to 64 bits and integers are read"));
        }
    };
    let count = view.data().len() / element.size();
    let numbers = element.decode(ByteOrder::Little, count, |take: &mut dyn FnMut(&[u8])| {
        take(view.data());
        Ok(())
    });
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
        EntryData::Numbers(numbers) => numbers
            .le_bytes()
            .try_for_each(|bytes| file.write_all(&bytes)),
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
