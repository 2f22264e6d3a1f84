//! The layers of configuration over one another, weakest first: the `extends` chain, the file, the
//! environment, the command line. (Built-in defaults are what [`super::resolve`] fills in.)
//!
//! figment merges them: tables key by key, everything else is replaced. Before that, a choice in a
//! stronger layer takes away what excludes it in weaker ones ([`displace`]), so that a file may
//! say `seed = 7` over a base that lists `seeds`. It knows keys, not what they mean to a run.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::value::{Dict, Value};

use super::diagnosis;
use super::file::File;
use super::keys;
use super::layer::{Layer, Part};
use super::outside::{Environment, Overrides};
use crate::error::{Error, Result};

/// All layers of one experiment, weakest first, each checked on its own.
#[derive(Debug)]
pub struct Layers {
    layers: Vec<Layer>,
    /// The experiment's own file.
    path: PathBuf,
}

impl Layers {
    /// Reads the file and its bases, and puts the environment and the command line on top.
    ///
    /// # Errors
    /// A file that cannot be read or is not TOML, a cycle of `extends`, and, all at once, every
    /// unknown key and wrong type in any layer.
    pub fn collect(path: &Path, overrides: &Overrides, environment: &Environment) -> Result<Self> {
        let mut layers = Vec::new();
        chain(path, &mut Vec::new(), &mut layers)?;
        layers.extend(environment.layers()?);
        layers.extend(overrides.layers()?);
        let errors = layers.iter().flat_map(diagnosis::errors).collect();
        diagnosis::all_or(errors, ())?;
        for layer in &mut layers {
            layer.values.remove("extends");
        }
        for strong in 1..layers.len() {
            let (weaker, stronger) = layers.split_at_mut(strong);
            for layer in weaker {
                settle(layer, &stronger[0]);
            }
        }
        Ok(Self {
            layers,
            path: path.to_owned(),
        })
    }

    /// The sum of the layers.
    ///
    /// # Errors
    /// Types that only clash once the layers are merged.
    pub fn merged(&self) -> Result<File> {
        let figment = self.layers.iter().fold(Figment::new(), Figment::merge);
        figment.extract().map_err(|error: figment::Error| {
            let key = error.path.join(".");
            diagnosis::error(self.giver(&key), error)
        })
    }

    /// An error about the value of a key, at the layer that gave it. A key that no layer gave is
    /// reported at the table in which it is missing.
    pub fn error(&self, key: &str, problem: impl Into<String>) -> Error {
        let given = self.layers.iter().any(|layer| layer.gives(key));
        let part = if given { Part::Value } else { Part::Key };
        match self.try_giver(key, |layer| given || layer.is_file()) {
            Some(layer) => layer.error(key, part, problem),
            None => Error::new(problem).at(self.path.display()),
        }
    }

    /// An example of the key as one would write it in the layer that gave it.
    pub fn example(&self, key: &str) -> Option<String> {
        self.giver(key).example(key)
    }

    /// The strongest layer that gives the key or, if none does, the nearest key around it.
    fn giver(&self, key: &str) -> &Layer {
        let any = self.try_giver(key, |_| true);
        // The file itself is always there: `chain` put it in.
        any.unwrap_or(&self.layers[0])
    }

    fn try_giver(&self, key: &str, wanted: impl Fn(&Layer) -> bool) -> Option<&Layer> {
        let mut key = key;
        loop {
            let mut strongest_first = self.layers.iter().rev();
            let giver = strongest_first.find(|layer| wanted(layer) && layer.gives(key));
            match (giver, key.rsplit_once('.')) {
                (None, Some((around, _))) => key = around,
                (giver, _) => return giver,
            }
        }
    }
}

/// Appends the file's bases, weakest first, then the file. `open` are the files that led here.
fn chain(path: &Path, open: &mut Vec<PathBuf>, layers: &mut Vec<Layer>) -> Result<()> {
    let mut layer = Layer::file(path)?;
    let is_base = !open.is_empty();
    open.push(path.to_owned());
    if let Some(base) = layer.values.get("extends").and_then(Value::as_str) {
        let base = path.parent().unwrap_or(Path::new("")).join(base);
        let at_extends = |problem| layer.error("extends", Part::Value, problem);
        let real = |path: &Path| path.canonicalize().ok();
        if !base.is_file() {
            let problem = format!("there is no file {}", base.display());
            let remedy = "`extends` is relative to the directory of the file that names it";
            return Err(at_extends(problem).help(remedy));
        }
        if let Some(start) = open.iter().position(|file| real(file) == real(&base)) {
            let round: Vec<_> = open[start..].iter().chain([&base]).collect();
            let round: Vec<_> = round
                .iter()
                .map(|file| file.display().to_string())
                .collect();
            let problem = format!("`extends` goes round in a circle: {}", round.join(" → "));
            return Err(at_extends(problem).help("a base must not extend what extends it"));
        }
        chain(&base, open, layers)?;
    }
    if is_base {
        // The name is the file's own.
        layer.values.remove("name");
    }
    layers.push(layer);
    Ok(())
}

fn settle(weaker: &mut Layer, stronger: &Layer) {
    settle_multiplier(&mut weaker.values, &stronger.values);
    if !weaker.is_peer_of(stronger) {
        displace(&mut weaker.values, &stronger.values);
    }
}

/// A number replaces all weaker multipliers; a table adds to them, where `0.001` is short for
/// `{ imported = 0.001 }`.
fn settle_multiplier(weaker: &mut Dict, stronger: &Dict) {
    const KEY: &str = "learning_rate_multiplier";
    match (stronger.get(KEY), weaker.remove(KEY)) {
        (Some(Value::Dict(..)), Some(number @ Value::Num(..))) => {
            let table = Dict::from([("imported".to_owned(), number)]);
            weaker.insert(KEY.to_owned(), table.into());
        }
        (Some(Value::Dict(..)) | None, Some(same)) => drop(weaker.insert(KEY.to_owned(), same)),
        _ => {}
    }
}

/// A key, and the keys that make no sense beside it.
const RIVALS: &[(&str, &[&str])] = &[
    ("seed", &["seeds"]),
    ("data.train", &["data.builtin", "data.draw_seed"]),
    ("data.test", &["data.builtin", "data.draw_seed"]),
    ("data.builtin", &["data.train", "data.test"]),
    (
        "preprocessing.preset",
        &[
            "preprocessing.mean",
            "preprocessing.deviation",
            "preprocessing.scale",
            "preprocessing.channel_order",
        ],
    ),
    ("model.width", &["model.widths"]),
    ("model.widths", &["model.width"]),
    ("model.architecture", &["model.layers"]),
    (
        "model.layers",
        &[
            "model.architecture",
            "model.width",
            "model.widths",
            "model.head",
            "model.head_names",
            "model.classifier",
            "model.dropout",
        ],
    ),
    ("schedule.every", &["schedule.at", "schedule.rates"]),
    ("schedule.at", &["schedule.every"]),
    ("schedule.factor", &["schedule.rates"]),
    ("schedule.rates", &["schedule.factor", "schedule.every"]),
];

/// A key that chooses by a word, and all keys that only some choices take.
const CHOICES: &[(&str, &[&str])] = &[
    ("optimizer.algorithm", OF_SOME_ALGORITHMS),
    ("schedule.name", OF_SOME_SCHEDULES),
    ("model.initializer.name", OF_INITIALIZERS),
    ("model.linear_initializer.name", OF_INITIALIZERS),
    ("model.bias_initializer.name", OF_INITIALIZERS),
];

const OF_INITIALIZERS: &[&str] = &[
    "low",
    "high",
    "value",
    "mean",
    "deviation",
    "scale",
    "local",
];

/// Every algorithm takes the other keys of an optimizer.
pub const OF_SOME_ALGORITHMS: &[&str] = &[
    "momentum",
    "nesterov",
    "clip_norm_scales",
    "decay_rate",
    "beta1",
    "beta2",
    "epsilon",
    "epsilon_hat",
    "bias_correction",
];

/// Every schedule takes `warm_up`.
const OF_SOME_SCHEDULES: &[&str] = &[
    "every",
    "at",
    "factor",
    "rates",
    "decay",
    "power",
    "bits",
    "rise",
    "start",
    "end",
    "total_epochs",
    "per",
    "integer_division",
];

/// The keys of [`CHOICES`] that go with a word, be it an algorithm, a schedule or an initializer.
pub fn taken_by(table: &str, word: &str) -> &'static [&'static str] {
    match (keys::home(table).as_str(), word) {
        ("optimizer", "momentum") => &["momentum", "nesterov"],
        ("optimizer", "rmsprop") => &["decay_rate", "epsilon", "clip_norm_scales"],
        ("optimizer", "adagrad") => &["epsilon", "clip_norm_scales"],
        ("optimizer", "adadelta") => &["decay_rate", "epsilon"],
        ("optimizer", "adam") => &[
            "beta1",
            "beta2",
            "epsilon",
            "epsilon_hat",
            "clip_norm_scales",
        ],
        ("optimizer", "adamw") => &["beta1", "beta2", "epsilon"],
        ("optimizer", "shift_ada_max") => &["beta1", "beta2", "epsilon", "bias_correction"],
        ("optimizer", "lion") => &["beta1", "beta2"],
        ("schedule", "step") => &["every", "at", "factor", "rates"],
        ("schedule", "exponential") => &["factor", "per"],
        ("schedule", "inverse_time") => &["decay", "per"],
        ("schedule", "polynomial") => &["power", "end", "total_epochs", "per", "integer_division"],
        ("schedule", "shift") => &["every", "bits"],
        ("schedule", "cosine") => &["end", "total_epochs", "per"],
        ("schedule", "one_cycle") => &["rise", "start", "end", "total_epochs"],
        ("schedule" | "optimizer", _) => &[],
        (_, "uniform") => &["low", "high"],
        (_, "constant") => &["value"],
        (_, "gaussian") => &["mean", "deviation"],
        (_, "orthonormal") => &["scale"],
        (_, "neon_xavier" | "neon_kaiming") => &["local"],
        _ => &[],
    }
}

/// Takes away from a weaker layer what a choice in a stronger one excludes.
fn displace(weaker: &mut Dict, stronger: &Dict) {
    for (key, rivals) in RIVALS {
        if find(stronger, key).is_some() {
            rivals.iter().for_each(|rival| remove(weaker, rival));
        }
    }
    if let Some(Value::Array(..)) = stronger.get("seeds") {
        weaker.remove("seed");
    }
    for (key, dependent) in CHOICES {
        if let (Some(Value::String(_, word)), Some((table, _))) =
            (find(stronger, key), key.rsplit_once('.'))
        {
            let not_taken = dependent
                .iter()
                .filter(|key| !taken_by(table, word).contains(key));
            not_taken.for_each(|key| remove(weaker, &format!("{table}.{key}")));
        }
    }
}

fn find<'a>(values: &'a Dict, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        None => values.get(key),
        Some((table, rest)) => find(values.get(table)?.as_dict()?, rest),
    }
}

fn remove(values: &mut Dict, key: &str) {
    match key.split_once('.') {
        None => drop(values.remove(key)),
        Some((table, rest)) => {
            if let Some(Value::Dict(_, table)) = values.get_mut(table) {
                remove(table, rest);
            }
        }
    }
}
