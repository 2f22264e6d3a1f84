//! A network of graft's in neon's terms: the dictionary that neon 2.6 saves, layer for layer.
//!
//! As neon does, it names layers without parameters itself and leaves out what equals a default of
//! neon's. It knows no tensor and no file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::activation::{Transform, transform};
use super::initializer::initializer;
use super::mode::mode;
use crate::error::{Error, Result};
use crate::model::spec::{LayerSpec, NetworkSpec, Operation, ParameterSpec, Role};
use crate::source::document::state_name;
use crate::source::pickle::value::Value;

/// What a model file says besides its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    pub network: NetworkSpec,
    /// By layer name, or `default`; without `default`: not said.
    pub optimizers: BTreeMap<String, Instance>,
    /// What neon's classes cannot say of the training, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_place: Vec<String>,
    /// E.g. `CrossEntropyMulti`.
    pub cost: Instance,
    /// Epochs of training that are over.
    pub epochs: usize,
    pub seed: u64,
}

/// An optimizer or a cost as neon knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// E.g. `GradientDescentMomentum`.
    pub class: String,
    /// The arguments that make it, e.g. `learning_rate`.
    pub config: BTreeMap<String, Value>,
}

/// The version of neon whose files these are, marked as neon marks its builds.
const NEON_VERSION: &str = "2.6.0+graft";

/// `model` as neon would save it; `has` says which optimizer states there are, by tensor name.
///
/// # Errors
/// A layer that neon does not have, or behaviour that neon's modes do not allow together.
pub fn describe(model: &Description, has: impl Fn(&str) -> bool) -> Result<Value> {
    let mut names = Names::default();
    let mut layers = Vec::with_capacity(model.network.layers.len());
    let mut input = model.network.input.to_vec();
    for spec in &model.network.layers {
        layers.push(layer(spec, &input, &mut names, &has)?);
        input.clone_from(&spec.output);
    }
    let container = Value::dict([
        ("type", Value::text("neon.layers.container.Sequential")),
        (
            "config",
            Value::dict([
                ("name", Value::text("Sequential_0")),
                ("layers", Value::List(layers)),
            ]),
        ),
        ("container", Value::Bool(true)),
    ]);
    let shape = model.network.input.map(int);
    let mut root = Value::dict([
        ("neon_version", Value::text(NEON_VERSION)),
        ("backend", backend(model)?),
        ("cost", cost(&model.cost)),
        ("model", container),
        ("epoch_index", int(model.epochs)),
        ("train_input_shape", Value::Tuple(shape.into())),
    ]);
    if let Some(optimizer) = optimizer(&model.optimizers) {
        root.insert("optimizer", optimizer);
    }
    Ok(root)
}

/// Whether neon would call the layers without parameters otherwise than graft does.
pub fn renames(network: &NetworkSpec) -> bool {
    let nameless = |layer: &LayerSpec| layer.parameters.is_empty();
    network.layers.iter().any(nameless)
}

fn int(value: usize) -> Value {
    Value::Int(value as i64)
}

/// `{type, config}` of a class of neon's.
pub(super) fn object(class: &str, config: Vec<(&str, Value)>) -> Value {
    let config = config
        .into_iter()
        .map(|(key, value)| (key.to_string(), value));
    Value::dict([
        ("type", Value::text(class)),
        ("config", Value::Dict(config.collect())),
    ])
}

/// Names as neon gives them: those of an affine layer's activation follow from the layer, all
/// others are numbered by class.
#[derive(Default)]
struct Names {
    counts: BTreeMap<&'static str, usize>,
    /// The linear layer whose activation has not come yet.
    affine: Option<String>,
}

impl Names {
    fn next(&mut self, class: &'static str) -> Value {
        let count = self.counts.entry(class).or_default();
        let name = format!("{class}_{count}");
        *count += 1;
        Value::Text(name)
    }
}

fn layer(
    spec: &LayerSpec,
    input: &[usize],
    names: &mut Names,
    has: &impl Fn(&str) -> bool,
) -> Result<Value> {
    if !spec.inputs.is_empty() {
        let problem = "neon's models are chains of layers, and this one works on others than the \
                       layer before it";
        return Err(Error::new(format!("{problem}: {}", spec.inputs.join(", ")))
            .at(format!("layer `{}`", spec.name))
            .help("keep this model as .safetensors"));
    }
    match spec.operation {
        Operation::Linear => names.affine = Some(spec.name.clone()),
        Operation::Bias | Operation::BatchNorm { .. } => {}
        operation if transform(operation).is_some() => {}
        _ => names.affine = None,
    }
    let (class, mut config) = class_and_config(spec, input, names)?;
    if !spec.parameters.is_empty() {
        config.push(("name", Value::text(&spec.name)));
    }
    let mut layer = object(&format!("neon.layers.layer.{class}"), config);
    if !spec.parameters.is_empty() {
        layer.insert("params", parameters(spec));
        if let Some(states) = states(spec, has) {
            layer.insert("states", states);
        }
    }
    Ok(layer)
}

fn class_and_config(
    spec: &LayerSpec,
    input: &[usize],
    names: &mut Names,
) -> Result<(&'static str, Vec<(&'static str, Value)>)> {
    if let Some(transform) = transform(spec.operation) {
        return Ok(("Activation", activation(transform, names)));
    }
    let init = || -> Result<_> {
        let init = spec.parameters.first().map(initializer).transpose();
        let init = init.map_err(|e| e.at(format!("layer `{}`", spec.name)))?;
        Ok(("init", init.unwrap_or(Value::None)))
    };
    Ok(match spec.operation {
        Operation::Convolution {
            stride,
            padding,
            groups,
        } => {
            let even = padding.as_even().filter(|_| groups == 1);
            let Some(padding) = even else {
                let what = "convolution in groups or of uneven padding";
                return Err(without_place(spec, what));
            };
            let weight = spec.parameters.first().map(|p| p.shape.as_slice());
            let Some(&[filters, _, rows, columns]) = weight else {
                return Err(without_place(spec, "a convolution without filters"));
            };
            let fshape = [rows, columns, filters].map(int);
            let config = vec![
                ("fshape", Value::Tuple(fshape.into())),
                ("strides", int(stride)),
                ("padding", int(padding)),
                init()?,
            ];
            ("Convolution", config)
        }
        Operation::Bias => ("Bias", vec![init()?]),
        Operation::Linear => {
            let outputs = spec.output.first().copied().unwrap_or(0);
            ("Linear", vec![("nout", int(outputs)), init()?])
        }
        Operation::BatchNorm { epsilon, momentum } => {
            // The share of the old statistics, where graft says that of the new ones.
            let keep = 1.0 - momentum;
            let settings = [("rho", keep, 0.9), ("eps", epsilon, 1e-3)];
            let changed = settings.into_iter().filter(|s| s.1 != s.2);
            let config = changed.map(|(key, value, _)| (key, Value::Float(value)));
            ("BatchNorm", config.collect())
        }
        Operation::MaxPooling { .. } | Operation::AveragePooling { .. } => {
            ("Pooling", pooling(spec, input, names)?)
        }
        Operation::Dropout { rate, .. } => {
            let mut config = vec![("name", names.next("Dropout"))];
            if rate != 0.5 {
                config.push(("keep", Value::Float(1.0 - rate)));
            }
            ("Dropout", config)
        }
        _ => return Err(without_place(spec, &spec.operation.description())),
    })
}

fn activation((class, setting): Transform, names: &mut Names) -> Vec<(&'static str, Value)> {
    let name = match names.affine.take() {
        Some(linear) => Value::Text(format!("{linear}_{class}")),
        None => names.next("Activation"),
    };
    let mut config = vec![("name", names.next(class))];
    config.extend(setting.map(|(key, value)| (key, Value::Float(value))));
    let transform = object(&format!("neon.transforms.activation.{class}"), config);
    vec![("name", name), ("transform", transform)]
}

fn pooling(
    spec: &LayerSpec,
    input: &[usize],
    names: &mut Names,
) -> Result<Vec<(&'static str, Value)>> {
    let (kernel, stride, padding, average) = match spec.operation {
        Operation::MaxPooling {
            kernel,
            stride,
            padding,
            ..
        } => (kernel, stride, padding, false),
        Operation::AveragePooling {
            kernel,
            stride,
            padding,
            ..
        } => (kernel, stride, padding, true),
        _ => return Err(without_place(spec, spec.operation.name())),
    };
    if input.len() != 3 {
        return Err(without_place(
            spec,
            "a pooling of something other than maps",
        ));
    }
    let mut config = vec![
        ("fshape", int(kernel)),
        ("strides", int(stride)),
        ("name", names.next("Pooling")),
    ];
    if average {
        config.push(("op", Value::text("avg")));
    }
    if padding > 0 {
        config.push(("padding", int(padding)));
    }
    Ok(config)
}

/// Which of neon's parameters a tensor is.
fn neon_name(role: Role) -> &'static str {
    match role {
        Role::Weight | Role::Bias => "W",
        Role::Scale => "gamma",
        Role::Shift => "beta",
        Role::Mean => "gmean",
        Role::Variance => "gvar",
    }
}

fn parameters(spec: &LayerSpec) -> Value {
    let tensor = |p: &ParameterSpec| {
        let name = format!("{}.{}", spec.name, p.role.name());
        (neon_name(p.role).to_string(), Value::Tensor(name))
    };
    Value::Dict(spec.parameters.iter().map(tensor).collect())
}

/// A list of states, or, of a batch norm, one list for `beta` and one for `gamma`: neon demands it
/// there, though it may be empty.
fn states(spec: &LayerSpec, has: &impl Fn(&str) -> bool) -> Option<Value> {
    let of = |role: Role| {
        let names = (0..).map(|index| state_name(&spec.name, role.name(), index));
        let names = names.take_while(|name| has(name));
        Value::List(names.map(Value::Tensor).collect())
    };
    match spec.operation {
        Operation::BatchNorm { .. } => Some(Value::List(vec![of(Role::Shift), of(Role::Scale)])),
        _ => {
            let role = spec.parameters.first()?.role;
            let states = of(role);
            (!states.items().is_empty()).then_some(states)
        }
    }
}

fn cost(cost: &Instance) -> Value {
    let config = cost.config.iter().map(|(k, v)| (k.as_str(), v.clone()));
    let function = object(
        &format!("neon.transforms.cost.{}", cost.class),
        config.collect(),
    );
    let name = ("name", Value::text("GeneralizedCost_0"));
    object(
        "neon.layers.layer.GeneralizedCost",
        vec![name, ("costfunc", function)],
    )
}

fn optimizer(optimizers: &BTreeMap<String, Instance>) -> Option<Value> {
    let one = |optimizer: &Instance| {
        let config = optimizer.config.iter();
        let mut config: Vec<_> = config.map(|(k, v)| (k.as_str(), v.clone())).collect();
        config.push(("name", Value::Text(format!("{}_0", optimizer.class))));
        object(
            &format!("neon.optimizers.optimizer.{}", optimizer.class),
            config,
        )
    };
    let default = optimizers.get("default")?;
    if optimizers.len() == 1 {
        return Some(one(default));
    }
    let mapping = optimizers.iter().map(|(layer, o)| (layer.clone(), one(o)));
    let mapping = ("optimizer_mapping", Value::Dict(mapping.collect()));
    Some(object(
        "neon.optimizers.optimizer.MultiOptimizer",
        vec![mapping],
    ))
}

/// Without the state of a random generator: neon then keeps its own.
fn backend(model: &Description) -> Result<Value> {
    let seed = i64::try_from(model.seed).unwrap_or(i64::MAX);
    Ok(Value::dict([
        ("type", Value::text("NervanaCPU")),
        ("compat_mode", Value::text(mode(&model.network)?)),
        ("rng_seed", Value::Int(seed)),
    ]))
}

fn without_place(layer: &LayerSpec, what: &str) -> Error {
    Error::new(format!("neon has no {what}"))
        .at(format!("layer `{}`", layer.name))
        .help("keep this model as .safetensors")
}

#[cfg(test)]
mod tests;
