//! Resolves `[source]`: what is expected of the source model, and what its layers are called here.

use std::collections::BTreeMap;

use super::checks::{Checks, Range};
use crate::config::experiment::Source;
use crate::config::file::SourceTable;

const SHARE: Range = ("between 0 and 1", |x| (0.0..=1.0).contains(&x));

/// `has_source`: whether there is a source model at all.
pub fn source(checks: &mut Checks, table: SourceTable, has_source: bool) -> Source {
    let expects = |key: &str| match key {
        "require" => table.require.iter().flatten().next().is_some(),
        "coverage" => table.coverage.is_some_and(|share| share > 0.0),
        _ => table.rename.iter().flatten().next().is_some(),
    };
    for key in ["require", "coverage", "rename"] {
        if !has_source && expects(key) {
            let problem =
                format!("`source.{key}` without a `source_model`: nothing will be imported");
            let help = format!("give a `source_model`, or remove `{key}`");
            checks.refuse(&format!("source.{key}"), problem, help);
        }
    }
    Source {
        require: table.require.unwrap_or_default(),
        coverage: checks.number(SHARE, "source.coverage", table.coverage, 0.0),
        rename: rename(checks, table.rename.unwrap_or_default()),
    }
}

/// A `*` of the new name stands for what one of the pattern stood for; there is no other wildcard.
fn rename(checks: &mut Checks, rename: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let stars = |text: &str| text.matches('*').count();
    for (pattern, new) in &rename {
        let problem = if pattern.is_empty() || new.is_empty() {
            "a name in `source.rename` is empty".to_owned()
        } else if pattern.contains('?') || new.contains('?') {
            format!("`source.rename` knows no `?`, as in \"{pattern}\" = \"{new}\"")
        } else if stars(new) > stars(pattern) {
            format!("\"{new}\" has more `*` than \"{pattern}\", whose parts they stand for")
        } else {
            continue;
        };
        let help = "for example \"encoder.*\" = \"*\", or \"features.0\" = \"conv1_1\"";
        checks.refuse("source.rename", problem, help);
    }
    rename
}
