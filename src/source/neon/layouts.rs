//! neon's three layouts, and from one to another: biases as layers of their own, biases within
//! their convolutions, and the list of parameters that neon wrote before 1.2.

use crate::error::{Error, Result};
use crate::source::Format;
use crate::source::document::{Tensor, is_state};
use crate::source::pickle::value::Value;

const CONVOLUTION: &str = "neon.layers.layer.Convolution";
const FUSED: &str = "neon.layers.layer.Convolution_bias";
const BIAS: &str = "neon.layers.layer.Bias";

/// Which of the layouts it is.
pub fn format(description: &Value) -> Format {
    if is_obsolete(description) {
        return Format::NeonObsolete;
    }
    match description.get("model").is_some_and(has_fused_bias) {
        true => Format::NeonFused,
        false => Format::Neon,
    }
}

fn is_obsolete(description: &Value) -> bool {
    description.get("layer_params_states").is_some()
}

fn has_fused_bias(layer: &Value) -> bool {
    let inner = layer.get("config").and_then(|config| config.get("layers"));
    let inner = inner.map_or(&[][..], Value::items);
    let params = layer.get("params");
    params.is_some_and(|params| params.get("weight_bias").is_some())
        || inner.iter().any(has_fused_bias)
}

/// Splits every convolution that holds its bias in a convolution and a bias layer.
///
/// # Errors
/// The obsolete layout; the name of a bias layer to be is taken.
pub fn unfuse(description: &mut Value, tensors: &mut [Tensor]) -> Result<()> {
    each_list_of_layers(description, &mut |layers| {
        let mut split = Vec::with_capacity(layers.len());
        for mut layer in std::mem::take(layers) {
            let bias = take_bias(&mut layer, tensors)?;
            split.push(layer);
            split.extend(bias);
        }
        *layers = split;
        Ok(())
    })
}

/// Joins every convolution with the bias layer behind it, `X` with `X_bias`.
///
/// # Errors
/// The obsolete layout.
pub fn fuse(description: &mut Value, tensors: &mut [Tensor]) -> Result<()> {
    each_list_of_layers(description, &mut |layers| {
        let mut joined: Vec<Value> = Vec::with_capacity(layers.len());
        for layer in std::mem::take(layers) {
            match joined.last_mut() {
                Some(convolution) if belongs(&layer, convolution) => {
                    give_bias(convolution, layer, tensors);
                }
                _ => joined.push(layer),
            }
        }
        *layers = joined;
        Ok(())
    })
}

/// The parameters of all layers in neon's layout before 1.2, which neon 2 still reads.
///
/// # Errors
/// A layer with parameters that this layout has no place for.
pub fn obsolete(description: &mut Value, tensors: &mut [Tensor]) -> Result<()> {
    if is_obsolete(description) {
        return Ok(());
    }
    unfuse(description, tensors)?;
    let mut all = Vec::new();
    each_list_of_layers(description, &mut |layers| {
        for layer in layers {
            all.extend(old_form(layer)?);
        }
        Ok(())
    })?;
    let epochs = description.remove("epoch_index").unwrap_or(Value::Int(0));
    *description = Value::dict([
        ("layer_params_states", Value::List(all)),
        ("epoch_index", epochs),
    ]);
    Ok(())
}

/// Removes all that optimizers left.
pub fn drop_states(value: &mut Value) {
    match value {
        Value::Tuple(items) | Value::List(items) => {
            items.retain(|item| !matches!(item, Value::Tensor(name) if is_state(name)));
            items.iter_mut().for_each(drop_states);
        }
        Value::Dict(entries) => entries
            .iter_mut()
            .for_each(|entry| drop_states(&mut entry.1)),
        _ => {}
    }
}

/// Calls `change` with the layers of the model and of each container in it.
fn each_list_of_layers(
    description: &mut Value,
    change: &mut impl FnMut(&mut Vec<Value>) -> Result<()>,
) -> Result<()> {
    if is_obsolete(description) {
        return Err(
            Error::new("neon's obsolete layout does not describe the layers")
                .help("`--like MODEL` takes their description from another model"),
        );
    }
    match description.get_mut("model") {
        Some(model) => within(model, change),
        None => Ok(()),
    }
}

fn within(
    container: &mut Value,
    change: &mut impl FnMut(&mut Vec<Value>) -> Result<()>,
) -> Result<()> {
    let layers = container
        .get_mut("config")
        .and_then(|c| c.get_mut("layers"));
    let Some(Value::List(layers)) = layers else {
        return Ok(());
    };
    for layer in layers.iter_mut() {
        within(layer, change)?;
    }
    change(layers)
}

fn class(layer: &Value) -> Option<&str> {
    layer.get("type").and_then(Value::as_text)
}

fn name(layer: &Value) -> Option<&str> {
    layer.get("config")?.get("name")?.as_text()
}

fn old_form(layer: &Value) -> Result<Option<Value>> {
    let Some(Value::Dict(params)) = layer.get("params") else {
        return Ok(None);
    };
    let name = name(layer).unwrap_or_default();
    let [(parameter, weights)] = params.as_slice() else {
        let problem = "neon's obsolete layout has place for one parameter of a layer";
        return Err(Error::new(problem)
            .at(format!("layer `{name}`"))
            .help("`--to neon` writes the layout of today"));
    };
    let params = Value::dict([(parameter, weights.clone()), ("name", Value::text(name))]);
    let mut old = Value::dict([("params", params)]);
    if let Some(states) = layer.get("states") {
        old.insert("states", states.clone());
    }
    Ok(Some(old))
}

/// Takes the bias out of a fused convolution, as a layer of its own.
fn take_bias(layer: &mut Value, tensors: &mut [Tensor]) -> Result<Option<Value>> {
    if class(layer) != Some(FUSED) {
        return Ok(None);
    }
    let own_name = name(layer).unwrap_or_default().to_string();
    let bias_name = format!("{own_name}_bias");
    let taken = format!("{bias_name}.");
    if tensors.iter().any(|tensor| tensor.name.starts_with(&taken)) {
        return Err(
            Error::new(format!("there is a layer `{bias_name}` already"))
                .at(format!("layer `{own_name}`")),
        );
    }
    if let Some(class) = layer.get_mut("type") {
        *class = Value::text(CONVOLUTION);
    }
    let init = layer
        .get_mut("config")
        .and_then(|config| config.remove("bias"));
    let weights = layer
        .get_mut("params")
        .and_then(|params| params.remove("weight_bias"));
    let config = Value::dict([
        ("init", init.unwrap_or(Value::None)),
        ("name", Value::text(&bias_name)),
    ]);
    let mut bias = Value::dict([("type", Value::text(BIAS)), ("config", config)]);
    bias.insert(
        "params",
        Value::Dict(weights.map(|w| ("W".to_string(), w)).into_iter().collect()),
    );
    if let Some(states) = layer.get_mut("states")
        && let [of_weights, of_bias] = states.items()
    {
        bias.insert("states", of_bias.clone());
        *states = of_weights.clone();
    }
    let rename =
        |old: &str| old.replacen(&format!("{own_name}.bias"), &format!("{bias_name}.bias"), 1);
    rename_tensors(&mut bias, tensors, rename);
    Ok(Some(bias))
}

/// Whether `bias` is the bias layer of `convolution`, and both have parameters.
fn belongs(bias: &Value, convolution: &Value) -> bool {
    let names = name(convolution).zip(name(bias));
    class(convolution) == Some(CONVOLUTION)
        && class(bias) == Some(BIAS)
        && names.is_some_and(|(own, bias)| bias.strip_suffix("_bias") == Some(own))
        && convolution.get("params").is_some()
        && bias.get("params").is_some()
}

/// Puts the parameters of a bias layer into its convolution.
fn give_bias(convolution: &mut Value, mut bias: Value, tensors: &mut [Tensor]) {
    let own_name = name(convolution).unwrap_or_default().to_string();
    let rename = |old: &str| {
        old.replacen(
            &format!("{own_name}_bias.bias"),
            &format!("{own_name}.bias"),
            1,
        )
    };
    rename_tensors(&mut bias, tensors, rename);
    if let Some(class) = convolution.get_mut("type") {
        *class = Value::text(FUSED);
    }
    let init = bias
        .get_mut("config")
        .and_then(|config| config.remove("init"));
    if let (Some(config), Some(init)) = (convolution.get_mut("config"), init) {
        config.insert("bias", init);
    }
    let weights = bias.get_mut("params").and_then(|params| params.remove("W"));
    if let (Some(params), Some(weights)) = (convolution.get_mut("params"), weights) {
        params.insert("weight_bias", weights);
    }
    if let (Some(own), Some(states)) = (convolution.get_mut("states"), bias.remove("states")) {
        *own = Value::List(vec![std::mem::replace(own, Value::None), states]);
    }
}

/// Gives the tensors in `value` other names, there and among `tensors`.
fn rename_tensors(
    value: &mut Value,
    tensors: &mut [Tensor],
    rename: impl Fn(&str) -> String + Copy,
) {
    match value {
        Value::Tensor(name) => {
            let new = rename(name);
            if let Some(tensor) = tensors.iter_mut().find(|tensor| tensor.name == *name) {
                tensor.name.clone_from(&new);
            }
            *name = new;
        }
        Value::Tuple(items) | Value::List(items) => {
            items
                .iter_mut()
                .for_each(|item| rename_tensors(item, tensors, rename));
        }
        Value::Dict(entries) => {
            entries
                .iter_mut()
                .for_each(|entry| rename_tensors(&mut entry.1, tensors, rename));
        }
        _ => {}
    }
}
