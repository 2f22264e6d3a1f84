//! The nodes of the graph: what each layer computes, in ONNX's operators.

use super::protobuf::Message;
use super::schema::{Attribute, floats, integers, node, weights};
use crate::config::experiment::DropoutScaling;
use crate::error::{Error, Result};
use crate::export::graph::{Graph, Input};
use crate::export::model::Model;
use crate::model::spec::{LayerSpec, Operation, Padding, Role};

/// The input and the output of the graph. Names without a dot cannot be those of a layer's values.
pub const PIXELS: &str = "pixels";
pub const CONFIDENCES: &str = "confidences";

/// A graph in the making.
pub struct Nodes<'a> {
    pub nodes: Vec<Message<'a>>,
    pub constants: Vec<Message<'a>>,
    pub(super) model: &'a Model,
    graph: Graph<'a>,
    /// The prepared sample.
    pub(super) sample: Value,
    /// The output of each layer so far.
    values: Vec<Value>,
}

/// What flows between nodes.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) name: String,
    /// Of one sample: (channels, height, width) or (features).
    shape: Vec<usize>,
}

impl<'a> Nodes<'a> {
    /// # Errors
    /// Layers that do not hang together.
    pub fn new(model: &'a Model) -> Result<Self> {
        Ok(Self {
            nodes: Vec::new(),
            constants: Vec::new(),
            model,
            graph: Graph::of(model.network())?,
            sample: Value {
                name: PIXELS.to_string(),
                shape: model.network().input.to_vec(),
            },
            values: Vec::new(),
        })
    }

    /// Adds all layers.
    ///
    /// # Errors
    /// A layer whose tensors or inputs are not what its operation needs; a last layer that is not a
    /// softmax. Each names the layer.
    pub fn layers(&mut self) -> Result<()> {
        let network = self.model.network();
        for (index, spec) in network.layers.iter().enumerate() {
            let value = self.layer(index, spec);
            let value = value.map_err(|e| e.at(format!("layer `{}`", spec.name)))?;
            self.values.push(value);
        }
        match self.values.last() {
            Some(value) if value.name == CONFIDENCES => Ok(()),
            _ => Err(Error::new(
                "its last layer is not a softmax over the classes",
            )),
        }
    }

    /// Adds the layer; the result is its output.
    fn layer(&mut self, index: usize, spec: &'a LayerSpec) -> Result<Value> {
        let inputs = self.inputs(index);
        let [input, others @ ..] = inputs.as_slice() else {
            return Err(Error::new("works on nothing"));
        };
        if let Some(biased) = self.graph.biased_by(index) {
            // A part of that node already.
            return self.value(Input::Layer(biased));
        }
        let single = || match others {
            [] => Ok(input),
            _ => Err(Error::new("works on several layers")),
        };
        let float = |name, value| vec![(name, Attribute::Float(value))];
        match spec.operation {
            Operation::Convolution {
                stride,
                padding,
                groups,
            } => self.convolution(index, spec, single()?, (stride, padding, groups)),
            Operation::Linear => self.linear(index, spec, single()?),
            Operation::Bias => self.bias(spec, single()?),
            Operation::BatchNorm { epsilon, .. } => {
                self.batch_norm(spec, single()?, float("epsilon", epsilon))
            }
            Operation::Relu => Ok(self.node("Relu", spec, &[single()?], &[])),
            Operation::LeakyRelu { slope } => {
                Ok(self.node("LeakyRelu", spec, &[single()?], &float("alpha", slope)))
            }
            Operation::LimitedRelu { limit } => self.limited_relu(spec, single()?, limit),
            Operation::Elu { alpha } => {
                Ok(self.node("Elu", spec, &[single()?], &float("alpha", alpha)))
            }
            Operation::Tanh => Ok(self.node("Tanh", spec, &[single()?], &[])),
            Operation::Sigmoid => Ok(self.node("Sigmoid", spec, &[single()?], &[])),
            Operation::MaxPooling {
                kernel,
                stride,
                padding,
                // How sizes are rounded shows in the output's shape.
                ceil: _,
            } => {
                let windows = windows(spec, single()?, kernel, stride, padding)?;
                Ok(self.node("MaxPool", spec, &[single()?], &windows))
            }
            Operation::AveragePooling {
                kernel,
                stride,
                padding,
                ceil: _,
            } => {
                let mut windows = windows(spec, single()?, kernel, stride, padding)?;
                windows.push(("count_include_pad", Attribute::Int(0)));
                Ok(self.node("AveragePool", spec, &[single()?], &windows))
            }
            Operation::GlobalAveragePooling => {
                let means = self.step("GlobalAveragePool", spec, single()?, "means");
                Ok(self.node("Flatten", spec, &[&means], &[("axis", Attribute::Int(1))]))
            }
            Operation::Add => Ok(self.node("Sum", spec, &inputs.iter().collect::<Vec<_>>(), &[])),
            Operation::Concatenate => {
                let axis = [("axis", Attribute::Int(1))];
                Ok(self.node("Concat", spec, &inputs.iter().collect::<Vec<_>>(), &axis))
            }
            Operation::Subsample {
                stride,
                before,
                behind,
            } => self.subsample(spec, single()?, stride, [before, behind]),
            Operation::Dropout { rate, scaling } => self.dropout(spec, single()?, rate, scaling),
            Operation::Softmax => Ok(self.softmax(spec, single()?)),
        }
    }

    /// The outputs that the layer works on.
    fn inputs(&self, index: usize) -> Vec<Value> {
        let inputs = self.graph.inputs(index).iter();
        inputs.filter_map(|&input| self.value(input).ok()).collect()
    }

    fn value(&self, input: Input) -> Result<Value> {
        match input {
            Input::Sample => Ok(self.sample.clone()),
            Input::Layer(index) => {
                let value = self.values.get(index).cloned();
                value.ok_or_else(|| Error::new("works on a layer that stands behind it"))
            }
        }
    }

    /// A node that gives the layer's output.
    fn node(
        &mut self,
        kind: &str,
        spec: &LayerSpec,
        inputs: &[&Value],
        attributes: &[(&str, Attribute)],
    ) -> Value {
        let inputs: Vec<&str> = inputs.iter().map(|value| value.name.as_str()).collect();
        self.named_node(kind, spec, &inputs, attributes)
    }

    fn named_node(
        &mut self,
        kind: &str,
        spec: &LayerSpec,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) -> Value {
        let output = Value {
            // No tensor of a layer has this role.
            name: format!("{}.output", spec.name),
            shape: spec.output.clone(),
        };
        let node = node(kind, &spec.name, inputs, &output.name, attributes);
        self.nodes.push(node);
        output
    }

    /// A node before the one that gives the layer's output.
    fn step(&mut self, kind: &str, spec: &LayerSpec, input: &Value, what: &str) -> Value {
        let output = Value {
            name: format!("{}.{what}", spec.name),
            shape: spec.output.clone(),
        };
        let name = format!("{} {what}", spec.name);
        self.nodes
            .push(node(kind, &name, &[&input.name], &output.name, &[]));
        output
    }

    /// Adds a tensor of the layer, in `shape` or in its own; the result is its name.
    fn tensor(&mut self, spec: &LayerSpec, role: Role, shape: Option<&[usize]>) -> Result<String> {
        let tensor = self.model.tensor(spec, role)?;
        let shape = shape.unwrap_or(&tensor.shape);
        self.constants
            .push(weights(&tensor.name, shape, &tensor.values));
        Ok(tensor.name.clone())
    }

    /// Weight and, where the layer has one, bias.
    fn affine(&mut self, index: usize, spec: &LayerSpec) -> Result<Vec<String>> {
        let mut names = vec![self.tensor(spec, Role::Weight, None)?];
        let layers = &self.model.network().layers;
        let bias = self.graph.bias_of(index).and_then(|bias| layers.get(bias));
        if let Some(bias) = bias {
            names.push(self.tensor(bias, Role::Bias, None)?);
        }
        Ok(names)
    }

    fn limited_relu(&mut self, spec: &LayerSpec, input: &Value, limit: f64) -> Result<Value> {
        let [low, high] = ["lowest", "highest"].map(|what| format!("{}.{what}", spec.name));
        self.constants.push(floats(&low, &[], &[0.0]));
        self.constants.push(floats(&high, &[], &[limit]));
        Ok(self.named_node("Clip", spec, &[&input.name, &low, &high], &[]))
    }

    /// Every `stride`-th row and column, among channels of zeros before and behind them.
    fn subsample(
        &mut self,
        spec: &LayerSpec,
        input: &Value,
        stride: usize,
        [before, behind]: [usize; 2],
    ) -> Result<Value> {
        let mut constant = |what: &str, values: &[i64]| {
            let name = format!("{}.{what}", spec.name);
            self.constants.push(integers(&name, values));
            name
        };
        let stride = stride as i64;
        let slices = [
            constant("starts", &[0, 0]),
            constant("ends", &[i64::MAX, i64::MAX]),
            constant("axes", &[2, 3]),
            constant("steps", &[stride, stride]),
        ];
        let pads = [0, before as i64, 0, 0, 0, behind as i64, 0, 0];
        let pads = constant("pads", &pads);
        let kept = format!("{}.kept", spec.name);
        let name = format!("{} kept", spec.name);
        let [starts, ends, axes, steps] = slices.each_ref().map(String::as_str);
        let inputs = [input.name.as_str(), starts, ends, axes, steps];
        self.nodes.push(node("Slice", &name, &inputs, &kept, &[]));
        Ok(self.named_node("Pad", spec, &[&kept, &pads], &[]))
    }

    fn convolution(
        &mut self,
        index: usize,
        spec: &LayerSpec,
        input: &Value,
        (stride, padding, groups): (usize, Padding, usize),
    ) -> Result<Value> {
        let &[_, _, rows, columns] = self.model.tensor(spec, Role::Weight)?.shape.as_slice() else {
            return Err(Error::new("has no filters"));
        };
        let Padding {
            top,
            bottom,
            left,
            right,
        } = padding;
        let tensors = self.affine(index, spec)?;
        let inputs: Vec<&str> = [input.name.as_str()]
            .into_iter()
            .chain(tensors.iter().map(String::as_str))
            .collect();
        let attributes = [
            ("kernel_shape", Attribute::Ints(vec![rows, columns])),
            ("strides", Attribute::Ints(vec![stride; 2])),
            ("pads", Attribute::Ints(vec![top, left, bottom, right])),
            ("group", Attribute::Int(groups)),
        ];
        Ok(self.named_node("Conv", spec, &inputs, &attributes))
    }

    fn linear(&mut self, index: usize, spec: &LayerSpec, input: &Value) -> Result<Value> {
        let input = match input.shape.len() {
            1 => input.clone(),
            // In (channel, row, column) order.
            _ => self.step("Flatten", spec, input, "flat"),
        };
        let tensors = self.affine(index, spec)?;
        let inputs: Vec<&str> = [input.name.as_str()]
            .into_iter()
            .chain(tensors.iter().map(String::as_str))
            .collect();
        let transposed = [("transB", Attribute::Int(1))];
        Ok(self.named_node("Gemm", spec, &inputs, &transposed))
    }

    /// A bias that is no part of the layer before it.
    fn bias(&mut self, spec: &LayerSpec, input: &Value) -> Result<Value> {
        let count = spec.output.first().copied().unwrap_or(0);
        let shape = match input.shape.len() {
            1 => vec![count],
            _ => vec![count, 1, 1],
        };
        let bias = self.tensor(spec, Role::Bias, Some(&shape))?;
        Ok(self.named_node("Add", spec, &[&input.name, &bias], &[]))
    }

    fn batch_norm(
        &mut self,
        spec: &LayerSpec,
        input: &Value,
        epsilon: Vec<(&str, Attribute)>,
    ) -> Result<Value> {
        let mut inputs = vec![input.name.clone()];
        for role in [Role::Scale, Role::Shift, Role::Mean, Role::Variance] {
            inputs.push(self.tensor(spec, role, None)?);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        Ok(self.named_node("BatchNormalization", spec, &inputs, &epsilon))
    }

    /// At inference nothing is dropped; scaled at inference, values are multiplied instead.
    fn dropout(
        &mut self,
        spec: &LayerSpec,
        input: &Value,
        rate: f64,
        scaling: DropoutScaling,
    ) -> Result<Value> {
        match scaling {
            DropoutScaling::Training => Ok(input.clone()),
            DropoutScaling::Inference => {
                let factor = format!("{}.factor", spec.name);
                self.constants.push(floats(&factor, &[], &[1.0 - rate]));
                Ok(self.named_node("Mul", spec, &[&input.name, &factor], &[]))
            }
        }
    }

    fn softmax(&mut self, spec: &LayerSpec, input: &Value) -> Value {
        let input = match input.shape.len() {
            1 => input.clone(),
            _ => self.step("Flatten", spec, input, "flat"),
        };
        let axis = [("axis", Attribute::Int(1))];
        let softmax = node("Softmax", &spec.name, &[&input.name], CONFIDENCES, &axis);
        self.nodes.push(softmax);
        Value {
            name: CONFIDENCES.to_string(),
            shape: spec.output.clone(),
        }
    }
}

/// The windows of a pooling. Where the last ones reach beyond the padded image, the image is padded
/// by as much, which neither a maximum nor an average sees: runtimes do not agree on `ceil_mode`.
fn windows(
    spec: &LayerSpec,
    input: &Value,
    kernel: usize,
    stride: usize,
    padding: usize,
) -> Result<Vec<(&'static str, Attribute)>> {
    let (&[_, height, width], &[_, rows, columns]) =
        (input.shape.as_slice(), spec.output.as_slice())
    else {
        return Err(Error::new("works on something other than maps"));
    };
    let behind = |size: usize, windows: usize| {
        let covered = windows.saturating_sub(1).saturating_mul(stride);
        let covered = covered.saturating_add(kernel);
        let beyond = covered.saturating_sub(size).saturating_sub(padding);
        beyond.max(padding)
    };
    let pads = vec![
        padding,
        padding,
        behind(height, rows),
        behind(width, columns),
    ];
    Ok(vec![
        ("kernel_shape", Attribute::Ints(vec![kernel; 2])),
        ("strides", Attribute::Ints(vec![stride; 2])),
        ("pads", Attribute::Ints(pads)),
    ])
}
