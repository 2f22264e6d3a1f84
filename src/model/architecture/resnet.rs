//! Residual networks (He et al. 2016), by torchvision's names with `_` for `.`: `conv1`, `bn1`,
//! `layer1_0_conv1`, …, and those for images of 32 x 32 of the paper's section 4.2.

use super::{ForeignName, Request, keras, pooled_head, torchvision};
use crate::config::experiment::{Architecture, Convention, LayerKind, Shortcut};
use crate::model::blocks::{self, KERAS_RESNET_EPSILON, Site};
use crate::model::build::{Builder, Filters};

/// A 7x7 convolution and a pooling, four groups of blocks, the mean.
pub fn layers(request: &Request<'_>, builder: &mut Builder) {
    let counts = match request.architecture {
        Architecture::Resnet18 => [2, 2, 2, 2],
        _ => [3, 4, 6, 3],
    };
    let is_bottleneck = request.architecture == Architecture::Resnet50;
    builder.convolution("conv1", Filters::new(64, 7).stride(2).padding(3));
    if is_bottleneck && builder.convention == Convention::Keras {
        builder.bias("conv1");
    }
    begin(builder);
    builder.max_pooling("maxpool", 3, 2, 1);
    let block = |channels, stride| match is_bottleneck {
        true => LayerKind::Bottleneck {
            channels,
            stride,
            expansion: 4,
        },
        false => LayerKind::BasicBlock {
            channels,
            stride,
            shortcut: Shortcut::Projection,
        },
    };
    let expansion = if is_bottleneck { 4 } else { 1 };
    groups(
        builder,
        "maxpool",
        &[64, 128, 256, 512],
        &counts,
        |channels, stride| (block(channels, stride), channels * expansion),
    );
    pooled_head(request, builder);
}

/// A 3x3 convolution, three groups of blocks with shortcuts that have no parameters (option A), the
/// mean.
pub fn cifar_layers(request: &Request<'_>, builder: &mut Builder) {
    let blocks = match request.architecture {
        Architecture::Resnet20 => 3,
        Architecture::Resnet32 => 5,
        Architecture::Resnet44 => 7,
        _ => 9,
    };
    builder.convolution("conv1", Filters::new(16, 3).padding(1));
    begin(builder);
    groups(
        builder,
        "relu",
        &[16, 32, 64],
        &[blocks; 3],
        |channels, stride| {
            let shortcut = Shortcut::Pad;
            let block = LayerKind::BasicBlock {
                channels,
                stride,
                shortcut,
            };
            (block, channels)
        },
    );
    pooled_head(request, builder);
}

fn begin(builder: &mut Builder) {
    builder.batch_norm("bn1", KERAS_RESNET_EPSILON);
    builder.relu("relu");
}

/// Groups of blocks, `counts` many of so many `channels`; all but the first halve the image. `block`
/// gives the block of channels and stride, and its output channels. They begin behind `input`, which
/// has as many channels as the first group.
fn groups(
    builder: &mut Builder,
    input: &str,
    channels: &[usize],
    counts: &[usize],
    block: impl Fn(usize, usize) -> (LayerKind, usize),
) {
    let mut input = input.to_owned();
    let mut inputs = channels.first().copied().unwrap_or(0);
    for (group, (&channels, &count)) in (1..).zip(channels.iter().zip(counts)) {
        for index in 0..count {
            let stride = if group > 1 && index == 0 { 2 } else { 1 };
            let (kind, outputs) = block(channels, stride);
            let name = format!("layer{group}_{index}");
            let site = Site {
                name: &name,
                input: &input,
                channels: inputs,
            };
            blocks::write(builder, site, &kind);
            input = builder.last().to_owned();
            inputs = outputs;
        }
    }
}

/// torchvision's, and, of the one that Keras has, Keras'.
pub fn names(architecture: Architecture, name: &str) -> Vec<ForeignName> {
    let mut names: Vec<_> = torchvision([name.replace('_', ".")]).collect();
    match name {
        _ if architecture != Architecture::Resnet50 => {}
        // Its old name is that of Keras' separate package of applications.
        "fc" => names.extend(keras(["predictions", "probs"].map(String::from))),
        name => names.extend(
            name_in_keras(name)
                .into_iter()
                .flat_map(|name| keras([name])),
        ),
    }
    names
}

/// The usual implementation for PyTorch (Idelbayev 2018) follows torchvision.
pub fn cifar_names(_: Architecture, name: &str) -> Vec<ForeignName> {
    torchvision([name.replace('_', ".")]).collect()
}

/// `layer1_0_conv2` is `conv2_block1_2_conv`.
fn name_in_keras(name: &str) -> Option<String> {
    match name {
        "conv1" => return Some("conv1_conv".to_owned()),
        "bn1" => return Some("conv1_bn".to_owned()),
        _ => {}
    }
    let (group, rest) = name.strip_prefix("layer")?.split_once('_')?;
    let (index, part) = rest.split_once('_')?;
    let (group, index): (usize, usize) = (group.parse().ok()?, index.parse().ok()?);
    let part = match part {
        "downsample_0" => "0_conv".to_owned(),
        "downsample_1" => "0_bn".to_owned(),
        part => match part.strip_prefix("conv") {
            Some(number) => format!("{number}_conv"),
            None => format!("{}_bn", part.strip_prefix("bn")?),
        },
    };
    Some(format!("conv{}_block{}_{part}", group + 1, index + 1))
}
