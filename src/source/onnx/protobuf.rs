//! The wire format of protocol buffers: the fields of a message, one after another.
//!
//! It knows no schema; strings and messages within messages are places in the file.
//! Format: <https://protobuf.dev/programming-guides/encoding>.

use std::cell::Cell;

use super::super::pieces::Pieces;
use crate::error::{Error, Result};

/// A file of messages, with the number of fields that may still be read of them.
pub struct Protobuf<'a> {
    pub pieces: &'a Pieces,
    fields_left: Cell<usize>,
}

/// A field's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Field {
    /// An integer.
    Number(u64),
    /// A string, a message, packed numbers, or one number of 4 or 8 bytes.
    Bytes(Place),
}

/// Bytes in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub start: u64,
    pub len: u64,
}

/// Most fields of all messages that are read: a model has some for each layer.
const MOST_FIELDS: usize = 1 << 20;

/// Longest string, in bytes: a name.
const LONGEST_TEXT: u64 = 1000;

impl<'a> Protobuf<'a> {
    pub fn new(pieces: &'a Pieces) -> Self {
        Self {
            pieces,
            fields_left: Cell::new(MOST_FIELDS),
        }
    }

    /// The whole file.
    pub fn root(&self) -> Place {
        Place {
            start: 0,
            len: self.pieces.len(),
        }
    }

    /// Calls `take` with the number and the value of each field of the message at `place`.
    ///
    /// # Errors
    /// A malformed message, too many fields in all, that of `take`.
    pub fn each(&self, place: Place, mut take: impl FnMut(u64, Field) -> Result<()>) -> Result<()> {
        let mut at = place.start;
        let end = place.start + place.len;
        while at < end {
            let left = self.fields_left.get().checked_sub(1);
            let too_many = || Error::new("has more fields than a model has");
            self.fields_left.set(left.ok_or_else(too_many)?);
            let tag = self.varint(&mut at, end)?;
            let value = match tag & 7 {
                0 => Field::Number(self.varint(&mut at, end)?),
                1 => Field::Bytes(bytes(&mut at, 8, end)?),
                2 => {
                    let len = self.varint(&mut at, end)?;
                    Field::Bytes(bytes(&mut at, len, end)?)
                }
                5 => Field::Bytes(bytes(&mut at, 4, end)?),
                _ => return Err(malformed()),
            };
            take(tag >> 3, value)?;
        }
        Ok(())
    }

    /// Calls `take` with each of the packed integers at `place`.
    ///
    /// # Errors
    /// A malformed one.
    pub fn numbers(&self, place: Place, mut take: impl FnMut(u64)) -> Result<()> {
        let mut at = place.start;
        let end = place.start + place.len;
        while at < end {
            take(self.varint(&mut at, end)?);
        }
        Ok(())
    }

    /// The text of a field: a name.
    ///
    /// # Errors
    /// One that is too long, or no text.
    pub fn text(&self, field: Field) -> Result<String> {
        let Field::Bytes(place) = field else {
            return Err(malformed());
        };
        if place.len > LONGEST_TEXT {
            return Err(Error::new(format!(
                "has a name of {} bytes, too long",
                place.len
            )));
        }
        let bytes = self.pieces.read(place.start, place.len)?;
        String::from_utf8(bytes).map_err(|_| malformed())
    }

    fn varint(&self, at: &mut u64, end: u64) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            if *at >= end {
                return Err(malformed());
            }
            let [byte] = self.pieces.array(*at)?;
            *at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(malformed())
    }
}

/// The error for bytes that are no message.
pub fn malformed() -> Error {
    Error::new("is a damaged ONNX file")
        .help("the file is truncated or damaged: copy it again and compare its size")
}

/// The next `len` bytes before `end`.
fn bytes(at: &mut u64, len: u64, end: u64) -> Result<Place> {
    let place = Place { start: *at, len };
    let next = at.checked_add(len).filter(|&next| next <= end);
    *at = next.ok_or_else(malformed)?;
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<(u64, Field)>> {
        let pieces = Pieces::of(bytes.to_vec());
        let file = Protobuf::new(&pieces);
        let mut fields = Vec::new();
        file.each(file.root(), |number, field| {
            fields.push((number, field));
            Ok(())
        })?;
        Ok(fields)
    }

    #[test]
    fn fields_of_every_wire_type_are_found() -> Result<()> {
        let found = fields(b"\x08\x96\x01\x12\x02ab\x1d1234\x2112345678")?;
        let at = |start, len| Field::Bytes(Place { start, len });
        let expected = [
            (1, Field::Number(150)),
            (2, at(5, 2)),
            (3, at(8, 4)),
            (4, at(13, 8)),
        ];
        assert_eq!(found, expected);
        Ok(())
    }

    #[test]
    fn malformed_messages_are_refused() {
        for bytes in [
            &b"\x08"[..],
            b"\x12\x05ab",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x1d123",
            b"\x0b\x0c",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert!(fields(bytes).is_err(), "{bytes:?}");
        }
        assert!(fields(&b"\x08\x01".repeat(MOST_FIELDS + 1)).is_err());
    }
}
