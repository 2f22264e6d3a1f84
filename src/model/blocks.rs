//! Blocks of layers, written out: the composite types of `[[model.layers]]`, of which architectures
//! are made too.
//!
//! The names of the parts begin with the block's; the output of its last part is the block's. A
//! block follows the convention of its model, as the architecture does that it is from.

use super::build::{Builder, Filters, KERAS_EPSILON};
use crate::config::experiment::{Convention, LayerKind, Shortcut};
use crate::error::{Error, Result};

/// Keras' constant of batch norm in its resnets.
pub const KERAS_RESNET_EPSILON: f64 = 1.001e-5;

/// A block's place in a network.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    pub name: &'a str,
    /// The layer on whose output it works.
    pub input: &'a str,
    /// Channels of that output.
    pub channels: usize,
}

/// Writes out the block `kind`, called `name`, behind what is written; it works on the output of
/// `input`, of so many `channels`, or, without `input`, on the sample.
///
/// # Errors
/// A shortcut from the sample, which has no name.
pub fn expand(
    builder: &mut Builder,
    name: &str,
    input: Option<&str>,
    channels: usize,
    kind: &LayerKind,
) -> Result<()> {
    if input.is_none() && has_shortcut(kind, channels) {
        return Err(
            Error::new("a block with a shortcut cannot be the first layer")
                .help("begin with a convolution"),
        );
    }
    let site = Site {
        name,
        input: input.unwrap_or_default(),
        channels,
    };
    write(builder, site, kind);
    Ok(())
}

/// Writes out the block `kind` at `site`, behind what is written.
pub fn write(builder: &mut Builder, site: Site<'_>, kind: &LayerKind) {
    match *kind {
        LayerKind::Fire { squeeze, expand } => fire(builder, site.name, squeeze, expand),
        LayerKind::BasicBlock {
            channels,
            stride,
            shortcut,
        } => basic_block(builder, site, channels, stride, shortcut),
        LayerKind::Bottleneck {
            channels,
            stride,
            expansion,
        } => bottleneck(builder, site, channels, stride, expansion),
        LayerKind::DepthwiseSeparable { channels, stride } => {
            let names = ["depthwise", "pointwise"].map(|part| format!("{}_{part}", site.name));
            depthwise_separable(builder, &names, [site.channels, channels], stride);
        }
        LayerKind::InvertedResidual {
            channels,
            stride,
            expansion,
        } => inverted_residual(builder, site, channels, stride, expansion),
        ref other => unreachable!("{other:?} is no block"),
    }
}

/// Whether the block's input goes past it.
fn has_shortcut(kind: &LayerKind, inputs: usize) -> bool {
    match *kind {
        LayerKind::BasicBlock { .. } | LayerKind::Bottleneck { .. } => true,
        LayerKind::InvertedResidual {
            channels, stride, ..
        } => stride == 1 && channels == inputs,
        _ => false,
    }
}

/// Iandola et al. 2016: 1x1 filters, and on their output 1x1 and 3x3 filters, `expand` of each.
pub fn fire(builder: &mut Builder, name: &str, squeeze: usize, expand: usize) {
    let part = |part: &str| format!("{name}_{part}");
    let filters = |builder: &mut Builder, name: &str, filters: Filters| {
        builder.biased_convolution(name, filters);
        builder.relu(format!("{name}_relu"));
    };
    filters(builder, &part("squeeze1x1"), Filters::new(squeeze, 1));
    filters(builder, &part("expand1x1"), Filters::new(expand, 1));
    let second = builder.layers.len();
    let three = Filters::new(expand, 3).padding(1);
    filters(builder, &part("expand3x3"), three);
    builder.begin_at(second, Some(&part("squeeze1x1_relu")));
    let with = vec![part("expand3x3_relu")];
    let first = part("expand1x1_relu");
    builder.push_from(
        part("concat"),
        Some(&first),
        LayerKind::Concatenate { with },
    );
}

/// He et al. 2016: two 3x3 convolutions.
fn basic_block(
    builder: &mut Builder,
    site: Site<'_>,
    channels: usize,
    stride: usize,
    shortcut: Shortcut,
) {
    let part = |part: &str| format!("{}_{part}", site.name);
    let three = Filters::new(channels, 3).padding(1);
    builder.convolution(&part("conv1"), three.stride(stride));
    builder.batch_norm(part("bn1"), KERAS_RESNET_EPSILON);
    builder.relu(part("relu1"));
    builder.convolution(&part("conv2"), three);
    builder.batch_norm(part("bn2"), KERAS_RESNET_EPSILON);
    residual_sum(builder, site, channels, stride, shortcut, false);
}

/// He et al. 2016: 1x1, 3x3, 1x1. torchvision strides at the 3x3 filters; Keras, as the paper, at the
/// first ones, and gives each convolution a bias.
fn bottleneck(
    builder: &mut Builder,
    site: Site<'_>,
    channels: usize,
    stride: usize,
    expansion: usize,
) {
    let part = |part: &str| format!("{}_{part}", site.name);
    let keras = builder.convention == Convention::Keras;
    let strides = if keras { [stride, 1] } else { [1, stride] };
    let outputs = channels.saturating_mul(expansion);
    let convolutions = [
        Filters::new(channels, 1).stride(strides[0]),
        Filters::new(channels, 3).padding(1).stride(strides[1]),
        Filters::new(outputs, 1),
    ];
    for (number, filters) in (1..).zip(convolutions) {
        let name = part(&format!("conv{number}"));
        builder.convolution(&name, filters);
        if keras {
            builder.bias(&name);
        }
        builder.batch_norm(part(&format!("bn{number}")), KERAS_RESNET_EPSILON);
        if number < 3 {
            builder.relu(part(&format!("relu{number}")));
        }
    }
    residual_sum(builder, site, outputs, stride, Shortcut::Projection, keras);
}

/// Adds the block's input to what was written last, and ends with a ReLU.
fn residual_sum(
    builder: &mut Builder,
    site: Site<'_>,
    channels: usize,
    stride: usize,
    shortcut: Shortcut,
    bias: bool,
) {
    let part = |part: &str| format!("{}_{part}", site.name);
    let branch = builder.layers.last().map(|layer| layer.name.clone());
    let is_identity = stride == 1 && channels == site.channels;
    match shortcut {
        _ if is_identity => {}
        Shortcut::Projection => {
            let name = part("downsample_0");
            let first = builder.layers.len();
            builder.convolution(&name, Filters::new(channels, 1).stride(stride));
            builder.begin_at(first, Some(site.input));
            if bias {
                builder.bias(&name);
            }
            builder.batch_norm(part("downsample_1"), KERAS_RESNET_EPSILON);
        }
        Shortcut::Pad => {
            let kind = LayerKind::Subsample { channels, stride };
            builder.push_from(part("shortcut"), Some(site.input), kind);
        }
    }
    let with = match is_identity {
        true => vec![site.input.to_owned()],
        false => branch.into_iter().collect(),
    };
    builder.push(part("add"), LayerKind::Add { with });
    builder.relu(part("relu"));
}

/// Howard et al. 2017: a 3x3 filter for each of the first of `channels`, then 1x1 filters, the second
/// of `channels`. `names` are those of the two convolutions.
pub fn depthwise_separable(
    builder: &mut Builder,
    names: &[String; 2],
    channels: [usize; 2],
    stride: usize,
) {
    let [inputs, outputs] = channels;
    let depthwise = Filters {
        groups: inputs,
        ..builder.filters_3x3(inputs, stride)
    };
    for (name, filters) in names.iter().zip([depthwise, Filters::new(outputs, 1)]) {
        builder.convolution(name, filters);
        builder.batch_norm(format!("{name}_bn"), KERAS_EPSILON);
        builder.relu6(format!("{name}_relu"));
    }
}

/// Sandler et al. 2018: 1x1 filters, `expansion` for each channel; a 3x3 filter for each of them;
/// `channels` 1x1 filters without activation.
pub fn inverted_residual(
    builder: &mut Builder,
    site: Site<'_>,
    channels: usize,
    stride: usize,
    expansion: usize,
) {
    let part = |part: &str| format!("{}_{part}", site.name);
    let expanded = site.channels.saturating_mul(expansion);
    let depthwise = Filters {
        groups: expanded,
        ..builder.filters_3x3(expanded, stride)
    };
    let mut inner = vec![("depthwise", depthwise)];
    if expansion != 1 {
        inner.insert(0, ("expand", Filters::new(expanded, 1)));
    }
    for (name, filters) in inner {
        builder.convolution(&part(name), filters);
        builder.batch_norm(part(&format!("{name}_bn")), KERAS_EPSILON);
        builder.relu6(part(&format!("{name}_relu")));
    }
    builder.convolution(&part("project"), Filters::new(channels, 1));
    builder.batch_norm(part("project_bn"), KERAS_EPSILON);
    if stride == 1 && channels == site.channels {
        let with = vec![site.input.to_owned()];
        builder.push(part("add"), LayerKind::Add { with });
    }
}
