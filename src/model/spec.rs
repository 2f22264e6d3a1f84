//! A network on paper: named layers with every shape worked out, no tensor yet.
//!
//! [`NetworkSpec::resolve`] makes it of an experiment's model, `plan` shows it, `source` imports into it,
//! [`super::network`] builds it on a device. It knows no weights and no device.

use serde::{Deserialize, Serialize};

use crate::config::experiment::{Convention, DropoutScaling, InitialDraws, Initializer};

/// A network whose every shape is known: layers in an order in which they can be computed. Its last
/// one is a softmax over the classes.
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

    /// Multiplications, each with an addition, that one sample takes.
    pub fn multiply_adds(&self) -> u64 {
        self.layers.iter().map(LayerSpec::multiply_adds).sum()
    }

    /// Shape of what the layer at `index` works on; of several inputs, the first.
    pub fn input_shape(&self, index: usize) -> &[usize] {
        let named = |name: &String| self.layers.iter().find(|layer| layer.name == *name);
        let before = || self.layers.get(index.checked_sub(1)?);
        let layer = match self.layers[index].inputs.first() {
            Some(name) => named(name),
            None => before(),
        };
        layer.map_or(&self.input, |layer| &layer.output)
    }
}

impl LayerSpec {
    /// Number of values in the layer's tensors.
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().map(ParameterSpec::count).sum()
    }

    /// Multiplications, each with an addition, that one sample takes: those of convolutions and
    /// linear layers, beside which the others' do not count.
    pub fn multiply_adds(&self) -> u64 {
        let places: usize = match self.operation {
            Operation::Convolution { .. } => self.output[1..].iter().product(),
            Operation::Linear => 1,
            _ => 0,
        };
        places as u64 * self.parameter_count() as u64
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
    /// Names of the layers whose outputs it works on; empty: the layer before it (of the first
    /// layer: the sample).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// What the usual checkpoints of its architecture call it. An import looks for these names too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<ForeignName>,
    /// Whether the experiment gave it a name that is not its architecture's: a layer to be trained
    /// anew, though it stands where `names` say.
    #[serde(default, skip_serializing_if = "is_false")]
    pub renamed: bool,
}

/// What the checkpoints of one origin call a layer. Where an origin has several names for it, the
/// first is the one to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignName {
    pub convention: Convention,
    pub name: String,
}

/// One tensor of a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParameterSpec {
    pub role: Role,
    pub shape: Vec<usize>,
    pub initializer: Initializer,
    /// Of a convolution: the parts into which its channels are cut.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub groups: usize,
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
    /// `groups`: the channels are cut into so many parts, each filter sees one of them; depthwise if
    /// there are as many as channels.
    Convolution {
        stride: usize,
        padding: Padding,
        #[serde(default = "one", skip_serializing_if = "is_one")]
        groups: usize,
    },
    Bias,
    Relu,
    /// A ReLU that lets negative values through, times `slope`.
    LeakyRelu {
        slope: f64,
    },
    /// A ReLU that lets nothing above `limit` through: ReLU6 (Krizhevsky 2010).
    LimitedRelu {
        limit: f64,
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
    /// The mean of each channel, (channels).
    GlobalAveragePooling,
    /// The sum of its inputs, all of one shape.
    Add,
    /// The channels (or features) of its inputs, one after another.
    Concatenate,
    /// Every `stride`-th row and column, among so many channels of zeros `before` and `behind`.
    Subsample {
        stride: usize,
        before: usize,
        behind: usize,
    },
    Softmax,
}

/// Rows and columns of zeros around an image. Written as one number where all are equal, else as
/// `[top, bottom, left, right]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "PaddingForm", from = "PaddingForm")]
pub struct Padding {
    pub top: usize,
    pub bottom: usize,
    pub left: usize,
    pub right: usize,
}

impl Padding {
    /// The same on all sides.
    pub const fn even(size: usize) -> Self {
        let [top, bottom, left, right] = [size; 4];
        Self {
            top,
            bottom,
            left,
            right,
        }
    }

    /// The size if it is the same on all sides.
    pub fn as_even(self) -> Option<usize> {
        (self == Self::even(self.top)).then_some(self.top)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum PaddingForm {
    Even(usize),
    Sides([usize; 4]),
}

impl From<Padding> for PaddingForm {
    fn from(padding: Padding) -> Self {
        match padding.as_even() {
            Some(size) => PaddingForm::Even(size),
            None => PaddingForm::Sides([padding.top, padding.bottom, padding.left, padding.right]),
        }
    }
}

impl From<PaddingForm> for Padding {
    fn from(form: PaddingForm) -> Self {
        match form {
            PaddingForm::Even(size) => Padding::even(size),
            PaddingForm::Sides([top, bottom, left, right]) => Self {
                top,
                bottom,
                left,
                right,
            },
        }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn one() -> usize {
    1
}

fn is_one(value: &usize) -> bool {
    *value == 1
}

impl Operation {
    /// The word for it in TOML, tables and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Operation::Convolution { .. } => "convolution",
            Operation::Bias => "bias",
            Operation::Relu | Operation::LeakyRelu { .. } | Operation::LimitedRelu { .. } => "relu",
            Operation::Elu { .. } => "elu",
            Operation::Tanh => "tanh",
            Operation::Sigmoid => "sigmoid",
            Operation::MaxPooling { .. } => "max_pooling",
            Operation::AveragePooling { .. } => "average_pooling",
            Operation::Dropout { .. } => "dropout",
            Operation::Linear => "linear",
            Operation::BatchNorm { .. } => "batch_norm",
            Operation::GlobalAveragePooling => "global_average_pooling",
            Operation::Add => "add",
            Operation::Concatenate => "concatenate",
            Operation::Subsample { .. } => "subsample",
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
            Operation::Convolution { groups, .. } if *groups > 1 => {
                format!("{name}, {groups} groups")
            }
            Operation::LimitedRelu { limit } => format!("{name}, limit {limit}"),
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
