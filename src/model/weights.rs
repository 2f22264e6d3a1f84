//! Initial weights: a distribution for every tensor, and the order in which all are drawn.
//!
//! By name, the values of a tensor depend on the seed, the layer's name and the tensor's shape
//! alone: the same seed gives the same weights on every machine, and adding a layer changes no other
//! layer. As neon draws, one generator gives the values of all tensors, one after another, and those
//! of the last layer first ([`drawn_first`]).
//!
//! Uniform values are the same on every platform; normal ones differ in the last digit of an f64
//! where logarithms do.

use super::orthonormal::orthonormal;
use super::spec::{LayerSpec, NetworkSpec, Operation, ParameterSpec, Role};
use crate::config::experiment::{InitialDraws, Initializer};
use crate::error::{Error, Result};
use crate::random::mt19937::Mt19937;
use crate::random::{Generator, Stream};

/// Gives each tensor of a network its initial values. It is asked for the layer that
/// [`drawn_first`] names, then for all others in their order.
#[derive(Debug)]
pub struct InitialWeights(Generators);

#[derive(Debug)]
enum Generators {
    /// A stream of its own for each tensor.
    ByName { seed: u64 },
    /// One sequence for all tensors, like the generator of neon's backend; for orthonormal ones
    /// another, like numpy's global generator, which neon leaves unseeded.
    Neon {
        backend: Box<Mt19937>,
        global: Box<Mt19937>,
    },
}

impl InitialWeights {
    /// # Errors
    /// neon's generator takes no seed above 2³² − 1.
    pub fn new(draws: InitialDraws, seed: u64) -> Result<Self> {
        match draws {
            InitialDraws::ByName => Ok(Self(Generators::ByName { seed })),
            InitialDraws::Neon => {
                let seed = u32::try_from(seed).map_err(|_| {
                    Error::new(format!("the seed {seed} is too large for neon's generator"))
                        .help("choose one below 4294967296, or model.initial_draws = \"by_name\"")
                })?;
                let generator = || Box::new(Mt19937::new(seed));
                Ok(Self(Generators::Neon {
                    backend: generator(),
                    global: generator(),
                }))
            }
        }
    }

    /// The values of the next tensor, `parameter` of `layer`, in C order.
    pub fn next(&mut self, layer: &str, parameter: &ParameterSpec) -> Vec<f64> {
        let distribution = match Law::of(parameter) {
            Law::Fixed(values) => return values,
            Law::Random(distribution) => distribution,
        };
        let [rows, columns] = matrix(parameter);
        match &mut self.0 {
            Generators::ByName { seed } => {
                let purpose = format!("initial weights of {layer}.{}", parameter.role.name());
                distribution.draw(rows, columns, &mut Stream::new(*seed, &purpose, &[]))
            }
            Generators::Neon { backend, global } => {
                let generator = match distribution {
                    Distribution::Orthonormal { .. } => global,
                    _ => backend,
                };
                match is_transposed_in_neon(parameter) {
                    true => {
                        let values = distribution.draw(columns, rows, generator.as_mut());
                        transposed(&values, rows)
                    }
                    false => distribution.draw(rows, columns, generator.as_mut()),
                }
            }
        }
    }

    /// Passes over the next tensor, whose values come from elsewhere. neon draws them all the same,
    /// before it loads others over them.
    pub fn skip(&mut self, layer: &str, parameter: &ParameterSpec) {
        match (&mut self.0, Law::of(parameter)) {
            (Generators::ByName { .. }, _) | (_, Law::Fixed(_)) => {}
            // The numbers alone: what is made of them takes long.
            (Generators::Neon { global, .. }, Law::Random(Distribution::Orthonormal { .. })) => {
                for _ in 0..parameter.count() {
                    global.normal();
                }
            }
            (Generators::Neon { .. }, Law::Random(_)) => drop(self.next(layer, parameter)),
        }
    }
}

/// The layer whose weights are drawn before those of all others, wherever it stands.
///
/// neon allocates the last layer that has an output of its own before it goes through all layers,
/// and draws a layer's weights when it allocates it. Biases, activations, batch norm and dropout
/// write over their input; so it is the last linear layer or convolution, unless a pooling layer
/// stands behind it.
pub fn drawn_first(spec: &NetworkSpec) -> Option<&LayerSpec> {
    if spec.initial_draws == InitialDraws::ByName {
        return None;
    }
    let last = spec.layers.iter().rev().find(|layer| {
        matches!(
            layer.operation,
            Operation::Convolution { .. }
                | Operation::Linear
                | Operation::MaxPooling { .. }
                | Operation::AveragePooling { .. }
                | Operation::GlobalAveragePooling
        )
    });
    last.filter(|layer| !layer.parameters.is_empty())
}

/// What an initializer says about one tensor.
enum Law {
    /// Its values, in C order.
    Fixed(Vec<f64>),
    Random(Distribution),
}

enum Distribution {
    /// In [low, high).
    Uniform {
        low: f64,
        high: f64,
    },
    Normal {
        mean: f64,
        deviation: f64,
    },
    /// `scale` times a matrix with orthonormal rows or columns, whichever there are fewer of.
    Orthonormal {
        scale: f64,
    },
}

impl Law {
    fn of(parameter: &ParameterSpec) -> Self {
        let (fan_in, fan_out) = (fan_in(parameter), fan_out(parameter));
        let [first, second] = neon_shape(parameter);
        let uniform = |numerator: f64, fans: usize| {
            let high = (numerator / fans as f64).sqrt();
            Distribution::Uniform { low: -high, high }
        };
        let normal = |numerator: f64, fan: usize| Distribution::Normal {
            mean: 0.0,
            deviation: (numerator / fan as f64).sqrt(),
        };
        Law::Random(match parameter.initializer {
            Initializer::Constant { value } => return Law::Fixed(vec![value; parameter.count()]),
            Initializer::Identity => return Law::Fixed(identity(parameter)),
            Initializer::NeonIdentity => return Law::Fixed(diagonal(matrix(parameter))),
            Initializer::Uniform { low, high } => Distribution::Uniform { low, high },
            Initializer::Gaussian { mean, deviation } => Distribution::Normal { mean, deviation },
            Initializer::Orthonormal { scale } => Distribution::Orthonormal { scale },
            Initializer::XavierLocal => uniform(3.0, fan_in),
            Initializer::GlorotUniform => uniform(6.0, fan_in + fan_out),
            Initializer::Kaiming => uniform(6.0, fan_in),
            Initializer::KaimingNormal => normal(2.0, fan_in),
            Initializer::NeonXavier { local } => uniform(3.0, if local { first } else { second }),
            Initializer::NeonGlorotUniform => uniform(6.0, first + second),
            Initializer::NeonKaiming { local } => normal(2.0, if local { first } else { second }),
        })
    }
}

impl Distribution {
    /// A matrix of `rows` by `columns`, in C order.
    fn draw(&self, rows: usize, columns: usize, generator: &mut impl Generator) -> Vec<f64> {
        let mut fill = |one: &dyn Fn(&mut dyn Generator) -> f64| {
            (0..rows * columns).map(|_| one(generator)).collect()
        };
        match *self {
            Distribution::Uniform { low, high } => fill(&|g| g.between(low, high)),
            Distribution::Normal { mean, deviation } => fill(&|g| mean + deviation * g.normal()),
            Distribution::Orthonormal { scale } => {
                let vectors = orthonormal(fill(&|g| g.normal()), columns);
                vectors.into_iter().map(|value| scale * value).collect()
            }
        }
    }
}

/// Inputs of one output value; of a bias: 1.
fn fan_in(parameter: &ParameterSpec) -> usize {
    match parameter.role {
        Role::Weight => parameter.shape[1..].iter().product(),
        _ => 1,
    }
}

/// Outputs that one input value reaches: filters of its group times their places, or output
/// features.
fn fan_out(parameter: &ParameterSpec) -> usize {
    match parameter.role {
        Role::Weight => {
            let places: usize = parameter.shape[2..].iter().product();
            parameter.shape[0] / parameter.groups.max(1) * places
        }
        _ => parameter.shape[0],
    }
}

/// The tensor as a matrix: a row an output. A bias has one column.
fn matrix(parameter: &ParameterSpec) -> [usize; 2] {
    let columns = parameter.shape[1..].iter().product();
    [parameter.shape[0], columns]
}

/// The shape of the tensor in neon, whose formulas speak of it: a convolution (inputs, filters),
/// a linear layer (outputs, inputs), a bias (outputs, 1).
fn neon_shape(parameter: &ParameterSpec) -> [usize; 2] {
    let [rows, columns] = matrix(parameter);
    match is_transposed_in_neon(parameter) {
        true => [columns, rows],
        false => [rows, columns],
    }
}

fn is_transposed_in_neon(parameter: &ParameterSpec) -> bool {
    parameter.shape.len() == 4
}

/// The matrix of so many `columns`, in C order, of its transposition.
fn transposed(values: &[f64], columns: usize) -> Vec<f64> {
    let column = |start| values[start..].iter().step_by(columns).copied();
    (0..columns).flat_map(column).collect()
}

/// Output i is input i. Of a convolution, the centre of filter i on channel i, if that is in the
/// filter's group.
fn identity(parameter: &ParameterSpec) -> Vec<f64> {
    let &[filters, channels, rows, columns] = parameter.shape.as_slice() else {
        return diagonal(matrix(parameter));
    };
    let mut values = vec![0.0; parameter.count()];
    let centre = (rows - 1) / 2 * columns + (columns - 1) / 2;
    let filters_of_group = filters / parameter.groups.max(1);
    for index in 0..filters {
        // Of the filter's own channels, the place of channel `index`.
        let channel = index.checked_sub(index / filters_of_group.max(1) * channels);
        if let Some(channel) = channel.filter(|channel| *channel < channels) {
            values[(index * channels + channel) * rows * columns + centre] = 1.0;
        }
    }
    values
}

fn diagonal([rows, columns]: [usize; 2]) -> Vec<f64> {
    let place = |index| f64::from(u8::from(index / columns == index % columns));
    (0..rows * columns).map(place).collect()
}

#[cfg(test)]
mod tests;
