//! One layer of a network on paper: what it computes, its output's shape, its parameters.

use crate::config::experiment::{
    Initializer, LayerKind, Model, NamedLayer, PaddingSize, PaddingWord,
};
use crate::error::{Error, Result};
use crate::model::spec::{Operation, Padding, ParameterSpec, Role, shape_text};

/// What holds for all layers of a network.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Categories of the data.
    pub classes: usize,
    /// Whether the sizes of poolings are rounded up.
    pub ceil: bool,
}

/// A layer that is worked out.
#[derive(Debug)]
pub struct Resolved {
    pub operation: Operation,
    pub output: Vec<usize>,
    pub parameters: Vec<ParameterSpec>,
}

/// Values a layer's output or one of its tensors may have; more is a mistake in the file.
const LARGEST: usize = 1 << 32;

/// Works out one layer, which is no block, on inputs of these shapes.
///
/// # Errors
/// It does not fit on its inputs, or has parameters of no or absurd size.
pub fn resolve_layer(
    layer: &NamedLayer,
    inputs: &[Vec<usize>],
    setting: Setting,
    model: &Model,
) -> Result<Resolved> {
    let Setting { classes, ceil } = setting;
    let input = inputs.first().map_or(&[][..], Vec::as_slice);
    let constant = |value| Initializer::Constant { value };
    let (operation, output, parameters) = match &layer.kind {
        &LayerKind::Convolution {
            channels,
            kernel,
            stride,
            padding,
            groups,
            ref initializer,
        } => {
            let [inputs, height, width] = maps(input)?;
            let channels = positive("channels", channels.unwrap_or(classes))?;
            in_groups(groups, inputs, channels)?;
            let sides = |what, size| places(what, size, kernel, stride, padding);
            let (rows, [top, bottom]) = sides("height", height)?;
            let (columns, [left, right]) = sides("width", width)?;
            let operation = Operation::Convolution {
                stride,
                padding: Padding {
                    top,
                    bottom,
                    left,
                    right,
                },
                groups,
            };
            let weight = ParameterSpec {
                groups,
                ..parameter(
                    Role::Weight,
                    vec![channels, inputs / groups, kernel, kernel],
                    initializer.unwrap_or(model.initializer),
                )
            };
            (operation, vec![channels, rows, columns], vec![weight])
        }
        LayerKind::Linear {
            features,
            initializer,
        } => {
            let features = positive("features", features.unwrap_or(classes))?;
            let shape = vec![features, input.iter().product()];
            let parameter = parameter(
                Role::Weight,
                shape,
                initializer.unwrap_or(model.linear_initializer),
            );
            (Operation::Linear, vec![features], vec![parameter])
        }
        LayerKind::Bias { initializer } => {
            let initializer = initializer.unwrap_or(model.bias_initializer);
            let parameter = parameter(Role::Bias, vec![input[0]], initializer);
            (Operation::Bias, input.to_vec(), vec![parameter])
        }
        &LayerKind::BatchNorm { epsilon, momentum } => {
            let parameters = [
                (Role::Scale, 1.0),
                (Role::Shift, 0.0),
                (Role::Mean, 0.0),
                (Role::Variance, 1.0),
            ]
            .map(|(role, value)| parameter(role, vec![input[0]], constant(value)));
            let operation = Operation::BatchNorm { epsilon, momentum };
            (operation, input.to_vec(), parameters.to_vec())
        }
        &LayerKind::MaxPooling {
            kernel,
            stride,
            padding,
        } => {
            let operation = Operation::MaxPooling {
                kernel,
                stride,
                padding,
                ceil,
            };
            (
                operation,
                pooled(input, kernel, stride, padding, ceil)?,
                vec![],
            )
        }
        &LayerKind::AveragePooling {
            kernel,
            stride,
            padding,
        } => {
            let operation = Operation::AveragePooling {
                kernel,
                stride,
                padding,
                ceil,
            };
            (
                operation,
                pooled(input, kernel, stride, padding, ceil)?,
                vec![],
            )
        }
        &LayerKind::Relu { slope, limit } => {
            let operation = match (limit, slope) {
                (Some(limit), _) => Operation::LimitedRelu { limit },
                (None, 0.0) => Operation::Relu,
                (None, _) => Operation::LeakyRelu { slope },
            };
            (operation, input.to_vec(), vec![])
        }
        &LayerKind::Elu { alpha } => (Operation::Elu { alpha }, input.to_vec(), vec![]),
        LayerKind::Tanh => (Operation::Tanh, input.to_vec(), vec![]),
        LayerKind::Sigmoid => (Operation::Sigmoid, input.to_vec(), vec![]),
        &LayerKind::Dropout { rate } => {
            let scaling = model.dropout_scaling;
            (Operation::Dropout { rate, scaling }, input.to_vec(), vec![])
        }
        LayerKind::Softmax => (Operation::Softmax, input.to_vec(), vec![]),
        LayerKind::GlobalAveragePooling => {
            let [channels, _, _] = maps(input)?;
            (Operation::GlobalAveragePooling, vec![channels], vec![])
        }
        LayerKind::Add { .. } => (Operation::Add, sum(inputs)?, vec![]),
        LayerKind::Concatenate { .. } => (Operation::Concatenate, concatenation(inputs)?, vec![]),
        &LayerKind::Subsample { channels, stride } => {
            let (operation, output) = subsample(input, channels, stride)?;
            (operation, output, vec![])
        }
        block => unreachable!("{block:?} is written out before"),
    };
    let shapes = parameters.iter().map(|parameter| &parameter.shape);
    for shape in shapes.chain([&output]) {
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if count.is_none_or(|count| count > LARGEST) {
            return Err(Error::new(format!("{} is too large", shape_text(shape))));
        }
    }
    Ok(Resolved {
        operation,
        output,
        parameters,
    })
}

fn parameter(role: Role, shape: Vec<usize>, initializer: Initializer) -> ParameterSpec {
    ParameterSpec {
        role,
        shape,
        initializer,
        groups: 1,
    }
}

/// The input as (channels, height, width).
fn maps(input: &[usize]) -> Result<[usize; 3]> {
    input.try_into().map_err(|_| not_maps(input))
}

/// The error that an input is not (channels, height, width).
pub fn not_maps(input: &[usize]) -> Error {
    Error::new(format!(
        "needs images (channels, height, width), but its input is {}",
        shape_text(input)
    ))
    .help("convolutions and poolings stand before the first linear layer")
}

/// `groups` divides both the input's and the output's channels.
fn in_groups(groups: usize, inputs: usize, outputs: usize) -> Result<()> {
    positive("groups", groups)?;
    for (what, channels) in [("input", inputs), ("output", outputs)] {
        if !channels.is_multiple_of(groups) {
            return Err(Error::new(format!(
                "the {channels} channels of its {what} cannot be cut into {groups} groups"
            ))
            .help("`groups` must divide `channels` and those of the input"));
        }
    }
    Ok(())
}

/// The shape that all inputs of a sum have.
fn sum(inputs: &[Vec<usize>]) -> Result<Vec<usize>> {
    let first = inputs.first().cloned().unwrap_or_default();
    match inputs.iter().find(|shape| **shape != first) {
        None => Ok(first),
        Some(other) => Err(Error::new(format!(
            "adds outputs of different shapes: {} and {}",
            shape_text(&first),
            shape_text(other)
        ))
        .help("project the one by a convolution of 1x1, or by a `subsample`")),
    }
}

/// The shape of all inputs side by side: they differ in their channels alone.
fn concatenation(inputs: &[Vec<usize>]) -> Result<Vec<usize>> {
    let mut output = inputs.first().cloned().unwrap_or_default();
    for other in inputs.iter().skip(1) {
        if other.get(1..) != output.get(1..) {
            return Err(Error::new(format!(
                "concatenates outputs of different sizes: {} and {}",
                shape_text(&output),
                shape_text(other)
            ))
            .help("only the channels may differ"));
        }
        if let (Some(sum), Some(channels)) = (output.first_mut(), other.first()) {
            *sum = sum.saturating_add(*channels);
        }
    }
    Ok(output)
}

fn subsample(input: &[usize], channels: usize, stride: usize) -> Result<(Operation, Vec<usize>)> {
    let [inputs, height, width] = maps(input)?;
    positive("stride", stride)?;
    let Some(zeros) = channels.checked_sub(inputs) else {
        return Err(Error::new(format!(
            "its input has {inputs} channels; it cannot have fewer: {channels}"
        ))
        .help("a shortcut by `projection` can"));
    };
    let operation = Operation::Subsample {
        stride,
        before: zeros / 2,
        behind: zeros - zeros / 2,
    };
    let output = vec![channels, height.div_ceil(stride), width.div_ceil(stride)];
    Ok((operation, output))
}

/// Number of places of a convolution's filters on `size` values, and the zeros before and behind
/// these.
fn places(
    what: &str,
    size: usize,
    kernel: usize,
    stride: usize,
    padding: PaddingSize,
) -> Result<(usize, [usize; 2])> {
    match padding {
        PaddingSize::Pixels(padding) => {
            let places = window(what, size, kernel, stride, padding, false)?;
            Ok((places, [padding; 2]))
        }
        PaddingSize::Word(PaddingWord::Same) => {
            positive("kernel", kernel)?;
            positive("stride", stride)?;
            let places = size.div_ceil(stride);
            let needed = (places.saturating_sub(1) * stride).saturating_add(kernel);
            let zeros = needed.saturating_sub(size);
            Ok((places, [zeros / 2, zeros - zeros / 2]))
        }
    }
}

fn positive(what: &str, value: usize) -> Result<usize> {
    match value {
        0 => Err(Error::new(format!("{what} must be at least 1"))),
        _ => Ok(value),
    }
}

fn pooled(
    input: &[usize],
    kernel: usize,
    stride: usize,
    padding: usize,
    ceil: bool,
) -> Result<Vec<usize>> {
    let [channels, height, width] = maps(input)?;
    if padding > kernel / 2 {
        return Err(Error::new(format!(
            "padding {padding} is more than half of the window {kernel}"
        )));
    }
    Ok(vec![
        channels,
        window("height", height, kernel, stride, padding, ceil)?,
        window("width", width, kernel, stride, padding, ceil)?,
    ])
}

/// Number of places of a window of `kernel` on `size` values. The last place must lie inside the
/// padded image, with `ceil` it must only begin inside the image or the padding before it: what
/// neon does, with its option `--caffe` in the second case.
pub(super) fn window(
    what: &str,
    size: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    ceil: bool,
) -> Result<usize> {
    positive("kernel", kernel)?;
    positive("stride", stride)?;
    let beyond = if ceil { stride - 1 } else { 0 };
    let padded = padding
        .checked_mul(2)
        .and_then(|padding| padding.checked_add(size)?.checked_add(beyond))
        .ok_or_else(|| Error::new("padding and stride are too large"))?;
    let Some(room) = padded.checked_sub(kernel) else {
        return Err(Error::new(format!(
            "a window of {kernel} does not fit on {what} {size} (padding {padding})"
        ))
        .help("use larger images or fewer poolings"));
    };
    let last = room / stride;
    let outside = ceil && last * stride >= size + padding;
    Ok(if outside { last } else { last + 1 })
}
