//! PyTorch's checkpoints: the tensors of a `state_dict` out of what `torch.save` wrote.
//!
//! Two layouts. Since 1.6 a zip archive: the pickle `<root>/data.pkl` and a file a storage,
//! `<root>/data/<key>`. Before: pickles one after another (a magic number, the protocol, the
//! system, the object, the list of storages) and the storages behind them. Nothing is executed; a
//! pickled module is looked through as data. It does not know what the layers do.
//! Format: PyTorch's `torch/serialization.py`.

mod find;
mod storage;

use std::collections::BTreeMap;

use super::archive::Archive;
use super::layers::{self, Layers};
use super::pickle::{self, Dialect, Node, Pickle};
use super::pieces::Pieces;
use super::{Contents, Format};
use crate::error::{At, Error, Result};
use storage::{Storages, Tensor};

/// Whether the archive is one of PyTorch's; TorchScript's are.
pub fn is_pytorch(archive: &Archive) -> bool {
    root(archive).is_some()
}

/// Reads a zip archive.
///
/// # Errors
/// A damaged archive, a pickle that is refused, no weights in it, a tensor that does not fit its
/// storage.
pub fn read(pieces: &Pieces, archive: &Archive) -> Result<Contents> {
    let root = root(archive).unwrap_or_default();
    if archive.entry(&format!("{root}constants.pkl")).is_some() {
        return Err(
            Error::new("is a compiled TorchScript model, which is a program").help(
                "load it with `torch.jit.load` and save its `state_dict()` with `torch.save`",
            ),
        );
    }
    let Some(program) = archive.entry(&format!("{root}{PROGRAM}")) else {
        return Err(Error::new("is an archive without PyTorch's `data.pkl`"));
    };
    let program = Pieces::of(archive.read(program, LONGEST_PROGRAM)?);
    let pickle = pickle::parse(&program, 0, Dialect::PyTorch).at(PROGRAM)?;
    let storages = Storages::zipped(archive, &root)?;
    contents(Format::PyTorch, &pickle, &storages, pieces)
}

/// Reads the layout before 1.6.
///
/// # Errors
/// As [`read`].
pub fn read_legacy(pieces: &Pieces) -> Result<Contents> {
    let mut end = 0;
    let mut next = |what: &str| -> Result<Pickle> {
        let pickle = pickle::parse(pieces, end, Dialect::PyTorch).at(what)?;
        end = pickle.end();
        Ok(pickle)
    };
    next("magic number")?;
    let protocol = next("protocol")?;
    if *protocol.node(protocol.root()) != Node::Int(1001) {
        return Err(Error::new(
            "is of an unknown version of PyTorch's legacy format",
        ));
    }
    let system = next("system")?;
    let object = next("object")?;
    let keys = next("list of storages")?;
    let storages = Storages::legacy(pieces, end, &system, &object, &keys)?;
    contents(Format::PyTorchLegacy, &object, &storages, pieces)
}

/// The number that the legacy layout begins with, as its pickle.
pub const MAGIC: [u8; 14] = *b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

const PROGRAM: &str = "data.pkl";

/// How many times the file's size its tensors may take: they may share storages.
const MOST_SHARING: u64 = 4;

/// Bytes of the longest pickle in an archive; the machine's own limit on steps is lower.
const LONGEST_PROGRAM: u64 = 1 << 26;

/// What the names of all entries begin with: `archive/`.
fn root(archive: &Archive) -> Option<String> {
    let mut entries = archive.entries().iter();
    let root = entries.find_map(|entry| {
        let root = entry.name.strip_suffix(PROGRAM)?;
        (root.is_empty() || root.find('/') == Some(root.len() - 1)).then_some(root)
    });
    root.map(str::to_string)
}

fn contents(
    format: Format,
    pickle: &Pickle,
    storages: &Storages,
    pieces: &Pieces,
) -> Result<Contents> {
    let weights = find::weights(pickle)?;
    let mut found = Layers::of_at_most(pieces.len().saturating_mul(MOST_SHARING));
    for (path, id) in weights.tensors {
        layers::check_name(&path)?;
        let (layer, name) = layers::split(&path);
        let mut read = || -> Result<()> {
            let tensor = Tensor::read(pickle, id)?;
            if layers::is_bookkeeping(tensor.element().is_float(), &tensor.shape, name) {
                return Ok(());
            }
            found.room_for(&tensor.shape, tensor.element().size())?;
            let values = storages.values(&tensor)?;
            found.push((layer, name), &path, tensor.shape, values)
        };
        read().at(&path)?;
    }
    let mut metadata: BTreeMap<_, _> = find::facts(pickle);
    if let Some(key) = weights.key {
        metadata.insert("weights under".to_string(), key);
    }
    Ok(Contents {
        format,
        layers: found.finish(),
        metadata,
    })
}
