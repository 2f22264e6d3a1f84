//! Resolves `[model]`: an architecture with its head, or layers one by one.
//!
//! It checks what can be known without the data: names, kinds, ranges. Whether the shapes fit is
//! the model's to say, once the training file has told the size of its images.

use std::collections::BTreeSet;

use super::checks::{BELOW_ONE, Checks, POSITIVE, word};
use super::initializer::initializer;
use super::layers::{layer_name, named_layers};
use crate::config::experiment::*;
use crate::config::file::{Compatibility, ModelTable};

/// Channels of VGG's five blocks at width 1 (Simonyan and Zisserman 2015, table 1).
const VGG_WIDTHS: [usize; 5] = [64, 128, 256, 512, 512];

pub fn model(checks: &mut Checks, mut table: ModelTable) -> Model {
    let initial_weights = checks.path("model.initial_weights", table.initial_weights.take());
    if let Some(classes) = table.classes {
        checks.at_least(2, "model.classes", classes);
    }
    let [initializer, bias_initializer] = [
        (
            "model.initializer",
            &table.initializer,
            Initializer::XavierLocal,
        ),
        (
            "model.bias_initializer",
            &table.bias_initializer,
            Initializer::Constant { value: 0.0 },
        ),
    ]
    .map(|(key, given, default)| {
        let given = given.as_ref();
        given.map_or(default, |given| initializer(checks, key, given))
    });
    Model {
        classes: table.classes,
        initializer,
        bias_initializer,
        initial_draws: word(
            table.initial_draws,
            match checks.compatibility.is_neon() {
                true => InitialDraws::Neon,
                false => InitialDraws::ByName,
            },
        ),
        initial_weights,
        pooling: word(
            table.pooling,
            match checks.compatibility {
                Compatibility::Caffe => PoolingSize::Ceil,
                Compatibility::Neon | Compatibility::None => PoolingSize::Floor,
            },
        ),
        dropout_scaling: word(
            table.dropout_scaling,
            match checks.compatibility {
                Compatibility::Neon => DropoutScaling::Inference,
                Compatibility::Caffe | Compatibility::None => DropoutScaling::Training,
            },
        ),
        body: match (&table.layers, &table.architecture) {
            (Some(layers), _) => {
                no_architecture_beside_layers(checks, &table);
                Body::Layers {
                    layers: named_layers(checks, layers),
                }
            }
            (None, Some(name)) => architecture(checks, name.0, &table),
            (None, None) => {
                let help = "give `architecture` in [model], or [[model.layers]] one by one";
                checks.refuse("model", "there is no model to train", help);
                architecture(checks, Architecture::Vgg16, &table)
            }
        },
    }
}

fn no_architecture_beside_layers(checks: &mut Checks, table: &ModelTable) {
    let given = [
        ("architecture", table.architecture.is_some()),
        ("width", table.width.is_some()),
        ("widths", table.widths.is_some()),
        ("head", table.head.is_some()),
        ("head_names", table.head_names.is_some()),
        ("classifier", table.classifier.is_some()),
        ("dropout", table.dropout.is_some()),
    ];
    for (key, _) in given.iter().filter(|(_, given)| *given) {
        let problem = format!("`{key}` beside [[model.layers]], which say all about the model");
        let help = format!("remove `{key}`, or the layers");
        checks.refuse(&format!("model.{key}"), problem, help);
    }
}

fn architecture(checks: &mut Checks, architecture: Architecture, table: &ModelTable) -> Body {
    let head = table.head.clone().unwrap_or_else(|| vec![4096, 4096]);
    if head.contains(&0) {
        checks.refuse_with_example(
            "model.head",
            "a layer of `model.head` must be at least 1 wide",
        );
    }
    // VGG's own first linear layer is fc6.
    let names = || {
        (6..)
            .take(head.len())
            .map(|n| format!("fc{n}_new"))
            .collect()
    };
    let head_names = table.head_names.clone().unwrap_or_else(names);
    if head_names.len() != head.len() {
        let (names, layers) = (head_names.len(), head.len());
        let problem = format!("`head_names` and `head` differ in length: {names} and {layers}");
        checks.refuse(
            "model.head_names",
            problem,
            "give each layer of `head` one name",
        );
    }
    let classifier = table.classifier.clone();
    let classifier = classifier.unwrap_or_else(|| "classifier".to_owned());
    let mut seen = BTreeSet::new();
    for (index, name) in head_names.iter().enumerate() {
        layer_name(
            checks,
            &format!("model.head_names.{index}"),
            name,
            &mut seen,
        );
    }
    layer_name(checks, "model.classifier", &classifier, &mut seen);
    Body::Architecture {
        architecture,
        widths: widths(checks, table),
        head,
        head_names,
        classifier,
        dropout: checks.number(BELOW_ONE, "model.dropout", table.dropout, 0.5),
    }
}

fn widths(checks: &mut Checks, table: &ModelTable) -> Vec<usize> {
    let width = checks.number(POSITIVE, "model.width", table.width, 1.0);
    let Some(widths) = &table.widths else {
        let scaled = VGG_WIDTHS.map(|channels| (channels as f64 * width).round().max(1.0));
        return scaled.map(|channels| channels as usize).to_vec();
    };
    if table.width.is_some() {
        let problem = "`width` beside `widths`: both say how wide the blocks are";
        checks.refuse("model.width", problem, "keep one of them");
    }
    if widths.len() != VGG_WIDTHS.len() || widths.contains(&0) {
        let problem = "`model.widths` must be five numbers, each at least 1: one for each block";
        checks.refuse_with_example("model.widths", problem);
    }
    widths.clone()
}
