//! The distribution that a tensor was drawn from, as an initializer of neon's.

use super::describe::object;
use crate::config::experiment::Initializer;
use crate::error::{Error, Result};
use crate::model::spec::{ParameterSpec, Role, shape_text};
use crate::source::pickle::value::Value;

/// neon's initializer for what `parameter` was drawn from. Where neon has none of its kind: the
/// bounds, or the deviation, that it has here.
///
/// # Errors
/// A shape of more values than a computer counts, as a file that was tampered with may have it.
pub fn initializer(parameter: &ParameterSpec) -> Result<Value> {
    let is_convolution = parameter.shape.len() == 4;
    let (fan_in, fans) = fans(parameter).ok_or_else(|| {
        let shape = shape_text(&parameter.shape);
        Error::new(format!("its shape {shape} is no shape of a tensor"))
    })?;
    let (class, config) = match parameter.initializer {
        Initializer::Constant { value: 0.0 } => ("Constant", vec![]),
        Initializer::Constant { value } => ("Constant", vec![("val", Value::Float(value))]),
        Initializer::Uniform { low, high } => uniform(low, high),
        Initializer::Gaussian { mean, deviation } => gaussian(mean, deviation),
        Initializer::XavierLocal if is_convolution => ("Xavier", vec![]),
        Initializer::XavierLocal => within(3.0, fan_in),
        Initializer::GlorotUniform if !is_convolution => ("GlorotUniform", vec![]),
        Initializer::GlorotUniform => within(6.0, fans),
        Initializer::Kaiming => within(6.0, fan_in),
        Initializer::KaimingNormal => gaussian(0.0, (2.0 / fan_in.max(1) as f64).sqrt()),
        Initializer::Orthonormal { scale } => ("Orthonormal", vec![("scale", Value::Float(scale))]),
        Initializer::NeonXavier { local } => ("Xavier", locality(local)),
        Initializer::NeonKaiming { local } => ("Kaiming", locality(local)),
        Initializer::NeonGlorotUniform => ("GlorotUniform", vec![]),
        Initializer::Identity | Initializer::NeonIdentity => ("IdentityInit", vec![]),
    };
    Ok(object(
        &format!("neon.initializers.initializer.{class}"),
        config,
    ))
}

type Initial = (&'static str, Vec<(&'static str, Value)>);

fn uniform(low: f64, high: f64) -> Initial {
    let config = vec![("low", Value::Float(low)), ("high", Value::Float(high))];
    ("Uniform", config)
}

/// U(±sqrt(numerator / fans)).
fn within(numerator: f64, fans: usize) -> Initial {
    let bound = (numerator / fans.max(1) as f64).sqrt();
    uniform(-bound, bound)
}

fn gaussian(mean: f64, deviation: f64) -> Initial {
    let config = vec![
        ("loc", Value::Float(mean)),
        ("scale", Value::Float(deviation)),
    ];
    ("Gaussian", config)
}

/// neon leaves out what is its default.
fn locality(local: bool) -> Vec<(&'static str, Value)> {
    match local {
        true => vec![],
        false => vec![("local", Value::Bool(false))],
    }
}

/// Inputs of one output value, and these with the outputs that one input value reaches.
fn fans(parameter: &ParameterSpec) -> Option<(usize, usize)> {
    let product = |sizes: &[usize]| {
        let mut sizes = sizes.iter();
        sizes.try_fold(1, |product: usize, &size| product.checked_mul(size))
    };
    let shape = parameter.shape.as_slice();
    let fan_in = product(shape.get(1..).unwrap_or_default())?;
    let places = product(shape.get(2..).unwrap_or_default())?;
    let fan_out = match (parameter.role, shape.first()) {
        (Role::Weight, Some(outputs)) => outputs.checked_mul(places)?,
        _ => 0,
    };
    Some((fan_in, fan_in.checked_add(fan_out)?))
}
