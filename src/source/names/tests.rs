//! Made-up models: which of their layers a target finds, and under what name.

use super::*;
use crate::config::experiment::{Convention, InitialDraws, Initializer};
use crate::model::spec::{ForeignName, ParameterSpec, Role};
use crate::source::{Format, SourceLayer};

fn source(names: &[&str]) -> SourceModel {
    let layer = |name: &&str| SourceLayer {
        name: name.to_string(),
        kind: None,
        filter: None,
        tensors: Vec::new(),
    };
    SourceModel {
        path: "m.pth".into(),
        format: Format::Safetensors,
        sha256: String::new(),
        layers: names.iter().map(layer).collect(),
        metadata: BTreeMap::new(),
        origin: None,
    }
}

/// A name, and what checkpoints call it.
fn target(layers: &[(&str, &str)]) -> NetworkSpec {
    let layer = |&(name, foreign): &(&str, &str)| LayerSpec {
        name: name.into(),
        operation: Operation::Linear,
        output: vec![1],
        parameters: vec![ParameterSpec {
            role: Role::Weight,
            shape: vec![1, 1],
            initializer: Initializer::XavierLocal,
            groups: 1,
        }],
        inputs: Vec::new(),
        names: vec![ForeignName {
            convention: Convention::Torchvision,
            name: foreign.into(),
        }],
        renamed: false,
    };
    NetworkSpec {
        input: [1, 1, 1],
        layers: layers.iter().map(layer).collect(),
        initial_draws: InitialDraws::ByName,
    }
}

fn renames(entries: &[(&str, &str)]) -> Renames {
    let entries = entries.iter().map(|&(a, b)| (a.to_string(), b.to_string()));
    entries.collect()
}

/// The places that each layer of the target finds, and the prefix.
fn found(source: &[&str], target: &NetworkSpec, renames: &Renames) -> (Vec<Vec<usize>>, String) {
    let catalogue = Catalogue::new(&self::source(source), target, renames).expect("valid renames");
    let layers = target.layers.iter();
    let found = layers.map(|layer| catalogue.find(layer).to_vec()).collect();
    (found, catalogue.prefix)
}

#[test]
fn a_layer_is_found_by_its_own_name_before_that_of_checkpoints() {
    let target = target(&[("conv1", "features.0"), ("conv2", "features.3")]);
    let names = ["features.0", "conv1", "features/3"];
    let (places, prefix) = found(&names, &target, &Renames::new());
    assert_eq!((places, prefix.as_str()), (vec![vec![1], vec![2]], ""));
}

#[test]
fn a_prefix_that_most_layers_share_is_left_out() {
    let target = target(&[("conv1", "features.0"), ("fc", "classifier.1")]);
    let names = ["module.features.0", "module.classifier.1", "loss"];
    let (places, prefix) = found(&names, &target, &Renames::new());
    assert_eq!(
        (places, prefix.as_str()),
        (vec![vec![0], vec![1]], "module.")
    );
    // One that few have says nothing of the others.
    let names = ["a.conv1", "b.conv1", "c.conv1"];
    let (places, prefix) = found(&names, &target, &Renames::new());
    assert_eq!((places, prefix.as_str()), (vec![vec![], vec![]], ""));
}

#[test]
fn renamed_layers_are_found_by_their_new_name_alone() {
    let target = target(&[("conv1", "features.0"), ("fc", "classifier.1")]);
    let names = ["enc.a", "enc.b", "fc"];
    let entries = [
        ("*", "y_*"),
        ("enc.*", "x_*"),
        ("enc.a", "conv1"),
        ("fc", "other"),
    ];
    let new = renames(&entries);
    let (places, _) = found(&names, &target, &new);
    assert_eq!(places, [vec![0], vec![]]);
}

#[test]
fn renames_that_match_nothing_or_contradict_each_other_are_errors() {
    let target = target(&[("conv1", "features.0")]);
    let error = |entries| {
        let result = Catalogue::new(&source(&["enc.conv1"]), &target, &renames(entries));
        result.expect_err("a wrong entry").to_string()
    };
    assert_eq!(
        error(&[("enc.conv", "conv1")]),
        "source.rename: `enc.conv` matches no layer of the source model\n  help: did you mean \
         `enc.conv1`?"
    );
    assert_eq!(
        error(&[("enc.*", "a"), ("*onv1", "b")]),
        "source.rename: `*onv1` and `enc.*` both rename `enc.conv1`\n  help: give `enc.conv1` an \
         entry of its own"
    );
}

#[test]
fn an_entry_of_its_own_decides_between_two_patterns() {
    let target = target(&[("conv1", "features.0")]);
    let new = renames(&[("enc.*", "a"), ("*onv1", "b"), ("enc.conv1", "conv1")]);
    let (places, _) = found(&["enc.conv1"], &target, &new);
    assert_eq!(places, [vec![0]]);
}

#[test]
fn two_layers_under_one_new_name_are_an_error() {
    let target = target(&[("conv1", "features.0")]);
    let new = renames(&[("a.*", "*"), ("b.*", "*")]);
    let error = Catalogue::new(&source(&["a.conv1", "b.conv1"]), &target, &new);
    assert_eq!(
        error.expect_err("two of one name").to_string(),
        "source.rename: `a.conv1` and `b.conv1` are both renamed to `conv1`\n  help: two layers \
         cannot be one: give each its own name"
    );
}

#[test]
fn several_layers_whose_names_differ_in_separators_alone_are_told_apart_where_they_can_be() {
    let target = target(&[("a_b", "x"), ("c_d", "y")]);
    let names = ["a_b", "a.b", "c.d", "c/d"];
    let (places, _) = found(&names, &target, &Renames::new());
    assert_eq!(places, [vec![0], vec![2, 3]]);
}
