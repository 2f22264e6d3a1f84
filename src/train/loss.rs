//! Costs: what training descends on the device, and what is reported, in f64 on the host.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

use crate::config::experiment::LossName;

/// The cost whose gradient training follows: mean cross-entropy of the batch.
///
/// `logits` (batch, classes), `labels` (batch). Both losses descend this one: neon's binary
/// cross-entropy behind a softmax uses the shortcut gradient `y - t`, which is that of the
/// multiclass cross-entropy (neon 2.6, `CrossEntropyBinary.bprop`).
pub fn descended(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [batch, _] = logits.dims();
    let picked = log_softmax(logits, 1).gather(1, labels.reshape([batch, 1]));
    picked.mean().neg()
}

/// Confidences of every sample, `logits` being (samples, classes) in C order: softmax, in f64.
pub fn confidences(logits: &[f32], classes: usize) -> Vec<f64> {
    let mut values = Vec::with_capacity(logits.len());
    for row in logits.chunks_exact(classes) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers = row
            .iter()
            .map(|&z| (f64::from(z) - f64::from(largest)).exp());
        let sum: f64 = powers.clone().sum();
        values.extend(powers.map(|power| power / sum));
    }
    values
}

/// The cost as reported, summed over the samples; divide by their number for the mean.
///
/// `confidences` (samples, classes) in C order. Confidences are floored at e⁻⁵⁰, as in neon, so that
/// a cost stays finite. The binary cross-entropy sums over all classes: with two classes it is
/// twice the multiclass value.
pub fn reported(name: LossName, confidences: &[f64], labels: &[u32]) -> f64 {
    let Some(classes) = confidences.len().checked_div(labels.len()) else {
        return 0.0;
    };
    let log = |y: f64| y.max((-50f64).exp()).ln();
    let samples = confidences.chunks_exact(classes).zip(labels);
    let cost = |(row, &label): (&[f64], &u32)| match name {
        LossName::CrossEntropy => -log(row[label as usize]),
        LossName::BinaryCrossEntropy => (0u32..)
            .zip(row)
            .map(|(class, &y)| {
                if class == label {
                    -log(y)
                } else {
                    -log(1.0 - y)
                }
            })
            .sum(),
    };
    samples.map(cost).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_on_two_classes_costs_ln_2_and_twice_that_in_binary_form() {
        let confidences = confidences(&[0.3, 0.3], 2);
        let multiclass = reported(LossName::CrossEntropy, &confidences, &[1]);
        let binary = reported(LossName::BinaryCrossEntropy, &confidences, &[1]);
        assert!((multiclass - 2f64.ln()).abs() < 1e-15);
        assert!((binary - 2.0 * 2f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn a_hopeless_confidence_costs_fifty_not_infinity() {
        let confidences = confidences(&[1000.0, -1000.0], 2);
        assert_eq!(confidences, [1.0, 0.0]);
        assert!((reported(LossName::CrossEntropy, &confidences, &[1]) - 50.0).abs() < 1e-9);
    }
}
