//! A network on paper: named layers with every shape worked out, no tensor yet.
//!
//! [`NetworkSpec::resolve`] makes it of an experiment's model, `plan` shows it, `source` imports into it,
//! [`super::network`] builds it on a device. It knows no weights and no device.

use serde::{Deserialize, Serialize};

use crate::config::experiment::{DropoutScaling, InitialDraws, Initializer};

/// A sequential network whose every shape is known. Its last layer is a softmax over the classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Shape of one sample, (channels, height, width).
    pub input: [usize; 3],
    pub layers: Vec<LayerSpec>,
    /// How initial weights are drawn.
    pub initial_draws: InitialDraws,
}

impl NetworkSpec {
    /// Number of categories: the values of the last layer.
    pub fn classes(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.output[0])
    }

    /// Number of values in all tensors, running statistics included.
    pub fn parameter_count(&self) -> usize {
        self.layers.iter().map(LayerSpec::parameter_count).sum()
    }
}

impl LayerSpec {
    /// Number of values in the layer's tensors.
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().map(ParameterSpec::count).sum()
    }
}

impl ParameterSpec {
    /// Number of values.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// One named layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerSpec {
    /// Unique in its network; the key by which source layers are matched.
    pub name: String,
    pub operation: Operation,
    /// Shape of one sample's output: (channels, height, width), or (features).
    pub output: Vec<usize>,
    /// The layer's tensors; empty for layers without any.
    pub parameters: Vec<ParameterSpec>,
}

/// One tensor of a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParameterSpec {
    pub role: Role,
    pub shape: Vec<usize>,
    pub initializer: Initializer,
}

/// What a tensor is to its layer; with the layer's name it identifies the tensor in a file:
/// `conv1_1.weight`, `conv1_1_bias.bias`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Convolution (filters, channels, rows, columns), or linear layer (outputs, inputs).
    Weight,
    /// (channels) or (features).
    Bias,
    /// Batch norm's gamma, (channels).
    Scale,
    /// Batch norm's beta, (channels).
    Shift,
    /// Batch norm's running mean, (channels). Not trained.
    Mean,
    /// Batch norm's running variance, (channels). Not trained.
    Variance,
}

impl Role {
    /// The name in files: the part behind the dot.
    pub fn name(self) -> &'static str {
        match self {
            Role::Weight => "weight",
            Role::Bias => "bias",
            Role::Scale => "scale",
            Role::Shift => "shift",
            Role::Mean => "mean",
            Role::Variance => "variance",
        }
    }
}

/// What a layer computes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    Convolution {
        stride: usize,
        padding: usize,
    },
    Bias,
    Relu,
    /// A ReLU that lets negative values through, times `slope`.
    LeakyRelu {
        slope: f64,
    },
    Elu {
        alpha: f64,
    },
    Tanh,
    Sigmoid,
    /// `ceil`: the last window may reach beyond the padded image; what is outside does not count.
    MaxPooling {
        kernel: usize,
        stride: usize,
        padding: usize,
        ceil: bool,
    },
    AveragePooling {
        kernel: usize,
        stride: usize,
        padding: usize,
        ceil: bool,
    },
    Dropout {
        rate: f64,
        scaling: DropoutScaling,
    },
    Linear,
    BatchNorm {
        epsilon: f64,
        momentum: f64,
    },
    Softmax,
}

impl Operation {
    /// The word for it in TOML, tables and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Operation::Convolution { .. } => "convolution",
            Operation::Bias => "bias",
            Operation::Relu | Operation::LeakyRelu { .. } => "relu",
            Operation::Elu { .. } => "elu",
            Operation::Tanh => "tanh",
            Operation::Sigmoid => "sigmoid",
            Operation::MaxPooling { .. } => "max_pooling",
            Operation::AveragePooling { .. } => "average_pooling",
            Operation::Dropout { .. } => "dropout",
            Operation::Linear => "linear",
            Operation::BatchNorm { .. } => "batch_norm",
            Operation::Softmax => "softmax",
        }
    }

    /// The same with what makes it differ from others of its name.
    pub fn description(&self) -> String {
        let name = self.name();
        match self {
            Operation::MaxPooling { ceil: true, .. }
            | Operation::AveragePooling { ceil: true, .. } => format!("{name}, ceil"),
            Operation::Dropout {
                scaling: DropoutScaling::Inference,
                ..
            } => format!("{name}, scaled at inference"),
            Operation::LeakyRelu { slope } => format!("{name}, slope {slope}"),
            Operation::Elu { alpha } => format!("{name}, alpha {alpha}"),
            _ => name.to_string(),
        }
    }
}

/// A shape for people: `(3, 32, 32)`.
pub fn shape_text(shape: &[usize]) -> String {
    let dims: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("({})", dims.join(", "))
}
