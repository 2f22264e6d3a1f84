//! Experiment files as a person would write them, and what comes of them.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::experiment::Experiment;
use super::{Environment, Overrides, load_with};

mod architectures;
mod compatibility;
mod contradictions;
mod directories;
mod layering;
mod mistyped;
mod models;
mod optimizers;
mod places;
mod preprocessing;
mod round_trip;

/// The least that an experiment needs, as the beginning of a file.
const LEAST: &str = "data.builtin = \"smiles\"\nmodel.architecture = \"vgg16\"\n";

/// A directory of experiment files, what is in the environment and on the command line.
struct Bench {
    directory: TempDir,
    environment: Environment,
    overrides: Overrides,
}

impl Bench {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self {
            directory,
            environment: Environment::none(),
            overrides: Overrides::default(),
        }
    }

    fn environment(mut self, variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter();
        self.environment = variables
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        self
    }

    fn set(mut self, arguments: &[&str]) -> Self {
        self.overrides.set = arguments.iter().map(|text| (*text).to_owned()).collect();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn load(&self, name: &str) -> Experiment {
        self.try_load(name)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// The message for `name`, without the directory's path.
    fn error(&self, name: &str) -> String {
        let error = self.try_load(name).expect_err("the experiment loads");
        self.without_directory(error.to_string())
    }

    fn try_load(&self, name: &str) -> crate::error::Result<Experiment> {
        load_with(&self.path(name), &self.overrides, &self.environment)
    }

    fn without_directory(&self, text: String) -> String {
        text.replace(&format!("{}/", self.directory.path().display()), "")
    }
}

/// The experiment in one file.
fn loaded(text: &str) -> Experiment {
    Bench::new(&[("a.toml", text)]).load("a.toml")
}

/// The message for one file.
fn message(text: &str) -> String {
    Bench::new(&[("a.toml", text)]).error("a.toml")
}

/// The message for a file that would do but for `text`, which begins on line 3.
fn beside_least(text: &str) -> String {
    message(&format!("{LEAST}{text}"))
}
