//! Writing messages of protocol buffers, as far as ONNX needs them.
//!
//! A message knows its length before it is written, so that weights are copied nowhere: they go from
//! memory to the file. It does not know what the fields mean.
//! Format: <https://protobuf.dev/programming-guides/encoding/>.

use std::io::{Result, Write};

use crate::numbers::Numbers;

/// A message, field by field in the order in which they were added.
#[derive(Debug, Clone, Default)]
pub struct Message<'a> {
    parts: Vec<Part<'a>>,
}

#[derive(Debug, Clone)]
enum Part<'a> {
    Bytes(Vec<u8>),
    /// Little-endian.
    Numbers(&'a Numbers),
}

/// How the value of a field is encoded.
const VARINT: u64 = 0;
const LENGTH: u64 = 2;
const FOUR_BYTES: u64 = 5;

impl<'a> Message<'a> {
    pub fn new() -> Self {
        Self::default()
    }

    /// A field of type `int64`, `int32` or an enumeration.
    pub fn int(mut self, field: u32, value: i64) -> Self {
        self.key(field, VARINT);
        // Negative values are their two's complement.
        self.varint(value as u64);
        self
    }

    /// A field of type `float`.
    pub fn float(mut self, field: u32, value: f32) -> Self {
        self.key(field, FOUR_BYTES);
        self.raw(&value.to_le_bytes());
        self
    }

    /// A field of type `string` or `bytes`.
    pub fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.key(field, LENGTH);
        self.varint(value.len() as u64);
        self.raw(value);
        self
    }

    /// A field of type `bytes`: these numbers, little-endian.
    pub fn numbers(mut self, field: u32, values: &'a Numbers) -> Self {
        let part = Part::Numbers(values);
        self.key(field, LENGTH);
        self.varint(part.len() as u64);
        self.parts.push(part);
        self
    }

    /// A field that is a message itself.
    pub fn message(mut self, field: u32, value: Message<'a>) -> Self {
        self.key(field, LENGTH);
        self.varint(value.len() as u64);
        for part in value.parts {
            match part {
                Part::Bytes(bytes) => self.raw(&bytes),
                numbers => self.parts.push(numbers),
            }
        }
        self
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Part::len).sum()
    }

    /// # Errors
    /// What `file` refuses.
    pub fn write(&self, mut file: impl Write) -> Result<()> {
        for part in &self.parts {
            match part {
                Part::Bytes(bytes) => file.write_all(bytes)?,
                Part::Numbers(numbers) => file.write_all(&numbers.le_bytes())?,
            }
        }
        Ok(())
    }

    fn key(&mut self, field: u32, encoding: u64) {
        self.varint(u64::from(field) << 3 | encoding);
    }

    /// Seven bits a byte, the lowest first; all bytes but the last have their highest bit set.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.raw(&[value as u8 | 0x80]);
            value >>= 7;
        }
        self.raw(&[value as u8]);
    }

    fn raw(&mut self, bytes: &[u8]) {
        match self.parts.last_mut() {
            Some(Part::Bytes(last)) => last.extend(bytes),
            _ => self.parts.push(Part::Bytes(bytes.to_vec())),
        }
    }
}

impl Part<'_> {
    fn len(&self) -> usize {
        match self {
            Part::Bytes(bytes) => bytes.len(),
            Part::Numbers(numbers) => numbers.len() * numbers.dtype().size(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(message: &Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        assert!(message.write(&mut bytes).is_ok());
        assert_eq!(bytes.len(), message.len());
        bytes
    }

    #[test]
    fn fields_are_encoded_as_the_documentation_of_the_format_shows() {
        // Its examples: 150 in field 1, "testing" in field 2, a message of the first in field 3.
        let inner = || Message::new().int(1, 150);
        assert_eq!(written(&inner()), [0x08, 0x96, 0x01]);
        let text = Message::new().bytes(2, b"testing");
        assert_eq!(written(&text), b"\x12\x07testing");
        let outer = Message::new().message(3, inner());
        assert_eq!(written(&outer), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let minus_two = [0x08, 0xfe, 255, 255, 255, 255, 255, 255, 255, 255, 0x01];
        assert_eq!(written(&Message::new().int(1, -2)), minus_two);
        let half = Message::new().float(2, 0.5);
        assert_eq!(written(&half), [0x15, 0, 0, 0, 0x3f]);
    }

    #[test]
    fn numbers_inside_of_messages_stay_in_their_place() {
        let numbers = Numbers::from(vec![1.0, -2.0]);
        let inner = Message::new().int(1, 7).numbers(9, &numbers).int(2, 8);
        let outer = Message::new().message(16, inner).int(1, 1);
        let expected = [
            0x82, 0x01, 14, 0x08, 7, 0x4a, 8, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0x10, 8, 0x08, 1,
        ];
        assert_eq!(written(&outer), expected);
    }
}
