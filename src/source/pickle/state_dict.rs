//! Writing the pickle of a PyTorch state dict: protocol 2, which `torch.load(weights_only=True)` reads.
//!
//! The values are not in it: each tensor refers to a file beside the pickle by number, as PyTorch's
//! own archives have it since 1.6 (`torch/serialization.py`). It does not know what the tensors are.

use std::io::{Result, Write};

use super::opcode;

/// One tensor of a state dict, without its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<'a> {
    pub name: &'a str,
    pub shape: &'a [usize],
    pub storage: Storage,
}

/// PyTorch's class for the values of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    Half,
    Bfloat16,
    Float,
    Double,
    Long,
}

impl Storage {
    /// Module and name as a pickle has them.
    fn global(self) -> &'static str {
        match self {
            Storage::Half => "torch\nHalfStorage\n",
            Storage::Bfloat16 => "torch\nBFloat16Storage\n",
            Storage::Float => "torch\nFloatStorage\n",
            Storage::Double => "torch\nDoubleStorage\n",
            Storage::Long => "torch\nLongStorage\n",
        }
    }
}

const REBUILD: &str = "torch._utils\n_rebuild_tensor_v2\n";
const ORDERED_DICT: &str = "collections\nOrderedDict\n";

/// Writes a dictionary of `entries`, the values of each in the file of its index.
///
/// # Errors
/// What `file` refuses.
pub fn write(file: impl Write, entries: &[Entry]) -> Result<()> {
    let mut emitter = Emitter { file };
    emitter.bytes(&[opcode::PROTO, 2, opcode::EMPTY_DICT, opcode::MARK])?;
    for (index, entry) in entries.iter().enumerate() {
        emitter.text(entry.name)?;
        emitter.tensor(entry, &index.to_string())?;
    }
    emitter.bytes(&[opcode::SETITEMS, opcode::STOP])
}

struct Emitter<W> {
    file: W,
}

impl<W: Write> Emitter<W> {
    /// `_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`, the storage being
    /// the persistent id `("storage", class, file, device, count)`.
    fn tensor(&mut self, entry: &Entry, file: &str) -> Result<()> {
        self.global(REBUILD)?;
        self.bytes(&[opcode::MARK, opcode::MARK])?;
        self.text("storage")?;
        self.global(entry.storage.global())?;
        self.text(file)?;
        self.text("cpu")?;
        self.int(entry.shape.iter().product())?;
        self.bytes(&[opcode::TUPLE, opcode::BINPERSID])?;
        self.int(0)?;
        self.ints(entry.shape.iter().copied())?;
        // In C order: as many values lie between two neighbours as the later dimensions have.
        let later = |index: usize| entry.shape.iter().skip(index + 1).product();
        self.ints((0..entry.shape.len()).map(later))?;
        self.bytes(&[opcode::NEWFALSE])?;
        self.global(ORDERED_DICT)?;
        self.bytes(&[opcode::EMPTY_TUPLE, opcode::REDUCE])?;
        self.bytes(&[opcode::TUPLE, opcode::REDUCE])
    }

    fn ints(&mut self, mut values: impl Iterator<Item = usize>) -> Result<()> {
        self.bytes(&[opcode::MARK])?;
        values.try_for_each(|value| self.int(value))?;
        self.bytes(&[opcode::TUPLE])
    }

    fn int(&mut self, value: usize) -> Result<()> {
        match i32::try_from(value) {
            Ok(value) => {
                self.bytes(&[opcode::BININT])?;
                self.bytes(&value.to_le_bytes())
            }
            Err(_) => {
                self.bytes(&[opcode::LONG1, 8])?;
                self.bytes(&(value as i64).to_le_bytes())
            }
        }
    }

    fn text(&mut self, text: &str) -> Result<()> {
        // Names are short.
        self.bytes(&[opcode::BINUNICODE])?;
        self.bytes(&(text.len() as u32).to_le_bytes())?;
        self.bytes(text.as_bytes())
    }

    fn global(&mut self, name: &str) -> Result<()> {
        self.bytes(&[opcode::GLOBAL])?;
        self.bytes(name.as_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_is_written_as_pytorch_would_have_it() {
        let entry = Entry {
            name: "a",
            shape: &[2, 3],
            storage: Storage::Float,
        };
        let mut bytes = Vec::new();
        assert!(write(&mut bytes, &[entry]).is_ok());
        let mut expected = b"\x80\x02}(X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n((".to_vec();
        expected.extend(b"X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0");
        expected.extend(b"0X\x03\0\0\0cpuJ\x06\0\0\0tQJ\0\0\0\0(J\x02\0\0\0J\x03\0\0\0t(");
        expected.extend(b"J\x03\0\0\0J\x01\0\0\0t\x89ccollections\nOrderedDict\n)RtRu.");
        assert_eq!(bytes, expected);
    }
}
