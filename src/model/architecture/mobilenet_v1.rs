//! MobileNet (Howard et al. 2017), by Keras' names: `conv1`, `conv_dw_1`, `conv_pw_1`, …

use super::{ForeignName, Request, keras, pooled_head, torchvision};
use crate::config::experiment::Architecture;
use crate::model::blocks;
use crate::model::build::{Builder, KERAS_EPSILON};

/// Output channels and stride of each pair of convolutions (table 1 of the paper).
const PAIRS: [(usize, usize); 13] = [
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
];

/// A convolution, thirteen depthwise separable ones, the mean.
pub fn layers(request: &Request<'_>, builder: &mut Builder) {
    // As Keras: towards 0.
    let scaled = |channels: usize| ((channels as f64 * request.width) as usize).max(1);
    let mut channels = scaled(32);
    builder.convolution("conv1", builder.filters_3x3(channels, 2));
    builder.batch_norm("conv1_bn", KERAS_EPSILON);
    builder.relu6("conv1_relu");
    for (number, (outputs, stride)) in (1..).zip(PAIRS) {
        let names = ["dw", "pw"].map(|part| format!("conv_{part}_{number}"));
        let outputs = scaled(outputs);
        blocks::depthwise_separable(builder, &names, [channels, outputs], stride);
        channels = outputs;
    }
    pooled_head(request, builder);
}

/// Keras' names are graft's. torchvision has no MobileNet v1; timm has.
pub fn names(_: Architecture, name: &str) -> Vec<ForeignName> {
    let theirs = name_in_timm(name)
        .into_iter()
        .flat_map(|name| torchvision([name]));
    theirs.chain(keras([name.to_owned()])).collect()
}

/// timm counts the pairs by stages, each of which begins with a stride.
fn name_in_timm(name: &str) -> Option<String> {
    match name {
        "conv1" => return Some("conv_stem".to_owned()),
        "conv1_bn" => return Some("bn1".to_owned()),
        "conv_preds" => return Some("classifier".to_owned()),
        _ => {}
    }
    let (part, rest) = name.strip_prefix("conv_")?.split_once('_')?;
    let (number, norm) = match rest.strip_suffix("_bn") {
        Some(number) => (number, true),
        None => (rest, false),
    };
    let number: usize = number.parse().ok()?;
    let strided = |pairs: &[(usize, usize)]| pairs.iter().filter(|(_, stride)| *stride > 1).count();
    let stage = strided(PAIRS.get(..number)?);
    let index = (1..number)
        .filter(|&earlier| strided(&PAIRS[..earlier]) == stage)
        .count();
    let part = match (part, norm) {
        ("dw", false) => "conv_dw",
        ("dw", true) => "bn1",
        ("pw", false) => "conv_pw",
        _ => "bn2",
    };
    Some(format!("blocks.{stage}.{index}.{part}"))
}
