//! The bytes of a pickle, read from front to back: fixed-size numbers, lines, literals.
//!
//! It knows what each literal opcode's argument looks like, and nothing of the stack.

use super::super::pieces::Pieces;
use super::{Bytes, LONGEST_HELD, Node, opcode};
use crate::error::{Error, Result};

/// A position in the bytes of a pickle. Every method fails, and none panics, where they end.
#[derive(Debug)]
pub struct Input<'a> {
    pieces: &'a Pieces,
    position: u64,
}

impl<'a> Input<'a> {
    /// From `position` on.
    pub fn new(pieces: &'a Pieces, position: u64) -> Self {
        Self { pieces, position }
    }

    /// Place of the next byte in the file.
    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn byte(&mut self) -> Result<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// The next `count` bytes; many stay in the file. Nothing is allocated for an absurd count.
    pub fn take(&mut self, count: u64) -> Result<Bytes> {
        let end = self.position.checked_add(count);
        let Some(end) = end.filter(|&end| end <= self.pieces.len()) else {
            // For its message.
            return self.pieces.read(self.position, count).map(Bytes::Held);
        };
        let offset = std::mem::replace(&mut self.position, end);
        match count <= LONGEST_HELD {
            true => self.pieces.read(offset, count).map(Bytes::Held),
            false => Ok(Bytes::Stored { offset, len: count }),
        }
    }

    /// The rest of the line as text, without its end.
    pub fn line(&mut self) -> Result<String> {
        String::from_utf8(self.raw_line()?)
            .map_err(|_| Error::new("a line of the pickle is not text"))
    }

    /// The literal that `opcode` introduces, or `None` if it is no literal's opcode.
    pub fn literal(&mut self, opcode: u8) -> Result<Option<Node>> {
        Ok(Some(match opcode {
            opcode::NONE => Node::None,
            opcode::NEWTRUE => Node::Bool(true),
            opcode::NEWFALSE => Node::Bool(false),
            opcode::INT => self.decimal()?,
            opcode::BININT => Node::Int(i32::from_le_bytes(self.array()?).into()),
            opcode::BININT1 => Node::Int(self.byte()?.into()),
            opcode::BININT2 => Node::Int(u16::from_le_bytes(self.array()?).into()),
            opcode::LONG => self.decimal()?,
            opcode::LONG1 => self.byte().and_then(|n| self.long(n.into()))?,
            opcode::LONG4 => self.u32().and_then(|n| self.long(n))?,
            opcode::FLOAT => Node::Float(self.number()?),
            opcode::BINFLOAT => Node::Float(f64::from_be_bytes(self.array()?)),
            opcode::STRING => Node::Bytes(unquote(&self.raw_line()?)?),
            opcode::SHORT_BINSTRING | opcode::SHORT_BINBYTES => {
                let count = self.byte()?.into();
                Node::Bytes(self.take(count)?)
            }
            opcode::BINSTRING | opcode::BINBYTES => {
                let count = self.u32()?.into();
                Node::Bytes(self.take(count)?)
            }
            opcode::BINBYTES8 | opcode::BYTEARRAY8 => {
                let count = self.u64()?;
                Node::Bytes(self.take(count)?)
            }
            opcode::UNICODE => Node::Text(unescape_unicode(&self.raw_line()?)?),
            opcode::SHORT_BINUNICODE => {
                let count = self.byte()?.into();
                Node::Text(self.take(count)?)
            }
            opcode::BINUNICODE => {
                let count = self.u32()?.into();
                Node::Text(self.take(count)?)
            }
            opcode::BINUNICODE8 => {
                let count = self.u64()?;
                Node::Text(self.take(count)?)
            }
            opcode::EMPTY_TUPLE => Node::Tuple(Vec::new()),
            opcode::EMPTY_LIST | opcode::EMPTY_SET => Node::List(Vec::new()),
            opcode::EMPTY_DICT => Node::Dict(Vec::new()),
            _ => return Ok(None),
        }))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let array = self.pieces.array(self.position)?;
        self.position += N as u64;
        Ok(array)
    }

    fn raw_line(&mut self) -> Result<Vec<u8>> {
        let Some(end) = self.pieces.find(b'\n', self.position)? else {
            return Err(Error::new("the file ends in the middle of a line"));
        };
        let line = self.pieces.read(self.position, end - self.position)?;
        self.position = end + 1;
        Ok(line)
    }

    /// A whole number in decimal; `00` and `01` are protocol 0's booleans, a trailing `L` is a long's.
    fn decimal(&mut self) -> Result<Node> {
        let line = self.line()?;
        let digits = line.strip_suffix('L').unwrap_or(&line);
        match (line.as_str(), digits.parse()) {
            ("00", _) => Ok(Node::Bool(false)),
            ("01", _) => Ok(Node::Bool(true)),
            (_, Ok(value)) => Ok(Node::Int(value)),
            _ if is_decimal(digits) => Ok(Node::HugeInt),
            _ => Err(Error::new("a whole number of the pickle is malformed")),
        }
    }

    /// A little-endian two's complement number of `count` bytes.
    fn long(&mut self, count: u32) -> Result<Node> {
        let Bytes::Held(bytes) = self.take(count.into())? else {
            return Ok(Node::HugeInt);
        };
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut extended = [if negative { 0xff } else { 0 }; 8];
        let Some(low) = extended.get_mut(..bytes.len()) else {
            return Ok(Node::HugeInt);
        };
        low.copy_from_slice(&bytes);
        Ok(Node::Int(i64::from_le_bytes(extended)))
    }

    fn number(&mut self) -> Result<f64> {
        let line = self.line()?;
        line.parse()
            .map_err(|_| Error::new("a floating-point number of the pickle is malformed"))
    }
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The bytes that protocol 0 writes as Python's `repr` of a byte string.
fn unquote(line: &[u8]) -> Result<Bytes> {
    let malformed = || Error::new("a byte string of the pickle is malformed");
    let line = line.trim_ascii_end();
    let inner = match line {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => return Err(malformed()),
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'x') => {
                u8::try_from(hex(&mut rest, 2).ok_or_else(malformed)?).map_err(|_| malformed())?
            }
            Some(quoted @ (b'\\' | b'\'' | b'"')) => quoted,
            _ => return Err(malformed()),
        });
    }
    Ok(Bytes::Held(bytes))
}

/// Text in Python's raw-unicode-escape encoding (latin-1, `\uXXXX`, `\UXXXXXXXX`), as UTF-8.
fn unescape_unicode(line: &[u8]) -> Result<Bytes> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        let digits = match (byte, rest.peek()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                text.push(char::from(byte));
                continue;
            }
        };
        rest.next();
        let character = hex(&mut rest, digits).and_then(char::from_u32);
        text.push(character.ok_or_else(|| Error::new("a text of the pickle is malformed"))?);
    }
    Ok(Bytes::Held(text.into_bytes()))
}

fn hex(bytes: &mut impl Iterator<Item = u8>, digits: usize) -> Option<u32> {
    (0..digits).try_fold(0, |value, _| {
        let digit = char::from(bytes.next()?).to_digit(16)?;
        Some(value << 4 | digit)
    })
}
