use burn::optim::{AdamConfig, AdamWConfig, LionConfig};

use super::*;
use crate::config::experiment::NormScales;

fn rule(algorithm: Algorithm, weight_decay: f64) -> Rule {
    Rule {
        learning_rate: 0.1,
        weight_decay,
        decay_biases: true,
        clip_gradient_norm: 0.0,
        clip_gradient_value: 0.0,
        clip_parameters: 0.0,
        algorithm,
    }
}

fn tensor(values: [f32; 4]) -> Tensor<1> {
    Tensor::from_data(values, &Device::flex())
}

fn values(tensor: &Tensor<1>) -> Vec<f32> {
    tensor.to_data().iter().collect()
}

/// Six updates by `ours` and by Burn's `theirs`, at a falling rate.
fn agree<O: Optimizer>(ours: Update, theirs: O) {
    let start = tensor([1.0, -0.5, 0.25, 3.0]);
    let (mut one, mut other) = ((start.clone(), None), (start, None));
    for step in 0..6 {
        let rate = 0.05 / (step + 1) as f64;
        let gradient = tensor([0.3, -2.0, 0.01, 1.0]) + one.0.clone().mul_scalar(0.1);
        one = ours.step(rate, one.0, gradient.clone(), one.1);
        other = theirs.step(rate, other.0, gradient, other.1);
        for (got, expected) in values(&one.0).iter().zip(values(&other.0)) {
            assert!((got - expected).abs() <= 1e-6, "{got} {expected}");
        }
    }
}

#[test]
fn adam_is_burns() {
    let adam = Algorithm::Adam {
        beta1: 0.9,
        beta2: 0.99,
        epsilon: 1e-3,
        epsilon_hat: false,
        clip_norm_scales: NormScales::Gradient,
    };
    let burn = AdamConfig::new().with_beta_2(0.99).with_epsilon(1e-3);
    agree(Update::new(&rule(adam, 0.0), false), burn.build());
}

#[test]
fn adamw_is_burns() {
    let adamw = Algorithm::Adamw {
        beta1: 0.8,
        beta2: 0.99,
        epsilon: 1e-5,
    };
    let burn = AdamWConfig::new().with_beta_1(0.8).with_beta_2(0.99);
    let burn = burn.with_epsilon(1e-5).with_weight_decay(0.1);
    agree(Update::new(&rule(adamw, 0.1), false), burn.build());
}

#[test]
fn lion_is_burns() {
    let lion = Algorithm::Lion {
        beta1: 0.9,
        beta2: 0.95,
    };
    let burn = LionConfig::new().with_beta_2(0.95).with_weight_decay(0.2);
    agree(Update::new(&rule(lion, 0.2), false), burn.build());
}

#[test]
fn biases_are_spared_the_weight_decay_on_demand() {
    let spared = Rule {
        decay_biases: false,
        ..rule(Algorithm::Sgd, 0.5)
    };
    let start = [1.0, -0.5, 0.25, 3.0];
    let after = |is_bias| {
        let update = Update::new(&spared, is_bias);
        let still = tensor([0.0; 4]);
        values(&update.step(1.0, tensor(start), still, None).0)
    };
    assert_eq!(after(true), start);
    assert_eq!(after(false), start.map(|weight| weight / 2.0));
}

#[test]
fn shift_ada_max_counts_updates_and_scales_by_powers_of_two() {
    let algorithm = Algorithm::ShiftAdaMax {
        beta1: 0.5,
        beta2: 0.5,
        epsilon: 1e-8,
        bias_correction: BiasCorrection::Step,
    };
    let update = Update::new(&rule(algorithm, 0.0), false);
    let gradient = || tensor([4.0, -4.0, 1.0, 0.0]);
    let (weights, memory) = update.step(0.25, tensor([0.0; 4]), gradient(), None);
    // m = g/2, 1/v = 1/|g|, and 0.25 / (1 − 0.5) = 2^-1.
    assert_eq!(values(&weights), [-0.25, 0.25, -0.25, 0.0]);
    let (weights, _) = update.step(0.25, weights, gradient(), memory);
    // m = 3g/4, and 0.25 / (1 − 0.25) = 1/3, which is 2^-1.58: nearest to 2^-2.
    assert_eq!(values(&weights), [-0.4375, 0.4375, -0.4375, 0.0]);
}

#[test]
fn only_neons_shift_ada_max_is_corrected_by_epochs() {
    let algorithm = |bias_correction| Algorithm::ShiftAdaMax {
        beta1: 0.5,
        beta2: 0.5,
        epsilon: 1e-8,
        bias_correction,
    };
    let rate = |count| corrected(&rule(algorithm(count), 0.0), 0.3, 1);
    assert_eq!(rate(BiasCorrection::Epoch), 0.3 / 0.75);
    assert_eq!(rate(BiasCorrection::Step), 0.3);
}

/// Eight updates by momentum in one pass, and operation by operation.
fn momentum_both_ways(momentum: f64, nesterov: bool, weight_decay: f64) -> [Vec<f32>; 2] {
    let momentum = Algorithm::Momentum { momentum, nesterov };
    let update = Update::new(&rule(momentum, weight_decay), false);
    let mut stream = crate::random::Stream::new(1, "momentum", &[]);
    let mut values = || -> Vec<f32> {
        (0..70_001)
            .map(|_| stream.between(-1.0, 1.0) as f32)
            .collect()
    };
    let tensor = |values: Vec<f32>| Tensor::<1>::from_data(values.as_slice(), &Device::flex());
    let start = values();
    let (mut at_once, mut memory) = (tensor(start.clone()), None);
    let (mut in_steps, mut other) = (tensor(start), Memory::default());
    for step in 0..8 {
        let (rate, gradient) = (0.1 / (step + 3) as f64, values());
        (at_once, memory) = update.step(rate, at_once, tensor(gradient.clone()), memory);
        let (weights, gradient) = update.decayed(rate, in_steps, tensor(gradient));
        (in_steps, other) = update.moved(rate, weights, gradient, other);
    }
    [at_once, in_steps].map(|weights| weights.to_data().iter().collect())
}

#[test]
fn momentum_in_one_pass_rounds_as_it_does_operation_by_operation() {
    for (nesterov, weight_decay) in [(false, 0.0), (false, 5e-4), (true, 0.0), (true, 5e-4)] {
        let [at_once, in_steps] = momentum_both_ways(0.9, nesterov, weight_decay);
        let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        assert!(bits(at_once) == bits(in_steps), "{nesterov} {weight_decay}");
    }
}
