//! AlexNet in one tower (Krizhevsky 2014), as torchvision has it: `conv1` to `conv5`, then the head.

use super::{ForeignName, Request, head, torchvision};
use crate::config::experiment::Architecture;
use crate::model::build::{Builder, Filters};

/// Five convolutions, three poolings of 3x3; then the head, with dropout behind its layers as in the
/// paper of 2012.
pub fn layers(request: &Request<'_>, builder: &mut Builder) {
    let convolutions = [
        Filters::new(64, 11).stride(4).padding(2),
        Filters::new(192, 5).padding(2),
        Filters::new(384, 3).padding(1),
        Filters::new(256, 3).padding(1),
        Filters::new(256, 3).padding(1),
    ];
    for (number, filters) in (1..).zip(convolutions) {
        let name = format!("conv{number}");
        builder.biased_convolution(&name, filters);
        builder.relu(format!("{name}_relu"));
        if [1, 2, 5].contains(&number) {
            builder.max_pooling(&format!("pool{number}"), 3, 2, 0);
        }
    }
    head(request, builder);
}

/// torchvision numbers the layers. Keras has no AlexNet.
pub fn names(_: Architecture, name: &str) -> Vec<ForeignName> {
    let theirs = match name {
        "conv1" => "features.0",
        "conv2" => "features.3",
        "conv3" => "features.6",
        "conv4" => "features.8",
        "conv5" => "features.10",
        "fc6" => "classifier.1",
        "fc7" => "classifier.4",
        "fc8" => "classifier.6",
        _ => return Vec::new(),
    };
    torchvision([theirs.to_owned()]).collect()
}
