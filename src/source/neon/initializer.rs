//! The distribution that a tensor was drawn from, as an initializer of neon's.

use super::describe::object;
use crate::config::experiment::Initializer;
use crate::model::spec::{ParameterSpec, Role};
use crate::source::pickle::value::Value;

/// neon's initializer for what `parameter` was drawn from. Where neon has none of its kind: the
/// bounds, or the deviation, that it has here.
pub fn initializer(parameter: &ParameterSpec) -> Value {
    let is_convolution = parameter.shape.len() == 4;
    let fan_in: usize = parameter.shape.iter().skip(1).product();
    let fans = fan_in + fan_out(parameter);
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
    object(&format!("neon.initializers.initializer.{class}"), config)
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

/// Outputs that one input value reaches.
fn fan_out(parameter: &ParameterSpec) -> usize {
    let places: usize = parameter.shape.iter().skip(2).product();
    match parameter.role {
        Role::Weight => parameter
            .shape
            .first()
            .map_or(0, |outputs| outputs * places),
        _ => 0,
    }
}
