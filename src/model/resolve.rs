//! From a model as an experiment declares it to a network on paper: expands named architectures and
//! works out every shape, layer by layer.

use std::collections::HashSet;

use super::spec::{LayerSpec, NetworkSpec, Operation, Padding, ParameterSpec, Role, shape_text};
use super::vgg;
use crate::config::experiment::{Body, Initializer, LayerKind, Model, NamedLayer, PoolingSize};
use crate::error::{Error, Result};

impl NetworkSpec {
    /// Works out every shape of `model` on samples of shape `input` (channels, height, width) with
    /// `classes` categories.
    ///
    /// # Errors
    /// Layers that do not fit on one another or on the input, parameters of no or absurd size, a
    /// last layer that is not a softmax over `classes` values; each names the layer.
    pub fn resolve(model: &Model, input: [usize; 3], classes: usize) -> Result<Self> {
        let layers = expand(&model.body);
        let mut names = HashSet::new();
        let mut shape = input.to_vec();
        let mut specs: Vec<LayerSpec> = Vec::with_capacity(layers.len());
        for (index, layer) in layers.iter().enumerate() {
            let place = format!("model: layer `{}`", layer.name);
            if !names.insert(layer.name.as_str()) {
                return Err(Error::new("another layer has this name").at(place));
            }
            if matches!(layer.kind, LayerKind::Softmax) && index + 1 != layers.len() {
                return Err(Error::new("softmax stands before other layers")
                    .at(place)
                    .help("softmax may only be the last layer"));
            }
            let spec = resolve_layer(layer, &shape, classes, model).map_err(|e| e.at(place))?;
            shape.clone_from(&spec.output);
            specs.push(spec);
        }
        check_end(&specs, classes)?;
        Ok(Self {
            input,
            layers: specs,
            initial_draws: model.initial_draws,
        })
    }
}

/// Values a layer's output or one of its tensors may have; more is a mistake in the file.
const LARGEST: usize = 1 << 32;

fn expand(body: &Body) -> Vec<NamedLayer> {
    match body {
        Body::Architecture {
            architecture,
            widths,
            head,
            head_names,
            classifier,
            dropout,
        } => {
            let head: Vec<_> = head_names
                .iter()
                .map(String::as_str)
                .zip(head.iter().copied())
                .collect();
            vgg::layers(*architecture, widths, &head, classifier, *dropout)
        }
        Body::Layers { layers } => layers.clone(),
    }
}

fn check_end(specs: &[LayerSpec], classes: usize) -> Result<()> {
    let Some(last) = specs.last() else {
        return Err(Error::new("the model has no layers").at("model"));
    };
    let place = format!("model: layer `{}`", last.name);
    if last.operation != Operation::Softmax {
        return Err(Error::new("the last layer is not a softmax")
            .at(place)
            .help("end [[model.layers]] with `name = \"softmax\"`, `type = \"softmax\"`"));
    }
    if last.output != [classes] {
        return Err(Error::new(format!(
            "softmax over {}, but the data have {classes} classes",
            shape_text(&last.output)
        ))
        .at(place)
        .help("leave `features` of the last linear layer away: it is then the number of classes"));
    }
    Ok(())
}

fn resolve_layer(
    layer: &NamedLayer,
    input: &[usize],
    classes: usize,
    model: &Model,
) -> Result<LayerSpec> {
    let ceil = model.pooling == PoolingSize::Ceil;
    let constant = |value| Initializer::Constant { value };
    let (operation, output, parameters) = match &layer.kind {
        &LayerKind::Convolution {
            channels,
            kernel,
            stride,
            padding,
            ref initializer,
        } => {
            let [inputs, height, width] = maps(input)?;
            let output = vec![
                positive("channels", channels)?,
                window("height", height, kernel, stride, padding, false)?,
                window("width", width, kernel, stride, padding, false)?,
            ];
            let shape = vec![channels, inputs, kernel, kernel];
            let parameter = parameter(
                Role::Weight,
                shape,
                initializer.unwrap_or(model.initializer),
            );
            let operation = Operation::Convolution {
                stride,
                padding: Padding::even(padding),
                groups: 1,
            };
            (operation, output, vec![parameter])
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
        &LayerKind::Relu { slope } => {
            let operation = match slope {
                0.0 => Operation::Relu,
                _ => Operation::LeakyRelu { slope },
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
    };
    let shapes = parameters.iter().map(|parameter| &parameter.shape);
    for shape in shapes.chain([&output]) {
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if count.is_none_or(|count| count > LARGEST) {
            return Err(Error::new(format!("{} is too large", shape_text(shape))));
        }
    }
    Ok(LayerSpec {
        name: layer.name.clone(),
        operation,
        output,
        parameters,
        inputs: Vec::new(),
        names: Vec::new(),
    })
}

fn parameter(role: Role, shape: Vec<usize>, initializer: Initializer) -> ParameterSpec {
    ParameterSpec {
        role,
        shape,
        initializer,
    }
}

/// The input as (channels, height, width).
fn maps(input: &[usize]) -> Result<[usize; 3]> {
    input.try_into().map_err(|_| {
        Error::new(format!(
            "needs images (channels, height, width), but its input is {}",
            shape_text(input)
        ))
        .help("convolutions and poolings stand before the first linear layer")
    })
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
fn window(
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

#[cfg(test)]
mod tests;
