//! By what kept features are found again: a hash of all that decides them, to the last bit.

use sha2::{Digest, Sha256};

use crate::cache::Key;
use crate::config::experiment::Experiment;
use crate::error::{Error, Result};
use crate::model::backend;
use crate::model::graph;
use crate::model::spec::NetworkSpec;
use crate::train::Split;
use crate::train::prefix::Prefix;

/// Changes when what is hashed, or how features are kept, changes.
const VERSION: &str = "features 1";

/// Keys of an experiment that do not matter, or by what they lead to: layers, their values, samples.
/// All others do, among them those that later versions may add.
const WITHOUT: [&str; 24] = [
    "name",
    "seeds",
    "epochs",
    "batch_size",
    "source_model",
    "control",
    "save_path",
    "save_optimizer_state",
    "cache",
    "cache_dtype",
    "cache_limit",
    "cache_directory",
    "learning_rate_multiplier",
    "data",
    "preprocessing",
    "model",
    "batch_norm",
    "loss",
    "optimizer",
    "schedule",
    "source",
    "evaluation",
    "checkpoint",
    "record",
];

/// Hash of all that `prefix`, the first layers of `spec`, decides: what its layers compute, the
/// values of their tensors, precisions, and the arithmetic of this machine as `experiment` wants it.
/// Names do not count.
///
/// # Errors
/// None that can be expected.
pub fn of_prefix(experiment: &Experiment, prefix: &Prefix, spec: &NetworkSpec) -> Result<Sha256> {
    let unwritable = |error: serde_json::Error| Error::new(error.to_string());
    let mut settings = serde_json::to_value(experiment).map_err(unwritable)?;
    if let Some(settings) = settings.as_object_mut() {
        settings.retain(|key, _| !WITHOUT.contains(&key.as_str()));
    }
    let mut hash = Sha256::new();
    let form = prefix.form();
    let precision = format!("{} {}", form.dtype, form.kept_in);
    for text in [
        VERSION,
        &backend::arithmetic(),
        &settings.to_string(),
        &precision,
    ] {
        add(&mut hash, text.as_bytes());
    }
    add(&mut hash, format!("{:?}", spec.input).as_bytes());
    let layers = &spec.layers[..prefix.layers()];
    for (layer, inputs) in layers.iter().zip(graph::inputs(layers)?) {
        let operation = serde_json::to_string(&layer.operation).map_err(unwritable)?;
        add(&mut hash, operation.as_bytes());
        add(
            &mut hash,
            format!("{inputs:?} {:?}", layer.output).as_bytes(),
        );
    }
    for tensor in prefix.tensors() {
        let form = format!("{} {:?}", tensor.role.name(), tensor.shape);
        add(&mut hash, form.as_bytes());
        hash.update(tensor.values.le_bytes());
    }
    Ok(hash)
}

/// The same for the samples of `split`, whose file has this checksum.
pub fn of_split(of_prefix: &Sha256, split: &Split, sha256: &str) -> Key {
    let mut hash = of_prefix.clone();
    let steps = split.transform.steps();
    let form = (steps.from, steps.size, steps.reversed, steps.dtype);
    add(&mut hash, format!("{form:?}").as_bytes());
    for numbers in [&steps.mean[..], &[steps.scale], &steps.deviation] {
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        add(&mut hash, &bytes);
    }
    add(&mut hash, sha256.as_bytes());
    hash.finalize().into()
}

/// The length keeps two different lists from being one text.
fn add(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_le_bytes());
    hash.update(part);
}
