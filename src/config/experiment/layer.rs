//! The entries of `[[model.layers]]`: single layers, and blocks of several.

use serde::{Deserialize, Serialize};

use super::Initializer;

/// One entry of `[[model.layers]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedLayer {
    pub name: String,
    /// The earlier layer on whose output it works; absent: the one before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(flatten)]
    pub kind: LayerKind,
}

/// What a layer does, as `type = "…"` says; sizes of its input follow from the layer before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LayerKind {
    /// Cross-correlation with `channels` square filters, without bias. `channels` absent: the
    /// number of classes.
    Convolution {
        #[serde(skip_serializing_if = "Option::is_none")]
        channels: Option<usize>,
        kernel: usize,
        stride: usize,
        padding: PaddingSize,
        /// Parts into which the channels are cut; each filter sees one of them.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        groups: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        initializer: Option<Initializer>,
    },
    /// One value a channel (or feature) is added.
    Bias {
        #[serde(skip_serializing_if = "Option::is_none")]
        initializer: Option<Initializer>,
    },
    /// `max(x, 0) + slope * min(x, 0)`; a slope of 0, the usual, is not written. With a `limit`,
    /// `min(max(x, 0), limit)`.
    Relu {
        #[serde(default, skip_serializing_if = "is_zero")]
        slope: f64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<f64>,
    },
    /// `max(x, 0) + alpha * (exp(min(x, 0)) - 1)` (Clevert et al. 2016).
    Elu {
        alpha: f64,
    },
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    MaxPooling {
        kernel: usize,
        stride: usize,
        padding: usize,
    },
    AveragePooling {
        kernel: usize,
        stride: usize,
        padding: usize,
    },
    /// The mean of each channel.
    GlobalAveragePooling,
    /// Drops with this probability in training; [`super::Model::dropout_scaling`] makes up for it.
    Dropout {
        rate: f64,
    },
    /// Matrix product without bias; a 4-D input is flattened in (channel, row, column) order.
    /// `features` absent: the number of classes.
    Linear {
        #[serde(skip_serializing_if = "Option::is_none")]
        features: Option<usize>,
        #[serde(skip_serializing_if = "Option::is_none")]
        initializer: Option<Initializer>,
    },
    BatchNorm {
        epsilon: f64,
        momentum: f64,
    },
    /// Its input plus the outputs of these layers.
    Add {
        with: Vec<String>,
    },
    /// The channels (or features) of its input, then those of these layers.
    Concatenate {
        with: Vec<String>,
    },
    /// Every `stride`-th row and column, among channels of zeros: a shortcut without parameters
    /// (He et al. 2016, option A).
    Subsample {
        channels: usize,
        stride: usize,
    },
    /// `squeeze` 1x1 filters, then `expand` 1x1 and as many 3x3 filters beside one another (Iandola
    /// et al. 2016).
    Fire {
        squeeze: usize,
        expand: usize,
    },
    /// Two 3x3 convolutions with a shortcut (He et al. 2016).
    BasicBlock {
        channels: usize,
        stride: usize,
        shortcut: Shortcut,
    },
    /// Convolutions of 1x1, 3x3 and 1x1 with a shortcut; the last one has `expansion` times as many
    /// channels as the others (He et al. 2016).
    Bottleneck {
        channels: usize,
        stride: usize,
        expansion: usize,
    },
    /// A 3x3 filter for each channel, then 1x1 convolutions (Howard et al. 2017).
    DepthwiseSeparable {
        channels: usize,
        stride: usize,
    },
    /// Expands its channels by 1x1 convolutions, filters each by 3x3 and projects them to `channels`;
    /// with a shortcut where the shape stays (Sandler et al. 2018).
    InvertedResidual {
        channels: usize,
        stride: usize,
        expansion: usize,
    },
    /// Only as the last layer.
    Softmax,
}

impl LayerKind {
    /// Whether it stands for several layers.
    pub fn is_block(&self) -> bool {
        matches!(
            self,
            LayerKind::Fire { .. }
                | LayerKind::BasicBlock { .. }
                | LayerKind::Bottleneck { .. }
                | LayerKind::DepthwiseSeparable { .. }
                | LayerKind::InvertedResidual { .. }
        )
    }

    /// The layers besides its input whose outputs it works on.
    pub fn with(&self) -> &[String] {
        match self {
            LayerKind::Add { with } | LayerKind::Concatenate { with } => with,
            _ => &[],
        }
    }
}

/// Zeros around the image of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PaddingSize {
    /// So many on each side.
    Pixels(usize),
    Word(PaddingWord),
}

/// A rule for the number of zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaddingWord {
    /// As many as give `ceil(size / stride)` places, the odd one at the bottom and on the right:
    /// TensorFlow's.
    Same,
}

impl PaddingSize {
    pub const SAME: Self = PaddingSize::Word(PaddingWord::Same);
}

/// How the input of a block comes to the sum where the shape changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shortcut {
    /// By 1x1 convolutions and a batch norm: option B.
    Projection,
    /// Subsampled, with channels of zeros: option A.
    Pad,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

fn one() -> usize {
    1
}

fn is_one(value: &usize) -> bool {
    *value == 1
}
