//! MobileNet v2 (Sandler et al. 2018): `conv1`, inverted residuals `block_0` to `block_16`,
//! `conv_last`, and the classifier `fc`.

use super::{ForeignName, Request, keras, pooled_head, torchvision};
use crate::config::experiment::Architecture;
use crate::model::blocks::{self, Site};
use crate::model::build::{Builder, Filters, KERAS_EPSILON};

/// Expansion, output channels, repetitions and first stride of each stage (table 2 of the paper).
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];
/// Inverted residuals in all stages.
const BLOCKS: usize = 17;

/// A convolution, inverted residuals, a 1x1 convolution, the mean.
pub fn layers(request: &Request<'_>, builder: &mut Builder) {
    let mut channels = divisible(32.0 * request.width);
    let mut input = "conv1_relu".to_owned();
    builder.convolution("conv1", builder.filters_3x3(channels, 2));
    builder.batch_norm("conv1_bn", KERAS_EPSILON);
    builder.relu6(input.clone());
    for (number, (expansion, outputs, stride)) in blocks().enumerate() {
        let outputs = divisible(outputs as f64 * request.width);
        let name = format!("block_{number}");
        let site = Site {
            name: &name,
            input: &input,
            channels,
        };
        blocks::inverted_residual(builder, site, outputs, stride, expansion);
        channels = outputs;
        input = builder.last().to_owned();
    }
    // Its channels are never fewer than the paper's.
    let last = Filters::new(divisible(1280.0 * request.width.max(1.0)), 1);
    builder.convolution("conv_last", last);
    builder.batch_norm("conv_last_bn", KERAS_EPSILON);
    builder.relu6("conv_last_relu");
    pooled_head(request, builder);
}

/// Expansion, output channels and stride of each block.
fn blocks() -> impl Iterator<Item = (usize, usize, usize)> {
    STAGES
        .into_iter()
        .flat_map(|(expansion, channels, count, stride)| {
            (0..count).map(move |index| (expansion, channels, if index == 0 { stride } else { 1 }))
        })
}

/// The nearest multiple of 8, but not below nine tenths of `channels`: `_make_divisible` of the
/// authors' code.
fn divisible(channels: f64) -> usize {
    let rounded = ((channels + 4.0) as usize / 8 * 8).max(8);
    match (rounded as f64) < 0.9 * channels {
        true => rounded + 8,
        false => rounded,
    }
}

/// torchvision's, timm's, and Keras'.
pub fn names(_: Architecture, name: &str) -> Vec<ForeignName> {
    let found = match name {
        "conv1" => Some(["features.0.0", "conv_stem", "Conv1"].map(String::from)),
        "conv1_bn" => Some(["features.0.1", "bn1", "bn_Conv1"].map(String::from)),
        "conv_last" => Some(["features.18.0", "conv_head", "Conv_1"].map(String::from)),
        "conv_last_bn" => Some(["features.18.1", "bn2", "Conv_1_bn"].map(String::from)),
        "fc" => Some(["classifier.1", "classifier", "predictions"].map(String::from)),
        _ => names_in_block(name),
    };
    let Some([theirs, in_timm, in_keras]) = found else {
        return Vec::new();
    };
    let mut names: Vec<_> = torchvision([theirs, in_timm]).collect();
    names.extend(keras([in_keras]));
    if name == "fc" {
        // Until Keras 2.2.
        names.extend(keras(["Logits".to_owned()]));
    }
    names
}

/// Of torchvision, timm and Keras, for a layer `block_3_expand_bn`.
fn names_in_block(name: &str) -> Option<[String; 3]> {
    let (number, part) = name.strip_prefix("block_")?.split_once('_')?;
    let number: usize = number.parse().ok().filter(|number| *number < BLOCKS)?;
    let (part, norm) = match part.strip_suffix("_bn") {
        Some(part) => (part, true),
        None => (part, false),
    };
    // Convolutions of the block before this one. The first block does not expand.
    let expands = number > 0;
    let place = match part {
        "expand" => 0,
        "depthwise" => usize::from(expands),
        _ => 1 + usize::from(expands),
    };
    let is_last = part == "project";
    let theirs = match (is_last, norm) {
        (true, norm) => format!("{}", place + usize::from(norm)),
        (false, norm) => format!("{place}.{}", usize::from(norm)),
    };
    let in_timm = match (part, norm) {
        (_, true) => format!("bn{}", place + 1),
        ("depthwise", _) => "conv_dw".to_owned(),
        ("project", _) if expands => "conv_pwl".to_owned(),
        _ => "conv_pw".to_owned(),
    };
    let (stage, index) = stage(number)?;
    let block = match expands {
        true => format!("block_{number}"),
        false => "expanded_conv".to_owned(),
    };
    let norm = if norm { "_BN" } else { "" };
    Some([
        format!("features.{}.conv.{theirs}", number + 1),
        format!("blocks.{stage}.{index}.{in_timm}"),
        format!("{block}_{part}{norm}"),
    ])
}

/// The stage of a block, and its place there.
fn stage(number: usize) -> Option<(usize, usize)> {
    let mut before = 0;
    for (stage, (_, _, count, _)) in STAGES.into_iter().enumerate() {
        if number < before + count {
            return Some((stage, number - before));
        }
        before += count;
    }
    None
}
