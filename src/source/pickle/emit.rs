//! Writing pickles as Python 2 wrote them: protocol 2, with byte strings, which Python 3 reads with
//! `encoding="latin1"`, as neon does.
//!
//! A stream: of the arrays no second copy is ever made. It uses only opcodes and globals that
//! stand in neon's own files. It does not know what the values mean.

use std::collections::HashMap;
use std::io::{Error, Result, Write};

use super::opcode;
use super::value::Value;
use crate::numbers::{Dtype, Numbers};

/// An array to be written in the place of a [`Value::Tensor`].
#[derive(Debug, Clone)]
pub struct Array<'a> {
    pub shape: Vec<usize>,
    pub values: &'a Numbers,
    pub order: Order,
}

/// How the values lie, compared with the array's C order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Same,
    /// The array is the transpose of the (columns, rows) that the values are.
    Transposed,
}

/// Longest byte string of protocol 2, whose lengths have a sign.
pub const LONGEST: usize = i32::MAX as usize;

/// Writes `root` as one pickle.
///
/// # Errors
/// What `file` refuses; a tensor without an array, an array that cannot be written.
pub fn write(file: impl Write, root: &Value, arrays: &HashMap<&str, Array>) -> Result<()> {
    let mut emitter = Emitter {
        file,
        arrays,
        memo: Vec::new(),
    };
    emitter.bytes(&[opcode::PROTO, 2])?;
    emitter.value(root)?;
    emitter.bytes(&[opcode::STOP])
}

/// The type code of numpy; `None` for precisions that numpy does not have.
pub fn dtype_code(dtype: Dtype) -> Option<&'static str> {
    match dtype {
        Dtype::F16 => Some("f2"),
        Dtype::F32 => Some("f4"),
        Dtype::F64 => Some("f8"),
        Dtype::Bf16 => None,
    }
}

struct Emitter<'a, W> {
    file: W,
    arrays: &'a HashMap<&'a str, Array<'a>>,
    /// What was written once and is referred to from then on: globals and dtypes.
    memo: Vec<&'static str>,
}

const RECONSTRUCT: &str = "numpy.core.multiarray\n_reconstruct\n";
const NDARRAY: &str = "numpy\nndarray\n";
const DTYPE: &str = "numpy\ndtype\n";

impl<W: Write> Emitter<'_, W> {
    fn value(&mut self, value: &Value) -> Result<()> {
        match value {
            Value::None => self.bytes(&[opcode::NONE]),
            Value::Bool(true) => self.bytes(&[opcode::NEWTRUE]),
            Value::Bool(false) => self.bytes(&[opcode::NEWFALSE]),
            &Value::Int(value) => self.int(value),
            Value::Float(value) => {
                self.bytes(&[opcode::BINFLOAT])?;
                self.bytes(&value.to_be_bytes())
            }
            Value::Text(text) => self.text(text),
            Value::Tuple(items) => self.tuple(items),
            Value::List(items) => {
                self.bytes(&[opcode::EMPTY_LIST, opcode::MARK])?;
                items.iter().try_for_each(|item| self.value(item))?;
                self.bytes(&[opcode::APPENDS])
            }
            Value::Dict(entries) => {
                self.bytes(&[opcode::EMPTY_DICT, opcode::MARK])?;
                for (key, value) in entries {
                    self.text(key)?;
                    self.value(value)?;
                }
                self.bytes(&[opcode::SETITEMS])
            }
            Value::Tensor(name) => {
                let missing = || Error::other(format!("no array for `{name}`"));
                self.array(self.arrays.get(name.as_str()).ok_or_else(missing)?)
            }
        }
    }

    fn int(&mut self, value: i64) -> Result<()> {
        let bytes = value.to_le_bytes();
        if let Ok(value) = u8::try_from(value) {
            self.bytes(&[opcode::BININT1, value])
        } else if u16::try_from(value).is_ok() {
            self.bytes(&[&[opcode::BININT2], &bytes[..2]].concat())
        } else if i32::try_from(value).is_ok() {
            self.bytes(&[&[opcode::BININT], &bytes[..4]].concat())
        } else {
            self.bytes(&[&[opcode::LONG1, 8], &bytes[..]].concat())
        }
    }

    fn text(&mut self, text: &str) -> Result<()> {
        match text.is_ascii() {
            true => {
                self.string_of(text.len())?;
                self.bytes(text.as_bytes())
            }
            false => {
                self.bytes(&[opcode::BINUNICODE])?;
                self.bytes(&length(text.len())?)?;
                self.bytes(text.as_bytes())
            }
        }
    }

    /// The head of a byte string of so many bytes.
    fn string_of(&mut self, count: usize) -> Result<()> {
        match u8::try_from(count) {
            Ok(count) => self.bytes(&[opcode::SHORT_BINSTRING, count]),
            Err(_) => {
                self.bytes(&[opcode::BINSTRING])?;
                self.bytes(&length(count)?)
            }
        }
    }

    fn tuple(&mut self, items: &[Value]) -> Result<()> {
        let end = match items.len() {
            1 => opcode::TUPLE1,
            2 => opcode::TUPLE2,
            3 => opcode::TUPLE3,
            _ => opcode::TUPLE,
        };
        if end == opcode::TUPLE {
            self.bytes(&[opcode::MARK])?;
        }
        items.iter().try_for_each(|item| self.value(item))?;
        self.bytes(&[end])
    }

    /// `_reconstruct(ndarray, (0,), 'b')` with the state `(1, shape, dtype, False, data)`.
    fn array(&mut self, array: &Array) -> Result<()> {
        self.global(RECONSTRUCT)?;
        self.global(NDARRAY)?;
        self.value(&Value::Tuple(vec![Value::Int(0)]))?;
        self.text("b")?;
        self.bytes(&[opcode::TUPLE3, opcode::REDUCE, opcode::MARK])?;
        self.int(1)?;
        let sizes = array.shape.iter().map(|&size| Value::Int(size as i64));
        self.value(&Value::Tuple(sizes.collect()))?;
        self.dtype(array.values.dtype())?;
        self.bytes(&[opcode::NEWFALSE])?;
        self.string_of(array.values.len() * array.values.dtype().size())?;
        self.data(array)?;
        self.bytes(&[opcode::TUPLE, opcode::BUILD])
    }

    /// `dtype(code, 0, 1)` with the state `(3, '<', None, None, None, -1, -1, 0)`.
    fn dtype(&mut self, dtype: Dtype) -> Result<()> {
        let unknown = || Error::other("numpy has no such precision");
        let code = dtype_code(dtype).ok_or_else(unknown)?;
        if self.recall(code)? {
            return Ok(());
        }
        self.global(DTYPE)?;
        self.value(&Value::Tuple(vec![
            Value::text(code),
            Value::Int(0),
            Value::Int(1),
        ]))?;
        self.bytes(&[opcode::REDUCE])?;
        self.memorize(code)?;
        let order = [Value::Int(3), Value::text("<")];
        let plain = [Value::None, Value::None, Value::None];
        let sizes = [Value::Int(-1), Value::Int(-1), Value::Int(0)];
        self.tuple(&[&order[..], &plain, &sizes].concat())?;
        self.bytes(&[opcode::BUILD])
    }

    fn data(&mut self, array: &Array) -> Result<()> {
        match (array.order, array.shape.as_slice()) {
            (Order::Transposed, &[rows, columns]) => {
                let values = array.values.permuted([1, 1, columns, rows], [0, 1, 3, 2]);
                self.bytes(&values.le_bytes())
            }
            _ => self.bytes(&array.values.le_bytes()),
        }
    }

    fn global(&mut self, name: &'static str) -> Result<()> {
        if self.recall(name)? {
            return Ok(());
        }
        self.bytes(&[opcode::GLOBAL])?;
        self.bytes(name.as_bytes())?;
        self.memorize(name)
    }

    /// Writes a reference to `what`, if it was memorized.
    fn recall(&mut self, what: &'static str) -> Result<bool> {
        let Some(place) = self.memo.iter().position(|known| *known == what) else {
            return Ok(false);
        };
        self.bytes(&[opcode::BINGET, place as u8])?;
        Ok(true)
    }

    /// Memorizes the value that was just written. There are fewer than 256 of them.
    fn memorize(&mut self, what: &'static str) -> Result<()> {
        self.bytes(&[opcode::BINPUT, self.memo.len() as u8])?;
        self.memo.push(what);
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes)
    }
}

fn length(count: usize) -> Result<[u8; 4]> {
    let too_long = |_| Error::other("a string is longer than a pickle can hold");
    i32::try_from(count).map(i32::to_le_bytes).map_err(too_long)
}

#[cfg(test)]
mod tests {
    use super::super::Node;
    use super::super::tests::parse;
    use super::*;
    use crate::source::numpy;

    fn written(root: &Value, arrays: &HashMap<&str, Array>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let done = write(&mut bytes, root, arrays);
        assert!(done.is_ok(), "{done:?}");
        bytes
    }

    #[test]
    fn numbers_and_texts_of_every_size_are_read_back() -> crate::error::Result<()> {
        let texts = ["", "conv1_1", &"x".repeat(300), "Gesicht ä"].map(Value::text);
        let ints = [0, 255, 256, 65_536, -1, i64::MAX, i64::MIN].map(Value::Int);
        let tuples = (0..5).map(|count| Value::Tuple(vec![Value::None; count]));
        let items = texts.into_iter().chain(ints).chain(tuples).collect();
        let root = Value::List(items);
        let bytes = written(&root, &HashMap::new());
        let pickle = parse(&bytes)?;
        let found = pickle.items(pickle.root()).unwrap_or_default();
        for (value, &id) in root.items().iter().zip(found) {
            match value {
                Value::Text(text) => assert_eq!(pickle.text(id), Some(text.as_str())),
                Value::Int(value) => assert_eq!(*pickle.node(id), Node::Int(*value)),
                value => {
                    let items = pickle.items(id).map(<[_]>::len);
                    assert_eq!(items, Some(value.items().len()));
                }
            }
        }
        assert_eq!(found.len(), root.items().len());
        Ok(())
    }

    #[test]
    fn arrays_of_every_precision_of_numpy_are_read_back() -> crate::error::Result<()> {
        for dtype in [Dtype::F16, Dtype::F32, Dtype::F64] {
            let numbers = Numbers::new(dtype, (0..60_000).map(|n| f64::from(n % 100) / 8.0));
            let array = |shape: [usize; 2], order| Array {
                shape: shape.to_vec(),
                values: &numbers,
                order,
            };
            let arrays = HashMap::from([
                ("same", array([3, 20_000], Order::Same)),
                ("transposed", array([20_000, 3], Order::Transposed)),
            ]);
            let names = ["same", "transposed", "same"];
            let root = Value::List(names.map(|name| Value::Tensor(name.into())).into());
            let bytes = written(&root, &arrays);
            let pickle = parse(&bytes)?;
            let found = pickle.items(pickle.root()).unwrap_or_default();
            let [same, transposed, _] = found else {
                return Err(crate::error::Error::new("not three arrays"));
            };
            assert_eq!(numpy::array(&pickle, *same)?.values()?, numbers);
            let transposed = numpy::array(&pickle, *transposed)?;
            assert_eq!(transposed.shape, [20_000, 3]);
            let places = (0..20_000).flat_map(|row| [row, 20_000 + row, 40_000 + row]);
            assert_eq!(transposed.values()?, numbers.gather(places));
        }
        Ok(())
    }

    #[test]
    fn a_tensor_without_an_array_and_a_foreign_precision_are_errors() {
        let root = Value::Tensor("lost".into());
        let error = write(Vec::new(), &root, &HashMap::new()).err();
        assert!(error.is_some_and(|e| e.to_string().contains("`lost`")));
        let numbers = Numbers::new(Dtype::Bf16, [1.0]);
        let array = Array {
            shape: vec![1],
            values: &numbers,
            order: Order::Same,
        };
        assert!(write(Vec::new(), &root, &HashMap::from([("lost", array)])).is_err());
    }
}
