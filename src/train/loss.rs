//! Costs: what training descends on the device, and what is reported, in f64 on the host.

use std::f64::consts::LN_2;

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Int, Tensor};

use crate::config::experiment::{Gradient, Loss, LossName};
use crate::numbers::Dtype;

/// The cost whose gradient training follows, as a mean over the batch.
///
/// `logits` (batch, classes), `labels` (batch).
pub fn descended(loss: &Loss, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [batch, classes] = logits.dims();
    let labels = labels.reshape([batch, 1]);
    // (batch, 1) each
    let costs = match (loss.gradient, loss.name) {
        // With a softmax whose backward pass is left out, every cost descends a multiple of y - t,
        // and that is the gradient of the cross-entropy (neon 2.6, `Softmax.bprop`).
        (Gradient::Shortcut, name) => cross_entropy(logits, labels) * shortcut(name, classes),
        (Gradient::Exact, LossName::CrossEntropy) => cross_entropy(logits, labels),
        (Gradient::Exact, LossName::CrossEntropyBits) => cross_entropy(logits, labels) / LN_2,
        (Gradient::Exact, LossName::BinaryCrossEntropy) => binary_cross_entropy(logits, labels),
        (Gradient::Exact, LossName::MeanSquared) => squared(logits, labels) / classes as f64,
        (Gradient::Exact, LossName::SumSquared) => squared(logits, labels),
    };
    costs.mean()
}

/// What the derivative of a cost by the confidences is, in multiples of confidence - target.
fn shortcut(name: LossName, classes: usize) -> f64 {
    match name {
        LossName::CrossEntropy | LossName::BinaryCrossEntropy | LossName::SumSquared => 1.0,
        LossName::CrossEntropyBits => 1.0 / LN_2,
        LossName::MeanSquared => 1.0 / classes as f64,
    }
}

fn cross_entropy(logits: Tensor<2>, labels: Tensor<2, Int>) -> Tensor<2> {
    log_softmax(logits, 1).gather(1, labels).neg()
}

fn binary_cross_entropy(logits: Tensor<2>, labels: Tensor<2, Int>) -> Tensor<2> {
    let [batch, classes] = logits.dims();
    let log = log_softmax(logits, 1);
    // log(1 - y) as the logarithm of what the other classes have: stable where y is nearly 1.
    let others = (0..classes).map(|class| {
        let mask = log.zeros_like();
        let mask = mask.slice_fill([0..batch, class..class + 1], -1e30);
        log_sum(log.clone() + mask)
    });
    let others = Tensor::cat(others.collect(), 1);
    let hit = log.gather(1, labels.clone());
    let misses = others.clone().sum_dim(1) - others.gather(1, labels);
    (hit + misses).neg()
}

/// Σ (y - t)² / 2 = (Σ y² - 2 y_label + 1) / 2.
fn squared(logits: Tensor<2>, labels: Tensor<2, Int>) -> Tensor<2> {
    let confidences = softmax(logits, 1);
    let hit = confidences.clone().gather(1, labels);
    let squares = confidences.powi_scalar(2).sum_dim(1);
    (squares - hit * 2.0 + 1.0) / 2.0
}

/// log of the sum of e^x over the classes: (batch, classes) to (batch, 1).
fn log_sum(x: Tensor<2>) -> Tensor<2> {
    let largest = x.clone().detach().max_dim(1);
    (x - largest.clone()).exp().sum_dim(1).log() + largest
}

/// Confidences of every sample, `logits` being (samples, classes) in C order: softmax, computed in f64
/// and rounded to the precision of the run, though no less than f32. All that is said of a model,
/// costs and predictions and files alike, comes of these numbers.
pub fn confidences(logits: &[f64], classes: usize, dtype: Dtype) -> Vec<f64> {
    let round = |confidence: f64| match dtype {
        Dtype::F64 => confidence,
        _ => f64::from(confidence as f32),
    };
    let mut values = Vec::with_capacity(logits.len());
    for row in logits.chunks_exact(classes) {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers = row.iter().map(|z| (z - largest).exp());
        let sum: f64 = powers.clone().sum();
        values.extend(powers.map(|power| round(power / sum)));
    }
    values
}

/// The cost as reported, summed over the samples; divide by their number for the mean.
///
/// `confidences` (samples, classes) in C order.
pub fn reported(name: LossName, confidences: &[f64], labels: &[u32]) -> f64 {
    let Some(classes) = confidences.len().checked_div(labels.len()) else {
        return 0.0;
    };
    let samples = confidences.chunks_exact(classes).zip(labels);
    let cost = |(row, &label): (&[f64], &u32)| {
        let targets = (0..).map(|class| if class == label { 1.0 } else { 0.0 });
        of_sample(name, row, targets)
    };
    samples.map(cost).sum()
}

/// The cost of one sample. Logarithms are cut off at e⁻⁵⁰, as in neon, so that a cost stays finite.
/// The binary cross-entropy sums over all classes: with two classes it is twice the multiclass value.
fn of_sample(name: LossName, confidences: &[f64], targets: impl Iterator<Item = f64>) -> f64 {
    let log = |y: f64| y.max((-50f64).exp()).ln();
    let squared = |y: f64, t: f64| (y - t).powi(2) / 2.0;
    let cost = |(&y, t): (&f64, f64)| match name {
        LossName::CrossEntropy => -t * log(y),
        LossName::CrossEntropyBits => -t * log(y) / LN_2,
        LossName::BinaryCrossEntropy => -t * log(y) - (1.0 - t) * log(1.0 - y),
        LossName::MeanSquared => squared(y, t) / confidences.len() as f64,
        LossName::SumSquared => squared(y, t),
    };
    confidences.iter().zip(targets).map(cost).sum()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorCreationOptions, TensorData};

    use super::*;
    use crate::neon_figures::{Figures, deviation};

    #[test]
    fn chance_on_two_classes_costs_ln_2_and_twice_that_in_binary_form() {
        let confidences = confidences(&[0.3, 0.3], 2, Dtype::F64);
        let multiclass = reported(LossName::CrossEntropy, &confidences, &[1]);
        let binary = reported(LossName::BinaryCrossEntropy, &confidences, &[1]);
        assert!((multiclass - 2f64.ln()).abs() < 1e-15);
        assert!((binary - 2.0 * 2f64.ln()).abs() < 1e-15);
    }

    /// The gradient of [`descended`] for each logit of one sample, and its value.
    fn descent(loss: &Loss, logits: &[f64], label: i64) -> (f64, Vec<f64>) {
        let device = Device::flex().autodiff();
        let data = TensorData::new(logits.to_vec(), [1, logits.len()]);
        let options = TensorCreationOptions::new(device.clone()).with_dtype(DType::F64);
        let logits = Tensor::<2>::from_data(data, options).require_grad();
        let labels = Tensor::<1, Int>::from_data([label], &device);
        let cost = descended(loss, logits.clone(), labels);
        let gradient = logits.grad(&cost.backward()).expect("a gradient");
        let value = cost.into_data().iter::<f64>().next().expect("a cost");
        (value, gradient.into_data().iter::<f64>().collect())
    }

    #[test]
    fn the_exact_gradient_is_that_of_the_reported_cost() {
        for (name, logits) in [
            (LossName::CrossEntropy, [0.3, -1.2, 2.0]),
            (LossName::BinaryCrossEntropy, [0.3, -1.2, 2.0]),
            (LossName::BinaryCrossEntropy, [4.0, -1.0, -2.0]),
            (LossName::CrossEntropyBits, [0.3, -1.2, 2.0]),
            (LossName::MeanSquared, [0.3, -1.2, 2.0]),
            (LossName::SumSquared, [0.3, -1.2, 2.0]),
        ] {
            let gradient = Gradient::Exact;
            let loss = Loss { name, gradient };
            let cost = |logits: &[f64]| reported(name, &confidences(logits, 3, Dtype::F64), &[1]);
            let (value, gradients) = descent(&loss, &logits, 1);
            assert!((value - cost(&logits)).abs() < 1e-9, "{name:?}: {value}");
            for (class, gradient) in gradients.iter().enumerate() {
                let at = |by: f64| {
                    let mut moved = logits;
                    moved[class] += by;
                    cost(&moved)
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!(
                    (gradient - slope).abs() < 1e-7,
                    "{name:?}: {gradient}, {slope}"
                );
            }
        }
    }

    #[test]
    fn the_shortcut_is_confidence_less_target_whatever_the_cost() {
        let logits = [0.3, -1.2, 2.0];
        let loss = Loss {
            name: LossName::BinaryCrossEntropy,
            gradient: Gradient::Shortcut,
        };
        let (_, gradients) = descent(&loss, &logits, 1);
        let confidences = confidences(&logits, 3, Dtype::F64);
        for (class, gradient) in gradients.iter().enumerate() {
            let target = f64::from(u8::from(class == 1));
            assert!((gradient - (confidences[class] - target)).abs() < 1e-12);
        }
    }

    #[test]
    fn a_hopeless_confidence_costs_fifty_not_infinity() {
        let confidences = confidences(&[1000.0, -1000.0], 2, Dtype::F64);
        assert_eq!(confidences, [1.0, 0.0]);
        assert!((reported(LossName::CrossEntropy, &confidences, &[1]) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn costs_and_shortcut_gradients_are_neons() {
        let figures = Figures::read("ops.safetensors");
        for (case, name) in [
            ("cem_softmax2", LossName::CrossEntropy),
            ("cem_softmax3", LossName::CrossEntropy),
            ("ceb_softmax2", LossName::BinaryCrossEntropy),
            ("ceb_softmax3", LossName::BinaryCrossEntropy),
            ("cem_softmax3_bits", LossName::CrossEntropyBits),
            ("meansq", LossName::MeanSquared),
            ("sumsq", LossName::SumSquared),
        ] {
            for (precision, tolerance) in [("f32", 1e-6), ("f64", 1e-12)] {
                let figure = |what: &str| figures.get(&format!("{precision}/{case}/{what}"));
                let logits = figure("logits").transposed().to_f64();
                let labels = figure("labels").values.to_f64();
                let loss = Loss {
                    name,
                    gradient: Gradient::Shortcut,
                };
                let mut costs = Vec::new();
                let mut gradients = Vec::new();
                for (logits, &label) in logits.chunks(logits.len() / labels.len()).zip(&labels) {
                    let confidences = confidences(logits, logits.len(), Dtype::F64);
                    costs.push(reported(name, &confidences, &[label as u32]));
                    gradients.extend(descent(&loss, logits, label as i64).1);
                }
                let costs = deviation(&costs, &figure("cost_per_sample").transposed());
                assert!(costs <= tolerance, "{precision} {case}: cost {costs}");
                let gradients = deviation(&gradients, &figure("dlogits").transposed());
                assert!(gradients <= tolerance, "{precision} {case}: {gradients}");
            }
        }
    }

    /// Of outputs behind a logistic layer, against any targets. graft trains none such, and so has no
    /// gradient to compare.
    #[test]
    fn the_binary_cost_of_independent_outputs_is_neons() {
        let figures = Figures::read("ops.safetensors");
        for case in ["ceb_logistic_shortcut", "ceb_logistic_noshortcut"] {
            for (precision, tolerance) in [("f32", 1e-6), ("f64", 1e-12)] {
                let figure = |what: &str| figures.get(&format!("{precision}/{case}/{what}"));
                let outputs = figure("y").transposed().to_f64();
                let targets = figure("t").transposed().to_f64();
                let samples = outputs.chunks(2).zip(targets.chunks(2));
                let costs = samples.map(|(y, t)| {
                    let name = LossName::BinaryCrossEntropy;
                    of_sample(name, y, t.iter().copied())
                });
                let costs: Vec<f64> = costs.collect();
                let costs = deviation(&costs, &figure("cost_per_sample").transposed());
                assert!(costs <= tolerance, "{precision} {case}: cost {costs}");
            }
        }
    }
}
