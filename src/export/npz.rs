//! numpy's archive of arrays: an array `<layer>.<role>` for each tensor, in graft's layouts, and the
//! text `__graft__`, which says as JSON what the layers are and what happens to pixels.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, version 1.0.

use std::borrow::Cow;
use std::io::{self, Seek, Write};
use std::iter;
use std::path::Path;

use serde_json::{Value, json};

use super::Written;
use super::archive::Archive;
use super::model::Model;
use crate::error::{At, Result};
use crate::files::write_atomically_with;
use crate::numbers::{Dtype, Numbers};
use crate::source::document::Tensor;

/// The name of the text.
const ABOUT: &str = "__graft__";

/// Writes `model` to `path`. numpy has no bf16: such values become f32, which rounds none.
///
/// # Errors
/// Whatever the file system refuses.
pub(super) fn write(model: &Model, path: &Path) -> Result<Written> {
    let roles = model.roles();
    let tensors: Vec<&Tensor> = roles
        .map(|(layer, role)| model.tensor(layer, role))
        .collect::<Result<_>>()?;
    let about = about(model).at(path.display())?;
    write_atomically_with(path, |file| {
        let mut archive = Archive::new(file);
        for tensor in &tensors {
            let name = format!("{}.npy", tensor.name);
            add(&mut archive, &name, &tensor.shape, &numpys(&tensor.values))?;
        }
        // Text without pickling: numpy's fixed-length Unicode, 4 bytes a character.
        let mut text = header(&format!("<U{}", about.chars().count()), &[]);
        text.extend(about.chars().flat_map(|c| u32::from(c).to_le_bytes()));
        archive.add(&format!("{ABOUT}.npy"), text.len(), iter::once(text))?;
        archive.finish()
    })?;
    let (count, parameters) = model.counts();
    let mut notes = vec![
        "numpy opens it: numpy.load(FILE)[\"<layer>.<role>\"]".to_string(),
        format!("json.loads(str(numpy.load(FILE)[\"{ABOUT}\"])) describes layers and pixels"),
    ];
    if tensors.iter().any(|t| t.values.dtype() == Dtype::Bf16) {
        notes.push("bf16 has become f32, which numpy knows: no value is rounded".to_string());
    }
    Ok(Written {
        format: "numpy archive",
        tensors: count,
        parameters,
        notes,
        left_out: model.left_out.clone(),
    })
}

/// An array that is no part of a model.
pub struct Array<'a> {
    name: &'a str,
    shape: Vec<usize>,
    values: ArrayValues<'a>,
}

enum ArrayValues<'a> {
    Numbers(&'a Numbers),
    Labels(&'a [u32]),
}

impl<'a> Array<'a> {
    /// `values` in C order of `shape`; bf16 becomes f32.
    pub fn numbers(name: &'a str, shape: &[usize], values: &'a Numbers) -> Self {
        Self {
            name,
            shape: shape.to_vec(),
            values: ArrayValues::Numbers(values),
        }
    }

    /// Classes by number, one a sample.
    pub fn labels(name: &'a str, labels: &'a [u32]) -> Self {
        Self {
            name,
            shape: vec![labels.len()],
            values: ArrayValues::Labels(labels),
        }
    }
}

/// Writes `arrays` to an archive at `path`.
///
/// # Errors
/// Whatever the file system refuses.
pub fn write_arrays(path: &Path, arrays: &[Array<'_>]) -> Result<()> {
    write_atomically_with(path, |file| {
        let mut archive = Archive::new(file);
        for array in arrays {
            let name = format!("{}.npy", array.name);
            match array.values {
                ArrayValues::Numbers(numbers) => {
                    add(&mut archive, &name, &array.shape, &numpys(numbers))?;
                }
                ArrayValues::Labels(labels) => {
                    let mut bytes = header("<u4", &array.shape);
                    bytes.extend(labels.iter().flat_map(|label| label.to_le_bytes()));
                    archive.add(&name, bytes.len(), iter::once(bytes))?;
                }
            }
        }
        archive.finish()
    })
}

fn add<W: Write + Seek>(
    archive: &mut Archive<W>,
    name: &str,
    shape: &[usize],
    values: &Numbers,
) -> io::Result<()> {
    let header = header(code(values.dtype()), shape);
    let bytes = header.len() + values.len() * values.dtype().size();
    archive.add(
        name,
        bytes,
        [Cow::Owned(header), values.le_bytes()].into_iter(),
    )
}

/// Version, classes, pixels and layers as JSON.
fn about(model: &Model) -> Result<String> {
    let parsed = |text: &String| serde_json::from_str(text).unwrap_or(Value::from(text.as_str()));
    let metadata = model.metadata.iter();
    let metadata = metadata.map(|(key, text)| (key.clone(), parsed(text)));
    let about = json!({
        "graft": env!("CARGO_PKG_VERSION"),
        "classes": model.classes,
        "metadata": metadata.collect::<serde_json::Map<_, _>>(),
        "network": model.network(),
    });
    Ok(about.to_string())
}

/// The values in a precision that numpy has.
fn numpys(values: &Numbers) -> Cow<'_, Numbers> {
    match values {
        bf16 @ Numbers::Bf16(_) => Cow::Owned(bf16.clone().to(Dtype::F32)),
        values => Cow::Borrowed(values),
    }
}

/// numpy's type code, little-endian.
fn code(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F16 => "<f2",
        Dtype::F32 | Dtype::Bf16 => "<f4",
        Dtype::F64 => "<f8",
    }
}

/// What stands before the values: magic, version, length of the text, and the text, a Python
/// dictionary padded to a multiple of 64 bytes.
fn header(code: &str, shape: &[usize]) -> Vec<u8> {
    const BEFORE_TEXT: usize = 10;
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    // A tuple of one value has a comma behind it.
    let comma = if shape.len() == 1 { "," } else { "" };
    let sizes = sizes.join(", ") + comma;
    let mut text = format!("{{'descr': '{code}', 'fortran_order': False, 'shape': ({sizes}), }}");
    let length = (BEFORE_TEXT + text.len() + 1).next_multiple_of(64) - BEFORE_TEXT;
    text.extend(iter::repeat_n(' ', length - 1 - text.len()));
    text.push('\n');
    // Shapes have few sizes: the text is far shorter than 64 KiB.
    let length = (length as u16).to_le_bytes();
    [b"\x93NUMPY\x01\0", &length[..], text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(code: &str, shape: &[usize]) -> String {
        let header = header(code, shape);
        assert_eq!(header.len() % 64, 0);
        let (before, text) = header.split_at(10);
        let length = text.len().to_le_bytes();
        assert_eq!(before, [b"\x93NUMPY\x01\0", &length[..2]].concat());
        assert_eq!(text.last(), Some(&b'\n'));
        String::from_utf8_lossy(text).trim_end().to_string()
    }

    #[test]
    fn a_header_is_a_python_dictionary_in_the_lengths_that_numpy_demands() {
        let start = |code| format!("{{'descr': '{code}', 'fortran_order': False, 'shape': ");
        assert_eq!(text("<f4", &[2, 3]), start("<f4") + "(2, 3), }");
        assert_eq!(text("<f8", &[7]), start("<f8") + "(7,), }");
        assert_eq!(text("<U5", &[]), start("<U5") + "(), }");
        // Long enough for a second block.
        text("<f2", &[1_000_000; 12]);
    }
}
