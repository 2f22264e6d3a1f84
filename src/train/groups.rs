//! Learning-rate groups: every parameter in exactly one, frozen layers in none.
//!
//! Pure: from the network on paper and the experiment's multipliers and optimizers. `plan` shows the same answer
//! that training follows.

use crate::config::experiment::{Multipliers, Optimizer};
use crate::error::{Error, Result};
use crate::model::graph;
use crate::model::spec::{NetworkSpec, Operation};

/// How one layer takes part in training.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerRate {
    pub layer: String,
    /// Whether its parameters came from the source model, or would have without a control.
    pub imported: bool,
    /// Factor on the base learning rate. Layers without parameters belong to the layer on whose
    /// output they work, and have its factor; those that join several, the largest of theirs.
    pub multiplier: f64,
    /// Multiplier 0: parameters, optimizer state, weight decay, statistics and dropout stand still.
    pub frozen: bool,
    /// Place of the `[[optimizer.layer]]` entry that it follows; none: `[optimizer]` itself.
    pub entry: Option<usize>,
}

/// The rate of every layer of `spec`, in order.
///
/// # Errors
/// A name or pattern of `multipliers`, or an entry of `optimizer`, that matches no layer or is at odds
/// with another one; nothing left to train.
pub fn layer_rates(
    spec: &NetworkSpec,
    multipliers: &Multipliers,
    optimizer: &Optimizer,
    is_imported: impl Fn(&str) -> bool,
) -> Result<Vec<LayerRate>> {
    let names = spec.layers.iter().map(|layer| layer.name.as_str());
    multipliers.check(names)?;
    let layers = spec.layers.iter();
    let with_parameters = layers.filter(|layer| !layer.parameters.is_empty());
    let with_parameters =
        with_parameters.map(|layer| (layer.name.as_str(), layer.operation.name()));
    let entries = optimizer.entries_of(&with_parameters.collect::<Vec<_>>())?;
    let mut entries = entries.into_iter();
    let mut rates: Vec<LayerRate> = Vec::with_capacity(spec.layers.len());
    // By place, as `graph::inputs` counts: of what enters the network, nobody's.
    let mut owners: Vec<(Option<f64>, Option<usize>)> = vec![(None, None)];
    for (layer, inputs) in spec.layers.iter().zip(graph::inputs(&spec.layers)?) {
        let imported = is_imported(&layer.name);
        let (owner, entry) = match layer.parameters.is_empty() {
            true => {
                let inputs = inputs.iter().map(|&place| owners[place]);
                inputs.fold(
                    (None, None),
                    |most, owner| if owner.0 > most.0 { owner } else { most },
                )
            }
            false => {
                let multiplier = multipliers.of(&layer.name, imported);
                (Some(multiplier), entries.next().flatten())
            }
        };
        owners.push((owner, entry));
        rates.push(LayerRate {
            layer: layer.name.clone(),
            imported,
            multiplier: owner.unwrap_or(1.0),
            frozen: owner == Some(0.0),
            entry,
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
/// the same in every epoch, and no gradient has to pass them. It ends where one value alone goes on.
pub fn frozen_prefix(spec: &NetworkSpec, rates: &[LayerRate]) -> usize {
    let still = spec
        .layers
        .iter()
        .zip(rates)
        .take_while(|(layer, rate)| {
            let still = layer.parameters.is_empty()
                && !matches!(layer.operation, Operation::Dropout { .. });
            rate.frozen || still
        })
        .count();
    graph::cut(&spec.layers, still)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::experiment::{
        Algorithm, Architecture, BatchNorm, Body, Class, Convention, Course, DropoutScaling,
        InitialDraws, Initializer, LayerRule, Model, PoolingSize, Rule, Schedule, Which,
    };

    fn vgg() -> Result<NetworkSpec> {
        let model = Model {
            body: Body::Architecture {
                architecture: Architecture::Vgg11,
                widths: vec![2; 5],
                width: 1.0,
                head: vec![4, 4],
                head_names: vec!["fc6".into(), "fc7".into()],
                classifier: "fc8".into(),
                dropout: 0.5,
            },
            convention: None,
            classes: None,
            initializer: Initializer::Kaiming,
            linear_initializer: Initializer::Kaiming,
            bias_initializer: Initializer::Constant { value: 0.0 },
            initial_draws: InitialDraws::ByName,
            initial_weights: None,
            pooling: Some(PoolingSize::Floor),
            dropout_scaling: DropoutScaling::Training,
        };
        NetworkSpec::resolve(
            &model,
            [3, 32, 32],
            2,
            Convention::Torchvision,
            &BatchNorm::default(),
        )
    }

    fn multipliers(default: f64, imported: f64, layers: &[(&str, f64)]) -> Multipliers {
        let layers = layers.iter().map(|&(name, rate)| (name.to_string(), rate));
        Multipliers {
            default,
            imported,
            layers: BTreeMap::from_iter(layers),
        }
    }

    fn rule() -> Rule {
        Rule {
            learning_rate: 0.1,
            weight_decay: 0.0,
            decay_biases: true,
            clip_gradient_norm: 0.0,
            clip_gradient_value: 0.0,
            clip_parameters: 0.0,
            algorithm: Algorithm::Sgd,
        }
    }

    fn entries(which: &[Which]) -> Optimizer {
        let entry = |which: &Which| LayerRule {
            which: which.clone(),
            rule: rule(),
            schedule: Schedule {
                course: Course::Constant,
                warm_up: 0.0,
            },
        };
        Optimizer {
            rule: rule(),
            layer: which.iter().map(entry).collect(),
        }
    }

    fn plain_rates(
        spec: &NetworkSpec,
        multipliers: &Multipliers,
        is_imported: impl Fn(&str) -> bool,
    ) -> Result<Vec<LayerRate>> {
        layer_rates(spec, multipliers, &entries(&[]), is_imported)
    }

    fn convolutions(layer: &str) -> bool {
        layer.starts_with("conv") && !layer.ends_with("relu")
    }

    #[test]
    fn imported_layers_have_their_multiplier_and_new_ones_the_full_rate() -> Result<()> {
        let rates = plain_rates(&vgg()?, &multipliers(1.0, 0.001, &[]), convolutions)?;
        let of = |name: &str| {
            rates
                .iter()
                .find(|rate| rate.layer == name)
                .map(|r| r.multiplier)
        };
        assert_eq!(of("conv1_1_bias"), Some(0.001));
        assert_eq!(of("pool5"), Some(0.001), "belongs to the layer before it");
        assert_eq!(of("fc6"), Some(1.0));
        assert_eq!(of("fc6_dropout"), Some(1.0));
        assert!(rates.iter().all(|rate| !rate.frozen));
        Ok(())
    }

    #[test]
    fn the_prefix_ends_before_the_first_layer_that_is_trained() -> Result<()> {
        let spec = vgg()?;
        let rates = plain_rates(&spec, &multipliers(1.0, 0.0, &[]), convolutions)?;
        let prefix = frozen_prefix(&spec, &rates);
        assert_eq!(spec.layers[prefix].name, "fc6");
        let thawed = multipliers(1.0, 0.0, &[("conv3_*", 1.0)]);
        let rates = plain_rates(&spec, &thawed, convolutions)?;
        assert_eq!(spec.layers[frozen_prefix(&spec, &rates)].name, "conv3_1");
        let frozen = rates.iter().filter(|rate| rate.frozen).count();
        assert!(
            frozen > frozen_prefix(&spec, &rates),
            "conv4 and conv5 are frozen behind it"
        );
        Ok(())
    }

    #[test]
    fn dropout_behind_a_frozen_layer_stands_still() -> Result<()> {
        let spec = vgg()?;
        let rates = plain_rates(
            &spec,
            &multipliers(0.0, 0.0, &[("fc8*", 1.0)]),
            convolutions,
        )?;
        assert_eq!(spec.layers[frozen_prefix(&spec, &rates)].name, "fc8");
        Ok(())
    }

    #[test]
    fn a_sum_trains_if_one_of_its_inputs_does_and_no_shortcut_is_cut() -> Result<()> {
        let mut spec = vgg()?;
        let layer = |name: &str| spec.layers.iter().position(|layer| layer.name == name);
        let place = layer("conv3_2_relu").expect("the layer");
        // From pool2, past conv3_1 and conv3_2.
        let mut sum = spec.layers[place].clone();
        sum.name = "sum".into();
        sum.operation = Operation::Add;
        sum.inputs = vec!["conv3_2_relu".into(), "pool2".into()];
        spec.layers.insert(place + 1, sum);
        let rates =
            |frozen: &[(&str, f64)]| plain_rates(&spec, &multipliers(1.0, 1.0, frozen), |_| false);
        let frozen = rates(&[("conv1_*", 0.0), ("conv2_*", 0.0), ("conv3_1*", 0.0)])?;
        assert!(!frozen[place + 1].frozen, "conv3_2 is trained");
        assert_eq!(spec.layers[frozen_prefix(&spec, &frozen)].name, "conv3_1");
        let all = rates(&[("conv1_*", 0.0), ("conv2_*", 0.0), ("conv3_*", 0.0)])?;
        assert!(all[place + 1].frozen);
        assert_eq!(spec.layers[frozen_prefix(&spec, &all)].name, "conv4_1");
        let most = rates(&[("conv1_*", 0.1), ("conv2_*", 0.1), ("conv3_2*", 0.01)])?;
        assert_eq!(
            most[place + 1].multiplier,
            0.1,
            "the largest of its inputs'"
        );
        Ok(())
    }

    #[test]
    fn each_layer_with_parameters_knows_its_optimizer() -> Result<()> {
        let optimizer = entries(&[
            Which::Class(Class::Bias),
            Which::Name("conv1_1*".to_string()),
        ]);
        let spec = vgg()?;
        let rates = layer_rates(&spec, &multipliers(1.0, 1.0, &[]), &optimizer, |_| false)?;
        let of = |name: &str| {
            let rate = rates.iter().find(|rate| rate.layer == name);
            rate.and_then(|rate| rate.entry)
        };
        assert_eq!(of("conv1_1"), Some(1));
        assert_eq!(of("conv1_1_bias"), Some(1), "a pattern over a class");
        assert_eq!(of("conv2_1"), None);
        assert_eq!(of("conv2_1_bias"), Some(0));
        Ok(())
    }

    #[test]
    fn with_everything_frozen_there_is_nothing_to_train() -> Result<()> {
        let error = plain_rates(&vgg()?, &multipliers(0.0, 0.0, &[]), convolutions);
        assert!(error.is_err_and(|error| error.to_string().contains("nothing to train")));
        Ok(())
    }
}
