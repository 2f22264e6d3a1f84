//! A PyTorch state dict: PyTorch's names and layouts, as safetensors or as PyTorch's own archive.
//!
//! A layer is `<N>.weight`, its bias `<N>.bias`, a batch norm `<N>.weight`, `.bias`, `.running_mean`,
//! `.running_var` and `.num_batches_tracked`; `<N>` is what torchvision calls the layer, or, where it
//! has no such layer, the layer's own name. PyTorch's layouts are graft's. To load a file:
//!
//! ```text
//! model.load_state_dict(safetensors.torch.load_file("vgg11.pytorch.safetensors"), strict=True)
//! model.load_state_dict(torch.load("vgg11.pt", weights_only=True), strict=True)
//! ```

use std::collections::{BTreeMap, HashSet};
use std::iter;
use std::path::Path;

use super::Written;
use super::archive::Archive;
use super::graph::Graph;
use super::model::Model;
use super::published::{self, Outline};
use crate::config::experiment::Convention;
use crate::error::{At, Error, Result};
use crate::files::write_atomically_with;
use crate::model::spec::{LayerSpec, NetworkSpec, Role};
use crate::numbers::{Dtype, Numbers};
use crate::source::pickle::state_dict::{self, Storage};
use crate::source::safetensors::{self, Entry, EntryData};

/// Endings of PyTorch's own archives.
const ARCHIVES: [&str; 3] = ["pt", "pth", "th"];

/// Batches that a batch norm has counted: PyTorch only needs to know where its statistics are means
/// of all batches, which graft's never are.
const BATCHES_TRACKED: [i64; 1] = [0];

/// One entry of the state dict.
struct Named<'a> {
    name: String,
    shape: &'a [usize],
    values: Values<'a>,
}

enum Values<'a> {
    Numbers(&'a Numbers),
    /// Of a batch norm: [`BATCHES_TRACKED`].
    Counter,
}

/// Writes the state dict of `model` to `path`, whose ending says in which form.
///
/// # Errors
/// Two tensors that PyTorch would call the same; whatever the file system refuses.
pub fn write(model: &Model, path: &Path) -> Result<Written> {
    let entries = entries(model)?;
    let ending = path.extension().and_then(|ending| ending.to_str());
    let is_archive = ending.is_some_and(|ending| ARCHIVES.contains(&ending));
    let (format, load) = match is_archive {
        true => {
            write_archive(&entries, path)?;
            ("PyTorch archive", "torch.load(FILE, weights_only=True)")
        }
        false => {
            write_safetensors(model, &entries, path)?;
            ("safetensors", "safetensors.torch.load_file(FILE)")
        }
    };
    let published = published::all();
    let whose = published::describe(model.network(), &published, outline);
    let mut notes = vec![format!("PyTorch loads it: {load}"), whose];
    if let Some(steps) = model.pixels.in_words() {
        notes.push(format!("its model wants raw pixels {steps}"));
    }
    let mut left_out = model.left_out.clone();
    left_out.push("what the layers compute: PyTorch takes it from the model's code".to_string());
    let (tensors, parameters) = model.counts();
    Ok(Written {
        format,
        tensors,
        parameters,
        notes,
        left_out,
    })
}

fn entries(model: &Model) -> Result<Vec<Named<'_>>> {
    let mut entries = Vec::new();
    for (layer, name, role) in names(model.network())? {
        let (shape, values): (&[usize], _) = match role {
            Some(role) => {
                let tensor = model.tensor(layer, role)?;
                (&tensor.shape, Values::Numbers(&tensor.values))
            }
            None => (&[], Values::Counter),
        };
        entries.push(Named {
            name,
            shape,
            values,
        });
    }
    let mut seen = HashSet::new();
    match entries.iter().find(|entry| !seen.insert(&entry.name)) {
        None => Ok(entries),
        Some(twice) => Err(
            Error::new(format!("two tensors would be `{}` in PyTorch", twice.name))
                .help("give the layers names that differ in more than `_bias`"),
        ),
    }
}

/// Layer, name in PyTorch and role of every entry; without a role: a batch norm's counter.
fn names(network: &NetworkSpec) -> Result<Vec<(&LayerSpec, String, Option<Role>)>> {
    let graph = Graph::of(network)?;
    let mut names = Vec::new();
    for (index, layer) in network.layers.iter().enumerate() {
        let biased = graph.biased_by(index).and_then(|i| network.layers.get(i));
        let own = foreign(layer).or_else(|| biased.and_then(foreign));
        let own = own.unwrap_or(&biased.unwrap_or(layer).name);
        let roles = layer.parameters.iter().map(|parameter| parameter.role);
        let named = |role| (layer, format!("{own}.{}", pytorch_role(role)), Some(role));
        names.extend(roles.clone().map(named));
        if roles.clone().any(|role| role == Role::Mean) {
            names.push((layer, format!("{own}.num_batches_tracked"), None));
        }
    }
    Ok(names)
}

/// What torchvision calls the layer.
fn foreign(layer: &LayerSpec) -> Option<&String> {
    let mut names = layer.names.iter();
    let first = names.find(|name| name.convention == Convention::Torchvision);
    first.map(|found| &found.name)
}

fn pytorch_role(role: Role) -> &'static str {
    match role {
        Role::Weight | Role::Scale => "weight",
        Role::Bias | Role::Shift => "bias",
        Role::Mean => "running_mean",
        Role::Variance => "running_var",
    }
}

/// Names and shapes of the state dict of `network`, without the counters of its batch norms; nothing
/// of one whose layers do not hang together.
pub fn outline(network: &NetworkSpec) -> Vec<Outline<'_>> {
    let names = names(network).unwrap_or_default().into_iter();
    let outlines = names.filter_map(|(layer, name, role)| {
        let mut parameters = layer.parameters.iter();
        let parameter = parameters.find(|parameter| Some(parameter.role) == role)?;
        Some((name, parameter.shape.as_slice()))
    });
    outlines.collect()
}

fn write_safetensors(model: &Model, entries: &[Named], path: &Path) -> Result<()> {
    // `format` is what Hugging Face's libraries ask for.
    let mut metadata = BTreeMap::from([("format".to_string(), "pt".to_string())]);
    metadata.extend(model.metadata.clone());
    let entries = entries.iter().map(|entry| Entry {
        name: &entry.name,
        shape: entry.shape,
        data: match entry.values {
            Values::Numbers(numbers) => EntryData::Numbers(numbers),
            Values::Counter => EntryData::Integers(&BATCHES_TRACKED),
        },
    });
    safetensors::write(path, entries, &metadata)
}

/// The files of an archive as `torch.save` lays them out.
fn write_archive(entries: &[Named], path: &Path) -> Result<()> {
    let outlines = entries.iter().map(|entry| state_dict::Entry {
        name: &entry.name,
        shape: entry.shape,
        storage: match entry.values {
            Values::Numbers(numbers) => storage(numbers.dtype()),
            Values::Counter => Storage::Long,
        },
    });
    let mut pickle = Vec::new();
    let outlines: Vec<_> = outlines.collect();
    state_dict::write(&mut pickle, &outlines).at(path.display())?;
    write_atomically_with(path, |file| {
        let mut archive = Archive::new(file);
        archive.add("archive/data.pkl", pickle.len(), iter::once(pickle))?;
        let order = b"little".to_vec();
        archive.add("archive/byteorder", order.len(), iter::once(order))?;
        for (index, entry) in entries.iter().enumerate() {
            let name = format!("archive/data/{index}");
            match entry.values {
                Values::Numbers(numbers) => {
                    let bytes = numbers.len() * numbers.dtype().size();
                    archive.add(&name, bytes, iter::once(numbers.le_bytes()))?;
                }
                Values::Counter => {
                    let blocks = BATCHES_TRACKED.map(|count| count.to_le_bytes().to_vec());
                    archive.add(&name, size_of_val(&BATCHES_TRACKED), blocks.into_iter())?;
                }
            }
        }
        let version = b"3\n".to_vec();
        archive.add("archive/version", version.len(), iter::once(version))?;
        archive.finish()
    })
}

fn storage(dtype: Dtype) -> Storage {
    match dtype {
        Dtype::F16 => Storage::Half,
        Dtype::Bf16 => Storage::Bfloat16,
        Dtype::F32 => Storage::Float,
        Dtype::F64 => Storage::Double,
    }
}
