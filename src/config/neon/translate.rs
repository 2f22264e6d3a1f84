//! What given options come to: keys of an experiment, what is shown while it runs, or a refusal.

use std::path::PathBuf;
use std::str::FromStr;

use super::options::Meaning;
use super::words::Given;
use crate::config::diagnosis::{all_or, either};
use crate::config::experiment::Backend;
use crate::error::Result;
use crate::pattern;

/// What a command's options come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Translation {
    /// Each key once.
    pub settings: Vec<Setting>,
    pub show: Show,
    /// What somebody should know who gave these options.
    pub notes: Vec<String>,
}

/// A key that an option gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The option as it was written.
    pub spelt: String,
    /// Dotted.
    pub key: &'static str,
    pub value: Plain,
}

/// A value that an option can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plain {
    Text(String),
    Whole(u64),
}

/// What a run shows of itself. No key of an experiment: it decides nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Show {
    pub no_bar: bool,
    /// A line an epoch.
    pub epochs: bool,
    /// A file to which everything that is said goes too.
    pub log: Option<PathBuf>,
}

/// Translates options; of one that is given twice the later counts.
///
/// # Errors
/// Every option that graft refuses and every value that it does not take, all at once.
pub fn translate(given: &[Given]) -> Result<Translation> {
    let mut translation = Translation::default();
    let mut errors = Vec::new();
    for (index, one) in given.iter().enumerate() {
        let again = given[index + 1..].iter();
        if !again
            .into_iter()
            .any(|later| later.option.long == one.option.long)
            && let Err(error) = translation.add(one, given)
        {
            errors.push(error);
        }
    }
    all_or(errors, translation)
}

impl Translation {
    fn add(&mut self, one: &Given, all: &[Given]) -> Result<()> {
        let text = || Plain::Text(one.value.clone());
        let is_given = |meaning| last(all, meaning).is_some();
        match one.option.meaning {
            Meaning::Text(_) if one.value.is_empty() => {
                return Err(one
                    .error("it names nothing")
                    .help("give a path, or leave it out"));
            }
            Meaning::Text(key) => self.set(one, key, text()),
            Meaning::Whole(key, least) => self.set(one, key, Plain::Whole(whole(one, least)?)),
            Meaning::OneOf(key, words) => self.set(one, key, one_of(one, words)?),
            Meaning::Fixed(key, word) => self.set(one, key, Plain::Text(word.to_owned())),
            Meaning::Backend => {
                let backend = self.backend(one, last(all, Meaning::Device))?;
                self.set(one, "backend", Plain::Text(backend.to_string()));
            }
            Meaning::Device if !is_given(Meaning::Backend) => {
                let error = one.error("without `-b` it is not said that there is a GPU to choose");
                return Err(error.help(format!("write `-b gpu -i {}`", one.value)));
            }
            Meaning::DataDirectory if !is_given(Meaning::Text("data.root")) => {
                self.set(one, "data.root", text());
            }
            Meaning::History if whole(one, 0)? != 1 => {
                let help = "leave it out; save_path has a copy of the trained model";
                let problem = "graft keeps one checkpoint, from which a run goes on exactly";
                return Err(one.error(problem).help(help));
            }
            Meaning::Log if one.value.is_empty() => {
                self.note(
                    one,
                    "every record has its log.txt; `-l FILE` names another one",
                );
            }
            Meaning::Log => self.show.log = Some(PathBuf::from(&one.value)),
            Meaning::EpochLines => self.show.epochs = true,
            Meaning::NoProgressBar => self.show.no_bar = true,
            Meaning::Nothing(why) => self.note(one, &format!("does nothing: {why}")),
            Meaning::Refused(problem, help) => return Err(one.error(problem).help(help)),
            Meaning::Device | Meaning::DataDirectory | Meaning::History | Meaning::Config => {}
        }
        Ok(())
    }

    fn set(&mut self, one: &Given, key: &'static str, value: Plain) {
        let spelt = one.spelt.clone();
        self.settings.push(Setting { spelt, key, value });
    }

    fn note(&mut self, one: &Given, text: &str) {
        self.notes.push(format!("`{}`: {text}", one.spelt));
    }

    /// The backend of `-b`, with the GPU of `-i` where there is one to choose.
    fn backend(&mut self, one: &Given, device: Option<&Given>) -> Result<Backend> {
        if one.value == "mgpu" {
            let error = one.error("graft trains a run on one GPU");
            return Err(error.help("`-b gpu -i 1` chooses which; a GPU each for several commands"));
        }
        let backend = Backend::from_str(&one.value);
        let backend = backend.map_err(|error| one.error(error.to_string()))?;
        let Some(device) = device else {
            return Ok(backend);
        };
        let number = whole(device, 0)? as usize;
        match backend {
            Backend::Cuda(0) => Ok(Backend::Cuda(number)),
            Backend::Cuda(other) if other != number => {
                let problem = format!("`{}` names another GPU", device.spelt);
                Err(one.error(problem).help("keep one of them"))
            }
            Backend::Cuda(_) => Ok(backend),
            Backend::Cpu | Backend::Ndarray | Backend::Wgpu => {
                self.note(device, &format!("does nothing with the backend {backend}"));
                Ok(backend)
            }
        }
    }
}

fn last(all: &[Given], meaning: Meaning) -> Option<&Given> {
    all.iter()
        .rev()
        .find(|given| given.option.meaning == meaning)
}

fn whole(given: &Given, least: u64) -> Result<u64> {
    match given.value.parse() {
        Ok(number) if number >= least => Ok(number),
        _ => {
            let problem = format!(
                "it must be a whole number from {least}, not `{}`",
                given.value
            );
            Err(given
                .error(problem)
                .help(format!("for example `--{} 10`", given.option.long)))
        }
    }
}

fn one_of(given: &Given, words: &[&str]) -> Result<Plain> {
    if words.contains(&given.value.as_str()) {
        return Ok(Plain::Text(given.value.clone()));
    }
    let list = either(words.iter().map(|word| (*word).to_owned()));
    let error = given.error(format!("it must be {list}, not `{}`", given.value));
    let example = words.first().copied().unwrap_or_default();
    Err(
        match pattern::closest(&given.value, words.iter().copied()) {
            Some(word) => error.help(format!("did you mean `{word}`?")),
            None => error.help(format!("for example `--{} {example}`", given.option.long)),
        },
    )
}

#[cfg(test)]
mod tests;
