//! Checks that collect their errors and go on.

use std::path::PathBuf;

use crate::config::diagnosis::all_or;
use crate::config::file::{Compatibility, Word};
use crate::config::keys;
use crate::config::layers::{Layers, taken_by};
use crate::error::{Error, Result};
use crate::numbers::Dtype;

/// Collects errors; each check returns a value to go on with.
pub struct Checks<'a> {
    layers: &'a Layers,
    /// Whose defaults fill in what is not given.
    pub compatibility: Compatibility,
    /// The precision that numbers must be representable in.
    pub dtype: Dtype,
    errors: Vec<Error>,
}

/// A range of numbers: what it is called, and what is in it.
pub type Range = (&'static str, fn(f64) -> bool);

pub const POSITIVE: Range = ("finite and greater than 0", |x| x > 0.0 && x.is_finite());
pub const NOT_NEGATIVE: Range = ("finite and at least 0", |x| x >= 0.0 && x.is_finite());
/// A probability or a share of which something must be left.
pub const BELOW_ONE: Range = ("at least 0 and less than 1", |x| (0.0..1.0).contains(&x));
pub const FINITE: Range = ("finite", f64::is_finite);

impl<'a> Checks<'a> {
    /// No error yet; `layers` know where each key was written.
    pub fn new(layers: &'a Layers, compatibility: Compatibility, dtype: Dtype) -> Self {
        Self {
            layers,
            compatibility,
            dtype,
            errors: Vec::new(),
        }
    }

    /// The value if nothing was refused.
    pub fn pass<T>(self, value: T) -> Result<T> {
        all_or(self.errors, value)
    }

    /// Notes an error about a key.
    pub fn refuse(&mut self, key: &str, problem: impl Into<String>, help: impl Into<String>) {
        let error = self.layers.error(key, problem).help(help);
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// Like [`Self::refuse`], with an example of the key as the remedy.
    pub fn refuse_with_example(&mut self, key: &str, problem: impl Into<String>) {
        let example = self.layers.example(key).unwrap_or_default();
        self.refuse(key, problem, example);
    }

    pub fn at_least(&mut self, least: usize, key: &str, value: usize) -> usize {
        if value < least {
            let problem = format!("`{key}` must be at least {least}, not {value}");
            self.refuse_with_example(key, problem);
        }
        value
    }

    pub fn number(&mut self, range: Range, key: &str, value: Option<f64>, default: f64) -> f64 {
        let value = value.unwrap_or(default);
        let (called, contains) = range;
        if !contains(value) {
            let shown = keys::without_indices(key);
            let problem = format!("`{shown}` must be {called}, not {value}");
            self.refuse_with_example(key, problem);
        }
        value
    }

    pub fn path(&mut self, key: &str, path: Option<PathBuf>) -> Option<PathBuf> {
        if path
            .as_ref()
            .is_some_and(|path| path.as_os_str().is_empty())
        {
            self.refuse_with_example(key, format!("`{key}` is empty"));
        }
        path
    }

    /// Refuses each of the `given` keys of a table that does not go with the chosen word.
    pub fn only_taken(&mut self, table: &str, word: &str, given: &[(&str, bool)]) {
        let taken = taken_by(table, word);
        let foreign = given
            .iter()
            .filter(|(key, given)| *given && !taken.contains(key));
        for (key, _) in foreign {
            let problem = format!("`{key}` does nothing with \"{word}\"");
            let help = match taken {
                [] => format!("remove it: \"{word}\" takes no such key"),
                keys => format!("\"{word}\" takes {}", keys.join(", ")),
            };
            self.refuse(&format!("{table}.{key}"), problem, help);
        }
    }
}

/// The word that was given, or the default.
pub fn word<T>(given: Option<Word<T>>, default: T) -> T {
    given.map_or(default, |word| word.0)
}
