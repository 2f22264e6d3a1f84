//! ONNX' tensors: where the values are, in one of several fields.
//!
//! Format: `onnx/onnx.proto`, message `TensorProto`.

use super::super::element::{ByteOrder, Element};
use super::protobuf::{Field, Place, Protobuf, malformed};
use crate::error::{Error, Result};
use crate::numbers::Numbers;

/// A tensor of the file, without its values.
#[derive(Debug)]
pub struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    /// `None`: text, booleans, complex numbers and the like.
    pub element: Option<Element>,
    is_external: bool,
    data: Vec<Data>,
}

/// Some of the values.
#[derive(Debug, Clone, Copy)]
enum Data {
    /// As they are in memory, little-endian.
    Raw(Place),
    /// Integers of variable length.
    Packed(Place),
    Single(u64),
}

/// Values that are fields of their own, of which nobody writes many.
const MOST_SINGLE: usize = 1 << 16;

impl Tensor {
    /// Reads the message at `place`.
    ///
    /// # Errors
    /// A malformed one, a negative size.
    pub fn read(file: &Protobuf, place: Place) -> Result<Self> {
        let mut tensor = Self {
            name: String::new(),
            shape: Vec::new(),
            element: None,
            is_external: false,
            data: Vec::new(),
        };
        file.each(place, |number, field| {
            match (number, field) {
                (1, Field::Number(size)) => tensor.shape.push(size_of(size)?),
                (1, Field::Bytes(sizes)) => {
                    let mut shape = Vec::new();
                    // No more sizes than there are dimensions.
                    file.numbers(
                        Place {
                            len: sizes.len.min(700),
                            ..sizes
                        },
                        |n| shape.push(n),
                    )?;
                    let shape = shape.into_iter().map(size_of);
                    tensor.shape.extend(shape.collect::<Result<Vec<_>>>()?);
                }
                (2, Field::Number(kind)) => tensor.element = element(kind),
                // float_data, raw_data, double_data.
                (4 | 9 | 10, Field::Bytes(place)) => tensor.data.push(Data::Raw(place)),
                // int32_data, int64_data, uint64_data.
                (5 | 7 | 11, Field::Bytes(place)) => tensor.data.push(Data::Packed(place)),
                (5 | 7 | 11, Field::Number(value)) => tensor.data.push(Data::Single(value)),
                (8, name) => tensor.name = file.text(name)?,
                (13, _) | (14, Field::Number(1)) => tensor.is_external = true,
                _ => {}
            }
            match tensor.data.len() > MOST_SINGLE || tensor.shape.len() > 64 {
                true => Err(malformed()),
                false => Ok(()),
            }
        })?;
        Ok(tensor)
    }

    /// The `count` values that its shape promises.
    ///
    /// # Errors
    /// They are in another file, of no type that is read, more or fewer.
    pub fn values(&self, file: &Protobuf, count: usize) -> Result<Numbers> {
        if self.is_external {
            return Err(Error::new("has its values in another file").help(
                "in Python: `onnx.save(onnx.load(\"model.onnx\"), \"one.onnx\", \
                 save_as_external_data=False)`",
            ));
        }
        let element = self.element.ok_or_else(|| {
            Error::new("is of a type that is not supported").help("floats and integers are read")
        })?;
        // Checked before anything is allocated.
        let found = self.bytes(file, element)?;
        let wanted = (count as u64).checked_mul(element.size() as u64);
        if wanted != Some(found) {
            let problem = format!("{count} values do not have {found} bytes");
            return Err(Error::new(problem).help("the file is damaged"));
        }
        let feed = |take: &mut dyn FnMut(&[u8])| {
            self.data
                .iter()
                .try_for_each(|data| feed(file, *data, element, take))
        };
        element.decode(ByteOrder::Little, count, feed)
    }

    /// Bytes of all values.
    fn bytes(&self, file: &Protobuf, element: Element) -> Result<u64> {
        let mut bytes = 0;
        for data in &self.data {
            match *data {
                Data::Raw(place) => bytes += place.len,
                Data::Packed(place) => file.numbers(place, |_| bytes += element.size() as u64)?,
                Data::Single(_) => bytes += element.size() as u64,
            }
        }
        Ok(bytes)
    }
}

fn feed(file: &Protobuf, data: Data, element: Element, take: &mut dyn FnMut(&[u8])) -> Result<()> {
    // The low bytes of an integer, which of a 16-bit float are its bits.
    let size = element.size();
    match data {
        Data::Raw(place) => file.pieces.for_each_block(place.start, place.len, take),
        Data::Packed(place) => file.numbers(place, |value| take(&value.to_le_bytes()[..size])),
        Data::Single(value) => {
            take(&value.to_le_bytes()[..size]);
            Ok(())
        }
    }
}

fn size_of(size: u64) -> Result<usize> {
    let size = i64::try_from(size)
        .ok()
        .and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(malformed)
}

/// `TensorProto.DataType`
fn element(kind: u64) -> Option<Element> {
    Some(match kind {
        1 => Element::F32,
        2 => Element::U8,
        3 => Element::I8,
        4 => Element::U16,
        5 => Element::I16,
        6 => Element::I32,
        7 => Element::I64,
        10 => Element::F16,
        11 => Element::F64,
        12 => Element::U32,
        13 => Element::U64,
        16 => Element::Bf16,
        _ => return None,
    })
}
