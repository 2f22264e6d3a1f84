//! Resolves `[model]`: an architecture with its head, or layers one by one.
//!
//! It checks what can be known without the data: names, kinds, ranges. Whether the shapes fit is
//! the model's to say, once the training file has told the size of its images.

use std::collections::BTreeSet;

use super::checks::{BELOW_ONE, Checks, POSITIVE, word};
use super::initializer::initializer;
use super::layers::{layer_name, named_layers};
use crate::config::experiment::*;
use crate::config::file::{Compatibility, ModelTable, NameOrTable};

pub fn model(checks: &mut Checks, mut table: ModelTable) -> Model {
    let initial_weights = checks.path("model.initial_weights", table.initial_weights.take());
    if let Some(classes) = table.classes {
        checks.at_least(2, "model.classes", classes);
    }
    let mut initializer = |key: &str, given: &Option<NameOrTable>| {
        let given = given.as_ref()?;
        Some(initializer(checks, &format!("model.{key}"), given))
    };
    let of_convolutions = initializer("initializer", &table.initializer);
    let of_linear = initializer("linear_initializer", &table.linear_initializer);
    let of_biases = initializer("bias_initializer", &table.bias_initializer);
    // The course's script, which runs on neon, begins its linear layers otherwise.
    let of_linear =
        of_linear
            .or(of_convolutions)
            .unwrap_or_else(|| match checks.compatibility.is_neon() {
                true => Initializer::GlorotUniform,
                false => Initializer::XavierLocal,
            });
    Model {
        classes: table.classes,
        initializer: of_convolutions.unwrap_or(Initializer::XavierLocal),
        linear_initializer: of_linear,
        bias_initializer: of_biases.unwrap_or(Initializer::Constant { value: 0.0 }),
        initial_draws: word(
            table.initial_draws,
            match checks.compatibility.is_neon() {
                true => InitialDraws::Neon,
                false => InitialDraws::ByName,
            },
        ),
        initial_weights,
        convention: table.convention.map(|word| word.0),
        pooling: pooling(checks.compatibility, &table),
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

/// That of the experiment or of whom it is compatible with. Of some architectures the convention
/// decides, which is not known here.
fn pooling(compatibility: Compatibility, table: &ModelTable) -> Option<PoolingSize> {
    let architecture = table.architecture.filter(|_| table.layers.is_none());
    let family = architecture.map(|name| name.0.facts().family);
    match (table.pooling, compatibility) {
        (Some(given), _) => Some(given.0),
        (None, Compatibility::Caffe) => Some(PoolingSize::Ceil),
        (None, Compatibility::None) if family == Some(Family::Squeezenet) => None,
        (None, Compatibility::Neon | Compatibility::None) => Some(PoolingSize::Floor),
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
    let facts = architecture.facts();
    let usual = || facts.head.iter().map(|(_, width)| *width).collect();
    let head: Vec<usize> = table.head.clone().unwrap_or_else(usual);
    if head.contains(&0) {
        checks.refuse_with_example(
            "model.head",
            "a layer of `model.head` must be at least 1 wide",
        );
    }
    if facts.family == Family::Squeezenet {
        no_head(checks, architecture, table);
    }
    // VGG's own first linear layer is fc6, and AlexNet's.
    let first = if facts.head.is_empty() { 1 } else { 6 };
    let names = || {
        (first..)
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
    let (widths, width) = widths(checks, architecture, table);
    Body::Architecture {
        architecture,
        widths,
        width,
        head,
        head_names,
        classifier,
        dropout: checks.number(BELOW_ONE, "model.dropout", table.dropout, facts.dropout),
    }
}

/// A SqueezeNet ends in convolutions.
fn no_head(checks: &mut Checks, architecture: Architecture, table: &ModelTable) {
    let name = architecture.name();
    let given = [
        (
            "head",
            table.head.as_ref().is_some_and(|head| !head.is_empty()),
        ),
        (
            "head_names",
            table
                .head_names
                .as_ref()
                .is_some_and(|names| !names.is_empty()),
        ),
    ];
    for (key, _) in given.iter().filter(|(_, given)| *given) {
        let problem = format!("`{key}` does nothing in {name}, whose classifier is a convolution");
        let help = format!("remove `{key}`");
        checks.refuse(&format!("model.{key}"), problem, help);
    }
}

/// Channels of a VGG's blocks, or else the factor on a MobileNet's.
fn widths(
    checks: &mut Checks,
    architecture: Architecture,
    table: &ModelTable,
) -> (Vec<usize>, f64) {
    let (takes_width, takes_widths) = match architecture.facts().family {
        Family::Vgg => (true, true),
        Family::MobilenetV1 | Family::MobilenetV2 => (true, false),
        _ => (false, false),
    };
    let given = [
        (
            "width",
            table.width.is_some() && !takes_width,
            "vgg and mobilenet take it",
        ),
        (
            "widths",
            table.widths.is_some() && !takes_widths,
            "vgg takes it",
        ),
    ];
    for (key, _, help) in given.iter().filter(|(_, given, _)| *given) {
        let problem = format!("`{key}` does nothing in {}", architecture.name());
        checks.refuse(
            &format!("model.{key}"),
            problem,
            format!("remove it: only {help}"),
        );
    }
    let width = checks.number(POSITIVE, "model.width", table.width, 1.0);
    match takes_widths {
        true => (widths_of_blocks(checks, table, width), 1.0),
        false => (Vec::new(), width),
    }
}

fn widths_of_blocks(checks: &mut Checks, table: &ModelTable, width: f64) -> Vec<usize> {
    let Some(widths) = &table.widths else {
        return vgg_widths(width).to_vec();
    };
    if table.width.is_some() {
        let problem = "`width` beside `widths`: both say how wide the blocks are";
        checks.refuse("model.width", problem, "keep one of them");
    }
    if widths.len() != vgg_widths(width).len() || widths.contains(&0) {
        let problem = "`model.widths` must be five numbers, each at least 1: one for each block";
        checks.refuse_with_example("model.widths", problem);
    }
    widths.clone()
}
