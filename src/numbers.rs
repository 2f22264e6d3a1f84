//! Values of tensors on the host, in the precision in which they are computed and stored.
//!
//! What flows between files ([`crate::source`]) and devices ([`crate::model`]): neither has to
//! round what the other holds. It knows no devices, and of
//! shapes only what permuting axes takes.

use std::borrow::Cow;
use std::fmt;

use half::{bf16, f16};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Precision of floating-point numbers: the `dtype` of an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    #[default]
    F32,
    F64,
    F16,
    Bf16,
}

impl Dtype {
    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Dtype::F16 | Dtype::Bf16 => 2,
            Dtype::F32 => 4,
            Dtype::F64 => 8,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dtype::F32 => "f32",
            Dtype::F64 => "f64",
            Dtype::F16 => "f16",
            Dtype::Bf16 => "bf16",
        })
    }
}

/// Values of one tensor in C order.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    F32(Vec<f32>),
    F64(Vec<f64>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
}

/// The same expression for whichever precision the numbers have.
macro_rules! each {
    ($numbers:expr, $values:ident => $result:expr) => {
        match $numbers {
            Numbers::F32($values) => $result,
            Numbers::F64($values) => $result,
            Numbers::F16($values) => $result,
            Numbers::Bf16($values) => $result,
        }
    };
}

impl Numbers {
    /// These values, rounded to `dtype`.
    pub fn new(dtype: Dtype, values: impl IntoIterator<Item = f64>) -> Self {
        let values = values.into_iter();
        match dtype {
            Dtype::F32 => Numbers::F32(values.map(|value| value as f32).collect()),
            Dtype::F64 => Numbers::F64(values.collect()),
            Dtype::F16 => Numbers::F16(values.map(f16::from_f64).collect()),
            Dtype::Bf16 => Numbers::Bf16(values.map(bf16::from_f64).collect()),
        }
    }

    /// Decodes little-endian bytes; an incomplete number at the end is left out.
    pub fn from_le_bytes(dtype: Dtype, bytes: &[u8]) -> Self {
        Self::from_le_parts(dtype, [bytes])
    }

    /// Decodes parts of whole numbers, one after another.
    pub fn from_le_parts<'a>(dtype: Dtype, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        match dtype {
            Dtype::F32 => Numbers::F32(decode(parts, f32::from_le_bytes)),
            Dtype::F64 => Numbers::F64(decode(parts, f64::from_le_bytes)),
            Dtype::F16 => Numbers::F16(decode(parts, f16::from_le_bytes)),
            Dtype::Bf16 => Numbers::Bf16(decode(parts, bf16::from_le_bytes)),
        }
    }

    /// All values, one after another, in the precision of the first; they are of one precision.
    pub fn concatenated(parts: Vec<Numbers>) -> Self {
        let mut parts = parts.into_iter();
        let mut all = parts.next().unwrap_or_default();
        let dtype = all.dtype();
        for part in parts {
            match (&mut all, part.to(dtype)) {
                (Numbers::F32(all), Numbers::F32(part)) => all.extend(part),
                (Numbers::F64(all), Numbers::F64(part)) => all.extend(part),
                (Numbers::F16(all), Numbers::F16(part)) => all.extend(part),
                (Numbers::Bf16(all), Numbers::Bf16(part)) => all.extend(part),
                _ => unreachable!("`to` gives the precision that is asked for"),
            }
        }
        all
    }

    pub fn len(&self) -> usize {
        each!(self, values => values.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn dtype(&self) -> Dtype {
        match self {
            Numbers::F32(_) => Dtype::F32,
            Numbers::F64(_) => Dtype::F64,
            Numbers::F16(_) => Dtype::F16,
            Numbers::Bf16(_) => Dtype::Bf16,
        }
    }

    /// Whether no value is infinite or not a number.
    pub fn is_finite(&self) -> bool {
        // By blocks, whose loop has no exit: several values at a time.
        each!(self, values => values.chunks(1 << 10).all(|block| {
            block.iter().fold(true, |all, value| all & value.is_finite())
        }))
    }

    /// The same values, rounded where `dtype` is narrower.
    pub fn to(self, dtype: Dtype) -> Self {
        match self.dtype() == dtype {
            true => self,
            false => Numbers::new(dtype, self.to_f64()),
        }
    }

    /// The values, none of which f64 rounds.
    pub fn to_f64(&self) -> Vec<f64> {
        match self {
            Numbers::F32(values) => values.iter().map(|&value| value.into()).collect(),
            Numbers::F64(values) => values.clone(),
            Numbers::F16(values) => values.iter().map(|&value| value.into()).collect(),
            Numbers::Bf16(values) => values.iter().map(|&value| value.into()).collect(),
        }
    }

    /// All values, little-endian: as they lie in memory, where the processor has them so.
    pub fn le_bytes(&self) -> Cow<'_, [u8]> {
        each!(self, values => match cfg!(target_endian = "little") {
            true => Cow::Borrowed(bytemuck::cast_slice(values)),
            false => Cow::Owned(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        })
    }

    /// SHA-256 of [`le_bytes`](Self::le_bytes).
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.le_bytes()).into()
    }

    /// These values, of an array of such `sizes`, with its axes put in this `order`: axis `order[0]`
    /// comes first.
    ///
    /// # Panics
    /// There are fewer values, or `order` does not name each axis once.
    pub fn permuted(&self, sizes: [usize; 4], order: [usize; 4]) -> Self {
        match self {
            Numbers::F32(values) => Numbers::F32(permuted(values, sizes, order)),
            Numbers::F64(values) => Numbers::F64(permuted(values, sizes, order)),
            Numbers::F16(values) => Numbers::F16(permuted(values, sizes, order)),
            Numbers::Bf16(values) => Numbers::Bf16(permuted(values, sizes, order)),
        }
    }

    /// The values at `places`, in their order.
    ///
    /// # Panics
    /// A place at or behind [`len`](Self::len).
    pub fn gather(&self, places: impl Iterator<Item = usize>) -> Self {
        match self {
            Numbers::F32(values) => Numbers::F32(places.map(|place| values[place]).collect()),
            Numbers::F64(values) => Numbers::F64(places.map(|place| values[place]).collect()),
            Numbers::F16(values) => Numbers::F16(places.map(|place| values[place]).collect()),
            Numbers::Bf16(values) => Numbers::Bf16(places.map(|place| values[place]).collect()),
        }
    }
}

/// The values of an array of these `sizes` with its axes put in this `order`, in C order.
fn permuted<T: Copy + Default>(values: &[T], sizes: [usize; 4], order: [usize; 4]) -> Vec<T> {
    /// Values of the last axis that are moved together: a line of the cache. Those one behind another
    /// may end up far apart, and each of them alone would fetch a line.
    const BLOCK: usize = 16;
    let mut stride = 1;
    let mut strides = [1; 4];
    for axis in order.into_iter().rev() {
        strides[axis] = stride;
        stride *= sizes[axis];
    }
    // All axes but the last, those first that come first.
    let [a, b, c] = {
        let mut outer = order.into_iter().filter(|&axis| axis < 3);
        std::array::from_fn(|_| outer.next().unwrap_or_default())
    };
    let [_, rest @ ..] = sizes;
    let froms: [usize; 3] = std::array::from_fn(|axis| rest[axis..].iter().product());
    let last = sizes[3];
    let mut all = vec![T::default(); values.len()];
    for block in (0..last).step_by(BLOCK) {
        let count = BLOCK.min(last - block);
        for i in 0..sizes[a] {
            for j in 0..sizes[b] {
                for k in 0..sizes[c] {
                    let at = |strides: &[usize]| i * strides[a] + j * strides[b] + k * strides[c];
                    let from = &values[at(&froms) + block..][..count];
                    let to = all[at(&strides) + block * strides[3]..].iter_mut();
                    let to = to.step_by(strides[3]);
                    to.zip(from).for_each(|(to, &from)| *to = from);
                }
            }
        }
    }
    all
}

/// No values.
impl Default for Numbers {
    fn default() -> Self {
        Numbers::F32(Vec::new())
    }
}

impl From<Vec<f32>> for Numbers {
    fn from(values: Vec<f32>) -> Self {
        Numbers::F32(values)
    }
}

fn decode<'a, T, const SIZE: usize>(
    parts: impl IntoIterator<Item = &'a [u8]>,
    one: impl Fn([u8; SIZE]) -> T,
) -> Vec<T> {
    let mut values = Vec::new();
    let mut parts = parts.into_iter().peekable();
    // Parts are mostly of one length.
    let length = parts.peek().map_or(0, |part| part.len());
    values.reserve(parts.size_hint().0 * length / SIZE);
    for part in parts {
        let (numbers, _) = part.as_chunks::<SIZE>();
        values.extend(numbers.iter().map(|&bytes| one(bytes)));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permuted_axes_are_where_their_indices_say_in_any_order() {
        let sizes = [2, 3, 4, 19];
        let numbers = Numbers::F32((0..2 * 3 * 4 * 19).map(|value| value as f32).collect());
        for order in [
            [0, 1, 2, 3],
            [3, 2, 0, 1],
            [2, 3, 0, 1],
            [0, 1, 3, 2],
            [1, 3, 2, 0],
        ] {
            let mut expected = Vec::new();
            let [a, b, c, d] = order.map(|axis| sizes[axis]);
            for place in 0..a * b * c * d {
                let moved = [
                    place / (b * c * d),
                    place / (c * d) % b,
                    place / d % c,
                    place % d,
                ];
                let mut index = [0; 4];
                order
                    .iter()
                    .zip(moved)
                    .for_each(|(&axis, at)| index[axis] = at);
                let [i, j, k, l] = index;
                expected.push((((i * 3 + j) * 4 + k) * 19 + l) as f32);
            }
            assert_eq!(
                numbers.permuted(sizes, order),
                Numbers::F32(expected),
                "{order:?}"
            );
        }
        let none = Numbers::F32(Vec::new());
        assert_eq!(none.permuted([2, 0, 3, 4], [3, 2, 1, 0]), none);
    }

    const DTYPES: [Dtype; 4] = [Dtype::F32, Dtype::F64, Dtype::F16, Dtype::Bf16];

    #[test]
    fn bytes_of_every_precision_come_back() {
        for dtype in DTYPES {
            let numbers = Numbers::new(dtype, (0..40_000).map(|n| f64::from(n % 7) - 3.0));
            let bytes = numbers.le_bytes();
            assert_eq!(bytes.len(), 40_000 * dtype.size());
            assert_eq!(Numbers::from_le_bytes(dtype, &bytes), numbers);
            assert_eq!(numbers.dtype(), dtype);
        }
    }

    #[test]
    fn only_a_narrower_precision_rounds() {
        let third = 1.0 / 3.0;
        let numbers = Numbers::new(Dtype::F64, [third]);
        assert_eq!(numbers.clone().to(Dtype::F64).to_f64(), [third]);
        let rounded = numbers.to(Dtype::F32);
        assert_eq!(rounded.to_f64(), [f64::from(third as f32)]);
        assert_eq!(rounded.clone().to(Dtype::F64).to(Dtype::F32), rounded);
    }

    #[test]
    fn values_are_gathered_in_any_order() {
        let numbers = Numbers::from(vec![1.0, 2.0, 3.0]);
        let gathered = numbers.gather([2, 0, 2].into_iter());
        assert_eq!(gathered, Numbers::from(vec![3.0, 1.0, 3.0]));
    }
}
