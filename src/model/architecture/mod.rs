//! Named architectures, written out layer by layer: one family a file.
//!
//! A family knows its layers, by names of graft's own, and what the usual checkpoints call each. It
//! knows nothing of images and classes: shapes are worked out by `resolve.rs`.

mod alexnet;
mod mobilenet_v1;
mod mobilenet_v2;
mod resnet;
mod squeezenet;
mod vgg;

use super::build::Builder;
use super::spec::{ForeignName, NetworkSpec};
use crate::config::experiment::{
    Architecture, BatchNorm, Body, Convention, DropoutScaling, Family, InitialDraws, Initializer,
    LayerKind, Model, NamedLayer, PoolingSize, vgg_widths,
};
use crate::error::Result;

/// What an experiment says of an architecture.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub architecture: Architecture,
    /// Channels of a VGG's blocks.
    pub widths: &'a [usize],
    /// Factor on the channels of a MobileNet.
    pub width: f64,
    /// Widths of the linear layers before the classifier, and their names.
    pub head: &'a [usize],
    pub head_names: &'a [String],
    pub classifier: &'a str,
    /// Probability of dropping a value; 0: no dropout layers.
    pub dropout: f64,
}

/// A layer of an architecture.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownLayer {
    pub layer: NamedLayer,
    /// What checkpoints call it.
    pub names: Vec<ForeignName>,
    /// Whether the experiment calls it otherwise than its architecture does.
    pub renamed: bool,
}

/// One file of this directory.
struct Source {
    /// Writes the layers down.
    layers: fn(&Request<'_>, &mut Builder),
    /// What checkpoints call the layer of this name, which is the architecture's own.
    names: fn(Architecture, &str) -> Vec<ForeignName>,
}

fn source(family: Family) -> Source {
    let (layers, names): (fn(&Request<'_>, &mut Builder), _) = match family {
        Family::Vgg => (vgg::layers, vgg::names as fn(_, &str) -> _),
        Family::Alexnet => (alexnet::layers, alexnet::names as _),
        Family::Resnet => (resnet::layers, resnet::names as _),
        Family::CifarResnet => (resnet::cifar_layers, resnet::cifar_names as _),
        Family::Squeezenet => (squeezenet::layers, squeezenet::names as _),
        Family::MobilenetV1 => (mobilenet_v1::layers, mobilenet_v1::names as _),
        Family::MobilenetV2 => (mobilenet_v2::layers, mobilenet_v2::names as _),
    };
    Source { layers, names }
}

/// The layers of the architecture that is asked for, as `convention` has it.
pub fn layers(request: &Request<'_>, convention: Convention, norms: BatchNorm) -> Vec<KnownLayer> {
    let source = source(request.architecture.facts().family);
    let mut builder = Builder::new(convention, norms);
    (source.layers)(request, &mut builder);
    let known = |layer: NamedLayer| {
        let own = own_name(request, &layer).filter(|_| has_parameters(&layer.kind));
        KnownLayer {
            names: own.map_or_else(Vec::new, |own| (source.names)(request.architecture, own)),
            renamed: own.is_some_and(|own| own != without_bias(&layer)),
            layer,
        }
    };
    builder.layers.into_iter().map(known).collect()
}

/// How the sizes of its poolings are rounded where the experiment does not say: torchvision's
/// squeezenets round up.
pub fn pooling(architecture: Architecture, convention: Convention) -> PoolingSize {
    match (architecture.facts().family, convention) {
        (Family::Squeezenet, Convention::Torchvision) => PoolingSize::Ceil,
        _ => PoolingSize::Floor,
    }
}

/// The architecture as it is published: all names its own, its usual input and classes, all channels
/// times `width`. Files are recognized by it.
///
/// # Errors
/// `width` leaves so few or so many channels that no network remains.
pub fn standard(
    architecture: Architecture,
    convention: Convention,
    width: f64,
) -> Result<NetworkSpec> {
    let facts = architecture.facts();
    let (names, head): (Vec<_>, Vec<_>) = facts.head.iter().copied().unzip();
    let model = Model {
        body: Body::Architecture {
            architecture,
            widths: match facts.family {
                Family::Vgg => vgg_widths(width).to_vec(),
                _ => Vec::new(),
            },
            width,
            head,
            head_names: names.into_iter().map(String::from).collect(),
            classifier: facts.classifier.to_owned(),
            dropout: facts.dropout,
        },
        convention: Some(convention),
        classes: None,
        initializer: Initializer::XavierLocal,
        linear_initializer: Initializer::XavierLocal,
        bias_initializer: Initializer::Constant { value: 0.0 },
        initial_draws: InitialDraws::ByName,
        initial_weights: None,
        pooling: None,
        dropout_scaling: DropoutScaling::Training,
    };
    let input = [3, facts.input, facts.input];
    let norms = BatchNorm::default();
    NetworkSpec::resolve(&model, input, facts.classes, convention, &norms)
}

/// The architecture's own name of a layer that the experiment may have renamed, if it has one there;
/// of a bias, that of the layer it belongs to.
fn own_name<'a>(request: &Request<'_>, layer: &'a NamedLayer) -> Option<&'a str> {
    let facts = request.architecture.facts();
    let name = without_bias(layer);
    match request
        .head_names
        .iter()
        .position(|of_head| of_head == name)
    {
        Some(place) => facts.head.get(place).map(|(own, _)| *own),
        None if name == request.classifier => Some(facts.classifier),
        None => Some(name),
    }
}

fn without_bias(layer: &NamedLayer) -> &str {
    let bias = match layer.kind {
        LayerKind::Bias { .. } => layer.name.strip_suffix("_bias"),
        _ => None,
    };
    bias.unwrap_or(&layer.name)
}

fn has_parameters(kind: &LayerKind) -> bool {
    matches!(
        kind,
        LayerKind::Convolution { .. }
            | LayerKind::Linear { .. }
            | LayerKind::Bias { .. }
            | LayerKind::BatchNorm { .. }
    )
}

/// The linear layers of the head, each with bias, ReLU and dropout, and the classifier.
fn head(request: &Request<'_>, builder: &mut Builder) {
    for (name, &features) in request.head_names.iter().zip(request.head) {
        builder.linear(name, Some(features));
        builder.relu(format!("{name}_relu"));
        dropout(request, builder, name);
    }
    builder.linear(request.classifier, None);
    builder.push("softmax", LayerKind::Softmax);
}

/// The means of all channels, dropped out, and the head on them.
fn pooled_head(request: &Request<'_>, builder: &mut Builder) {
    builder.push("pool", LayerKind::GlobalAveragePooling);
    if request.head.is_empty() {
        dropout(request, builder, "pool");
    }
    head(request, builder);
}

/// Dropout behind the layer called `name`, if there is to be any.
fn dropout(request: &Request<'_>, builder: &mut Builder, name: &str) {
    if request.dropout > 0.0 {
        let rate = request.dropout;
        builder.push(format!("{name}_dropout"), LayerKind::Dropout { rate });
    }
}

/// Names that torchvision and others who follow it give, the first one torchvision's.
fn torchvision<const N: usize>(names: [String; N]) -> impl Iterator<Item = ForeignName> {
    foreign(Convention::Torchvision, names)
}

/// Names that Keras gives, the first one that of its present version.
fn keras<const N: usize>(names: [String; N]) -> impl Iterator<Item = ForeignName> {
    foreign(Convention::Keras, names)
}

fn foreign<const N: usize>(
    convention: Convention,
    names: [String; N],
) -> impl Iterator<Item = ForeignName> {
    let name = move |name| ForeignName { convention, name };
    names.into_iter().map(name)
}

#[cfg(test)]
mod tests;
