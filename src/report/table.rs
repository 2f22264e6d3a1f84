//! One kind of table for every verb, in four formats: for people (terminal, Markdown) with rounded,
//! grouped numbers, and for programs (CSV, JSON) with every digit.

use std::str::FromStr;

use comfy_table::{CellAlignment, LineStyle, TableStyle};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::cell::Cell;
use crate::error::Error;

/// Rules above, below and under the headers; no bars.
const RULES: TableStyle = TableStyle::new()
    .top_border(LineStyle::none().fill('─').junction('─'))
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .bottom_border(LineStyle::none().fill('─').junction('─'));

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Aligned with rules, for the terminal. Written `table`.
    Terminal,
    Csv,
    Markdown,
    Json,
}

/// Headers and rows. A row has at most as many cells as there are headers.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    headers: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Format {
    /// The words for the formats on the command line.
    pub const NAMES: [&str; 4] = ["table", "csv", "markdown", "json"];
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "table" => Ok(Format::Terminal),
            "csv" => Ok(Format::Csv),
            "markdown" => Ok(Format::Markdown),
            "json" => Ok(Format::Json),
            _ => Err(Error::new(format!("there is no format `{name}`"))
                .help(format!("choose one of {}", Self::NAMES.join(", ")))),
        }
    }
}

impl Table {
    pub fn new<T: Into<String>>(headers: impl IntoIterator<Item = T>) -> Self {
        Self {
            headers: headers.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Whether there is a column of this name.
    pub fn has(&self, header: &str) -> bool {
        self.headers.iter().any(|other| other == header)
    }

    /// The table with one row more. A shorter row is filled up with missing cells; cells beyond
    /// the last header are dropped.
    pub fn row<T: Into<Cell>>(mut self, cells: impl IntoIterator<Item = T>) -> Self {
        self.push(cells);
        self
    }

    /// As [`row`](Self::row), in place.
    pub fn push<T: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let mut row: Vec<Cell> = cells.into_iter().map(Into::into).collect();
        debug_assert!(row.len() <= self.headers.len(), "a cell without a header");
        row.resize(self.headers.len(), Cell::Missing);
        self.rows.push(row);
    }

    /// The table as text that ends with a line feed. JSON is a list of objects.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Terminal => self.terminal(),
            Format::Csv => self.csv(),
            Format::Markdown => self.markdown(),
            Format::Json => json(self),
        }
    }

    fn terminal(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(RULES);
        table.set_header(&self.headers);
        for row in &self.rows {
            table.add_row(row.iter().map(Cell::for_people));
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 1));
            if self.is_to_the_right(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let lines = table.lines();
        lines
            .map(|line| line.trim_end().to_owned() + "\n")
            .collect()
    }

    fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let rule = |index| {
            if self.is_to_the_right(index) {
                "---:"
            } else {
                "---"
            }
        };
        let mut text = line(self.headers.iter().map(|header| escaped(header)).collect());
        text += &line(
            (0..self.headers.len())
                .map(|index| rule(index).to_owned())
                .collect(),
        );
        for row in &self.rows {
            text += &line(row.iter().map(|cell| escaped(&cell.for_people())).collect());
        }
        text
    }

    fn csv(&self) -> String {
        let quoted = |cells: Vec<String>| {
            let fields: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
            fields.join(",") + "\n"
        };
        let rows = self.rows.iter();
        let rows = rows.map(|row| quoted(row.iter().map(Cell::for_programs).collect()));
        quoted(self.headers.clone()) + &rows.collect::<String>()
    }

    /// Whether nothing in this column is plain text.
    fn is_to_the_right(&self, index: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(index));
        !self.rows.is_empty() && cells.all(Cell::is_to_the_right)
    }
}

/// A list of objects, their keys in the order of the headers.
impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.rows.iter().map(|row| Object {
            headers: &self.headers,
            row,
        }))
    }
}

struct Object<'a> {
    headers: &'a [String],
    row: &'a [Cell],
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.headers.len()))?;
        for (header, cell) in self.headers.iter().zip(self.row) {
            map.serialize_entry(header, cell)?;
        }
        map.end()
    }
}

/// Pretty JSON that ends with a line feed. What it is given has text for keys, so it cannot fail.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// A bar would end the Markdown cell, a line feed the row.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// A CSV field, in quotes where RFC 4180 asks for them.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let cells = |name: &str, parameters: Option<u64>, rate| {
            let figure = Cell::Figure("64 × 64".to_owned());
            [name.into(), parameters.into(), Cell::real(rate, 3), figure]
        };
        Table::new(["layer", "parameters", "rate", "output"])
            .row(cells("conv1_1", Some(1728), 1e-6))
            .row(cells("fc6, \"new\" | odd", Some(102_760_448), 0.001))
            .row(cells("pool1", None, 0.0))
    }

    #[test]
    fn people_see_grouped_aligned_numbers_on_the_terminal() {
        let rule = "─".repeat(47);
        assert_eq!(
            table().render(Format::Terminal),
            format!(
                "\
{rule}
layer              parameters    rate   output
{rule}
conv1_1                 1,728  1.0e-6  64 × 64
fc6, \"new\" | odd  102,760,448   0.001  64 × 64
pool1                       –   0.000  64 × 64
{rule}
"
            )
        );
    }

    #[test]
    fn markdown_aligns_and_escapes() {
        assert_eq!(
            table().render(Format::Markdown),
            r#"| layer | parameters | rate | output |
| --- | ---: | ---: | ---: |
| conv1_1 | 1,728 | 1.0e-6 | 64 × 64 |
| fc6, "new" \| odd | 102,760,448 | 0.001 | 64 × 64 |
| pool1 | – | 0.000 | 64 × 64 |
"#
        );
    }

    #[test]
    fn programs_see_plain_numbers_in_csv() {
        assert_eq!(
            table().render(Format::Csv),
            r#"layer,parameters,rate,output
conv1_1,1728,1e-6,64 × 64
"fc6, ""new"" | odd",102760448,0.001,64 × 64
pool1,,0.0,64 × 64
"#
        );
    }

    #[test]
    fn json_keeps_the_order_of_the_headers_and_the_types() {
        assert_eq!(
            table().render(Format::Json),
            r#"[
  {
    "layer": "conv1_1",
    "parameters": 1728,
    "rate": 1e-6,
    "output": "64 × 64"
  },
  {
    "layer": "fc6, \"new\" | odd",
    "parameters": 102760448,
    "rate": 0.001,
    "output": "64 × 64"
  },
  {
    "layer": "pool1",
    "parameters": null,
    "rate": 0.0,
    "output": "64 × 64"
  }
]
"#
        );
    }

    #[test]
    fn a_table_without_rows_still_has_its_headers() {
        let empty = Table::new(["layer"]);
        assert_eq!(empty.render(Format::Csv), "layer\n");
        assert_eq!(empty.render(Format::Json), "[]\n");
        assert_eq!(empty.render(Format::Markdown), "| layer |\n| --- |\n");
        assert!(empty.render(Format::Terminal).contains("layer"));
    }

    #[test]
    fn a_short_row_is_filled_up() {
        let short = Table::new(["a", "b"]).row(["1"]);
        assert_eq!(short.render(Format::Csv), "a,b\n1,\n");
    }

    #[test]
    fn an_unknown_format_names_the_known_ones() {
        assert_eq!("markdown".parse(), Ok(Format::Markdown));
        let error = "html".parse::<Format>().unwrap_err().to_string();
        assert!(error.contains("table, csv, markdown, json"), "{error}");
    }
}
