//! VGG (Simonyan and Zisserman 2015, configurations A, B, D and E), without and with batch norm, by
//! the names of neon's course script: `conv1_1`, `conv1_1_bias`, …, `pool5`, then the head.

use super::{ForeignName, Request, head, keras, torchvision};
use crate::config::experiment::Architecture;
use crate::model::build::{Builder, Filters, KERAS_EPSILON};

/// Convolutions in each of the five blocks.
fn convolutions(architecture: Architecture) -> [usize; 5] {
    match architecture {
        Architecture::Vgg11 | Architecture::Vgg11Bn => [1, 1, 2, 2, 2],
        Architecture::Vgg13 | Architecture::Vgg13Bn => [2, 2, 2, 2, 2],
        Architecture::Vgg16 | Architecture::Vgg16Bn => [2, 2, 3, 3, 3],
        _ => [2, 2, 4, 4, 4],
    }
}

/// Five blocks of 3x3 convolutions, each with its bias and ReLU, each block closed by a 2x2 pooling;
/// then the head.
pub fn layers(request: &Request<'_>, builder: &mut Builder) {
    let counts = convolutions(request.architecture);
    for (block, (count, &channels)) in (1..).zip(counts.into_iter().zip(request.widths)) {
        for index in 1..=count {
            let name = format!("conv{block}_{index}");
            builder.biased_convolution(&name, Filters::new(channels, 3).padding(1));
            if request.architecture.has_batch_norm() {
                builder.batch_norm(format!("{name}_bn"), KERAS_EPSILON);
            }
            builder.relu(format!("{name}_relu"));
        }
        builder.max_pooling(&format!("pool{block}"), 2, 2, 0);
    }
    head(request, builder);
}

/// torchvision numbers all layers of the five blocks; timm names the head otherwise.
pub fn names(architecture: Architecture, name: &str) -> Vec<ForeignName> {
    let of_head = match name {
        "fc6" => Some((["classifier.0", "pre_logits.fc1"], "fc1")),
        "fc7" => Some((["classifier.3", "pre_logits.fc2"], "fc2")),
        "fc8" => Some((["classifier.6", "head.fc"], "predictions")),
        _ => None,
    };
    if let Some((theirs, in_keras)) = of_head {
        let names = torchvision(theirs.map(String::from));
        return names.chain(keras([in_keras.to_owned()])).collect();
    }
    let norms = architecture.has_batch_norm();
    let mut place = 0;
    for (block, count) in (1..).zip(convolutions(architecture)) {
        for index in 1..=count {
            let convolution = format!("conv{block}_{index}");
            if name == convolution {
                let theirs = torchvision([format!("features.{place}")]);
                let in_keras = keras([format!("block{block}_conv{index}")]);
                return theirs.chain(in_keras).collect();
            }
            if norms && name == format!("{convolution}_bn") {
                return torchvision([format!("features.{}", place + 1)]).collect();
            }
            place += if norms { 3 } else { 2 };
        }
        place += 1;
    }
    Vec::new()
}
