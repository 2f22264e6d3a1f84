//! Whose state dict it is: the tensors that are to be written, compared with those of the named
//! architectures as they are published.

use std::collections::HashMap;

use crate::config::experiment::{Architecture, Convention, DropoutScaling};
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
        Some((name, differences)) if differences.len() <= ours.len() => {
            let classes = network.classes();
            match differences.as_slice() {
                [] => format!(
                    "these are the tensors of `{name}`, for {classes} classes: \
                     load_state_dict(strict=True) takes them"
                ),
                [only] => format!("not the model of `{name}`: {only}"),
                [first, more @ ..] => {
                    format!(
                        "not the model of `{name}`: {first}, and {} more",
                        more.len()
                    )
                }
            }
        }
        _ => "no published model, though layers have names of PyTorch's models".to_string(),
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
            None => found.push(format!("`{name}` is not there")),
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
    found.extend(lacking.map(|(name, _)| format!("`{name}` is only there")));
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
    // One that multiplies at inference does something that PyTorch's does not.
    let operations = operations.filter(|operation| {
        let scaling = match operation {
            Operation::Dropout { scaling, .. } => *scaling,
            _ => DropoutScaling::Inference,
        };
        scaling == DropoutScaling::Inference
    });
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
#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::error::{At, Result};
    use crate::export::pytorch::outline;

    /// A linear layer of 4 inputs with its bias, what `activation` says, and a classifier.
    fn network(
        foreign: bool,
        features: usize,
        classes: usize,
        activation: &str,
    ) -> Result<NetworkSpec> {
        let layer = |name: &str, operation: &str, output: usize, parameters: Value| {
            let names = match (foreign, name.starts_with("fc1")) {
                (false, _) => json!([]),
                (true, true) => json!([{"convention": "torchvision", "name": "classifier.0"}]),
                (true, false) => json!([{"convention": "torchvision", "name": "classifier.2"}]),
            };
            json!({"name": name, "operation": operation, "output": [output],
                   "parameters": parameters, "names": names})
        };
        let tensor = |role: &str, shape: &[usize]| {
            let initializer = json!({"name": "constant", "value": 0.0});
            json!([{"role": role, "shape": shape, "initializer": initializer}])
        };
        let layers = json!([
            layer("fc1", "linear", features, tensor("weight", &[features, 4])),
            layer("fc1_bias", "bias", features, tensor("bias", &[features])),
            layer("fc1_activation", activation, features, json!([])),
            layer(
                "fc2",
                "linear",
                classes,
                tensor("weight", &[classes, features])
            ),
            layer("softmax", "softmax", classes, json!([])),
        ]);
        let network = json!({"input": [1, 2, 2], "layers": layers, "initial_draws": "by_name"});
        serde_json::from_value(network)
            .map_err(|error| crate::error::Error::new(error.to_string()))
            .at("the example")
    }

    fn said_of(network: &NetworkSpec) -> Result<String> {
        let published = self::network(true, 8, 1000, "relu")?;
        let published = [Published {
            name: "small",
            network: published,
        }];
        let text = describe(network, &published, outline);
        Ok(text)
    }

    #[test]
    fn a_published_model_is_recognized_whatever_its_number_of_classes() -> Result<()> {
        let text = said_of(&network(true, 8, 2, "relu")?)?;
        let expected = "these are the tensors of `small`, for 2 classes: ";
        assert!(text.starts_with(expected), "{text}");
        Ok(())
    }

    #[test]
    fn what_is_other_is_named() -> Result<()> {
        assert_eq!(
            said_of(&network(true, 6, 2, "relu")?)?,
            "not the model of `small`: `classifier.0.weight` is (6, 4) and (8, 4) there, and 2 more"
        );
        assert_eq!(
            said_of(&network(true, 8, 2, "tanh")?)?,
            "not the model of `small`: its layers compute something else"
        );
        assert_eq!(
            said_of(&network(false, 8, 2, "relu")?)?,
            "its layers have no names in PyTorch's models: the names are their own"
        );
        Ok(())
    }

    #[test]
    fn a_bias_has_the_name_of_its_layer() -> Result<()> {
        let names = |foreign| -> Result<Vec<String>> {
            let network = network(foreign, 8, 2, "relu")?;
            Ok(outline(&network)
                .into_iter()
                .map(|(name, _)| name)
                .collect())
        };
        let theirs = [
            "classifier.0.weight",
            "classifier.0.bias",
            "classifier.2.weight",
        ];
        assert_eq!(names(true)?, theirs);
        assert_eq!(names(false)?, ["fc1.weight", "fc1.bias", "fc2.weight"]);
        Ok(())
    }
}
