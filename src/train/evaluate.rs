//! One pass over a data file without learning.

use std::sync::Arc;

use burn::tensor::Device;

use super::loss;
use crate::config::experiment::LossName;
use crate::data::batches::Batches;
use crate::data::dataset::Dataset;
use crate::data::transform::Transform;
use crate::error::{Error, Result};
use crate::model::network::{self, Network};
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

/// Evaluates `parts`, one after another, on exactly the samples of `data`, in file order.
/// The networks must be off the autodiff device.
///
/// # Errors
/// Whatever reading the file brings; outputs that are not finite.
pub fn evaluate(
    parts: &[&Network],
    data: &Arc<Dataset>,
    transform: &Transform,
    batch_size: usize,
    loss: LossName,
    device: &Device,
) -> Result<Evaluation> {
    let classes = data.classes();
    let order = (0..data.len()).collect();
    let mut confidences = Vec::with_capacity(data.len() * classes);
    for batch in Batches::new(data.clone(), order, batch_size, transform.clone())? {
        let images = network::images(batch?.pixels, transform.shape(), device);
        let logits = parts
            .iter()
            .fold(images, |values, part| part.forward(values, None))
            .features();
        let logits: Vec<f64> = logits.into_data().iter::<f64>().collect();
        if logits.iter().any(|logit| !logit.is_finite()) {
            return Err(Error::new("the model's outputs are no longer numbers")
                .help("training has diverged: lower optimizer.learning_rate"));
        }
        confidences.extend(loss::confidences(&logits, classes, transform.dtype()));
    }
    let rows = confidences.chunks_exact(classes);
    let predicted: Vec<usize> = rows.map(most_confident).collect();
    let labels: Vec<usize> = data.labels().iter().map(|&label| label as usize).collect();
    let cost = loss::reported(loss, &confidences, data.labels());
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
