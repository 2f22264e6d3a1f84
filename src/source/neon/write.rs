//! Writing models as neon saves them.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::error::{At, Error, Result};
use crate::files::write_atomically_with;
use crate::model::spec::shape_text;
use crate::numbers::Dtype;
use crate::source::document::Tensor;
use crate::source::pickle::emit::{self, Array, Order};
use crate::source::pickle::value::Value;

/// Writes `description`, with `tensors` in their places and in neon's layouts, to `path`: a pickle
/// that neon 2.6 loads under Python 2 and 3.
///
/// # Errors
/// A tensor that is missing, of a precision that neon lacks, or too long for a pickle; whatever the
/// file system refuses. The file at `path`, if there was one, is then as before.
pub fn write(path: &Path, description: &Value, tensors: &[Tensor]) -> Result<()> {
    let mut arrays = HashMap::new();
    for tensor in tensors {
        let array = array(tensor).at(&tensor.name).at(path.display())?;
        arrays.insert(tensor.name.as_str(), array);
    }
    let mut seen = HashSet::new();
    for name in description.tensors() {
        if !arrays.contains_key(name) || !seen.insert(name) {
            return Err(Error::new(format!("there is not one tensor `{name}`"))
                .at(path.display())
                .help("the description of the layers does not belong to these tensors"));
        }
    }
    write_atomically_with(path, |file| emit::write(file, description, &arrays))
}

/// The tensor in neon's layout.
fn array(tensor: &Tensor) -> Result<Array<'_>> {
    let dtype = tensor.values.dtype();
    if !matches!(dtype, Dtype::F32 | Dtype::F64) {
        return Err(
            Error::new("its values have 16 bits; neon knows f32 and f64")
                .help("`graft convert --dtype f32` makes f32 of them, which loses nothing"),
        );
    }
    if tensor.values.len() * dtype.size() > emit::LONGEST {
        let shape = shape_text(&tensor.shape);
        return Err(Error::new(format!(
            "{shape} is more than the 2 GiB of a pickle's array"
        ))
        .help("keep this model as .safetensors"));
    }
    let graft = ["weight", "bias", "scale", "shift", "mean", "variance"];
    let (shape, order) = match tensor.shape.as_slice() {
        &[k, c, r, s] if graft.contains(&tensor.role()) => {
            let rows = c.checked_mul(r).and_then(|rows| rows.checked_mul(s));
            // Only a tensor of no values has such a shape.
            let rows = rows.ok_or_else(|| Error::new("its shape is too large"))?;
            (vec![rows, k], Order::Transposed)
        }
        &[values] if graft.contains(&tensor.role()) => (vec![values, 1], Order::Same),
        shape => (shape.to_vec(), Order::Same),
    };
    Ok(Array {
        shape,
        values: &tensor.values,
        order,
    })
}
