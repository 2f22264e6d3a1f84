//! What is wrong with a layer, in words: unknown keys, wrong types, wrong words.
//!
//! Turns figment's structured errors into graft's, which name the place, the key and the remedy.
//! Rules between keys are [`super::resolve`]'s.

use figment::error::{Actual, Kind};
use figment::value::{Dict, Value};
use serde::Deserialize;

use super::file::File;
use super::keys::{self, Meant};
use super::layer::{Layer, Part};
use crate::error::{Error, Result};
use crate::pattern;

/// Every unknown key and every wrong type of a layer. Each key is tried alone, so that one error
/// does not hide another.
pub fn errors(layer: &Layer) -> Vec<Error> {
    let mut errors = Vec::new();
    let mut leaves = leaves(&layer.values);
    leaves.sort_by_key(|leaf| layer.position(&leaf.key));
    for Leaf { key, value, alone } in leaves {
        let cause = match misplaced_list(&key, value) {
            Some(error) => Some(error),
            None => File::deserialize(&Value::from(alone)).err(),
        };
        let error = cause.map(|cause| error(layer, cause));
        // An unknown table says the same for each of its keys.
        errors.extend(error.filter(|error| !errors.contains(error)));
    }
    errors
}

/// One error of a layer in graft's words.
pub fn error(layer: &Layer, cause: figment::Error) -> Error {
    let key = cause.path.join(".");
    let name = name(&key);
    let wrong = |problem: String| layer.error(&key, Part::Value, problem);
    let with_example = |error: Error| match layer.example(&key) {
        Some(example) => error.help(example),
        None if keys::is_table(&key) => error.help(format!("its keys follow a line `[{key}]`")),
        None => error,
    };
    match cause.kind {
        Kind::UnknownField(..) => unknown_key(layer, &cause.path),
        Kind::UnknownVariant(word, words) => {
            let list = either(words.iter().map(|word| format!("\"{word}\"")));
            let error = wrong(format!("{name} must be {list}, not \"{word}\""));
            match pattern::closest(&word, words.iter().copied()) {
                Some(word) => error.help(format!("did you mean \"{word}\"?")),
                None => with_example(error),
            }
        }
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            let (expected, actual) = (in_words(&expected), found(&actual));
            with_example(wrong(format!("{name} must be {expected}, not {actual}")))
        }
        Kind::Message(problem) => with_example(wrong(problem)),
        other => with_example(wrong(other.to_string())),
    }
}

/// The value if there are no errors, else all of them as one.
pub fn all_or<T>(mut errors: Vec<Error>, value: T) -> Result<T> {
    match errors.len() {
        0 => Ok(value),
        1 => Err(errors.remove(0)),
        _ => {
            let texts: Vec<_> = errors.iter().map(Error::to_string).collect();
            Err(Error::new(texts.join("\n\n")))
        }
    }
}

/// `a, b or c`
pub fn either(words: impl Iterator<Item = String>) -> String {
    let words: Vec<_> = words.collect();
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => words.concat(),
    }
}

/// One key of a layer. A list is one, with all that is in it.
struct Leaf<'a> {
    /// Dotted.
    key: String,
    value: &'a Value,
    /// A file that holds nothing else.
    alone: Dict,
}

fn leaves(values: &Dict) -> Vec<Leaf<'_>> {
    let mut leaves = Vec::new();
    for (key, value) in values {
        let within = |alone: Value| Dict::from([(key.clone(), alone)]);
        match value {
            Value::Dict(_, table) if !table.is_empty() => {
                leaves.extend(self::leaves(table).into_iter().map(|leaf| Leaf {
                    key: format!("{key}.{}", leaf.key),
                    value: leaf.value,
                    alone: within(leaf.alone.into()),
                }));
            }
            _ => leaves.push(Leaf {
                key: key.clone(),
                value,
                alone: within(value.clone()),
            }),
        }
    }
    leaves
}

/// A list where a table should be: serde would take its elements for the table's values.
fn misplaced_list(key: &str, value: &Value) -> Option<figment::Error> {
    let list = value.as_array()?;
    let path = if keys::is_table(key) {
        key.to_owned()
    } else {
        let is_list = |element: &Value| matches!(element, Value::Array(..));
        let index = list.iter().position(is_list)?;
        if !["model.layers", "optimizer.layer"].contains(&key) {
            return None;
        }
        format!("{key}.{index}")
    };
    let kind = Kind::InvalidType(Actual::Seq, "a table".to_owned());
    Some(figment::Error::from(kind).with_path(&path))
}

fn unknown_key(layer: &Layer, path: &[String]) -> Error {
    let (key, table) = path
        .split_last()
        .map_or(("", path), |(key, table)| (key.as_str(), table));
    let table = keys::without_indices(&table.join("."));
    let place = match table.as_str() {
        "" => String::new(),
        table => format!(" in {}", keys::call(table)),
    };
    let problem = format!("unknown key `{key}`{place}");
    let error = layer.error(&path.join("."), Part::Key, problem);
    error.help(match keys::meant(&table, key) {
        Meant::Key(key) => format!("did you mean {}?", layer.spell(&key)),
        Meant::Elsewhere(homes) if layer.is_file() && homes == [key] => {
            format!("`{key}` belongs to the top level, above the first [table]")
        }
        Meant::Elsewhere(homes) if layer.is_file() => {
            let tables = homes.iter().map(|home| keys::call(keys::split(home).0));
            format!("`{key}` belongs to {}", either(tables))
        }
        Meant::Elsewhere(homes) => {
            // From outside, layers can only be given as a whole.
            let homes = homes.iter().map(|home| match keys::split(home).0 {
                table @ ("model.layers" | "optimizer.layer") => layer.spell(table),
                _ => layer.spell(home),
            });
            format!("did you mean {}?", either(homes))
        }
        Meant::OneOf(keys) => {
            let keys: Vec<_> = keys.iter().map(|key| layer.spell(key)).collect();
            format!("the keys here are {}", keys.join(", "))
        }
    })
}

/// How a message calls a key: without indices, but an element of a list as such.
fn name(path: &str) -> String {
    let name = keys::without_indices(path);
    let is_element = keys::split(path).1.parse::<usize>().is_ok();
    let prefix = if is_element { "an entry of " } else { "" };
    format!("{prefix}`{name}`")
}

/// serde's name of a type in the words of a person.
fn in_words(expected: &str) -> &str {
    match expected {
        "u64" | "usize" => "a whole number, at least 0",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "path string" => "text in quotes",
        "a sequence" => "a list",
        "a map" => "a table",
        structure if structure.starts_with("struct ") => "a table",
        other => other,
    }
}

fn found(actual: &Actual) -> String {
    match actual {
        Actual::Bool(flag) => flag.to_string(),
        Actual::Unsigned(number) => number.to_string(),
        Actual::Signed(number) => number.to_string(),
        Actual::Float(number) => format!("{number:?}"),
        Actual::Str(text) => format!("\"{text}\""),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}
