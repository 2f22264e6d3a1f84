//! One pass over a data file without learning.

use super::prefix::Prefix;
use super::{Split, loader, loss};
use crate::config::experiment::LossName;
use crate::error::{Error, Result};
use crate::model::network::Network;
use crate::results::metrics;

/// Confidences for every sample of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Mean over all samples.
    pub cost: f64,
    /// Share of samples whose most confident class is the label.
    pub accuracy: f64,
    /// (samples, classes) in C order.
    pub confidences: Vec<f64>,
}

/// Evaluates `prefix` and then `rest` on exactly the samples of `split`, in file order.
/// The networks must be off the autodiff device.
///
/// # Errors
/// Whatever reading the file brings; outputs that are not finite.
pub fn evaluate(
    prefix: &Prefix,
    rest: &Network,
    split: &Split,
    batch_size: usize,
    loss: LossName,
) -> Result<Evaluation> {
    let (data, dtype) = (&split.data, split.transform.dtype());
    let classes = data.classes();
    let order = (0..data.len()).collect();
    let mut confidences = Vec::with_capacity(data.len() * classes);
    for batch in loader::batches(split, order, batch_size)? {
        let features = prefix.of(batch?.entering, split.transform.shape());
        let logits = rest.forward(features, None).features();
        let logits: Vec<f64> = logits.into_data().iter::<f64>().collect();
        if logits.iter().any(|logit| !logit.is_finite()) {
            return Err(Error::new("the model's outputs are no longer numbers")
                .help("training has diverged: lower optimizer.learning_rate"));
        }
        confidences.extend(loss::confidences(&logits, classes, dtype));
    }
    let rows = confidences.chunks_exact(classes);
    let predicted: Vec<usize> = rows.map(most_confident).collect();
    let labels: Vec<usize> = split.labels.iter().map(|&label| label as usize).collect();
    let cost = loss::reported(loss, &confidences, &split.labels);
    Ok(Evaluation {
        cost: cost / data.len() as f64,
        accuracy: metrics::accuracy(&labels, &predicted)?,
        confidences,
    })
}

/// The class with the largest confidence; the first of equals.
pub fn most_confident(row: &[f64]) -> usize {
    let mut best = 0;
    for (class, confidence) in row.iter().enumerate() {
        if *confidence > row[best] {
            best = class;
        }
    }
    best
}
