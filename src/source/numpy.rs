//! numpy arrays and scalars out of a pickle's nodes.
//!
//! It knows how numpy's `__reduce__` writes an array, under Python 2 and 3 and in every protocol,
//! and nothing of models. Format: numpy's `_core/src/multiarray/methods.c`, `array_reduce_ex`.

use super::element::{ByteOrder, Element};
use super::pickle::{Bytes, Global, Node, NodeId, Pickle};
use super::pieces::BLOCK;
use super::strides::{MOST_DIMENSIONS, Strides};
use crate::error::{Error, Result};
use crate::model::spec::shape_text;
use crate::numbers::Numbers;

/// An array as it lies in the file, checked: its data have the length that its shape says.
#[derive(Debug)]
pub struct Array<'a> {
    pickle: &'a Pickle,
    pub shape: Vec<usize>,
    dtype: Dtype,
    /// Fortran order: the first index runs fastest.
    fortran: bool,
    data: Data<'a>,
}

/// Whether the node is a call that makes an array.
pub fn is_array(pickle: &Pickle, id: NodeId) -> bool {
    matches!(
        pickle.node(id),
        Node::Call {
            callable: Global::Reconstruct | Global::FromBuffer,
            ..
        }
    )
}

/// The array at `id`.
///
/// # Errors
/// Something else; a dtype other than floats and integers; more or fewer bytes than the shape says.
pub fn array<'a>(pickle: &'a Pickle, id: NodeId) -> Result<Array<'a>> {
    let not_array = || Error::new("is not a numpy array");
    let Node::Call {
        callable,
        arguments,
        state,
    } = pickle.node(id)
    else {
        return Err(not_array());
    };
    let (shape, dtype, fortran, data) = match (callable, state.and_then(|id| pickle.items(id))) {
        (Global::Reconstruct, Some(&[_version, shape, dtype, fortran, data])) => {
            let fortran = matches!(pickle.node(fortran), Node::Bool(true) | Node::Int(1));
            (shape, dtype, fortran, data)
        }
        (Global::FromBuffer, _) => {
            let Some(&[data, dtype, shape, order]) = pickle.items(*arguments) else {
                return Err(not_array());
            };
            (shape, dtype, pickle.text(order) == Some("F"), data)
        }
        _ => return Err(not_array()),
    };
    let shape = dimensions(pickle, shape)?;
    let dtype = Dtype::read(pickle, dtype)?;
    let data = Data::read(pickle, data)?;
    let expected = shape
        .iter()
        .try_fold(dtype.element.size(), |n, &d| n.checked_mul(d));
    let found = data.len(pickle)?;
    if expected.map(|expected| expected as u64) != Some(found) {
        let shape = shape_text(&shape);
        let problem = format!("an array of shape {shape} has {found} bytes of data");
        return Err(Error::new(problem).help("the file is damaged"));
    }
    Ok(Array {
        pickle,
        shape,
        dtype,
        fortran,
        data,
    })
}

/// A size: a Python integer or a numpy scalar.
pub fn size(pickle: &Pickle, id: NodeId) -> Option<usize> {
    match *pickle.node(id) {
        Node::Int(value) => usize::try_from(value).ok(),
        _ => match scalar(pickle, id)? {
            Scalar::Int(value) => usize::try_from(value).ok(),
            Scalar::Float(_) => None,
        },
    }
}

/// A numpy scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    Int(i64),
    Float(f64),
}

/// The numpy scalar at `id`; whole numbers only up to 2²⁴.
pub fn scalar(pickle: &Pickle, id: NodeId) -> Option<Scalar> {
    let &Node::Call {
        callable: Global::Scalar,
        arguments,
        ..
    } = pickle.node(id)
    else {
        return None;
    };
    let &[dtype, data] = pickle.items(arguments)? else {
        return None;
    };
    let dtype = Dtype::read(pickle, dtype).ok()?;
    let data = Data::read(pickle, data).ok().filter(Data::is_short)?;
    let count = data.len(pickle).ok()? as usize / dtype.element.size();
    let feed = |take: &mut dyn FnMut(&[u8])| data.for_each_block(pickle, take);
    let &[value] = dtype
        .element
        .decode(dtype.order, count, feed)
        .ok()?
        .to_f64()
        .as_slice()
    else {
        return None;
    };
    match dtype.element.is_float() {
        true => Some(Scalar::Float(value)),
        // An f32 holds no larger ones exactly.
        false if value.abs() <= 16_777_216.0 => Some(Scalar::Int(value as i64)),
        false => None,
    }
}

impl Array<'_> {
    /// Number of elements.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// The elements in C order: the last index runs fastest. Floats keep their precision, integers
    /// become f32.
    ///
    /// # Errors
    /// Latin-1 text that holds other characters.
    pub fn values(&self) -> Result<Numbers> {
        let Dtype { element, order } = self.dtype;
        let feed = |take: &mut dyn FnMut(&[u8])| self.data.for_each_block(self.pickle, take);
        match &self.data {
            _ if self.fortran => {
                element.decode_strided(order, &Strides::fortran(&self.shape)?, feed)
            }
            // `array` has compared its length with the shape.
            Data::Plain(bytes) if element.is_as_in_memory(order) => {
                Element::read(self.count(), |to| self.pickle.fill(bytes, to))
            }
            _ => element.decode(order, self.count(), feed),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Dtype {
    element: Element,
    order: ByteOrder,
}

impl Dtype {
    /// `dtype('f4', …)` with the state `(version, byte order, subarray, names, …)`.
    fn read(pickle: &Pickle, id: NodeId) -> Result<Self> {
        let unknown = || Error::new("an array's dtype is malformed");
        let &Node::Call {
            callable: Global::Dtype,
            arguments,
            state: Some(state),
        } = pickle.node(id)
        else {
            return Err(unknown());
        };
        let code = pickle.items(arguments).and_then(<[_]>::first);
        let code = code.and_then(|&id| pickle.text(id)).ok_or_else(unknown)?;
        let Some(&[_version, order, subarray, names, ..]) = pickle.items(state) else {
            return Err(unknown());
        };
        let plain = [subarray, names].map(|id| *pickle.node(id) == Node::None) == [true, true];
        let element = element(code).filter(|_| plain);
        let element = element.ok_or_else(|| unsupported(code))?;
        let order = match pickle.text(order) {
            Some("<" | "|" | "=") => ByteOrder::Little,
            Some(">") => ByteOrder::Big,
            _ => return Err(unknown()),
        };
        Ok(Self { element, order })
    }
}

/// The error for an array of another dtype.
pub fn unsupported(code: &str) -> Error {
    let code: String = code.chars().take(20).flat_map(char::escape_debug).collect();
    Error::new(format!("an array of dtype `{code}` is not supported"))
        .help("floats and integers are read")
}

/// The elements of the dtype that numpy calls `code`, its byte order apart.
pub fn element(code: &str) -> Option<Element> {
    Some(match code {
        "f2" => Element::F16,
        "f4" => Element::F32,
        "f8" => Element::F64,
        "i1" => Element::I8,
        "i2" => Element::I16,
        "i4" => Element::I32,
        "i8" => Element::I64,
        "u1" => Element::U8,
        "u2" => Element::U16,
        "u4" => Element::U32,
        "u8" => Element::U64,
        _ => return None,
    })
}

/// The bytes of an array or scalar.
#[derive(Debug, Clone, Copy)]
enum Data<'a> {
    None,
    Plain(&'a Bytes),
    /// Python 3 writes bytes for protocol 2 as text whose characters are the bytes: here in UTF-8.
    Latin1(&'a Bytes),
}

impl<'a> Data<'a> {
    fn read(pickle: &'a Pickle, id: NodeId) -> Result<Self> {
        let malformed = || Error::new("an array's data are not a byte string");
        match pickle.node(id) {
            Node::Bytes(bytes) => Ok(Self::Plain(bytes)),
            &Node::Call {
                callable,
                arguments,
                ..
            } => match (callable, pickle.items(arguments)) {
                // How Python 3 writes empty bytes, and bytearrays.
                (Global::Bytes, Some([])) => Ok(Self::None),
                (Global::Bytes, Some(&[bytes])) => match pickle.node(bytes) {
                    Node::Bytes(bytes) => Ok(Self::Plain(bytes)),
                    _ => Err(malformed()),
                },
                (Global::Encode, Some(&[text, encoding])) => {
                    match (pickle.node(text), pickle.text(encoding)) {
                        (Node::Text(text), Some("latin1" | "latin-1")) => Ok(Self::Latin1(text)),
                        _ => Err(malformed()),
                    }
                }
                _ => Err(malformed()),
            },
            _ => Err(malformed()),
        }
    }

    /// Whether it may be a single element; in constant time, where `len` counts.
    fn is_short(&self) -> bool {
        match self {
            Self::None => true,
            Self::Plain(stored) | Self::Latin1(stored) => stored.len() <= 16,
        }
    }

    /// Number of bytes.
    fn len(&self, pickle: &Pickle) -> Result<u64> {
        match self {
            Self::None => Ok(0),
            Self::Plain(bytes) => Ok(bytes.len()),
            Self::Latin1(text) => {
                // As many as characters: every byte but the continuations.
                let mut count = 0;
                pickle.for_each_block(text, &mut |block| {
                    count += block.iter().filter(|&&byte| byte & 0xc0 != 0x80).count() as u64;
                })?;
                Ok(count)
            }
        }
    }

    /// Hands over the bytes, all blocks but the last being of [`BLOCK`] bytes: a large array is
    /// never in memory a second time.
    fn for_each_block(&self, pickle: &Pickle, take: &mut dyn FnMut(&[u8])) -> Result<()> {
        let text = match self {
            Self::None => return Ok(()),
            Self::Plain(bytes) => return pickle.for_each_block(bytes, take),
            Self::Latin1(text) => text,
        };
        let mut block = Vec::with_capacity(BLOCK);
        // The first byte of a character whose second is yet to come.
        let mut lead = None;
        let mut is_latin1 = true;
        pickle.for_each_block(text, &mut |bytes| {
            for &byte in bytes {
                match (lead.take(), byte) {
                    (None, ..0x80) => block.push(byte),
                    // The two-byte sequences of U+0080 to U+00FF.
                    (None, 0xc2..=0xc3) => lead = Some(byte),
                    (Some(lead), 0x80..=0xbf) => block.push(lead << 6 | byte & 0x3f),
                    _ => is_latin1 = false,
                }
                if block.len() == BLOCK {
                    take(&block);
                    block.clear();
                }
            }
        })?;
        take(&block);
        match is_latin1 && lead.is_none() {
            true => Ok(()),
            false => Err(Error::new("an array's text holds more than latin-1")),
        }
    }
}

fn dimensions(pickle: &Pickle, id: NodeId) -> Result<Vec<usize>> {
    let items = pickle
        .items(id)
        .filter(|items| items.len() <= MOST_DIMENSIONS);
    items
        .and_then(|items| items.iter().map(|&item| size(pickle, item)).collect())
        .ok_or_else(|| Error::new("an array's shape is malformed"))
}

#[cfg(test)]
mod tests;
