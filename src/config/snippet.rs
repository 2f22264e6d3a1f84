//! Points at a place in a file: the offending line with a caret below it.
//!
//! It knows text and byte ranges, neither TOML nor keys. Without colour: messages also go to logs.

use std::ops::Range;
use std::path::Path;

use crate::error::Error;

/// A place in a text file.
#[derive(Debug)]
pub struct Snippet<'a> {
    path: &'a Path,
    line: &'a str,
    /// Counted from 1.
    line_number: usize,
    /// Characters before the place.
    before: usize,
    /// Characters of the place that are on the line, at least 1.
    width: usize,
}

impl<'a> Snippet<'a> {
    /// The place at these bytes of `text`; of a longer place the part on its first line.
    pub fn new(path: &'a Path, text: &'a str, bytes: Range<usize>) -> Self {
        let start = text.floor_char_boundary(bytes.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let inside = |byte: usize| line.floor_char_boundary(byte.saturating_sub(line_start));
        let before = line[..inside(start)].chars().count();
        let until = line[..inside(bytes.end.max(start))].chars().count();
        Self {
            path,
            line,
            line_number: text[..line_start].matches('\n').count() + 1,
            before,
            width: until.saturating_sub(before).max(1),
        }
    }

    /// The error `file:line:column: problem`, followed by the line and the caret.
    pub fn error(&self, problem: impl Into<String>) -> Error {
        let number = self.line_number.to_string();
        let gutter = " ".repeat(number.len());
        // A tab would move the caret.
        let line = self.line.replace('\t', " ");
        let (before, caret) = (" ".repeat(self.before), "^".repeat(self.width));
        let problem = problem.into();
        let column = self.before + 1;
        Error::new(format!(
            "{problem}\n  {gutter} |\n  {number} | {line}\n  {gutter} | {before}{caret}"
        ))
        .at(format_args!("{}:{number}:{column}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, bytes: Range<usize>) -> String {
        Snippet::new(Path::new("a.toml"), text, bytes)
            .error("wrong")
            .to_string()
    }

    #[test]
    fn the_caret_stands_below_the_place() {
        let text = "seed = 1\nepochs = ten\n";
        assert_eq!(
            shown(text, 18..21),
            "a.toml:2:10: wrong\n    |\n  2 | epochs = ten\n    |          ^^^"
        );
    }

    #[test]
    fn columns_count_characters_and_not_bytes() {
        let text = "name = \"größer\" # x";
        assert!(shown(text, 7..17).ends_with("|        ^^^^^^^^"));
        assert!(shown(text, 18..19).starts_with("a.toml:1:17:"));
    }

    #[test]
    fn a_place_over_several_lines_is_shown_by_its_first() {
        assert!(shown("a = [\n  1,\n]\n", 4..12).ends_with("  1 | a = [\n    |     ^"));
    }

    #[test]
    fn a_place_behind_the_end_of_the_text_is_its_end() {
        assert!(shown("a = [", 90..95).starts_with("a.toml:1:6: wrong"));
        assert!(shown("", 0..0).starts_with("a.toml:1:1: wrong"));
    }
}
