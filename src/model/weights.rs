//! Initial weights: a distribution, a shape and a stream of its own for every tensor.
//!
//! The values depend on the seed, the layer's name and the tensor's shape alone, so that the same
//! seed gives the same weights on every machine, and adding a layer changes no other layer.

use super::spec::{ParameterSpec, Role};
use crate::config::experiment::Initializer;
use crate::random::Stream;

/// Draws the initial values of `parameter` of `layer`, in C order.
pub fn initial(seed: u64, layer: &str, parameter: &ParameterSpec) -> Vec<f64> {
    let count = parameter.count();
    let (low, high) = match parameter.initializer {
        Initializer::Constant { value } => return vec![value; count],
        Initializer::Uniform { low, high } => (low, high),
        Initializer::XavierLocal => symmetric(3.0, fan_in(parameter)),
        Initializer::Kaiming => symmetric(6.0, fan_in(parameter)),
        Initializer::GlorotUniform => symmetric(6.0, fan_in(parameter) + fan_out(parameter)),
    };
    let purpose = format!("initial weights of {layer}.{}", parameter.role.name());
    let mut stream = Stream::new(seed, &purpose, &[]);
    (0..count).map(|_| stream.between(low, high)).collect()
}

fn symmetric(numerator: f64, fans: usize) -> (f64, f64) {
    let bound = (numerator / fans as f64).sqrt();
    (-bound, bound)
}

/// Inputs of one output value; of a bias: 1.
fn fan_in(parameter: &ParameterSpec) -> usize {
    match parameter.role {
        Role::Weight => parameter.shape[1..].iter().product(),
        _ => 1,
    }
}

/// Outputs that one input value reaches: filters times their places, or output features.
fn fan_out(parameter: &ParameterSpec) -> usize {
    match parameter.role {
        Role::Weight => parameter.shape[0] * parameter.shape[2..].iter().product::<usize>(),
        _ => parameter.shape[0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(initializer: Initializer) -> ParameterSpec {
        ParameterSpec {
            role: Role::Weight,
            shape: vec![8, 4, 3, 3],
            initializer,
        }
    }

    /// Largest value and standard deviation.
    fn extent(values: &[f64]) -> (f64, f64) {
        let largest = values.iter().fold(0f64, |m, v| m.max(v.abs()));
        let squares: f64 = values.iter().map(|&v| v.powi(2)).sum();
        (largest, (squares / values.len() as f64).sqrt())
    }

    #[test]
    fn each_distribution_fills_its_bounds() {
        for (initializer, bound) in [
            (Initializer::XavierLocal, (3.0f64 / 36.0).sqrt()),
            (Initializer::Kaiming, (6.0f64 / 36.0).sqrt()),
            (Initializer::GlorotUniform, (6.0f64 / (36.0 + 72.0)).sqrt()),
            (
                Initializer::Uniform {
                    low: -0.05,
                    high: 0.05,
                },
                0.05,
            ),
        ] {
            let (largest, deviation) = extent(&initial(1, "conv", &weight(initializer)));
            assert!(
                largest <= bound && largest > 0.95 * bound,
                "{initializer:?}"
            );
            let expected = bound / 3f64.sqrt();
            assert!((deviation / expected - 1.0).abs() < 0.1, "{initializer:?}");
        }
    }

    #[test]
    fn weights_depend_on_seed_and_layer_and_nothing_else() {
        let spec = weight(Initializer::Kaiming);
        assert_eq!(initial(1, "conv", &spec), initial(1, "conv", &spec));
        assert_ne!(initial(1, "conv", &spec), initial(2, "conv", &spec));
        assert_ne!(initial(1, "conv", &spec), initial(1, "other", &spec));
    }
}
