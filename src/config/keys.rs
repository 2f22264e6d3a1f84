//! Every key of an experiment file with an example of its value.
//!
//! Messages take their suggestions from here. What a key accepts is [`super::file`]'s business; a
//! test keeps the two lists equal.

use crate::pattern;

/// Keys by their dotted path, in the order in which one writes them, and a value that each takes.
/// The entries of `[[model.layers]]` count as one table, and so do those of `[[optimizer.layer]]`.
pub const KEYS: &[(&str, &str)] = &[
    ("extends", r#""base.toml""#),
    ("name", r#""faces/fine_tuning""#),
    ("compatibility", r#""neon""#),
    ("backend", r#""cuda""#),
    ("dtype", r#""f32""#),
    ("exact", "true"),
    ("seed", "42"),
    ("seeds", "5"),
    ("epochs", "10"),
    ("batch_size", "32"),
    ("source_model", r#""models/VGG_D.p""#),
    ("save_path", r#""fine_tuned.safetensors""#),
    ("save_optimizer_state", "true"),
    ("cache", "true"),
    ("cache_dtype", r#""bf16""#),
    ("cache_limit", "20"),
    ("cache_directory", r#""data/features""#),
    ("learning_rate_multiplier", "0.001"),
    ("data.root", r#""data""#),
    ("data.train", r#""train.h5""#),
    ("data.test", r#""test.h5""#),
    ("data.builtin", r#""drawn_smiles""#),
    ("data.draw_seed", "2018"),
    ("data.shuffle", "true"),
    ("data.last_batch", r#""smaller""#),
    ("preprocessing.preset", r#""torchvision""#),
    ("preprocessing.mean", r#""train""#),
    ("preprocessing.deviation", "[58.395, 57.12, 57.375]"),
    ("preprocessing.scale", "0.00392"),
    ("preprocessing.channel_order", r#""bgr""#),
    ("preprocessing.size", "224"),
    ("model.architecture", r#""vgg16""#),
    ("model.width", "0.25"),
    ("model.widths", "[64, 128, 256, 512, 512]"),
    ("model.head", "[4096, 4096]"),
    ("model.head_names", r#"["fc6_new", "fc7_new"]"#),
    ("model.classifier", r#""classifier""#),
    ("model.dropout", "0.5"),
    (
        "model.layers",
        r#"[{ name = "fc", type = "linear", features = 64 }, { name = "out", type = "linear" }]"#,
    ),
    ("model.layers.name", r#""conv1_1""#),
    ("model.layers.type", r#""convolution""#),
    ("model.layers.from", r#""conv1_relu""#),
    ("model.layers.with", r#"["conv1_relu"]"#),
    ("model.layers.channels", "64"),
    ("model.layers.features", "128"),
    ("model.layers.kernel", "3"),
    ("model.layers.stride", "1"),
    ("model.layers.padding", "1"),
    ("model.layers.groups", "64"),
    ("model.layers.bias", "true"),
    ("model.layers.initializer", r#""kaiming""#),
    ("model.layers.rate", "0.5"),
    ("model.layers.epsilon", "1e-5"),
    ("model.layers.momentum", "0.1"),
    ("model.layers.slope", "0.1"),
    ("model.layers.limit", "6"),
    ("model.layers.alpha", "1"),
    ("model.layers.squeeze", "16"),
    ("model.layers.expand", "64"),
    ("model.layers.expansion", "6"),
    ("model.layers.shortcut", r#""projection""#),
    ("model.convention", r#""keras""#),
    ("model.classes", "2"),
    ("model.initializer", r#""kaiming""#),
    ("model.linear_initializer", r#""glorot_uniform""#),
    (
        "model.bias_initializer",
        r#"{ name = "constant", value = 0.1 }"#,
    ),
    ("model.initial_draws", r#""neon""#),
    ("model.initial_weights", r#""models/initial.safetensors""#),
    ("model.pooling", r#""ceil""#),
    ("model.dropout_scaling", r#""inference""#),
    ("batch_norm.statistics", r#""keep""#),
    ("batch_norm.epsilon", "1e-3"),
    ("batch_norm.momentum", "0.1"),
    ("loss.name", r#""cross_entropy""#),
    ("loss.gradient", r#""exact""#),
    ("optimizer.algorithm", r#""momentum""#),
    ("optimizer.learning_rate", "0.001"),
    ("optimizer.momentum", "0.9"),
    ("optimizer.nesterov", "true"),
    ("optimizer.weight_decay", "0.0005"),
    ("optimizer.decay_biases", "false"),
    ("optimizer.clip_gradient_norm", "5.0"),
    ("optimizer.clip_gradient_value", "0.5"),
    ("optimizer.clip_parameters", "1.0"),
    ("optimizer.clip_norm_scales", r#""gradient""#),
    ("optimizer.decay_rate", "0.95"),
    ("optimizer.beta1", "0.9"),
    ("optimizer.beta2", "0.999"),
    ("optimizer.epsilon", "1e-8"),
    ("optimizer.epsilon_hat", "true"),
    ("optimizer.bias_correction", r#""step""#),
    (
        "optimizer.layer",
        r#"[{ class = "bias", learning_rate = 0.002 }]"#,
    ),
    ("optimizer.layer.name", r#""fc6_new""#),
    ("optimizer.layer.class", r#""bias""#),
    ("optimizer.layer.schedule", r#"{ name = "cosine" }"#),
    ("schedule.name", r#""step""#),
    ("schedule.every", "10"),
    ("schedule.at", "[6, 9]"),
    ("schedule.factor", "0.1"),
    ("schedule.rates", "[1e-3, 1e-4]"),
    ("schedule.decay", "0.3"),
    ("schedule.power", "2"),
    ("schedule.bits", "1"),
    ("schedule.rise", "0.3"),
    ("schedule.start", "0.04"),
    ("schedule.end", "0.01"),
    ("schedule.total_epochs", "10"),
    ("schedule.per", r#""step""#),
    ("schedule.integer_division", "false"),
    ("schedule.warm_up", "0.5"),
    ("source.require", r#"["conv*"]"#),
    ("source.coverage", "0.9"),
    ("source.rename", r#"{ "encoder.*" = "*" }"#),
    ("evaluation.every", "1"),
    ("checkpoint.every", "5"),
    ("checkpoint.keep", "1"),
    ("record.batches", "true"),
    ("record.weights_every", "100"),
];

/// What a table means where its keys are not fixed, or are not keys of a table only.
const OPEN: &[(&str, &[&str])] = &[
    ("learning_rate_multiplier", &["imported", "default"]),
    ("initializer", INITIALIZER),
    ("linear_initializer", INITIALIZER),
    ("bias_initializer", INITIALIZER),
];

/// The keys of an initializer.
const INITIALIZER: &[&str] = &[
    "name",
    "low",
    "high",
    "value",
    "mean",
    "deviation",
    "scale",
    "local",
];

/// Tables that have the keys of another one, and which of them they have not.
const ALSO: &[(&str, &str, &[&str])] = &[
    ("optimizer.layer.schedule", "schedule", &[]),
    ("optimizer.layer", "optimizer", &["layer"]),
];

/// `model.layers.3.kernel` without its index: the path as [`KEYS`] has it.
pub fn without_indices(path: &str) -> String {
    let steps = path.split('.');
    let named: Vec<_> = steps
        .filter(|step| step.parse::<usize>().is_err())
        .collect();
    named.join(".")
}

/// An example value for a key, or for the nearest key around it.
pub fn example(path: &str) -> Option<(&'static str, &'static str)> {
    let path = without_indices(path);
    let mut path = path.as_str();
    loop {
        let listed = |path: &str| KEYS.iter().find(|(key, _)| *key == path);
        if let Some(found) = listed(path).or_else(|| listed(&home(path))) {
            return Some(*found);
        }
        path = path.rsplit_once('.')?.0;
    }
}

/// The table, or the key of one, whose entries in [`KEYS`] this one shares; mostly itself.
pub fn home(path: &str) -> String {
    let path = without_indices(path);
    let shared = ALSO.iter().find_map(|(table, other, _)| {
        let rest = path.strip_prefix(table)?;
        let inside = rest.is_empty() || rest.starts_with('.');
        inside.then(|| format!("{other}{rest}"))
    });
    shared.unwrap_or(path)
}

/// Whether the path is a table such as `optimizer`, and nothing else.
pub fn is_table(path: &str) -> bool {
    !KEYS.iter().any(|(key, _)| *key == path) && keys_of(path).next().is_some()
}

/// The keys of a table; those of the top level for `""`. Tables are not among them.
pub fn keys_of(table: &str) -> impl Iterator<Item = &'static str> {
    let last = table.rsplit('.').next().unwrap_or_default();
    let open = OPEN.iter().find(|(name, _)| *name == last);
    let open = open.into_iter().flat_map(|(_, keys)| keys.iter().copied());
    let (table, asked) = (table.to_owned(), table.to_owned());
    let fixed = KEYS.iter().filter_map(move |(path, _)| {
        let (home, key) = split(path);
        (home == table).then_some(key)
    });
    let also = ALSO.iter().filter(move |(name, ..)| *name == asked);
    let also = also.flat_map(|(_, other, without)| {
        let theirs = KEYS.iter().map(|(path, _)| split(path));
        let theirs = theirs.filter_map(|(home, key)| (home == *other).then_some(key));
        theirs.filter(|key| !without.contains(key))
    });
    fixed.chain(also).chain(open)
}

/// The tables of the top level.
pub fn tables() -> Vec<&'static str> {
    let mut tables: Vec<_> = KEYS.iter().map(|(path, _)| split(path).0).collect();
    tables.retain(|table| !table.is_empty() && !table.contains('.'));
    tables.dedup();
    tables
}

/// The table and the last step of a path; the top level is `""`.
pub fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// How a message calls a table: `[optimizer]`, `the top level`.
pub fn call(table: &str) -> String {
    match table {
        "" => "the top level".to_owned(),
        "model.layers" | "optimizer.layer" => format!("[[{table}]]"),
        "optimizer.layer.schedule" => "a `schedule` of [[optimizer.layer]]".to_owned(),
        table => format!("[{table}]"),
    }
}

/// What was probably meant by an unknown key. Paths are those of [`KEYS`], or of a table.
pub enum Meant {
    /// Another key of the same table.
    Key(String),
    /// The same key, in other tables.
    Elsewhere(Vec<&'static str>),
    /// No idea: these are the keys of the table.
    OneOf(Vec<String>),
}

/// Guesses what was meant by a key that does not exist in a table.
pub fn meant(table: &str, key: &str) -> Meant {
    let paths = KEYS.iter().map(|(path, _)| *path);
    let homes: Vec<_> = paths.filter(|path| split(path).1 == key).collect();
    if !homes.is_empty() {
        return Meant::Elsewhere(homes);
    }
    let mut candidates: Vec<_> = keys_of(table).collect();
    if table.is_empty() {
        candidates.extend(tables());
    }
    let path = |key: &str| match table {
        "" => key.to_owned(),
        table => format!("{table}.{key}"),
    };
    match pattern::closest(key, candidates.iter().copied()) {
        Some(key) => Meant::Key(path(key)),
        None => Meant::OneOf(candidates.into_iter().map(path).collect()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use figment::error::Kind;
    use figment::value::{Dict, Value};
    use serde::Deserialize;

    use super::*;
    use crate::config::file::File;
    use crate::config::layer::parse_value;

    /// `value` below the dotted `path`; an entry of `model.layers` or `optimizer.layer` in a list.
    fn below(path: &str, value: Value) -> Value {
        path.rsplit('.').fold(value, |value, step| match step {
            "" => value,
            "layers" | "layer" => Dict::from([(step.to_owned(), vec![value].into())]).into(),
            step => Dict::from([(step.to_owned(), value)]).into(),
        })
    }

    #[test]
    fn every_key_takes_its_example() {
        for (path, example) in KEYS {
            let value = parse_value(example);
            let file = match *path {
                // Their examples are lists already.
                list @ ("model.layers" | "optimizer.layer") => {
                    let (table, key) = split(list);
                    below(table, Dict::from([(key.to_owned(), value)]).into())
                }
                path => below(path, value),
            };
            File::deserialize(&file).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
    }

    #[test]
    fn the_keys_listed_here_are_those_of_the_file_type() {
        for table in [
            vec![""],
            tables(),
            vec!["model.layers", "model.initializer"],
            vec!["optimizer.layer", "optimizer.layer.schedule"],
        ]
        .concat()
        {
            let nonsense = Dict::from([("?".to_owned(), Value::from(1))]);
            let error = File::deserialize(&below(table, nonsense.into())).unwrap_err();
            let Kind::UnknownField(_, taken) = error.kind else {
                panic!("{table}: {error}");
            };
            let mut listed: BTreeSet<_> = keys_of(table).collect();
            if table.is_empty() {
                listed.extend(tables());
            }
            assert_eq!(listed, taken.iter().copied().collect(), "[{table}]");
        }
    }
}
