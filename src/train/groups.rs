//! Learning-rate groups: every parameter in exactly one, frozen layers in none.
//!
//! Pure: from the network on paper and the experiment's multipliers. `plan` shows the same answer
//! that training follows.

use crate::config::experiment::Multipliers;
use crate::error::{Error, Result};
use crate::model::spec::{NetworkSpec, Operation};

/// How one layer takes part in training.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerRate {
    pub layer: String,
    /// Whether its parameters came from the source model.
    pub imported: bool,
    /// Factor on the base learning rate. Layers without parameters have that of the nearest layer
    /// with parameters before them, to which they belong.
    pub multiplier: f64,
    /// Multiplier 0: parameters, optimizer state, weight decay, statistics and dropout stand still.
    pub frozen: bool,
}

/// The rate of every layer of `spec`, in order.
///
/// # Errors
/// A name or pattern of `multipliers` that matches no layer; nothing left to train.
pub fn layer_rates(
    spec: &NetworkSpec,
    multipliers: &Multipliers,
    is_imported: impl Fn(&str) -> bool,
) -> Result<Vec<LayerRate>> {
    let names = spec.layers.iter().map(|layer| layer.name.as_str());
    multipliers.check(names)?;
    let mut rates: Vec<LayerRate> = Vec::with_capacity(spec.layers.len());
    let mut owner: Option<f64> = None;
    for layer in &spec.layers {
        let imported = is_imported(&layer.name);
        if !layer.parameters.is_empty() {
            owner = Some(multipliers.of(&layer.name, imported));
        }
        rates.push(LayerRate {
            layer: layer.name.clone(),
            imported,
            multiplier: owner.unwrap_or(1.0),
            frozen: owner == Some(0.0),
        });
    }
    let trains = |(rate, layer): (&LayerRate, &crate::model::spec::LayerSpec)| {
        !rate.frozen && !layer.parameters.is_empty()
    };
    match rates.iter().zip(&spec.layers).any(trains) {
        true => Ok(rates),
        false => Err(
            Error::new("every layer is frozen: there is nothing to train")
                .at("learning_rate_multiplier")
                .help("give at least one layer a multiplier other than 0"),
        ),
    }
}

/// Number of leading layers that never change and are never random: their output for a sample is
/// the same in every epoch, and no gradient has to pass them.
pub fn frozen_prefix(spec: &NetworkSpec, rates: &[LayerRate]) -> usize {
    spec.layers
        .iter()
        .zip(rates)
        .take_while(|(layer, rate)| {
            let still = layer.parameters.is_empty()
                && !matches!(layer.operation, Operation::Dropout { .. });
            rate.frozen || still
        })
        .count()
}
