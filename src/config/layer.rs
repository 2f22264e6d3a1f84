//! One layer of configuration: what it gives, where each value stands, how to point at it.
//!
//! A layer is a file, one environment variable or one argument of the command line. It knows
//! nothing of the layers above and below it ([`super::layers`]).

use std::ops::Range;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};
use toml_edit::{Document, Item, TableLike};

use super::keys;
use super::snippet::Snippet;
use crate::error::{At, Error, Result};

/// What one file, variable or argument gives.
#[derive(Debug)]
pub struct Layer {
    pub values: Dict,
    pub origin: Origin,
}

/// Where the values of a layer were written.
#[derive(Debug)]
pub enum Origin {
    File {
        path: PathBuf,
        document: Box<Document<String>>,
    },
    /// The name of the variable.
    Environment(String),
    /// The argument as typed, `--epochs 3`.
    Argument(String),
}

/// Which part of an entry an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Key,
    Value,
}

impl Layer {
    /// Reads one TOML file.
    ///
    /// # Errors
    /// The file cannot be read, or is not TOML.
    pub fn file(path: &Path) -> Result<Self> {
        let help = "paths are relative to the directory in which the command runs";
        let text = std::fs::read_to_string(path).at(path.display());
        let text = text.map_err(|error| error.help(help))?;
        let text = text.trim_start_matches('\u{feff}').to_owned();
        let document = Document::parse(text.clone()).map_err(|error| {
            let problem = format!("not valid TOML: {}", error.message());
            Snippet::new(path, &text, error.span().unwrap_or_default())
                .error(problem)
                .help("TOML has one `key = value` a line, text in quotes, and each key once")
        })?;
        Ok(Self {
            values: dict(document.as_table()),
            origin: Origin::File {
                path: path.to_owned(),
                document: Box::new(document),
            },
        })
    }

    /// A layer of one value. `key` is dotted; a step of it may stand in quotes.
    ///
    /// # Errors
    /// A step of the key is empty.
    pub fn one(key: &str, value: Value, origin: Origin) -> Result<Self> {
        let mut layer = Self {
            values: Dict::new(),
            origin,
        };
        let steps: Vec<_> = key.split('.').map(|step| step.trim_matches('"')).collect();
        if steps.contains(&"") {
            let problem = format!("`{key}` is not the name of a key");
            let error = layer.error(key, Part::Key, problem);
            return Err(error.help(layer.example("optimizer.momentum").unwrap_or_default()));
        }
        layer.values = nest(&steps, value);
        Ok(layer)
    }

    pub fn is_file(&self) -> bool {
        matches!(self.origin, Origin::File { .. })
    }

    /// Whether the layer has a say about this key: gives it, or gives a plain value (a number, a
    /// list) to a key around it.
    pub fn gives(&self, key: &str) -> bool {
        let mut table = &self.values;
        let mut rest = key;
        loop {
            let (step, next) = rest.split_once('.').unwrap_or((rest, ""));
            match (table.get(rest).or_else(|| table.get(step)), next) {
                (None, _) => return false,
                (Some(Value::Dict(_, inner)), next) if !next.is_empty() => table = inner,
                (Some(_), _) => return true,
            }
            rest = next;
        }
    }

    /// An error about a key of this layer.
    pub fn error(&self, key: &str, part: Part, problem: impl Into<String>) -> Error {
        match &self.origin {
            Origin::File { path, document } => match span(document.as_table(), key, part) {
                Some(span) => Snippet::new(path, document.raw(), span).error(problem),
                None => Error::new(problem).at(path.display()),
            },
            Origin::Environment(variable) => {
                Error::new(problem).at(format_args!("environment variable {variable}"))
            }
            Origin::Argument(argument) => {
                Error::new(problem).at(format_args!("command line: {argument}"))
            }
        }
    }

    /// How one would write the key or the table in this layer, for remedies.
    pub fn spell(&self, key: &str) -> String {
        match (&self.origin, keys::is_table(key)) {
            (Origin::File { .. }, true) => format!("`{}`", keys::call(key)),
            (Origin::File { .. }, false) => format!("`{}`", keys::split(key).1),
            (Origin::Environment(_), true) => format!("`{}__…`", variable(key)),
            (Origin::Environment(_), false) => format!("`{}`", variable(key)),
            (Origin::Argument(_), true) => format!("`--set {key}.…`"),
            (Origin::Argument(_), false) => format!("`--set {key}=…`"),
        }
    }

    /// An example of the key and its value as one would write it in this layer.
    pub fn example(&self, key: &str) -> Option<String> {
        let (key, value) = keys::example(key)?;
        Some(match &self.origin {
            Origin::File { .. } => format!("for example `{} = {value}`", keys::split(key).1),
            Origin::Environment(_) => format!("for example `{}={value}`", variable(key)),
            Origin::Argument(_) => format!("for example `--set '{key}={value}'`"),
        })
    }

    /// Where the key stands in the file, to put errors in order; 0 outside of files.
    pub fn position(&self, key: &str) -> usize {
        match &self.origin {
            Origin::File { document, .. } => {
                span(document.as_table(), key, Part::Key).map_or(0, |span| span.start)
            }
            _ => 0,
        }
    }

    /// Whether both are environment variables, or both arguments: then neither is the stronger.
    pub fn is_peer_of(&self, other: &Layer) -> bool {
        use Origin::{Argument, Environment};
        matches!(
            (&self.origin, &other.origin),
            (Environment(_), Environment(_)) | (Argument(_), Argument(_))
        )
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named("a layer of an experiment")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// A value outside a file: TOML where it is TOML, else the bare text.
pub fn parse_value(text: &str) -> Value {
    match text.trim().parse::<toml_edit::Value>() {
        Ok(toml) => value(&toml),
        Err(_) => Value::from(text),
    }
}

/// The environment variable for a key: `optimizer.momentum` → `GRAFT_OPTIMIZER__MOMENTUM`.
pub fn variable(key: &str) -> String {
    format!("GRAFT_{}", key.replace('.', "__").to_uppercase())
}

fn nest(steps: &[&str], value: Value) -> Dict {
    match steps {
        [] => Dict::new(),
        [key] => Dict::from([((*key).to_owned(), value)]),
        [table, rest @ ..] => Dict::from([((*table).to_owned(), Value::from(nest(rest, value)))]),
    }
}

fn dict(table: &dyn TableLike) -> Dict {
    let entries = table.iter();
    let converted = entries.filter_map(|(key, item)| Some((key.to_owned(), item_value(item)?)));
    converted.collect()
}

fn item_value(item: &Item) -> Option<Value> {
    match item {
        Item::None => None,
        Item::Value(toml) => Some(value(toml)),
        Item::Table(table) => Some(dict(table).into()),
        Item::ArrayOfTables(tables) => {
            let tables: Vec<Value> = tables.iter().map(|table| dict(table).into()).collect();
            Some(tables.into())
        }
    }
}

/// Dates stay text: no key takes one.
fn value(toml: &toml_edit::Value) -> Value {
    use toml_edit::Value as Toml;
    match toml {
        Toml::String(text) => Value::from(text.value().as_str()),
        Toml::Integer(number) => Value::from(*number.value()),
        Toml::Float(number) => Value::from(*number.value()),
        Toml::Boolean(flag) => Value::from(*flag.value()),
        Toml::Datetime(date) => Value::from(date.value().to_string()),
        Toml::Array(array) => array.iter().map(value).collect::<Vec<_>>().into(),
        Toml::InlineTable(table) => dict(table).into(),
    }
}

/// Where the key stands, or the nearest key around it that does; `None` if not even its first step
/// is there.
fn span(table: &dyn TableLike, path: &str, part: Part) -> Option<Range<usize>> {
    for (name, item) in table.iter() {
        let rest = match path.strip_prefix(name) {
            Some("") => "",
            Some(rest) if rest.starts_with('.') => &rest[1..],
            _ => continue,
        };
        let key = || table.key(name).and_then(|key| key.span());
        return span_inside(item, rest, part).or_else(|| match item {
            Item::Value(value) if part == Part::Value => value.span().or_else(key),
            _ => key(),
        });
    }
    None
}

fn span_inside(item: &Item, path: &str, part: Part) -> Option<Range<usize>> {
    if let Some(table) = item.as_table_like() {
        return span(table, path, part);
    }
    let (index, rest) = path.split_once('.').unwrap_or((path, ""));
    let index: usize = index.parse().ok()?;
    if let Some(tables) = item.as_array_of_tables() {
        let table = tables.get(index)?;
        return span(table, rest, part).or_else(|| table.span());
    }
    let element = item.as_array()?.get(index)?;
    let table = element.as_inline_table();
    let deeper = table.and_then(|table| span(table, rest, part));
    deeper.or_else(|| element.span())
}
