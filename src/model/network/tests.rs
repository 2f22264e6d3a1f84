//! Whole networks against a computation of their own in f64, forwards and backwards.

mod by_sample;
mod check;
mod reference;

use super::*;
use crate::config::experiment::{
    Architecture, BatchNorm, Body, Convention, DropoutScaling, InitialDraws, Initializer,
    LayerKind, Model, NamedLayer, PaddingSize, Shortcut,
};
use crate::model::architecture::standard;
use check::{assert_close, build, check, check_outputs, host, maps, pixels, weights};

/// A network of these layers, then the mean of each channel, a linear layer and softmax.
fn network(layers: Vec<NamedLayer>, input: [usize; 3], convention: Convention) -> NetworkSpec {
    let mut layers = layers;
    layers.push(named("pool", LayerKind::GlobalAveragePooling));
    let linear = LayerKind::Linear {
        features: None,
        initializer: None,
    };
    layers.push(named("fc", linear));
    layers.push(named("softmax", LayerKind::Softmax));
    resolved(Body::Layers { layers }, input, 3, convention)
}

fn resolved(body: Body, input: [usize; 3], classes: usize, convention: Convention) -> NetworkSpec {
    let initializer = Initializer::Kaiming;
    let model = Model {
        body,
        convention: None,
        classes: None,
        initializer,
        linear_initializer: initializer,
        bias_initializer: initializer,
        initial_draws: InitialDraws::ByName,
        initial_weights: None,
        pooling: None,
        dropout_scaling: DropoutScaling::Training,
    };
    let spec = NetworkSpec::resolve(&model, input, classes, convention, &BatchNorm::default());
    spec.unwrap_or_else(|error| panic!("{error}"))
}

fn named(name: &str, kind: LayerKind) -> NamedLayer {
    NamedLayer {
        name: name.into(),
        from: None,
        kind,
    }
}

fn from(name: &str, from: &str, kind: LayerKind) -> NamedLayer {
    NamedLayer {
        from: Some(from.into()),
        ..named(name, kind)
    }
}

fn convolution(
    channels: usize,
    kernel: usize,
    stride: usize,
    padding: PaddingSize,
    groups: usize,
) -> LayerKind {
    LayerKind::Convolution {
        channels: Some(channels),
        kernel,
        stride,
        padding,
        groups,
        initializer: None,
    }
}

fn first(channels: usize) -> NamedLayer {
    named(
        "conv1",
        convolution(channels, 3, 1, PaddingSize::Pixels(1), 1),
    )
}

fn with(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

fn batch_norm() -> LayerKind {
    LayerKind::BatchNorm {
        epsilon: 1e-3,
        momentum: 0.1,
    }
}

#[test]
fn layers_work_on_earlier_ones_by_name_and_join_them() {
    let relu = LayerKind::Relu {
        slope: 0.1,
        limit: None,
    };
    let one = |channels| convolution(channels, 1, 1, PaddingSize::Pixels(0), 1);
    let layers = vec![
        first(4),
        named("norm1", batch_norm()),
        named("a", one(2)),
        from("b", "norm1", one(4)),
        named("relu", relu),
        named(
            "sum",
            LayerKind::Add {
                with: with(&["norm1", "conv1"]),
            },
        ),
        from(
            "all",
            "a",
            LayerKind::Concatenate {
                with: with(&["sum", "norm1"]),
            },
        ),
    ];
    let spec = network(layers, [2, 5, 4], Convention::Torchvision);
    assert_eq!(spec.layers[5].inputs, ["relu", "norm1", "conv1"]);
    assert_eq!(spec.layers[6].output, [10, 5, 4]);
    check(&spec);
}

#[test]
fn convolutions_in_groups_see_their_group_alone() {
    for (inputs, channels, groups) in [(4, 6, 2), (4, 4, 4), (4, 8, 4)] {
        let grouped = convolution(channels, 3, 1, PaddingSize::Pixels(1), groups);
        let layers = vec![first(inputs), named("grouped", grouped)];
        check(&network(layers, [2, 6, 5], Convention::Torchvision));
    }
}

#[test]
fn padding_same_puts_the_odd_row_at_the_bottom_and_the_odd_column_on_the_right() {
    for (height, width) in [(7, 8), (8, 7), (6, 6), (5, 9)] {
        for (kernel, stride, groups) in [(3, 2, 1), (3, 2, 4), (3, 1, 1), (2, 2, 1), (5, 3, 2)] {
            let same = convolution(4, kernel, stride, PaddingSize::SAME, groups);
            let layers = vec![first(4), named("same", same)];
            let spec = network(layers, [2, height, width], Convention::Torchvision);
            let expected = [4, height.div_ceil(stride), width.div_ceil(stride)];
            assert_eq!(spec.layers[1].output, expected);
            check(&spec);
        }
    }
}

#[test]
fn every_block_computes_what_its_paper_says() {
    let blocks = [
        LayerKind::Fire {
            squeeze: 2,
            expand: 3,
        },
        block(4, 1, Shortcut::Projection),
        block(4, 2, Shortcut::Projection),
        block(7, 1, Shortcut::Projection),
        block(4, 1, Shortcut::Pad),
        block(7, 2, Shortcut::Pad),
        bottleneck(1, 1),
        bottleneck(2, 2),
        LayerKind::DepthwiseSeparable {
            channels: 6,
            stride: 1,
        },
        LayerKind::DepthwiseSeparable {
            channels: 3,
            stride: 2,
        },
        residual(4, 1, 1),
        residual(4, 1, 2),
        residual(6, 2, 3),
    ];
    for block in blocks {
        for convention in [Convention::Torchvision, Convention::Keras] {
            let layers = vec![first(4), named("block", block.clone())];
            check(&network(layers, [2, 6, 5], convention));
        }
    }
}

fn block(channels: usize, stride: usize, shortcut: Shortcut) -> LayerKind {
    LayerKind::BasicBlock {
        channels,
        stride,
        shortcut,
    }
}

fn bottleneck(channels: usize, stride: usize) -> LayerKind {
    LayerKind::Bottleneck {
        channels,
        stride,
        expansion: 4,
    }
}

fn residual(channels: usize, stride: usize, expansion: usize) -> LayerKind {
    LayerKind::InvertedResidual {
        channels,
        stride,
        expansion,
    }
}

#[test]
fn small_architectures_compute_what_the_reference_does() {
    for architecture in [Architecture::Resnet20, Architecture::Squeezenet1_1] {
        for convention in [Convention::Torchvision, Convention::Keras] {
            let mut spec = standard(architecture, convention, 1.0).expect("a network");
            if architecture == Architecture::Squeezenet1_1 {
                spec = at_size(architecture, convention, 33);
            }
            check_outputs(&spec);
        }
    }
    for convention in [Convention::Torchvision, Convention::Keras] {
        for architecture in [Architecture::MobilenetV1, Architecture::MobilenetV2] {
            check_outputs(&at_size(architecture, convention, 33));
        }
    }
}

/// The architecture on images of `size`, a MobileNet at a quarter of its width.
fn at_size(architecture: Architecture, convention: Convention, size: usize) -> NetworkSpec {
    let facts = architecture.facts();
    let width = match architecture {
        Architecture::MobilenetV1 | Architecture::MobilenetV2 => 0.25,
        _ => 1.0,
    };
    let body = Body::Architecture {
        architecture,
        widths: Vec::new(),
        width,
        head: Vec::new(),
        head_names: Vec::new(),
        classifier: facts.classifier.into(),
        dropout: facts.dropout,
    };
    resolved(body, [3, size, size], 5, convention)
}

#[test]
fn kept_statistics_stand_still_and_training_computes_what_inference_does() {
    let layers = vec![first(4), named("norm", batch_norm())];
    let spec = network(layers, [2, 5, 4], Convention::Torchvision);
    let (weights, pixels) = (weights(&spec), pixels(&spec, 3));
    let device = Device::flex();
    let inferred = build(&spec, weights.clone(), &device);
    let inferred = host(inferred.forward(maps(&spec, pixels.clone(), &device), None));
    let device = device.autodiff();
    let statistics = |network: &Network| -> Vec<NamedTensor> {
        let tensors = network.tensors().into_iter();
        tensors
            .filter(|tensor| matches!(tensor.role, Role::Mean | Role::Variance))
            .collect()
    };
    for kept in [true, false] {
        let network = build(&spec, weights.clone(), &device);
        let network = network.keep_statistics(&vec![kept; spec.layers.len()]);
        let before = statistics(&network);
        assert_eq!(before.len(), 2);
        let output = network.forward(maps(&spec, pixels.clone(), &device), None);
        let output = host(output);
        assert_eq!(statistics(&network) == before, kept);
        if kept {
            assert_close(&output, &inferred, 1e-14, "in training");
        } else {
            assert_ne!(output, inferred, "normalized by the batch");
        }
    }
}

#[test]
fn a_network_is_cut_where_one_value_alone_goes_on() {
    let layers = vec![first(4), named("block", block(4, 1, Shortcut::Projection))];
    let spec = network(layers, [2, 5, 4], Convention::Torchvision);
    let device = Device::flex().autodiff();
    let pixels = pixels(&spec, 2);
    let whole = build(&spec, weights(&spec), &device).valid();
    let input = || maps(&spec, pixels.clone(), &Device::flex());
    let expected = host(whole.forward(input(), None));
    for count in 0..=spec.layers.len() {
        let network = build(&spec, weights(&spec), &device);
        let (front, rest) = network.split(count);
        assert_eq!(front.layers.len(), graph::cut(&spec.layers, count));
        let output = rest.valid().forward(front.forward(input(), None), None);
        assert_eq!(host(output), expected, "cut before layer {count}");
    }
    // conv1, conv1's block up to the sum, its ReLU, pool, fc, softmax.
    let cuts: Vec<_> = (0..=11)
        .map(|count| graph::cut(&spec.layers, count))
        .collect();
    assert_eq!(cuts, [0, 1, 1, 1, 1, 1, 1, 7, 8, 9, 10, 11]);
}
