//! What a training needs to go on: trained weights, optimizer state, progress; as one file.
//!
//! The frozen prefix is not in it: it comes from the source model and the seed, as at the start.
//! It knows nothing of where the file lies. Its checksum is in it: what was damaged later is never
//! trained on.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::Progress;
use crate::error::{Error, Result};
use crate::files::hexadecimal;
use crate::model::digest::{self, TensorDigest};
use crate::model::network::NamedTensor;
use crate::numbers::Numbers;
use crate::source::safetensors::{self, Entry, EntryData, StoredData};

/// The state of a training between two batches.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Tensors of the layers behind the frozen prefix, by name in files.
    pub weights: BTreeMap<String, Numbers>,
    /// What the optimizers remember, as [`super::updates::Updates::state`] gives it.
    pub optimizer: Vec<u8>,
    pub progress: Progress,
}

const OPTIMIZER: &str = "optimizer";
const IDENTITY: &str = "identity";
const PROGRESS: &str = "progress";
const CHECKSUM: &str = "checksum";

/// Writes a checkpoint of the run `identity`; the file at `path` is replaced in one step.
///
/// # Errors
/// Whatever the file system refuses.
pub fn write(
    path: &Path,
    weights: &[NamedTensor],
    optimizer: &[u8],
    progress: &Progress,
    identity: &str,
) -> Result<()> {
    let names: Vec<String> = weights.iter().map(NamedTensor::name).collect();
    let tensors = weights.iter().zip(&names).map(|(tensor, name)| Entry {
        name,
        shape: &tensor.shape,
        data: EntryData::Numbers(&tensor.values),
    });
    let bytes = optimizer;
    let length = [bytes.len()];
    let optimizer = Entry {
        name: OPTIMIZER,
        shape: &length,
        data: EntryData::Bytes(bytes),
    };
    let progress = serde_json::to_string(progress)
        .map_err(|error| Error::new(error.to_string()).at(path.display()))?;
    let checksum = checksum(digest::of_tensors(weights), bytes, &progress, identity);
    let metadata = BTreeMap::from([
        (IDENTITY.to_string(), identity.to_string()),
        (PROGRESS.to_string(), progress),
        (CHECKSUM.to_string(), checksum),
    ]);
    safetensors::write(path, tensors.chain([optimizer]), &metadata)
}

/// Reads the checkpoint at `path`; `None` if there is none, or only one of another run.
///
/// # Errors
/// The file cannot be read or is damaged.
pub fn read_if_there(path: &Path, identity: &str) -> Result<Option<Checkpoint>> {
    if !path.exists() {
        return Ok(None);
    }
    let damaged = |what: &str| Error::new(format!("damaged checkpoint: {what}")).at(path.display());
    let stock = safetensors::load(path)?;
    let said = |name: &str| stock.metadata.get(name).map(String::as_str);
    if said(IDENTITY) != Some(identity) {
        return Ok(None);
    }
    let text = said(PROGRESS)
        .ok_or_else(|| damaged("no progress"))?
        .to_string();
    let expected = said(CHECKSUM).unwrap_or_default().to_string();
    let progress = serde_json::from_str(&text).map_err(|error| damaged(&error.to_string()))?;
    let mut weights = BTreeMap::new();
    let mut optimizer = None;
    for stored in stock.tensors {
        match stored.data {
            StoredData::Numbers(values) => {
                weights.insert(stored.name, values);
            }
            StoredData::Bytes(bytes) => optimizer = Some(bytes),
        }
    }
    let optimizer = optimizer.ok_or_else(|| damaged("no optimizer state"))?;
    let digests = weights.par_iter();
    let digests = digests.map(|(name, values)| (name.clone(), values.sha256()));
    if checksum(digests.collect(), &optimizer, &text, identity) != expected {
        return Err(damaged("its content is not that of its checksum"));
    }
    Ok(Some(Checkpoint {
        weights,
        optimizer,
        progress,
    }))
}

/// SHA-256 over all that a checkpoint holds.
fn checksum(
    weights: Vec<TensorDigest>,
    optimizer: &[u8],
    progress: &str,
    identity: &str,
) -> String {
    let mut hash = Sha256::new();
    hash.update(digest::of_model(weights));
    hash.update(Sha256::digest(optimizer));
    hash.update(Sha256::digest(progress));
    hash.update(identity);
    hexadecimal(&hash.finalize())
}
