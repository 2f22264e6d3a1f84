//! Experiments as people write them, resolved to plain data.
//!
//! ```text
//! outside.rs   environment, command line ─┐
//! layer.rs     one TOML file ─────────────┴→ layers.rs   merged, weakest first
//!    → file.rs  the sum as written → resolve/ → experiment.rs
//! keys.rs, diagnosis.rs, snippet.rs: what a person reads when something is wrong
//! neon/        neon's command line, as keys
//! ```
//! The rest of graft sees [`experiment`] and [`Overrides`], the command line [`neon`] too. This floor knows no tensor, opens
//! no data file and never asks whether a source model exists.

mod backend;
mod diagnosis;
pub mod experiment;
mod file;
mod initializer;
mod keys;
mod layer;
mod layers;
mod multipliers;
mod name;
pub mod neon;
mod outside;
mod resolve;
mod rules;
pub(crate) mod snippet;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

pub use outside::{Environment, Overrides};

use crate::error::{At, Error, Result};
use experiment::Experiment;
use layers::Layers;

/// Loads one experiment: built-in defaults, its `extends` chain, the file, the `GRAFT_*`
/// environment of this process, the command line.
///
/// # Errors
/// What is unreadable, unknown, of a wrong type, out of range or contradictory, with file, line,
/// key and remedy; independent errors all at once.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Experiment> {
    load_with(path, overrides, &Environment::of_process())
}

/// [`load`] with a given environment: [`Environment::none`] reads a record's `experiment.toml` as
/// it stands.
///
/// # Errors
/// As [`load`].
pub fn load_with(
    path: &Path,
    overrides: &Overrides,
    environment: &Environment,
) -> Result<Experiment> {
    let layers = Layers::collect(path, overrides, environment)?;
    let file = layers.merged()?;
    let name = match &file.name {
        Some(name) => name::checked(name).map_err(|problem| {
            let help = "a name is a relative path below the results, such as faces/fine_tuning";
            layers.error("name", problem).help(help)
        })?,
        None => name::from_path(path)?,
    };
    resolve::resolve(file, name, &layers)
}

/// What came of several paths.
#[derive(Debug, Default)]
pub struct Loaded {
    /// In the order of the paths, those of a directory by file name.
    pub experiments: Vec<Experiment>,
    /// One for each file that could not be loaded, or whose name another one has.
    pub errors: Vec<Error>,
}

/// Loads all experiments of these files and directories, going on after a broken one.
///
/// A directory means its `*.toml` files, not those in its subdirectories, and neither its bases,
/// `base.toml` and `base_*.toml`, nor rubrics, `rubric.toml` and `rubric_*.toml`. A file that is named twice is loaded once. Two experiments of the
/// same name are an error, and only the first of them is kept.
pub fn load_all(paths: &[PathBuf], overrides: &Overrides) -> Loaded {
    load_all_with(paths, overrides, &Environment::of_process())
}

fn load_all_with(paths: &[PathBuf], overrides: &Overrides, environment: &Environment) -> Loaded {
    let mut loaded = Loaded::default();
    let mut files: Vec<PathBuf> = Vec::new();
    let mut known: HashSet<PathBuf> = HashSet::new();
    for path in paths {
        match experiment_files(path) {
            Ok(found) => files.extend(found.into_iter().filter(|file| {
                let real = file.canonicalize();
                known.insert(real.unwrap_or_else(|_| file.clone()))
            })),
            Err(error) => loaded.errors.push(error),
        }
    }
    let mut origins: HashMap<String, PathBuf> = HashMap::new();
    for file in files {
        let experiment = match load_with(&file, overrides, environment) {
            Ok(experiment) => experiment,
            Err(error) => {
                loaded.errors.push(error);
                continue;
            }
        };
        let controls = match overrides.controls {
            true => experiment.controls(),
            false => Vec::new(),
        };
        for experiment in std::iter::once(experiment).chain(controls) {
            loaded.add(experiment, &file, &mut origins);
        }
    }
    loaded
}

impl Loaded {
    /// Adds the experiment that `file` describes, unless its name is taken; `origins` says by which
    /// file.
    fn add(&mut self, experiment: Experiment, file: &Path, origins: &mut HashMap<String, PathBuf>) {
        if let Some(other) = origins.get(&experiment.name) {
            let (name, other) = (&experiment.name, other.display());
            let problem = format!("the name `{name}` is that of {other} already");
            let help = "give one of them another `name`: records are kept by name";
            self.errors
                .push(Error::new(problem).at(file.display()).help(help));
        } else {
            origins.insert(experiment.name.clone(), file.to_owned());
            self.experiments.push(experiment);
        }
    }
}

/// The experiment files that a path given to a command means.
fn experiment_files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).at(path.display())? {
        let file = entry.at(path.display())?.path();
        let is_toml = file
            .extension()
            .is_some_and(|extension| extension == "toml");
        if is_toml && file.is_file() && !is_base(&file) {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        let help = "a directory means its *.toml files, without bases and subdirectories";
        return Err(Error::new("no experiment in this directory")
            .at(path.display())
            .help(help));
    }
    Ok(files)
}

fn is_base(file: &Path) -> bool {
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    stem.is_some_and(is_left_out)
}

/// Whether a file of this stem is no experiment, though it stands among them: a base, or a rubric of
/// `graft grade`.
pub fn is_left_out(stem: &str) -> bool {
    let is = |word: &str| {
        let rest = stem.strip_prefix(word);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    is("base") || is("rubric")
}
