//! How other tools lay out the values of a tensor, and the way from there to graft's layout.
//!
//! graft's is PyTorch's: convolutions (filters, channels, rows, columns), linear layers (outputs,
//! inputs) whose inputs, where they are maps, count (channel, row, column). This module looks at
//! shapes alone; it knows no names and no values.

use crate::numbers::Numbers;

/// Who wrote a tensor, as far as its layout goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// graft's own, PyTorch's and ONNX's.
    Plain,
    /// neon's: convolutions (channels · rows · columns, filters), vectors (values, 1).
    Neon,
    /// Keras' and TensorFlow's: convolutions (rows, columns, channels, filters), linear layers
    /// (inputs, outputs) whose inputs, where they are maps, count (row, column, channel).
    ChannelsLast,
    /// Their depthwise convolutions: (rows, columns, channels, filters a channel).
    DepthwiseLast,
    /// ONNX's products: (inputs, outputs), inputs counted as graft does.
    InputsFirst,
    /// A vector, (values) or (values, 1).
    Vector,
}

/// From the source's layout to the target's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    AsIs,
    /// (K, 1) to (K).
    Flatten,
    /// (C·R·S, K) to (K, C, R, S).
    Transpose,
    /// Seen as an array of these sizes, its axes are put in this order.
    Permute {
        words: &'static str,
        sizes: [usize; 4],
        order: [usize; 4],
    },
}

impl Conversion {
    /// For the receipt.
    pub fn words(self) -> &'static str {
        match self {
            Conversion::AsIs => "as is",
            Conversion::Flatten => "(K, 1) flattened to (K)",
            Conversion::Transpose => "(C*R*S, K) transposed to (K, C, R, S)",
            Conversion::Permute { words, .. } => words,
        }
    }

    /// Whether the values stay as they are.
    pub fn keeps_order(self) -> bool {
        matches!(self, Conversion::AsIs | Conversion::Flatten)
    }

    /// `values` of `shape`, in the target's layout.
    pub fn apply(self, values: Numbers, shape: &[usize]) -> Numbers {
        match (self, shape) {
            (Conversion::Transpose, &[rows, columns]) => {
                values.permuted([1, 1, rows, columns], [0, 1, 3, 2])
            }
            (Conversion::Permute { sizes, order, .. }, _) => values.permuted(sizes, order),
            _ => values,
        }
    }
}

impl Layout {
    /// The way from a tensor of shape `stored` to one of shape `target`; none if it does not fit.
    /// `maps` is the (channels, height, width) that a linear layer works on, if it does.
    pub fn conversion(
        self,
        stored: &[usize],
        target: &[usize],
        maps: Option<[usize; 3]>,
    ) -> Option<Conversion> {
        match self {
            Layout::Plain => plain(stored, target, maps),
            Layout::Neon => neon(stored, target),
            Layout::ChannelsLast => channels_last(stored, target, maps),
            Layout::DepthwiseLast => depthwise_last(stored, target),
            Layout::InputsFirst => inputs_first(stored, target),
            Layout::Vector => vector(stored, target),
        }
    }

    /// Whose layout it is and the shape that a tensor of shape `target` has in it, where that is
    /// another one.
    pub fn stores(self, target: &[usize]) -> Option<(&'static str, Vec<usize>)> {
        match (self, target) {
            (Layout::Neon, &[k, c, r, s]) => Some(("neon", vec![c * r * s, k])),
            (Layout::Neon, &[k]) => Some(("neon", vec![k, 1])),
            (Layout::ChannelsLast, &[k, c, r, s]) => Some(("Keras", vec![r, s, c, k])),
            (Layout::ChannelsLast, &[outputs, inputs]) => Some(("Keras", vec![inputs, outputs])),
            (Layout::DepthwiseLast, &[k, 1, r, s]) => Some(("Keras", vec![r, s, k, 1])),
            (Layout::InputsFirst, &[outputs, inputs]) => Some(("ONNX", vec![inputs, outputs])),
            _ => None,
        }
    }
}

fn plain(stored: &[usize], target: &[usize], maps: Option<[usize; 3]>) -> Option<Conversion> {
    let fits = match (stored, target) {
        _ if stored == target => true,
        // A product is a convolution by 1x1 filters, and one by filters as large as the maps.
        (&[k, c], &[filters, channels, 1, 1]) => [k, c] == [filters, channels],
        (&[k, c, 1, 1], &[outputs, inputs]) => [k, c] == [outputs, inputs],
        (&[k, c, r, s], &[outputs, _]) => k == outputs && maps == Some([c, r, s]),
        // Biases that are added to matrices and to maps.
        (&[1, values] | &[values, 1, 1], &[k]) => values == k,
        _ => false,
    };
    fits.then_some(Conversion::AsIs)
}

fn neon(stored: &[usize], target: &[usize]) -> Option<Conversion> {
    match (stored, target) {
        (&[values, filters], &[k, c, r, s]) => {
            ([values, filters] == [c * r * s, k]).then_some(Conversion::Transpose)
        }
        (&[values, 1], &[k]) => (values == k).then_some(Conversion::Flatten),
        (stored, &[_, _]) => (stored == target).then_some(Conversion::AsIs),
        _ => None,
    }
}

fn channels_last(
    stored: &[usize],
    target: &[usize],
    maps: Option<[usize; 3]>,
) -> Option<Conversion> {
    let permuted = |words, sizes, order| {
        Some(Conversion::Permute {
            words,
            sizes,
            order,
        })
    };
    let transposed = |inputs, outputs| {
        permuted(
            "(inputs, outputs) transposed",
            [1, 1, inputs, outputs],
            [0, 1, 3, 2],
        )
    };
    match (stored, target) {
        (&[r, s, c, k], &[filters, channels, rows, columns])
            if [k, c, r, s] == [filters, channels, rows, columns] =>
        {
            permuted(
                "(R, S, C, K) permuted to (K, C, R, S)",
                [r, s, c, k],
                [3, 2, 0, 1],
            )
        }
        (&[c, k], &[filters, channels, 1, 1]) if [k, c] == [filters, channels] => transposed(c, k),
        (&[1, 1, c, k], &[outputs, inputs]) if [k, c] == [outputs, inputs] => transposed(c, k),
        (stored, &[outputs, inputs]) => {
            let [channels, height, width] = maps.unwrap_or([inputs, 1, 1]);
            let fits = stored == [inputs, outputs] || stored == [height, width, channels, outputs];
            match fits {
                false => None,
                true if height * width == 1 => transposed(inputs, outputs),
                true => permuted(
                    "(H*W*C, outputs) permuted to (outputs, C*H*W)",
                    [height, width, channels, outputs],
                    [3, 2, 0, 1],
                ),
            }
        }
        (stored, target) => vector(stored, target),
    }
}

fn depthwise_last(stored: &[usize], target: &[usize]) -> Option<Conversion> {
    let (&[r, s, c, m], &[filters, 1, rows, columns]) = (stored, target) else {
        return None;
    };
    let fits = [r, s] == [rows, columns] && c.checked_mul(m) == Some(filters);
    fits.then_some(Conversion::Permute {
        words: "(R, S, C, M) permuted to (C*M, 1, R, S)",
        sizes: [r, s, c, m],
        order: [2, 3, 0, 1],
    })
}

fn inputs_first(stored: &[usize], target: &[usize]) -> Option<Conversion> {
    match (stored, target) {
        (&[inputs, outputs], &[k, c]) if [outputs, inputs] == [k, c] => Some(Conversion::Permute {
            words: "(inputs, outputs) transposed",
            sizes: [1, 1, inputs, outputs],
            order: [0, 1, 3, 2],
        }),
        (stored, target) => vector(stored, target),
    }
}

fn vector(stored: &[usize], target: &[usize]) -> Option<Conversion> {
    match (stored, target) {
        (&[values], &[k]) if values == k => Some(Conversion::AsIs),
        (&[values, 1], &[k]) if values == k => Some(Conversion::Flatten),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(count: usize) -> Numbers {
        (0..count)
            .map(|value| value as f32)
            .collect::<Vec<_>>()
            .into()
    }

    /// The value at each index of an array of shape `target`, by a formula of its own.
    fn expected(target: [usize; 4], place: impl Fn([usize; 4]) -> usize) -> Numbers {
        let mut values = Vec::new();
        for i in 0..target[0] {
            for j in 0..target[1] {
                for k in 0..target[2] {
                    for l in 0..target[3] {
                        values.push(place([i, j, k, l]) as f32);
                    }
                }
            }
        }
        values.into()
    }

    fn converted(
        layout: Layout,
        stored: &[usize],
        target: &[usize],
        maps: Option<[usize; 3]>,
    ) -> Option<Numbers> {
        let conversion = layout.conversion(stored, target, maps)?;
        Some(conversion.apply(counted(stored.iter().product()), stored))
    }

    #[test]
    fn filters_of_keras_are_turned_to_those_of_graft() {
        let found = converted(Layout::ChannelsLast, &[3, 2, 5, 4], &[4, 5, 3, 2], None);
        let place = |[k, c, r, s]: [usize; 4]| ((r * 2 + s) * 5 + c) * 4 + k;
        assert_eq!(found, Some(expected([4, 5, 3, 2], place)));
    }

    #[test]
    fn depthwise_filters_come_channel_by_channel() {
        let found = converted(Layout::DepthwiseLast, &[3, 3, 4, 2], &[8, 1, 3, 3], None);
        let place = |[n, _, r, s]: [usize; 4]| ((r * 3 + s) * 4 + n / 2) * 2 + n % 2;
        assert_eq!(found, Some(expected([8, 1, 3, 3], place)));
    }

    #[test]
    fn the_inputs_of_the_first_linear_layer_are_reordered_from_channels_last() {
        let maps = Some([3, 2, 4]);
        let found = converted(Layout::ChannelsLast, &[24, 5], &[5, 24], maps);
        let place = |[o, c, h, w]: [usize; 4]| ((h * 4 + w) * 3 + c) * 5 + o;
        assert_eq!(found, Some(expected([5, 3, 2, 4], place)));
        // Behind a global pooling there is nothing to reorder.
        let found = converted(Layout::ChannelsLast, &[24, 5], &[5, 24], None);
        let place = |[o, i, _, _]: [usize; 4]| i * 5 + o;
        assert_eq!(found, Some(expected([5, 24, 1, 1], place)));
        // A product of ONNX counts its inputs as graft does.
        let onnx = converted(Layout::InputsFirst, &[24, 5], &[5, 24], maps);
        assert_eq!(onnx, found);
    }

    #[test]
    fn filters_of_one_pixel_and_products_are_the_same_thing() {
        let plain = Layout::Plain;
        let last = Layout::ChannelsLast;
        assert!(plain.conversion(&[10, 64], &[10, 64, 1, 1], None).is_some());
        assert!(plain.conversion(&[10, 64, 1, 1], &[10, 64], None).is_some());
        let maps = Some([64, 7, 7]);
        assert!(
            plain
                .conversion(&[10, 64, 7, 7], &[10, 3136], maps)
                .is_some()
        );
        assert!(
            plain
                .conversion(&[10, 64, 7, 7], &[10, 3136], None)
                .is_none()
        );
        let found = converted(last, &[1, 1, 3, 2], &[2, 3], None);
        assert_eq!(found, Some(vec![0.0, 2.0, 4.0, 1.0, 3.0, 5.0].into()));
        assert_eq!(found, converted(last, &[3, 2], &[2, 3, 1, 1], None));
        for stored in [&[1, 5][..], &[5, 1, 1]] {
            assert!(plain.conversion(stored, &[5], None).is_some(), "{stored:?}");
        }
    }

    #[test]
    fn what_does_not_fit_has_no_conversion() {
        for layout in [
            Layout::Plain,
            Layout::Neon,
            Layout::ChannelsLast,
            Layout::DepthwiseLast,
            Layout::InputsFirst,
            Layout::Vector,
        ] {
            for (stored, target) in [
                (&[3, 3, 4, 8][..], &[9, 4, 3, 3][..]),
                (&[36, 7], &[8, 4, 3, 3]),
                (&[7], &[8]),
                (&[], &[8]),
                (&[7, 2], &[8, 2]),
                (&[usize::MAX, 2, usize::MAX, 3], &[8, 1, 3, 3]),
            ] {
                let found = layout.conversion(stored, target, None);
                assert_eq!(found, None, "{layout:?} {stored:?} {target:?}");
            }
        }
    }
}
