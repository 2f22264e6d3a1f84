//! What comes from outside the files: the environment and the command line.
//!
//! Each variable and each argument becomes a layer of its own, so that an error can name it. It
//! does not know how arguments are parsed (that is `cli`) and never changes the environment.

use figment::value::Value;

use super::layer::{Layer, Origin, Part, parse_value};
use super::neon::{Plain, Setting};
use crate::error::{Error, Result};

/// What the command line says about the experiments it runs. Of two arguments for one key the
/// later one counts, `--set` after neon's options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// neon's options, `-e 3` and the like, as the keys that they mean.
    pub options: Vec<Setting>,
    /// `--set key=value`: a dotted key, a TOML value or bare text.
    pub set: Vec<String>,
}

impl Overrides {
    pub(super) fn layers(&self) -> Result<Vec<Layer>> {
        let option = |setting: &Setting| {
            let value = match &setting.value {
                Plain::Text(text) => Value::from(text.as_str()),
                Plain::Whole(number) => Value::from(*number),
            };
            Layer::one(setting.key, value, Origin::Argument(setting.spelt.clone()))
        };
        let options = self.options.iter().map(option);
        let set = self.set.iter().map(|argument| set(argument));
        options.chain(set).collect()
    }
}

/// The `GRAFT_*` variables: `GRAFT_EPOCHS=3`, `GRAFT_OPTIMIZER__LEARNING_RATE=0.1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment(Vec<(String, String)>);

const PREFIX: &str = "GRAFT_";

/// Variables of graft that are no keys.
const NOT_KEYS: &[&str] = &["GRAFT_LOG", "GRAFT_INSTRUCTION_SET"];

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
