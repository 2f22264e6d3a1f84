//! SqueezeNet (Iandola et al. 2016), versions 1.0 and 1.1: `conv1`, fire modules `fire2` to `fire9`,
//! and a classifier of 1x1 convolutions, whose mean is the output.

use super::{ForeignName, Request, dropout, keras, torchvision};
use crate::config::experiment::{Architecture, Initializer, LayerKind, PaddingSize};
use crate::model::blocks;
use crate::model::build::{Builder, Filters};

/// A filter a class. Its weights begin as in the authors' own training: a ReLU follows, which would
/// silence a class for good that larger ones make negative.
const CLASSIFIER: LayerKind = LayerKind::Convolution {
    channels: None,
    kernel: 1,
    stride: 1,
    padding: PaddingSize::Pixels(0),
    groups: 1,
    initializer: Some(Initializer::Gaussian {
        mean: 0.0,
        deviation: 0.01,
    }),
};

/// The fire modules behind which a pooling stands; 1 is the first convolution.
fn poolings(architecture: Architecture) -> [usize; 3] {
    match architecture {
        Architecture::Squeezenet1_0 => [1, 4, 8],
        _ => [1, 3, 5],
    }
}

/// The convolution, eight fire modules, the classifier, the mean over all places.
pub fn layers(request: &Request<'_>, builder: &mut Builder) {
    let poolings = poolings(request.architecture);
    let first = match request.architecture {
        Architecture::Squeezenet1_0 => Filters::new(96, 7),
        _ => Filters::new(64, 3),
    };
    builder.biased_convolution("conv1", first.stride(2));
    builder.relu("conv1_relu");
    builder.max_pooling("pool1", 3, 2, 0);
    let squeezed = [16, 16, 32, 32, 48, 48, 64, 64];
    for (number, squeeze) in (2..).zip(squeezed) {
        blocks::fire(builder, &format!("fire{number}"), squeeze, 4 * squeeze);
        if poolings.contains(&number) {
            builder.max_pooling(&format!("pool{number}"), 3, 2, 0);
        }
    }
    dropout(request, builder, "fire9");
    builder.push(request.classifier, CLASSIFIER);
    builder.bias(request.classifier);
    builder.relu(format!("{}_relu", request.classifier));
    builder.push("pool10", LayerKind::GlobalAveragePooling);
    builder.push("softmax", LayerKind::Softmax);
}

/// torchvision numbers convolution, ReLU, fire modules and poolings; Keras' are the paper's.
pub fn names(architecture: Architecture, name: &str) -> Vec<ForeignName> {
    let theirs = match name.split_once('_') {
        None if name == "conv1" => Some("features.0".to_owned()),
        None if name == "conv10" => Some("classifier.1".to_owned()),
        Some((fire, part)) => place(architecture, fire).map(|place| {
            let part = part
                .strip_suffix("1x1")
                .filter(|part| *part == "squeeze")
                .unwrap_or(part);
            format!("features.{place}.{part}")
        }),
        _ => None,
    };
    let theirs = theirs.into_iter().flat_map(|name| torchvision([name]));
    theirs.chain(keras([name.replacen('_', "/", 1)])).collect()
}

/// The number of a fire module among torchvision's `features`: behind convolution, ReLU, pooling and
/// whatever else stands before it.
fn place(architecture: Architecture, fire: &str) -> Option<usize> {
    let number: usize = fire.strip_prefix("fire")?.parse().ok()?;
    let before = poolings(architecture)
        .into_iter()
        .filter(|place| *place < number);
    Some(number + before.count())
}
