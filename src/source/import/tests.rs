//! Small models made by hand: what fits, what does not, and what is said of it.

use super::*;
use crate::config::experiment::{InitialDraws, Initializer};
use crate::model::spec::{LayerSpec, Operation, Padding, ParameterSpec};
use crate::source::Format;

fn layer(name: &str, operation: Operation, parameters: &[(Role, &[usize])]) -> LayerSpec {
    let parameter = |&(role, shape): &(Role, &[usize])| ParameterSpec {
        role,
        shape: shape.to_vec(),
        initializer: Initializer::Constant { value: 0.0 },
        groups: 1,
    };
    LayerSpec {
        name: name.into(),
        operation,
        output: vec![2],
        parameters: parameters.iter().map(parameter).collect(),
        inputs: Vec::new(),
        names: Vec::new(),
        renamed: false,
    }
}

/// A 2x1 convolution of 2 filters on 2 channels with bias, batch norm, ReLU, linear layer.
fn target() -> NetworkSpec {
    let convolution = Operation::Convolution {
        stride: 1,
        padding: Padding::even(0),
        groups: 1,
    };
    let norm = Operation::BatchNorm {
        epsilon: 1e-5,
        momentum: 0.9,
    };
    let roles = [Role::Scale, Role::Shift, Role::Mean, Role::Variance];
    NetworkSpec {
        input: [2, 2, 1],
        layers: vec![
            layer("conv", convolution, &[(Role::Weight, &[2, 2, 2, 1])]),
            layer("conv_bias", Operation::Bias, &[(Role::Bias, &[2])]),
            layer("norm", norm, &roles.map(|role| (role, &[2][..]))),
            layer("relu", Operation::Relu, &[]),
            layer("fc", Operation::Linear, &[(Role::Weight, &[3, 2])]),
        ],
        initial_draws: InitialDraws::ByName,
    }
}

/// Name, kind, names and shapes of the tensors.
type Layer<'a> = (&'a str, Option<&'a str>, &'a [(&'a str, &'a [usize])]);

fn source(layers: &[Layer]) -> SourceModel {
    let tensor = |&(name, shape): &(&str, &[usize])| SourceTensor {
        name: name.into(),
        path: None,
        shape: shape.to_vec(),
        values: (0..shape.iter().product::<usize>())
            .map(|i| i as f32)
            .collect::<Vec<_>>()
            .into(),
    };
    let layers = layers.iter().map(|&(name, kind, tensors)| SourceLayer {
        name: name.into(),
        kind: kind.map(String::from),
        filter: None,
        tensors: tensors.iter().map(tensor).collect(),
    });
    SourceModel {
        path: "source.p".into(),
        format: Format::Neon,
        sha256: "ff".into(),
        layers: layers.collect(),
        metadata: Default::default(),
        origin: None,
    }
}

/// A fused convolution, batch norm, a layer that has no parameters and one that is too many.
fn fused() -> SourceModel {
    let column: &[usize] = &[2, 1];
    source(&[
        (
            "conv",
            Some("Convolution_bias"),
            &[("W", &[4, 2]), ("weight_bias", column)],
        ),
        (
            "norm",
            Some("BatchNorm"),
            &[
                ("beta", column),
                ("gamma", column),
                ("gmean", column),
                ("gvar", column),
            ],
        ),
        ("relu", Some("Activation"), &[]),
        ("fc", Some("Linear"), &[("W", &[3, 2])]),
        ("fc8", Some("Linear"), &[("W", &[9, 3])]),
    ])
}

fn requiring(patterns: &[&str]) -> Contract {
    Contract {
        require: patterns.iter().map(|&pattern| pattern.into()).collect(),
        ..Contract::default()
    }
}

fn matched(source: &SourceModel) -> Receipt {
    matches(source, &target(), &Renames::new()).expect("there is nothing to rename")
}

fn reason<'a>(receipt: &'a Receipt, layer: &str) -> &'a str {
    let entry = receipt.tensors.iter().find(|entry| entry.layer == layer);
    match entry.map(|entry| &entry.outcome) {
        Some(Outcome::NotImported { reason, .. }) => reason,
        _ => "",
    }
}

fn message<T>(result: Result<T>) -> String {
    result
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

#[test]
fn every_role_is_filled_and_convolutions_are_transposed() -> Result<()> {
    let (tensors, receipt) = import(fused(), &target(), &Contract::default())?;
    let roles: Vec<_> = tensors.iter().map(|t| (t.layer.as_str(), t.role)).collect();
    assert_eq!(roles.len(), 7);
    assert_eq!(roles[1], ("conv_bias", Role::Bias));
    assert_eq!(roles[2], ("norm", Role::Scale));
    // Row c*R*S + r*S + s, column k of the source is [k, c, r, s] here.
    let transposed = vec![0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0];
    assert_eq!(tensors[0].values, transposed.into());
    assert_eq!(tensors[6].values, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0].into());
    assert_eq!(
        receipt.imported_layers(),
        ["conv", "conv_bias", "norm", "fc"]
    );
    assert_eq!(receipt.totals.parameters, 8 + 2 + 8 + 6);
    let checksums = |layer| {
        let entry = receipt.tensors.iter().find(|entry| entry.layer == layer);
        match entry.map(|entry| &entry.outcome) {
            Some(Outcome::Imported { from, sha256, .. }) => [from.sha256.clone(), sha256.clone()],
            _ => [None, None],
        }
    };
    let [before, after] = checksums("fc");
    assert!(before.is_some() && before == after, "as it is");
    let [before, after] = checksums("conv");
    assert!(before.is_some() && before != after, "transposed");
    assert_eq!(receipt.unused.len(), 1);
    assert_eq!(receipt.unused[0].reason, "the target has no layer `fc8`");
    Ok(())
}

#[test]
fn a_plan_sees_what_an_import_will_do() -> Result<()> {
    let outline = SourceModel::outline_of("later.safetensors", &target());
    let planned = matches(&outline, &target(), &Renames::new())?;
    assert_eq!(planned.totals.parameters, target().parameter_count());
    assert!(check(&planned, &target(), &requiring(&["*"])).is_ok());
    assert!(message(import(outline, &target(), &Contract::default())).contains("no values yet"));
    Ok(())
}

#[test]
fn a_layer_that_does_not_fit_is_not_imported_and_the_receipt_says_why() {
    let mut model = fused();
    model.layers[0].filter = Some([1, 2]);
    model.layers[1].tensors.clear();
    model.layers[3].tensors[0].shape = vec![2, 3];
    let receipt = matched(&model);
    assert_eq!(
        reason(&receipt, "conv"),
        "its filters are 1x2 in the source and 2x1 here"
    );
    assert!(reason(&receipt, "norm").contains("has no parameters"));
    assert_eq!(
        reason(&receipt, "fc"),
        "its shape is (2, 3) in the source and (3, 2) here"
    );
    assert_eq!(
        reason(&receipt, "conv_bias"),
        "the weights of the source's layer `conv` do not fit, which it belongs to"
    );
    assert!(receipt.imported_layers().is_empty());
    assert_eq!(receipt.warnings().len(), 2);
}

#[test]
fn a_layer_of_another_kind_or_an_ambiguous_name_is_not_imported() {
    let linear: Layer = ("conv", Some("Linear"), &[("W", &[4, 2])]);
    let fc: Layer = ("fc", None, &[("W", &[3, 2])]);
    let receipt = matched(&source(&[linear, fc, fc]));
    assert!(reason(&receipt, "conv").contains("is a Linear"));
    assert!(reason(&receipt, "fc").contains("several layers"));
    assert_eq!(receipt.totals.tensors, 0);
}

#[test]
fn a_value_that_is_not_finite_is_an_error_that_names_its_place() {
    let mut model = fused();
    model.layers[3].tensors[0].values = vec![0.0, 1.0, 2.0, 3.0, 4.0, f32::NAN].into();
    let message = message(import(model, &target(), &Contract::default()));
    let expected = "source.p: layer `fc`: W: the value at [2, 1] is NaN";
    assert!(message.starts_with(expected), "{message}");
    // Where it is not imported, it does no harm.
    let mut model = fused();
    model.layers[4].tensors[0].values = vec![f32::INFINITY; 27].into();
    assert!(import(model, &target(), &Contract::default()).is_ok());
}

#[test]
fn importing_nothing_is_an_error_that_names_close_layers() {
    let close = source(&[("Conv", None, &[("W", &[4, 2])]), ("relu", None, &[])]);
    let text = message(import(close, &target(), &Contract::default()));
    assert!(
        text.contains("source.p: nothing of the source model fits"),
        "{text}"
    );
    let far = source(&[("Q7", None, &[("W", &[4, 3])])]);
    let text = message(import(far, &target(), &Contract::default()));
    assert!(
        text.contains("the source has `Q7`, the target `conv`, `conv_bias`, `norm`"),
        "{text}"
    );
    let wide = source(&[("fc", None, &[("W", &[3, 9])])]);
    let text = message(import(wide, &target(), &Contract::default()));
    assert!(
        text.contains("`fc.weight` was not imported: its shape is (3, 9)"),
        "{text}"
    );
}

#[test]
fn less_than_the_expected_coverage_is_an_error_that_names_the_largest_gaps_and_their_remedy() {
    let mut model = fused();
    model.layers[0].name = "encoder.conv".into();
    model.layers[3].name = "encoder.fc".into();
    let contract = |coverage| Contract {
        coverage,
        ..Contract::default()
    };
    // 8 of the 24 parameters: the batch norm's.
    assert!(import(model.clone(), &target(), &contract(0.33)).is_ok());
    let text = message(import(model.clone(), &target(), &contract(0.9)));
    assert_eq!(
        text,
        "source.coverage: 0.3333 of the model's parameters are imported, and 0.9 are expected\n  \
         help: not imported: `conv.weight` (8 parameters): the source has no layer `conv`; \
         `fc.weight` (6 parameters): the source has no layer `fc`; `conv_bias.bias` (2 \
         parameters): the source has no layer `conv_bias`; closest are the source's `encoder.conv` \
         (4, 2) for `conv` (2, 2, 2, 1), the source's `encoder.fc` (3, 2) for `fc` (3, 2); if they \
         are the same, say so in [source.rename]: \"encoder.*\" = \"*\""
    );
    let renamed = Contract {
        rename: Renames::from([("encoder.*".to_string(), "*".to_string())]),
        ..contract(1.0)
    };
    assert!(import(model, &target(), &renamed).is_ok(), "as was advised");
}

#[test]
fn what_is_required_and_not_imported_is_named() {
    let mut model = fused();
    model.layers.remove(3);
    let contract = requiring(&["conv*", "relu", "f?", "norn", "pool*"]);
    let text = message(import(model.clone(), &target(), &contract));
    let expected = "source.require: `norn` matches no layer of the model (did you mean `norm`?); \
                    `pool*` matches no layer of the model; \
                    `fc.weight` was not imported: the source has no layer `fc`\n";
    assert!(text.starts_with(expected), "{text}");
    assert!(import(model, &target(), &requiring(&["conv*"])).is_ok());
}

#[test]
fn of_many_required_tensors_that_are_missing_three_are_named_and_the_rest_counted() {
    let mut model = fused();
    model.layers.truncate(1);
    let text = message(import(model, &target(), &requiring(&["*"])));
    let expected = "source.require: `norm.scale` was not imported: the source has no layer `norm`; \
                    `norm.shift` was not imported: the source has no layer `norm`; \
                    `norm.mean` was not imported: the source has no layer `norm`; \
                    and 2 more tensors\n";
    assert!(text.starts_with(expected), "{text}");
}
