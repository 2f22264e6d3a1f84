//! Tensors as views of storages, and where the storages' bytes are.

use std::collections::HashMap;

use super::super::archive::{Archive, Entry};
use super::super::element::{ByteOrder, Element};
use super::super::numpy;
use super::super::pickle::{Global, Node, NodeId, Pickle};
use super::super::pieces::Pieces;
use super::super::strides::Strides;
use crate::error::{At, Error, Result};
use crate::numbers::Numbers;

/// A tensor as its pickle describes it.
#[derive(Debug)]
pub struct Tensor {
    pub shape: Vec<usize>,
    strides: Strides,
    /// In elements, in the storage.
    offset: u64,
    storage: Storage,
}

/// A storage as a tensor names it: `('storage', FloatStorage, key, location, elements)`.
#[derive(Debug, Clone, PartialEq)]
struct Storage {
    element: Element,
    key: String,
    /// First element of the part that is named, if it is a part: the legacy layout's views.
    start: u64,
    /// Elements of the whole.
    count: u64,
}

/// Where the bytes of the storages are.
pub struct Storages<'a> {
    order: ByteOrder,
    place: Place<'a>,
}

enum Place<'a> {
    /// `<root>data/<key>`
    Zipped { archive: &'a Archive, root: &'a str },
    /// The first byte of each, by key.
    Behind {
        pieces: &'a Pieces,
        offsets: HashMap<String, u64>,
    },
}

/// Whether the node is a tensor or a parameter.
pub fn is_tensor(pickle: &Pickle, id: NodeId) -> bool {
    use Global::{RebuildParameter, RebuildTensor};
    let callable = match pickle.node(id) {
        Node::Call { callable, .. } => callable,
        _ => return false,
    };
    matches!(callable, RebuildTensor | RebuildParameter)
}

impl Tensor {
    /// The tensor at `id`.
    ///
    /// # Errors
    /// A malformed one, negative sizes, strides or offsets, elements that overlap, a storage of
    /// another type than floats and integers.
    pub fn read(pickle: &Pickle, id: NodeId) -> Result<Self> {
        let malformed = || Error::new("is a malformed tensor").help("the file is damaged");
        let (callable, arguments) = call(pickle, id).ok_or_else(malformed)?;
        let (callable, arguments) = match (callable, arguments) {
            (Global::RebuildParameter, &[tensor, ..]) => {
                call(pickle, tensor).ok_or_else(malformed)?
            }
            other => other,
        };
        let (Global::RebuildTensor, &[storage, offset, shape, strides, ..]) = (callable, arguments)
        else {
            return Err(malformed());
        };
        let sizes = |id| -> Option<Vec<usize>> {
            let sizes = pickle.items(id)?.iter();
            sizes.map(|&size| numpy::size(pickle, size)).collect()
        };
        let shape = sizes(shape).ok_or_else(malformed)?;
        let strides = sizes(strides).ok_or_else(malformed)?;
        Ok(Self {
            strides: Strides::new(&shape, &strides)?,
            shape,
            offset: numpy::size(pickle, offset).ok_or_else(malformed)? as u64,
            storage: Storage::read(pickle, storage)?,
        })
    }

    pub fn element(&self) -> Element {
        self.storage.element
    }
}

impl Storage {
    fn read(pickle: &Pickle, id: NodeId) -> Result<Self> {
        let malformed = || Error::new("has a malformed storage").help("the file is damaged");
        let &Node::Persistent(id) = pickle.node(id) else {
            return Err(malformed());
        };
        let Some(&[tag, kind, key, _location, count, ref view @ ..]) = pickle.items(id) else {
            return Err(malformed());
        };
        let &Node::Global(kind) = pickle.node(kind) else {
            return Err(malformed());
        };
        let Global::Storage(element) = kind else {
            let name = pickle.global_name(kind);
            return Err(Error::new(format!(
                "has a storage of type `{name}`, which is not supported"
            ))
            .help("floats of 16 to 64 bits and integers are read"));
        };
        let number = |id| numpy::size(pickle, id).map(|size| size as u64);
        let view = view.first().and_then(|&view| pickle.items(view));
        let start = match view {
            Some(&[_key, start, _size]) => number(start).ok_or_else(malformed)?,
            _ => 0,
        };
        match (pickle.text(tag), pickle.text(key), number(count)) {
            (Some("storage"), Some(key), Some(count)) => Ok(Self {
                element,
                key: key.to_string(),
                start,
                count,
            }),
            _ => Err(malformed()),
        }
    }

    fn bytes(&self) -> Option<u64> {
        self.count.checked_mul(self.element.size() as u64)
    }
}

impl<'a> Storages<'a> {
    /// Those of an archive whose entries' names begin with `root`.
    ///
    /// # Errors
    /// An unknown byte order.
    pub fn zipped(archive: &'a Archive, root: &'a str) -> Result<Self> {
        let order = match archive.entry(&format!("{root}byteorder")) {
            Some(entry) => archive.read(entry, 10)?,
            None => b"little".to_vec(),
        };
        let order = match order.trim_ascii() {
            b"little" => ByteOrder::Little,
            b"big" => ByteOrder::Big,
            _ => return Err(Error::new("its byte order is neither `little` nor `big`")),
        };
        Ok(Self {
            order,
            place: Place::Zipped { archive, root },
        })
    }

    /// Those from `start` on, each behind the number of its elements, in the order of `keys`; their
    /// types are in `object`, the byte order in `system`.
    ///
    /// # Errors
    /// A storage whose type or number of elements is missing or contradicts another.
    pub fn legacy(
        pieces: &'a Pieces,
        start: u64,
        system: &Pickle,
        object: &Pickle,
        keys: &Pickle,
    ) -> Result<Self> {
        let mut named: HashMap<String, Storage> = HashMap::new();
        for id in object.persistent() {
            if let Ok(storage) = Storage::read(object, id) {
                let known = named.entry(storage.key.clone()).or_insert(storage.clone());
                if (known.element, known.count) != (storage.element, storage.count) {
                    let problem = format!("storage `{}` is of two types", shown(&storage.key));
                    return Err(Error::new(problem).help("the file is damaged"));
                }
            }
        }
        let order = match system
            .get(system.root(), "little_endian")
            .map(|id| system.node(id))
        {
            Some(Node::Bool(false)) => ByteOrder::Big,
            _ => ByteOrder::Little,
        };
        let no_list =
            || Error::new("its list of storages is malformed").help("the file is damaged");
        let mut offsets = HashMap::new();
        let mut place = start;
        for &key in keys.items(keys.root()).ok_or_else(no_list)? {
            let key = keys.text(key).ok_or_else(no_list)?;
            let storage = named.get(key);
            let storage = storage.ok_or_else(|| {
                Error::new(format!(
                    "no tensor tells the type of storage `{}`",
                    shown(key)
                ))
            })?;
            let count = i64::from_le_bytes(pieces.array(place)?);
            let bytes = storage
                .bytes()
                .filter(|_| u64::try_from(count) == Ok(storage.count));
            let end = bytes.and_then(|bytes| (place + 8).checked_add(bytes));
            let end = end.ok_or_else(|| {
                let problem = format!(
                    "storage `{}` has {count} elements, not {}",
                    shown(key),
                    storage.count
                );
                Error::new(problem).help("the file is damaged")
            })?;
            offsets.insert(key.to_string(), place + 8);
            place = end;
        }
        if place > pieces.len() {
            let problem = format!("should have {place} bytes, but has {}", pieces.len());
            return Err(Error::new(problem)
                .help("the file is truncated: copy it again and compare its size"));
        }
        Ok(Self {
            order,
            place: Place::Behind { pieces, offsets },
        })
    }

    /// The values of a tensor in C order.
    ///
    /// # Errors
    /// One that reaches beyond its storage; a storage that is missing or damaged.
    pub fn values(&self, tensor: &Tensor) -> Result<Numbers> {
        let Tensor {
            storage, strides, ..
        } = tensor;
        let size = storage.element.size() as u64;
        let span = strides.span() as u64;
        let first = storage.start.checked_add(tensor.offset);
        let end = first.and_then(|first| first.checked_add(span));
        let (Some(first), Some(_)) = (first, end.filter(|&end| end <= storage.count)) else {
            let problem = format!("reaches beyond its storage of {} elements", storage.count);
            return Err(Error::new(problem).help("the file is damaged"));
        };
        // Fits: the storage's size in bytes is checked below.
        let (start, len) = (first.saturating_mul(size), span.saturating_mul(size));
        let feed = |take: &mut dyn FnMut(&[u8])| self.feed(storage, start, len, take);
        storage.element.decode_strided(self.order, strides, feed)
    }

    fn feed(
        &self,
        storage: &Storage,
        start: u64,
        len: u64,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        let missing = || Error::new(format!("its storage `{}` is missing", shown(&storage.key)));
        match &self.place {
            Place::Zipped { archive, root } => {
                let entry = archive.entry(&format!("{root}data/{}", storage.key));
                let entry: &Entry = entry.ok_or_else(missing)?;
                if storage.bytes() != Some(entry.size) {
                    let problem =
                        format!("has {} bytes, not {} elements", entry.size, storage.count);
                    let place = format!("storage `{}`", shown(&storage.key));
                    return Err(Error::new(problem).help("the file is damaged")).at(place);
                }
                archive.for_each_block(entry, start, len, take)
            }
            Place::Behind { pieces, offsets } => {
                let offset = offsets.get(&storage.key).ok_or_else(missing)?;
                pieces.for_each_block(offset + start, len, take)
            }
        }
    }
}

/// Function and arguments.
fn call(pickle: &Pickle, id: NodeId) -> Option<(Global, &[NodeId])> {
    match pickle.node(id) {
        &Node::Call {
            callable,
            arguments,
            ..
        } => Some((callable, pickle.items(arguments)?)),
        _ => None,
    }
}

/// A key from the file, fit for a message.
fn shown(key: &str) -> String {
    key.chars().take(40).flat_map(char::escape_debug).collect()
}
