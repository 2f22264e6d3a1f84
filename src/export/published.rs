//! Whose state dict it is: the tensors that are to be written, compared with those of the named
//! architectures as they are published.

use std::collections::HashMap;

use crate::config::experiment::{Architecture, Convention};
use crate::model::architecture;
use crate::model::spec::{LayerSpec, NetworkSpec, Operation, shape_text};

/// One tensor of a state dict: its name there and its shape.
pub type Outline<'a> = (String, &'a [usize]);

/// A network as it is published, under the name of its architecture.
pub struct Published {
    pub name: &'static str,
    pub network: NetworkSpec,
}

/// What `ours`, the state dict of `network`, is among the `published` ones, whose state dicts `outline`
/// gives: one sentence for the reader.
pub fn describe<'a>(
    network: &'a NetworkSpec,
    published: &'a [Published],
    outline: impl Fn(&'a NetworkSpec) -> Vec<Outline<'a>>,
) -> String {
    let parameters = network.layers.iter().filter(|l| !l.parameters.is_empty());
    if !parameters.clone().any(has_foreign_name) {
        return "its layers have no names in PyTorch's models: the names are their own".to_string();
    }
    let ours = outline(network);
    let candidates = published.iter().map(|other| {
        let theirs = outline(&other.network);
        let differences = differences(network, &ours, &other.network, &theirs);
        (other.name, differences)
    });
    let closest = candidates.min_by_key(|(_, differences)| differences.len());
    match closest {
        Some((name, differences)) if differences.is_empty() => format!(
            "it is the model of `{name}`'s, with {} classes: load_state_dict(strict=True) takes it",
            network.classes()
        ),
        Some((name, differences)) if differences.len() <= ours.len() => {
            let more = differences.len() - 1;
            let first = differences.first().map_or("", String::as_str);
            format!("it is not the model of `{name}`'s: {first}, and {more} more differences")
        }
        _ => "it is no published model, though layers have names of PyTorch's models".to_string(),
    }
}

fn has_foreign_name(layer: &LayerSpec) -> bool {
    let mut names = layer.names.iter();
    names.any(|name| name.convention == Convention::Torchvision)
}

/// What is other in our model, in words.
fn differences(
    network: &NetworkSpec,
    ours: &[Outline],
    other: &NetworkSpec,
    theirs: &[Outline],
) -> Vec<String> {
    let known: HashMap<&str, &[usize]> = theirs.iter().map(|(n, s)| (n.as_str(), *s)).collect();
    let mut found = Vec::new();
    for (name, shape) in ours {
        match known.get(name.as_str()) {
            None => found.push(format!("there is no `{name}` there")),
            Some(there) if !same_shape(shape, network, there, other) => found.push(format!(
                "`{name}` is {} and {} there",
                shape_text(shape),
                shape_text(there)
            )),
            Some(_) => {}
        }
    }
    let have = |name: &str| ours.iter().any(|(own, _)| own == name);
    let lacking = theirs.iter().filter(|(name, _)| !have(name));
    found.extend(lacking.map(|(name, _)| format!("`{name}` of there is not here")));
    if found.is_empty() {
        found.extend(other_operations(network, other));
    }
    found
}

/// Whether the shapes are the same but for the number of classes.
fn same_shape(
    ours: &[usize],
    network: &NetworkSpec,
    theirs: &[usize],
    other: &NetworkSpec,
) -> bool {
    match (ours, theirs) {
        ([own, rest @ ..], [there, rest_there @ ..]) => {
            let classes = *own == network.classes() && *there == other.classes();
            rest == rest_there && (own == there || classes)
        }
        _ => ours == theirs,
    }
}

/// Whether the layers compute something else, though their tensors are the same.
fn other_operations(network: &NetworkSpec, other: &NetworkSpec) -> Option<String> {
    let same = at_inference(network) == at_inference(other);
    (!same).then(|| "its layers compute something else".to_string())
}

/// The operations without what only matters in training.
fn at_inference(network: &NetworkSpec) -> Vec<Operation> {
    let operations = network.layers.iter().map(|layer| layer.operation);
    let operations = operations.filter(|operation| !matches!(operation, Operation::Dropout { .. }));
    operations
        .map(|operation| match operation {
            Operation::BatchNorm { epsilon, .. } => Operation::BatchNorm {
                epsilon,
                momentum: 0.0,
            },
            operation => operation,
        })
        .collect()
}

/// Every named architecture in torchvision's variant, for the images and the classes for which it was
/// made.
pub fn all() -> Vec<Published> {
    let published = Architecture::ALL.into_iter().map(|architecture| {
        let network = architecture::standard(architecture, Convention::Torchvision, 1.0).ok()?;
        let name = architecture.name();
        Some(Published { name, network })
    });
    published.flatten().collect()
}
