//! Writing down networks: the pieces of which blocks and architectures are made.

use crate::config::experiment::{BatchNorm, Convention, LayerKind, NamedLayer, PaddingSize};

/// Keras' constant of batch norm, but for its resnets.
pub const KERAS_EPSILON: f64 = 1e-3;

/// Layers in the making, and whose variant they are.
#[derive(Debug, Clone)]
pub struct Builder {
    pub layers: Vec<NamedLayer>,
    pub convention: Convention,
    norms: BatchNorm,
}

/// The filters of a convolution, square.
#[derive(Debug, Clone, Copy)]
pub struct Filters {
    /// Absent: as many as there are classes.
    pub channels: Option<usize>,
    pub kernel: usize,
    pub stride: usize,
    pub padding: PaddingSize,
    pub groups: usize,
}

impl Filters {
    /// Filters on every place of the image and all its channels, without padding.
    pub fn new(channels: usize, kernel: usize) -> Self {
        Self {
            channels: Some(channels),
            kernel,
            stride: 1,
            padding: PaddingSize::Pixels(0),
            groups: 1,
        }
    }

    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// Zeros on each side.
    pub fn padding(self, pixels: usize) -> Self {
        Self {
            padding: PaddingSize::Pixels(pixels),
            ..self
        }
    }
}

impl Builder {
    pub fn new(convention: Convention, norms: BatchNorm) -> Self {
        Self {
            layers: Vec::new(),
            convention,
            norms,
        }
    }

    /// A layer on the one before it.
    pub fn push(&mut self, name: impl Into<String>, kind: LayerKind) {
        self.push_from(name, None, kind);
    }

    /// A layer on the one called `from`.
    pub fn push_from(&mut self, name: impl Into<String>, from: Option<&str>, kind: LayerKind) {
        self.layers.push(NamedLayer {
            name: name.into(),
            from: from.map(str::to_owned),
            kind,
        });
    }

    /// Lets the layers from place `first` on begin at the one called `from`.
    pub fn begin_at(&mut self, first: usize, from: Option<&str>) {
        if let Some(layer) = self.layers.get_mut(first) {
            layer.from = from.map(str::to_owned);
        }
    }

    /// The name of the layer that was written last.
    pub fn last(&self) -> &str {
        self.layers.last().map_or("", |layer| &layer.name)
    }

    pub fn convolution(&mut self, name: &str, filters: Filters) {
        let kind = LayerKind::Convolution {
            channels: filters.channels,
            kernel: filters.kernel,
            stride: filters.stride,
            padding: filters.padding,
            groups: filters.groups,
            initializer: None,
        };
        self.push(name, kind);
    }

    /// Convolutions with a bias.
    pub fn biased_convolution(&mut self, name: &str, filters: Filters) {
        self.convolution(name, filters);
        self.bias(name);
    }

    /// The bias of the layer called `of`.
    pub fn bias(&mut self, of: &str) {
        let kind = LayerKind::Bias { initializer: None };
        self.push(format!("{of}_bias"), kind);
    }

    /// A linear layer with its bias; `features` absent: as many as there are classes.
    pub fn linear(&mut self, name: &str, features: Option<usize>) {
        let kind = LayerKind::Linear {
            features,
            initializer: None,
        };
        self.push(name, kind);
        self.bias(name);
    }

    /// Batch norm, as the experiment or else the convention has it: torchvision's, or Keras' with its
    /// `keras_epsilon`.
    pub fn batch_norm(&mut self, name: impl Into<String>, keras_epsilon: f64) {
        let (epsilon, momentum) = match self.convention {
            Convention::Torchvision => (1e-5, 0.1),
            Convention::Keras => (keras_epsilon, 0.01),
        };
        let kind = LayerKind::BatchNorm {
            epsilon: self.norms.epsilon.unwrap_or(epsilon),
            momentum: self.norms.momentum.unwrap_or(momentum),
        };
        self.push(name, kind);
    }

    pub fn relu(&mut self, name: impl Into<String>) {
        let (slope, limit) = (0.0, None);
        self.push(name, LayerKind::Relu { slope, limit });
    }

    /// `min(max(x, 0), 6)`.
    pub fn relu6(&mut self, name: impl Into<String>) {
        let (slope, limit) = (0.0, Some(6.0));
        self.push(name, LayerKind::Relu { slope, limit });
    }

    pub fn max_pooling(&mut self, name: &str, kernel: usize, stride: usize, padding: usize) {
        let kind = LayerKind::MaxPooling {
            kernel,
            stride,
            padding,
        };
        self.push(name, kind);
    }

    /// 3x3 filters whose output is as large as their input, or `stride` times smaller. Keras puts
    /// the odd row of zeros at the bottom, torchvision has as many on all sides.
    pub fn filters_3x3(&self, channels: usize, stride: usize) -> Filters {
        let padding = match self.convention {
            Convention::Keras if stride > 1 => PaddingSize::SAME,
            _ => PaddingSize::Pixels(1),
        };
        Filters {
            padding,
            ..Filters::new(channels, 3).stride(stride)
        }
    }
}
