//! The number types that files hold, and their conversion to f32.
//!
//! Shared by the formats; it knows none of them.

use half::{bf16, f16};

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

    /// Appends the elements in `bytes`, rounded to f32, to `values`. An incomplete element at the
    /// end is left out.
    pub fn append(self, order: ByteOrder, bytes: &[u8], values: &mut Vec<f32>) {
        match self {
            Element::F16 => extend(values, order, bytes, |b| f16::from_le_bytes(b).to_f32()),
            Element::Bf16 => extend(values, order, bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Element::F32 => extend(values, order, bytes, f32::from_le_bytes),
            Element::F64 => extend(values, order, bytes, |b| f64::from_le_bytes(b) as f32),
            Element::I8 => extend(values, order, bytes, |b| f32::from(i8::from_le_bytes(b))),
            Element::I16 => extend(values, order, bytes, |b| i16::from_le_bytes(b).into()),
            Element::I32 => extend(values, order, bytes, |b| i32::from_le_bytes(b) as f32),
            Element::I64 => extend(values, order, bytes, |b| i64::from_le_bytes(b) as f32),
            Element::U8 => extend(values, order, bytes, |[b]| b.into()),
            Element::U16 => extend(values, order, bytes, |b| u16::from_le_bytes(b).into()),
            Element::U32 => extend(values, order, bytes, |b| u32::from_le_bytes(b) as f32),
            Element::U64 => extend(values, order, bytes, |b| u64::from_le_bytes(b) as f32),
        }
    }
}

fn extend<const SIZE: usize>(
    values: &mut Vec<f32>,
    order: ByteOrder,
    bytes: &[u8],
    decode: impl Fn([u8; SIZE]) -> f32,
) {
    let (elements, _) = bytes.as_chunks::<SIZE>();
    match order {
        ByteOrder::Little => values.extend(elements.iter().map(|&bytes| decode(bytes))),
        ByteOrder::Big => values.extend(elements.iter().map(|&(mut bytes)| {
            bytes.reverse();
            decode(bytes)
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(element: Element, order: ByteOrder, bytes: &[u8]) -> Vec<f32> {
        let mut values = Vec::new();
        element.append(order, bytes, &mut values);
        values
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
