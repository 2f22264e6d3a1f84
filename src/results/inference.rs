//! `inference.txt`: a line a test sample as the course's script prints it,
//! `[0.5351367592811584, 0.46486321091651917], 0`: the confidences in class order, the label.
//!
//! neon's outputs are 32-bit; Python converts them to 64 bits and prints the shortest digits that
//! give those 64 bits back. So does this, digit for digit.

use super::rows::OutputRow;

/// All lines, each ended by a line feed.
pub fn to_text(rows: &[OutputRow]) -> String {
    rows.iter()
        .map(|row| line(&row.confidences, row.label) + "\n")
        .collect()
}

/// One line without its end.
fn line(confidences: &[f64], label: usize) -> String {
    let numbers: Vec<String> = confidences
        .iter()
        .map(|&confidence| python_repr(confidence))
        .collect();
    format!("[{}], {label}", numbers.join(", "))
}

/// `repr(value)` of Python 2.7 and later: the shortest digits, positional for decimal exponents
/// from -4 to 15, otherwise scientific with at least two digits of exponent.
fn python_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific; // inf, -inf
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let positional = value.to_string();
        let fraction = if positional.contains('.') { "" } else { ".0" };
        return positional + fraction;
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_of_neon_are_written_as_its_script_wrote_them() {
        // Outputs and lines of neon 2.6.0 for a small network.
        let of_neon = [
            (
                [0x3f5aec50, 0x3e144ebd],
                0,
                "[0.855168342590332, 0.1448316127061844], 0",
            ),
            (
                [0x3f49add3, 0x3e5948b1],
                1,
                "[0.7878085970878601, 0.2121913582086563], 1",
            ),
            (
                [0x3f7ffa9e, 0x38ac23b7],
                0,
                "[0.9999178647994995, 8.208251529140398e-05], 0",
            ),
            (
                [0x3eca7e9c, 0x3f1ac0b2],
                0,
                "[0.39549720287323, 0.60450279712677], 0",
            ),
        ];
        for (bits, label, expected) in of_neon {
            assert_eq!(
                line(&bits.map(|bits| f64::from(f32::from_bits(bits))), label),
                expected
            );
        }
    }

    #[test]
    fn numbers_at_the_edges_are_written_as_python_writes_them() {
        let python = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e-123, "1.5e-123"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (value, expected) in python {
            assert_eq!(python_repr(value), expected);
        }
    }

    #[test]
    fn a_file_has_a_line_a_sample_and_as_many_numbers_as_classes() {
        let row = |index, confidences| OutputRow {
            index,
            label: 2,
            predicted: 0,
            confidences,
        };
        let rows = [row(0, vec![0.5, 0.25, 0.25]), row(1, vec![1.0, 0.0, 0.0])];
        assert_eq!(to_text(&rows), "[0.5, 0.25, 0.25], 2\n[1.0, 0.0, 0.0], 2\n");
    }
}
