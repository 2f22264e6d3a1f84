//! One value of a table: rounded and grouped for people, with every digit for programs.

use serde::{Serialize, Serializer};

/// One value of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Text(String),
    /// Text that stands to the right like a number: `0.852 ± 0.011`.
    Figure(String),
    /// People see it in groups of three digits.
    Count(u64),
    /// People see it rounded to this number of decimals, or as `1.2e-7` where that would show
    /// only zeros.
    Real {
        value: f64,
        decimals: usize,
    },
    /// People see a dash, programs nothing.
    Missing,
}

impl Cell {
    /// A number that people see with this number of decimals.
    pub fn real(value: f64, decimals: usize) -> Self {
        Cell::Real { value, decimals }
    }

    /// What stands for it in a table for people.
    pub(super) fn for_people(&self) -> String {
        match self {
            Cell::Text(text) | Cell::Figure(text) => text.clone(),
            Cell::Count(count) => grouped(*count),
            Cell::Real { value, decimals } => rounded(*value, *decimals),
            Cell::Missing => "–".to_owned(),
        }
    }

    /// What stands for it in CSV.
    pub(super) fn for_programs(&self) -> String {
        match self {
            Cell::Text(text) | Cell::Figure(text) => text.clone(),
            Cell::Count(count) => count.to_string(),
            Cell::Real { value, .. } => format!("{value:?}"),
            Cell::Missing => String::new(),
        }
    }

    /// Whether it is aligned as numbers are.
    pub(super) fn is_to_the_right(&self) -> bool {
        !matches!(self, Cell::Text(_))
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::Text(text)
    }
}

impl From<u64> for Cell {
    fn from(count: u64) -> Self {
        Cell::Count(count)
    }
}

impl From<usize> for Cell {
    fn from(count: usize) -> Self {
        Cell::Count(count as u64)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Missing, Into::into)
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::Text(text) | Cell::Figure(text) => serializer.serialize_str(text),
            Cell::Count(count) => serializer.serialize_u64(*count),
            // JSON has no NaN and no infinity: serde_json writes null.
            Cell::Real { value, .. } => serializer.serialize_f64(*value),
            Cell::Missing => serializer.serialize_none(),
        }
    }
}

/// `1,234,567`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `0.852`; `1.2e-7` where the decimals would be zeros although the value is not.
fn rounded(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let vanished = value != 0.0 && text.parse() == Ok(0.0);
    if vanished {
        format!("{value:.1e}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        let counts = [0, 999, 1000, 138_357_544].map(grouped);
        assert_eq!(counts, ["0", "999", "1,000", "138,357,544"]);
    }

    #[test]
    fn a_small_number_is_not_rounded_to_nothing() {
        assert_eq!(rounded(0.0000012, 4), "1.2e-6");
        assert_eq!(rounded(0.0, 2), "0.00");
        assert_eq!(rounded(f64::NAN, 2), "NaN");
    }
}
