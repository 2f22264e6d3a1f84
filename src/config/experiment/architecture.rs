//! The architectures that have a name, and what an experiment gets of each if it says nothing else.
//! Their layers are `model::architecture`'s.

use serde::{Deserialize, Serialize};

/// The architectures that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    Vgg11,
    Vgg13,
    Vgg16,
    Vgg19,
    Vgg11Bn,
    Vgg13Bn,
    Vgg16Bn,
    Vgg19Bn,
    Alexnet,
    Resnet18,
    Resnet34,
    Resnet50,
    /// The resnets of 20 and more layers are those for small images (He et al. 2016, section 4.2).
    Resnet20,
    Resnet32,
    Resnet44,
    Resnet56,
    Squeezenet1_0,
    Squeezenet1_1,
    MobilenetV1,
    MobilenetV2,
}

/// Whose variant of an architecture is meant: its names, its padding, its batch norm's epsilon,
/// what happens to its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Convention {
    /// PyTorch's models: those of torchvision, and of others who follow it.
    Torchvision,
    /// Those of Keras and TensorFlow.
    Keras,
}

/// Architectures of one paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Vgg,
    Alexnet,
    Resnet,
    /// The resnets for images of 32 x 32.
    CifarResnet,
    Squeezenet,
    MobilenetV1,
    MobilenetV2,
}

/// What is usual for an architecture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Facts {
    pub family: Family,
    /// Whose variant it is if nothing says so: the one that is found most.
    pub convention: Convention,
    /// Rows and columns of the images for which it was made.
    pub input: usize,
    /// Classes of the data for which it was made.
    pub classes: usize,
    /// Names and widths of the linear layers before the classifier.
    pub head: &'static [(&'static str, usize)],
    /// Name of the layer that gives a value a class.
    pub classifier: &'static str,
    /// Probability of dropping a value before the classifier, or behind a layer of the head.
    pub dropout: f64,
}

impl Architecture {
    /// Every architecture.
    pub const ALL: [Self; 20] = [
        Self::Vgg11,
        Self::Vgg13,
        Self::Vgg16,
        Self::Vgg19,
        Self::Vgg11Bn,
        Self::Vgg13Bn,
        Self::Vgg16Bn,
        Self::Vgg19Bn,
        Self::Alexnet,
        Self::Resnet18,
        Self::Resnet34,
        Self::Resnet50,
        Self::Resnet20,
        Self::Resnet32,
        Self::Resnet44,
        Self::Resnet56,
        Self::Squeezenet1_0,
        Self::Squeezenet1_1,
        Self::MobilenetV1,
        Self::MobilenetV2,
    ];

    /// The word for it in TOML.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vgg11 => "vgg11",
            Self::Vgg13 => "vgg13",
            Self::Vgg16 => "vgg16",
            Self::Vgg19 => "vgg19",
            Self::Vgg11Bn => "vgg11_bn",
            Self::Vgg13Bn => "vgg13_bn",
            Self::Vgg16Bn => "vgg16_bn",
            Self::Vgg19Bn => "vgg19_bn",
            Self::Alexnet => "alexnet",
            Self::Resnet18 => "resnet18",
            Self::Resnet34 => "resnet34",
            Self::Resnet50 => "resnet50",
            Self::Resnet20 => "resnet20",
            Self::Resnet32 => "resnet32",
            Self::Resnet44 => "resnet44",
            Self::Resnet56 => "resnet56",
            Self::Squeezenet1_0 => "squeezenet1_0",
            Self::Squeezenet1_1 => "squeezenet1_1",
            Self::MobilenetV1 => "mobilenet_v1",
            Self::MobilenetV2 => "mobilenet_v2",
        }
    }

    /// The papers' and torchvision's settings; MobileNet v1 is Keras'.
    pub fn facts(self) -> Facts {
        let usual = |family, classifier, dropout| Facts {
            family,
            convention: Convention::Torchvision,
            input: 224,
            classes: 1000,
            head: &[],
            classifier,
            dropout,
        };
        match self {
            Self::Vgg11
            | Self::Vgg13
            | Self::Vgg16
            | Self::Vgg19
            | Self::Vgg11Bn
            | Self::Vgg13Bn
            | Self::Vgg16Bn
            | Self::Vgg19Bn => Facts {
                head: &[("fc6", 4096), ("fc7", 4096)],
                ..usual(Family::Vgg, "fc8", 0.5)
            },
            Self::Alexnet => Facts {
                head: &[("fc6", 4096), ("fc7", 4096)],
                ..usual(Family::Alexnet, "fc8", 0.5)
            },
            Self::Resnet18 | Self::Resnet34 | Self::Resnet50 => usual(Family::Resnet, "fc", 0.0),
            Self::Resnet20 | Self::Resnet32 | Self::Resnet44 | Self::Resnet56 => Facts {
                input: 32,
                classes: 10,
                ..usual(Family::CifarResnet, "linear", 0.0)
            },
            Self::Squeezenet1_0 | Self::Squeezenet1_1 => usual(Family::Squeezenet, "conv10", 0.5),
            Self::MobilenetV1 => Facts {
                convention: Convention::Keras,
                ..usual(Family::MobilenetV1, "conv_preds", 0.001)
            },
            Self::MobilenetV2 => usual(Family::MobilenetV2, "fc", 0.2),
        }
    }

    /// Rows and columns of the images for which it was made.
    pub fn usual_input(self) -> usize {
        self.facts().input
    }

    /// Whether a file of its weights has batch norms.
    pub fn has_batch_norm(self) -> bool {
        match self.facts().family {
            Family::Vgg => matches!(
                self,
                Self::Vgg11Bn | Self::Vgg13Bn | Self::Vgg16Bn | Self::Vgg19Bn
            ),
            Family::Alexnet | Family::Squeezenet => false,
            Family::Resnet | Family::CifarResnet => true,
            Family::MobilenetV1 | Family::MobilenetV2 => true,
        }
    }
}

/// Channels of a VGG's five blocks, times `width` (Simonyan and Zisserman 2015, table 1).
pub fn vgg_widths(width: f64) -> [usize; 5] {
    [64.0, 128.0, 256.0, 512.0, 512.0].map(|channels| (channels * width).round().max(1.0) as usize)
}
