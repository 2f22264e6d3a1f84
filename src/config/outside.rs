//! What comes from outside the files: the environment and the command line.
//!
//! Each variable and each argument becomes a layer of its own, so that an error can name it. It
//! does not know how arguments are parsed (that is `cli`) and never changes the environment.

use std::path::PathBuf;

use figment::value::Value;

use super::layer::{Layer, Origin, Part, parse_value};
use crate::error::{Error, Result};

/// What the command line says about the experiments it runs. Of two arguments for one key the
/// later one counts, `--set` after neon's flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--set key=value`: a dotted key, a TOML value or bare text.
    pub set: Vec<String>,
    /// `-b`, `--backend`
    pub backend: Option<String>,
    /// `-e`, `--epochs`
    pub epochs: Option<usize>,
    /// `-z`, `--batch_size`
    pub batch_size: Option<usize>,
    /// `-r`, `--seed`: one run with this seed, whatever `seeds` the file asks for.
    pub seed: Option<u64>,
    /// `--data_root`
    pub data_root: Option<PathBuf>,
    /// `--source_model`
    pub source_model: Option<PathBuf>,
    /// `--save_path`
    pub save_path: Option<PathBuf>,
    /// `--serialize`: epochs between checkpoints.
    pub serialize: Option<usize>,
}

impl Overrides {
    pub(super) fn layers(&self) -> Result<Vec<Layer>> {
        let number = |value: Option<usize>| value.map(|n| (n.to_string(), Value::from(n)));
        let text = |value: Option<&str>| value.map(|text| (text.to_owned(), Value::from(text)));
        let path =
            |value: &Option<PathBuf>| match value.as_deref().map(|path| (path, path.to_str())) {
                Some((path, None)) => Err(Error::new("a path must be UTF-8").at(path.display())),
                Some((_, path)) => Ok(text(path)),
                None => Ok(None),
            };
        let seed = self.seed.map(|seed| (seed.to_string(), seed.into()));
        let flags = [
            ("--backend", "backend", text(self.backend.as_deref())),
            ("--epochs", "epochs", number(self.epochs)),
            ("--batch_size", "batch_size", number(self.batch_size)),
            ("--seed", "seed", seed),
            ("--data_root", "data.root", path(&self.data_root)?),
            ("--source_model", "source_model", path(&self.source_model)?),
            ("--save_path", "save_path", path(&self.save_path)?),
            ("--serialize", "checkpoint.every", number(self.serialize)),
        ];
        let mut layers = Vec::new();
        for (flag, key, value) in flags {
            if let Some((text, value)) = value {
                let origin = Origin::Argument(format!("{flag} {text}"));
                layers.push(Layer::one(key, value, origin)?);
            }
        }
        for argument in &self.set {
            layers.push(set(argument)?);
        }
        Ok(layers)
    }
}

/// The `GRAFT_*` variables: `GRAFT_EPOCHS=3`, `GRAFT_OPTIMIZER__LEARNING_RATE=0.1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment(Vec<(String, String)>);

const PREFIX: &str = "GRAFT_";

/// Variables of graft that are no keys.
const NOT_KEYS: &[&str] = &["GRAFT_LOG"];

impl Environment {
    /// No variables: the experiment as its file has it. Records are read so.
    pub fn none() -> Self {
        Self::default()
    }

    /// The variables of this process.
    pub fn of_process() -> Self {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self::from_iter(std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))))
    }

    pub(super) fn layers(&self) -> Result<Vec<Layer>> {
        let layers = self.0.iter().map(|(name, text)| {
            let key = name.strip_prefix(PREFIX).unwrap_or(name);
            let key = key.to_lowercase().replace("__", ".");
            let origin = Origin::Environment(name.clone());
            let layer = Layer::one(&key, parse_value(text), origin)?;
            only_in_files(&layer, &key)?;
            Ok(layer)
        });
        layers.collect()
    }
}

impl FromIterator<(String, String)> for Environment {
    /// Keeps the variables that graft reads, sorted by name.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let is_key = |name: &str| name.starts_with(PREFIX) && !NOT_KEYS.contains(&name);
        let ours = variables.into_iter().filter(|(name, _)| is_key(name));
        let mut ours: Vec<_> = ours.collect();
        ours.sort();
        Self(ours)
    }
}

fn set(argument: &str) -> Result<Layer> {
    let origin = Origin::Argument(format!("--set {argument}"));
    let Some((key, text)) = argument.split_once('=') else {
        return Err(Error::new("there is no `=`")
            .at(format_args!("command line: --set {argument}"))
            .help("for example `--set optimizer.learning_rate=0.01`"));
    };
    let key = key.trim();
    let layer = Layer::one(key, parse_value(text), origin)?;
    only_in_files(&layer, key)?;
    Ok(layer)
}

fn only_in_files(layer: &Layer, key: &str) -> Result<()> {
    if key != "extends" {
        return Ok(());
    }
    let error = layer.error(key, Part::Key, "`extends` can only stand in a file");
    Err(error
        .help("write it at the top of the experiment file; from outside, override single keys"))
}
