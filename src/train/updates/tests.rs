//! Every optimizer case of the real neon, from an experiment file to weights and states.
//!
//! `tests/data/neon/optimizers.json` holds eight updates each, in f64 and f32, of a linear layer
//! with a bias whose cost is Σ A·(w − C)²/2, two updates an epoch.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use serde::Deserialize;

use super::*;
use crate::config::experiment::{Convention, Multipliers};
use crate::config::{Environment, Overrides, load_with};
use crate::model::network::Weights;
use crate::numbers::Dtype;
use crate::train::groups::layer_rates;

/// The tensors `fc` (3, 2) and `fc_bias` (3), by layer.
type Tensors = BTreeMap<String, Vec<f64>>;

/// By layer, its weights and then its states.
type Row = BTreeMap<String, Vec<Vec<f64>>>;

#[derive(Deserialize)]
struct Reference {
    problem: BTreeMap<String, Tensors>,
    /// By case and precision, a row an update.
    cases: BTreeMap<String, HashMap<Dtype, Vec<Row>>>,
}

fn reference() -> Reference {
    let text = include_str!("../../../tests/data/neon/optimizers.json");
    serde_json::from_str(text).unwrap()
}

/// Each case, and what an experiment with `compatibility = "neon"` says to get it.
const CASES: &[(&str, &str)] = &[
    (
        "gdm_m0",
        "[optimizer]\nlearning_rate = 0.05\nmomentum = 0\nweight_decay = 0\n",
    ),
    (
        "gdm_m0_wd0.1",
        "[optimizer]\nlearning_rate = 0.05\nmomentum = 0\nweight_decay = 0.1\n",
    ),
    // neon ignores this limit; graft refuses it as neon's, see `contradictions`.
    (
        "gdm_m0_paramclip0.3_ignored",
        "[optimizer]\nlearning_rate = 0.05\nmomentum = 0\nweight_decay = 0\n",
    ),
    (
        "gdm_m0.9",
        "[optimizer]\nlearning_rate = 0.05\nweight_decay = 0\n",
    ),
    ("gdm_m0.9_wd", "[optimizer]\nlearning_rate = 0.05\n"),
    (
        "gdm_m0.9_wd0.1",
        "[optimizer]\nlearning_rate = 0.05\nweight_decay = 0.1\n",
    ),
    (
        "gdm_lr0_m0.9_wd0.1",
        "[optimizer]\nlearning_rate = 0\nweight_decay = 0.1\n",
    ),
    (
        "gdm_m0.9_wd0.1_nesterov",
        "[optimizer]\nlearning_rate = 0.05\nweight_decay = 0.1\nnesterov = true\n",
    ),
    (
        "gdm_m0.9_gradclipnorm1.0",
        "[optimizer]\nlearning_rate = 0.05\nweight_decay = 0\nclip_gradient_norm = 1\n",
    ),
    (
        "gdm_m0.9_gradclipnorm1.0_wd0.1",
        "[optimizer]\nlearning_rate = 0.05\nweight_decay = 0.1\nclip_gradient_norm = 1\n",
    ),
    (
        "gdm_m0.9_gradclipvalue0.5",
        "[optimizer]\nlearning_rate = 0.05\nweight_decay = 0\nclip_gradient_value = 0.5\n",
    ),
    (
        "gdm_m0.9_paramclip0.3",
        "[optimizer]\nlearning_rate = 0.05\nweight_decay = 0\nclip_parameters = 0.3\n",
    ),
    (
        "gdm_expschedule",
        "[optimizer]\nlearning_rate = 0.05\nweight_decay = 0\n\
         [schedule]\nname = \"inverse_time\"\ndecay = 0.3\n",
    ),
    (
        "gdm_polyschedule",
        "[optimizer]\nlearning_rate = 0.05\nweight_decay = 0\n\
         [schedule]\nname = \"polynomial\"\npower = 0.7\ntotal_epochs = 10\n",
    ),
    (
        "gdm_powerschedule",
        "[optimizer]\nlearning_rate = 0.05\nweight_decay = 0\n\
         [schedule]\nname = \"step\"\nevery = 2\nfactor = 0.5\n",
    ),
    (
        "gdm_shiftschedule",
        "[optimizer]\nlearning_rate = 0.05\nweight_decay = 0\n\
         [schedule]\nname = \"shift\"\nevery = 2\n",
    ),
    (
        "gdm_stepschedule",
        "[optimizer]\nlearning_rate = 0.05\nweight_decay = 0\n\
         [schedule]\nname = \"step\"\nat = [1, 3]\nrates = [0.02, 0.001]\n",
    ),
    (
        "gdm_schedule_step1_3_change0.1",
        "[optimizer]\nlearning_rate = 0.05\nweight_decay = 0\n\
         [schedule]\nname = \"step\"\nat = [1, 3]\nfactor = 0.1\n",
    ),
    ("rmsprop", "[optimizer]\nalgorithm = \"rmsprop\"\n"),
    (
        "rmsprop_lr0.05_decay0.9",
        "[optimizer]\nalgorithm = \"rmsprop\"\nlearning_rate = 0.05\ndecay_rate = 0.9\n",
    ),
    (
        "rmsprop_clip",
        "[optimizer]\nalgorithm = \"rmsprop\"\nlearning_rate = 0.05\n\
         clip_gradient_norm = 1\nclip_gradient_value = 0.5\nclip_parameters = 0.8\n",
    ),
    ("adagrad", "[optimizer]\nalgorithm = \"adagrad\"\n"),
    (
        "adagrad_lr0.1",
        "[optimizer]\nalgorithm = \"adagrad\"\nlearning_rate = 0.1\n",
    ),
    ("adadelta", "[optimizer]\nalgorithm = \"adadelta\"\n"),
    (
        "adadelta_0.9",
        "[optimizer]\nalgorithm = \"adadelta\"\ndecay_rate = 0.9\nepsilon = 1e-3\n",
    ),
    ("adam", "[optimizer]\nalgorithm = \"adam\"\n"),
    (
        "adam_lr0.05",
        "[optimizer]\nalgorithm = \"adam\"\nlearning_rate = 0.05\n",
    ),
    (
        "adam_lr0.05_eps0.1",
        "[optimizer]\nalgorithm = \"adam\"\nlearning_rate = 0.05\nepsilon = 0.1\n",
    ),
    (
        "adam_clip",
        "[optimizer]\nalgorithm = \"adam\"\nlearning_rate = 0.05\n\
         clip_gradient_norm = 1\nclip_gradient_value = 0.5\nclip_parameters = 0.8\n",
    ),
    (
        "shiftadamax",
        "[optimizer]\nalgorithm = \"shift_ada_max\"\n",
    ),
    (
        "multi_class_Bias",
        "[optimizer]\nlearning_rate = 0.05\nweight_decay = 0.1\n[[optimizer.layer]]\n\
         class = \"bias\"\nlearning_rate = 0.1\nmomentum = 0.5\nweight_decay = 0\n",
    ),
    (
        "multi_name_over_class",
        "[optimizer]\nlearning_rate = 0.05\nweight_decay = 0\n[[optimizer.layer]]\n\
         name = \"fc\"\nalgorithm = \"rmsprop\"\n",
    ),
    (
        "multi_gradclipnorm_is_per_group",
        "[optimizer]\nlearning_rate = 0.05\nweight_decay = 0\nclip_gradient_norm = 1\n\
         [[optimizer.layer]]\nclass = \"bias\"\n",
    ),
];

const MODEL: &str = r#"
[data]
builtin = "smiles"
[[model.layers]]
name = "fc"
type = "linear"
bias = true
[[model.layers]]
name = "softmax"
type = "softmax"
"#;

fn experiment(settings: &str, dtype: Dtype) -> Result<Experiment> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.toml");
    std::fs::write(
        &path,
        format!("dtype = \"{dtype}\"\nepochs = 4\n{settings}{MODEL}"),
    )
    .unwrap();
    load_with(&path, &Overrides::default(), &Environment::none())
}

fn neon(settings: &str, dtype: Dtype) -> Experiment {
    experiment(&format!("compatibility = \"neon\"\n{settings}"), dtype).unwrap()
}

/// A network of two layers in training on the cost of [`Reference::problem`].
struct Bench {
    problem: BTreeMap<String, Tensors>,
    dtype: Dtype,
    device: Device,
    network: Network,
    updates: Updates,
}

impl Bench {
    fn new(experiment: &Experiment, multipliers: [f64; 2]) -> Self {
        let problem = reference().problem;
        let dtype = experiment.dtype;
        let device = Device::flex();
        let spec = NetworkSpec::resolve(
            &experiment.model,
            [2, 1, 1],
            3,
            Convention::Torchvision,
            &experiment.batch_norm,
        )
        .unwrap();
        let start = |(layer, role): (&str, Role)| {
            let values = problem["W0"][layer].iter().copied();
            ((layer.to_owned(), role), Numbers::new(dtype, values))
        };
        let weights = Weights::from([("fc", Role::Weight), ("fc_bias", Role::Bias)].map(start));
        let on = device.clone().autodiff();
        let network = Network::new(&spec, weights, 1, dtype, &on).unwrap();
        let [weight, bias] = multipliers;
        let multipliers = Multipliers {
            default: 1.0,
            imported: 1.0,
            layers: [("fc".to_owned(), weight), ("fc_bias".to_owned(), bias)].into(),
        };
        let rates = layer_rates(&spec, &multipliers, &experiment.optimizer, |_| false).unwrap();
        let frozen: Vec<bool> = rates.iter().map(|rate| rate.frozen).collect();
        let network = network.freeze_layers(&frozen);
        Self {
            updates: Updates::new(experiment, &network, &spec, &rates),
            problem,
            dtype,
            device,
            network,
        }
    }

    fn step(&mut self, number: usize) {
        let mut cost = Cost {
            bench: self,
            sum: None,
        };
        self.network.visit(&mut cost);
        let mut gradients = cost.sum.unwrap().backward();
        let time = Time {
            epoch: number / 2,
            step: number % 2,
            steps: 2,
        };
        self.network = self
            .updates
            .step(self.network.clone(), &mut gradients, time);
    }

    fn tensors(&self) -> Row {
        let states = self.updates.states().unwrap();
        let tensors = self.network.tensors().into_iter().map(|tensor| {
            let mut values = vec![tensor.values.to_f64()];
            let key = (tensor.layer.clone(), tensor.role);
            values.extend(states.get(&key).into_iter().flatten().map(Numbers::to_f64));
            (tensor.layer, values)
        });
        tensors.collect()
    }
}

/// Σ A·(w − C)²/2, whose gradient is A·(w − C) in every precision.
struct Cost<'a> {
    bench: &'a Bench,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Cost<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let weights = parameter.val();
        let of = |name: &str, layer: &str, factor: f64| {
            let values = self.bench.problem[name][layer].iter();
            let values = Numbers::new(self.bench.dtype, values.map(|value| value * factor));
            let device = self.bench.device.clone().autodiff();
            layer::tensor::<D>(&weights.dims(), values, &device)
        };
        let layer = if D == 2 { "fc" } else { "fc_bias" };
        let distance = weights.clone() - of("C", layer, 1.0);
        let cost = (distance.clone() * distance * of("A", layer, 0.5)).sum();
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + cost,
            None => cost,
        });
    }
}

/// Largest |got − expected| / max(1, |expected|).
fn deviation(got: &[Vec<f64>], expected: &[Vec<f64>]) -> f64 {
    assert_eq!(got.len(), expected.len(), "number of states");
    let pairs = got.iter().flatten().zip(expected.iter().flatten());
    pairs.fold(0.0, |worst, (got, expected)| {
        assert!(got.is_finite());
        worst.max((got - expected).abs() / expected.abs().max(1.0))
    })
}

fn follows_neon(dtype: Dtype, tolerance: f64) {
    let reference = reference();
    let names: Vec<_> = reference.cases.keys().map(String::as_str).collect();
    let mut ours: Vec<_> = CASES.iter().map(|(name, _)| *name).collect();
    ours.sort_unstable();
    assert_eq!(ours, names, "every case of neon's is tried");
    for (name, settings) in CASES {
        let mut bench = Bench::new(&neon(settings, dtype), [1.0, 1.0]);
        for (number, expected) in reference.cases[*name][&dtype].iter().enumerate() {
            bench.step(number);
            for (layer, got) in bench.tensors() {
                let worst = deviation(&got, &expected[&layer]);
                assert!(
                    worst <= tolerance,
                    "{name}, {layer}, update {number}: {worst:e}"
                );
            }
        }
    }
}

#[test]
fn every_case_of_neons_is_met_in_f64() {
    follows_neon(Dtype::F64, 1e-12);
}

#[test]
fn every_case_of_neons_is_met_in_f32() {
    follows_neon(Dtype::F32, 1e-6);
}

/// All algorithms on one layer or the other, and something of everything else.
const MIXED: [&str; 3] = [
    "[optimizer]\nalgorithm = \"adam\"\nweight_decay = 0.1\nclip_gradient_norm = 1\n\
     [[optimizer.layer]]\nclass = \"bias\"\nalgorithm = \"adadelta\"\n",
    "[optimizer]\nalgorithm = \"lion\"\n[[optimizer.layer]]\nname = \"fc\"\n\
     algorithm = \"adamw\"\nschedule = { name = \"cosine\", warm_up = 2 }\n",
    "[optimizer]\nalgorithm = \"shift_ada_max\"\n[[optimizer.layer]]\nname = \"*_bias\"\n\
     algorithm = \"momentum\"\nnesterov = true\n",
];

#[test]
fn what_every_rule_remembers_comes_back_in_full_precision() {
    for settings in MIXED {
        for dtype in [Dtype::F32, Dtype::F64] {
            let experiment = experiment(settings, dtype).unwrap();
            let mut bench = Bench::new(&experiment, [1.0, 0.5]);
            (0..3).for_each(|number| bench.step(number));
            let mut resumed = Bench::new(&experiment, [1.0, 0.5]);
            resumed.network = bench.network.clone();
            resumed
                .updates
                .restore(bench.updates.state().unwrap())
                .unwrap();
            for number in 3..8 {
                bench.step(number);
                resumed.step(number);
            }
            assert_eq!(resumed.tensors(), bench.tensors(), "{dtype}: {settings}");
        }
    }
}

#[test]
fn a_multiplier_multiplies_the_rate_of_whichever_rule_applies() {
    let entry = |rate: f64| {
        format!(
            "[optimizer]\nlearning_rate = 0.1\n[[optimizer.layer]]\nclass = \"bias\"\n\
             algorithm = \"rmsprop\"\nlearning_rate = {rate}\n"
        )
    };
    let run = |rate: f64, multipliers: [f64; 2]| {
        let mut bench = Bench::new(&experiment(&entry(rate), Dtype::F64).unwrap(), multipliers);
        (0..4).for_each(|number| bench.step(number));
        bench.tensors()
    };
    assert_eq!(run(0.5, [1.0, 0.25]), run(0.125, [1.0, 1.0]));
    let frozen = run(0.5, [1.0, 0.0]);
    assert_eq!(
        frozen["fc_bias"],
        [reference().problem["W0"]["fc_bias"].clone()]
    );
}

#[test]
fn groups_are_told_apart_by_entry_and_multiplier() {
    let settings = "[optimizer]\nlearning_rate = 0.1\n[[optimizer.layer]]\nclass = \"bias\"\n\
                    learning_rate = 0.5\n[schedule]\nname = \"step\"\nevery = 1\n";
    let bench = Bench::new(&experiment(settings, Dtype::F64).unwrap(), [1.0, 0.5]);
    let time = Time {
        epoch: 1,
        step: 0,
        steps: 1,
    };
    let rates = bench.updates.group_rates(time);
    let rates: Vec<_> = rates
        .iter()
        .map(|rate| (rate.group.as_str(), rate.learning_rate))
        .collect();
    assert_eq!(
        rates,
        [("x1", 0.1 * 0.1), ("class:bias:x0.5", 0.5 * 0.1 * 0.5)]
    );
    assert_eq!(bench.updates.rate(time), 0.1 * 0.1);
}

#[test]
fn a_norm_is_of_the_gradient_unless_it_is_neons() {
    let settings = "[optimizer]\nalgorithm = \"rmsprop\"\nclip_gradient_norm = 1\n";
    let square = |experiment: Experiment| {
        let mut bench = Bench::new(&experiment, [1.0, 1.0]);
        bench.step(0);
        bench.tensors()["fc"][1][0]
    };
    // The first gradient is 0.5; the norm of all together is 7.8074.
    let norm = 60.955_625f64.sqrt();
    let ours = square(experiment(settings, Dtype::F64).unwrap());
    assert!((ours - 0.05 * (0.5 / norm).powi(2)).abs() < 1e-12, "{ours}");
    let neons = square(neon(settings, Dtype::F64));
    assert!((neons - 0.05 * 0.25).abs() < 1e-15, "{neons}");
}

#[test]
fn parameters_keep_to_their_limit_without_momentum_too() {
    let settings = "[optimizer]\nmomentum = 0\nclip_parameters = 0.3\n";
    let mut bench = Bench::new(&experiment(settings, Dtype::F64).unwrap(), [1.0, 1.0]);
    bench.step(0);
    let weights = bench.tensors()["fc"][0].clone();
    assert!(
        weights.iter().all(|weight| weight.abs() <= 0.3),
        "{weights:?}"
    );
}
