//! The number types that files hold: floats keep their precision, integers become f32.
//!
//! Shared by the formats; it knows none of them.

use half::{bf16, f16};

use super::strides::Strides;
use crate::error::Result;
use crate::numbers::Numbers;

/// Type of the elements of a tensor in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    F16,
    Bf16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
}

/// The order of the bytes of one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    Little,
    Big,
}

impl Element {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Element::I8 | Element::U8 => 1,
            Element::F16 | Element::Bf16 | Element::I16 | Element::U16 => 2,
            Element::F32 | Element::I32 | Element::U32 => 4,
            Element::F64 | Element::I64 | Element::U64 => 8,
        }
    }

    pub fn is_float(self) -> bool {
        use Element::{Bf16, F16, F32, F64};
        matches!(self, F16 | Bf16 | F32 | F64)
    }

    /// Decodes about `count` elements. Their bytes come in blocks, which `feed` hands to the function
    /// that it is given; an incomplete element at the end of a block is left out.
    ///
    /// # Errors
    /// That of `feed`.
    pub fn decode(self, order: ByteOrder, count: usize, feed: impl Feed) -> Result<Numbers> {
        self.collect(Blocks {
            order,
            count,
            strides: None,
            feed,
        })
    }

    /// As [`decode`](Self::decode), for elements that lie as `strides` say, into C order; those that
    /// are not fed are 0.
    ///
    /// # Errors
    /// That of `feed`.
    pub fn decode_strided(
        self,
        order: ByteOrder,
        strides: &Strides,
        feed: impl Feed,
    ) -> Result<Numbers> {
        self.collect(Blocks {
            order,
            count: strides.count(),
            strides: Some(strides).filter(|strides| !strides.is_plain()),
            feed,
        })
    }

    /// Whether elements in this order are bytes as the processor has them, so that
    /// [`read`](Self::read) is for them: most of what models are made of.
    pub fn is_as_in_memory(self, order: ByteOrder) -> bool {
        self == Element::F32 && order == ByteOrder::Little && cfg!(target_endian = "little")
    }

    /// Reads `count` elements that [are as in memory](Self::is_as_in_memory): `fill` writes their
    /// bytes where they stay. Faster than [`decode`](Self::decode) by a copy.
    ///
    /// # Errors
    /// That of `fill`.
    pub fn read(count: usize, fill: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<Numbers> {
        let mut values = vec![0.0f32; count];
        fill(bytemuck::cast_slice_mut(&mut values))?;
        Ok(Numbers::F32(values))
    }

    fn collect(self, from: Blocks<impl Feed>) -> Result<Numbers> {
        match self {
            Element::F16 => from.collect(f16::from_le_bytes).map(Numbers::F16),
            Element::Bf16 => from.collect(bf16::from_le_bytes).map(Numbers::Bf16),
            Element::F32 => from.collect(f32::from_le_bytes).map(Numbers::F32),
            Element::F64 => from.collect(f64::from_le_bytes).map(Numbers::F64),
            Element::I8 => from.rounded(|b| f32::from(i8::from_le_bytes(b))),
            Element::I16 => from.rounded(|b| i16::from_le_bytes(b).into()),
            Element::I32 => from.rounded(|b| i32::from_le_bytes(b) as f32),
            Element::I64 => from.rounded(|b| i64::from_le_bytes(b) as f32),
            Element::U8 => from.rounded(|[b]| b.into()),
            Element::U16 => from.rounded(|b| u16::from_le_bytes(b).into()),
            Element::U32 => from.rounded(|b| u32::from_le_bytes(b) as f32),
            Element::U64 => from.rounded(|b| u64::from_le_bytes(b) as f32),
        }
    }
}

/// Hands blocks of bytes, one after another, to the function that it is given.
pub trait Feed: FnOnce(&mut dyn FnMut(&[u8])) -> Result<()> {}

impl<F: FnOnce(&mut dyn FnMut(&[u8])) -> Result<()>> Feed for F {}

struct Blocks<'a, F> {
    order: ByteOrder,
    count: usize,
    /// `None`: side by side.
    strides: Option<&'a Strides>,
    feed: F,
}

impl<F: Feed> Blocks<'_, F> {
    fn collect<T: Copy + Default, const SIZE: usize>(
        self,
        one: impl Fn([u8; SIZE]) -> T,
    ) -> Result<Vec<T>> {
        let order = self.order;
        let one = |mut bytes: [u8; SIZE]| {
            if order == ByteOrder::Big {
                bytes.reverse();
            }
            one(bytes)
        };
        let Some(strides) = self.strides else {
            let mut values = Vec::with_capacity(self.count);
            (self.feed)(&mut |block| {
                let (elements, _) = block.as_chunks::<SIZE>();
                values.extend(elements.iter().map(|&bytes| one(bytes)));
            })?;
            return Ok(values);
        };
        let mut values = vec![T::default(); self.count];
        let mut places = strides.places().peekable();
        let mut start = 0;
        (self.feed)(&mut |block| {
            let (elements, _) = block.as_chunks::<SIZE>();
            let end = start + elements.len();
            while let Some((from, to)) = places.next_if(|place| place.0 < end) {
                values[to] = one(elements[from - start]);
            }
            start = end;
        })?;
        Ok(values)
    }

    fn rounded<const SIZE: usize>(self, one: impl Fn([u8; SIZE]) -> f32) -> Result<Numbers> {
        self.collect(one).map(Numbers::F32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(element: Element, order: ByteOrder, bytes: &[u8]) -> Vec<f64> {
        let numbers = element.decode(order, 1, |take: &mut dyn FnMut(&[u8])| {
            take(bytes);
            Ok(())
        });
        numbers.map_or(Vec::new(), |numbers| numbers.to_f64())
    }

    #[test]
    fn every_type_decodes_in_both_byte_orders() {
        // -2 in each type, little-endian.
        let minus_two: [(Element, &[u8]); 8] = [
            (Element::F16, &[0x00, 0xc0]),
            (Element::Bf16, &[0x00, 0xc0]),
            (Element::F32, &[0, 0, 0, 0xc0]),
            (Element::F64, &[0, 0, 0, 0, 0, 0, 0, 0xc0]),
            (Element::I8, &[0xfe]),
            (Element::I16, &[0xfe, 0xff]),
            (Element::I32, &[0xfe, 0xff, 0xff, 0xff]),
            (
                Element::I64,
                &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            ),
        ];
        for (element, bytes) in minus_two {
            assert_eq!(bytes.len(), element.size());
            assert_eq!(
                decoded(element, ByteOrder::Little, bytes),
                [-2.0],
                "{element:?}"
            );
            let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
            assert_eq!(
                decoded(element, ByteOrder::Big, &reversed),
                [-2.0],
                "{element:?}"
            );
        }
        for element in [Element::U8, Element::U16, Element::U32, Element::U64] {
            let mut bytes = vec![0; element.size()];
            bytes[0] = 200;
            assert_eq!(
                decoded(element, ByteOrder::Little, &bytes),
                [200.0],
                "{element:?}"
            );
        }
    }

    #[test]
    fn an_incomplete_element_is_left_out() {
        assert_eq!(decoded(Element::U16, ByteOrder::Big, &[1, 0, 9]), [256.0]);
    }
}
