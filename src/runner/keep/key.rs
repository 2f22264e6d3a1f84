//! By what kept features are found again: a hash of all that decides them, to the last bit.

use sha2::{Digest, Sha256};

use crate::cache::Key;
use crate::error::{Error, Result};
use crate::model::backend;
use crate::model::graph;
use crate::model::spec::NetworkSpec;
use crate::train::Split;
use crate::train::prefix::Prefix;

/// Changes when what is hashed, or how features are kept, changes.
const VERSION: &str = "features 1";

/// Hash of all that `prefix`, the first layers of `spec`, decides: what its layers compute, the
/// values of their tensors, precisions, and the arithmetic of this machine. Names do not count.
///
/// # Errors
/// None that can be expected.
pub fn of_prefix(prefix: &Prefix, spec: &NetworkSpec) -> Result<Sha256> {
    let mut hash = Sha256::new();
    let form = prefix.form();
    let precision = format!("{} {}", form.dtype, form.kept_in);
    for text in [VERSION, &backend::arithmetic(), &precision] {
        add(&mut hash, text.as_bytes());
    }
    add(&mut hash, format!("{:?}", spec.input).as_bytes());
    let layers = &spec.layers[..prefix.layers()];
    for (layer, inputs) in layers.iter().zip(graph::inputs(layers)?) {
        let operation = serde_json::to_string(&layer.operation);
        let operation = operation.map_err(|error| Error::new(error.to_string()))?;
        add(&mut hash, operation.as_bytes());
        add(&mut hash, format!("{inputs:?} {:?}", layer.output).as_bytes());
    }
    for tensor in prefix.tensors() {
        let form = format!("{} {:?}", tensor.role.name(), tensor.shape);
        add(&mut hash, form.as_bytes());
        tensor
            .values
            .le_bytes()
            .for_each(|bytes| hash.update(&bytes));
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
