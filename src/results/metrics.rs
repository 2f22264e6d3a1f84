//! Metrics of classification: pure functions of labels, predictions and confidences.

use crate::error::{Error, Result};

/// Share of the samples whose prediction is their label, 0 to 1.
///
/// Errors: no samples, or not as many predictions as labels.
pub fn accuracy(labels: &[usize], predicted: &[usize]) -> Result<f64> {
    check(labels, predicted)?;
    let pairs = labels.iter().zip(predicted);
    let correct = pairs
        .filter(|(label, predicted)| label == predicted)
        .count();
    Ok(correct as f64 / labels.len() as f64)
}

/// Samples by label (row) and prediction (column); `classes` rows of `classes` columns.
///
/// Errors: not as many predictions as labels, or one of them is not below `classes`.
pub fn confusion_matrix(
    labels: &[usize],
    predicted: &[usize],
    classes: usize,
) -> Result<Vec<Vec<u64>>> {
    check(labels, predicted)?;
    let mut matrix = vec![vec![0; classes]; classes];
    for (&label, &predicted) in labels.iter().zip(predicted) {
        let cell = matrix.get_mut(label).and_then(|row| row.get_mut(predicted));
        *cell.ok_or_else(|| {
            let greatest = label.max(predicted);
            Error::new(format!(
                "class {greatest} among classes 0 to {}",
                classes as i128 - 1
            ))
        })? += 1;
    }
    Ok(matrix)
}

/// Each class's precision and recall, 0 to 1: the shares that are right of what was predicted as the
/// class, and of what is labelled so; 0 where there is none, as in neon.
#[derive(Debug, Clone, PartialEq)]
pub struct PrecisionAndRecall {
    pub precision: Vec<f64>,
    pub recall: Vec<f64>,
}

impl PrecisionAndRecall {
    /// Of a [`confusion_matrix`].
    pub fn of(matrix: &[Vec<u64>]) -> Self {
        let share = |hits: u64, all: u64| hits as f64 / all.max(1) as f64;
        let classes = || matrix.iter().enumerate();
        let hits = |(class, row): (usize, &Vec<u64>)| row.get(class).copied().unwrap_or(0);
        let column = |class: usize| matrix.iter().filter_map(move |row| row.get(class)).sum();
        Self {
            precision: classes().map(|c| share(hits(c), column(c.0))).collect(),
            recall: classes()
                .map(|c| share(hits(c), c.1.iter().sum()))
                .collect(),
        }
    }

    /// Means of the precisions and of the recalls over the classes: every class counts alike.
    pub fn means(&self) -> (f64, f64) {
        let mean = |shares: &[f64]| shares.iter().sum::<f64>() / shares.len().max(1) as f64;
        (mean(&self.precision), mean(&self.recall))
    }
}

/// Mean of -log of the confidence in the correct class, which is floored at e⁻⁵⁰ as in neon.
///
/// `confidences`: a row a sample, a value a class. Errors: no samples, not as many rows as labels,
/// or a label without a confidence.
pub fn log_loss(labels: &[usize], confidences: &[&[f64]]) -> Result<f64> {
    let floor = (-50f64).exp();
    let costs = correct(labels, confidences)?.map(|correct| Ok(-correct?.1.max(floor).ln()));
    Ok(costs.sum::<Result<f64>>()? / labels.len() as f64)
}

/// Share of the samples whose label is not among the `k` classes of greatest confidence, 0 to 1; of
/// equals, the first comes first. For `k` = 1 it is 1 - accuracy. (neon counts a label that shares
/// the last of the `k` places with others as a fraction of a hit.)
///
/// `confidences` and errors as for [`log_loss`].
pub fn top_k_error(labels: &[usize], confidences: &[&[f64]], k: usize) -> Result<f64> {
    let mut misses = 0;
    for (correct, row) in correct(labels, confidences)?.zip(confidences) {
        let (label, confidence) = correct?;
        let before = |(class, value): (usize, &f64)| {
            *value > confidence || (*value == confidence && class < label)
        };
        let rank = row
            .iter()
            .enumerate()
            .filter(|&other| before(other))
            .count();
        misses += usize::from(rank >= k);
    }
    Ok(misses as f64 / labels.len() as f64)
}

/// Accuracy of always answering the category that is most frequent among `labels`; 0 to 1.
///
/// Errors: no samples.
pub fn majority_baseline(labels: &[usize]) -> Result<f64> {
    check(labels, labels)?;
    let mut sorted = labels.to_vec();
    sorted.sort_unstable();
    let runs = sorted.chunk_by(|a, b| a == b);
    let greatest = runs.map(<[usize]>::len).max().unwrap_or(0);
    Ok(greatest as f64 / labels.len() as f64)
}

/// Each sample's label and the confidence in it.
fn correct<'a>(
    labels: &'a [usize],
    confidences: &'a [&[f64]],
) -> Result<impl Iterator<Item = Result<(usize, f64)>> + 'a> {
    check(labels, confidences)?;
    Ok(labels.iter().zip(confidences).map(|(&label, row)| {
        let confidence = row.get(label).copied();
        let problem = || Error::new(format!("class {label} among {} confidences", row.len()));
        Ok((label, confidence.ok_or_else(problem)?))
    }))
}

fn check<T>(labels: &[usize], predicted: &[T]) -> Result<()> {
    if labels.len() != predicted.len() {
        return Err(Error::new(format!(
            "{} predictions for {} labels",
            predicted.len(),
            labels.len()
        )));
    }
    if labels.is_empty() {
        return Err(Error::new("no samples to measure on"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neon_figures::{Figures, deviation};
    use crate::train::evaluate::most_confident;

    const LABELS: [usize; 6] = [0, 0, 0, 1, 1, 2];
    const PREDICTED: [usize; 6] = [0, 0, 1, 1, 2, 2];

    #[test]
    fn accuracy_is_the_share_of_hits() {
        assert_eq!(accuracy(&LABELS, &PREDICTED).unwrap(), 4.0 / 6.0);
    }

    #[test]
    fn the_matrix_has_labels_as_rows_and_predictions_as_columns() {
        let matrix = confusion_matrix(&LABELS, &PREDICTED, 3).unwrap();
        assert_eq!(matrix, [[2, 1, 0], [0, 1, 1], [0, 0, 1]]);
    }

    #[test]
    fn the_majority_baseline_is_the_share_of_the_most_frequent_label() {
        assert_eq!(majority_baseline(&LABELS).unwrap(), 0.5);
        assert_eq!(majority_baseline(&[7, 7]).unwrap(), 1.0);
    }

    #[test]
    fn a_class_that_never_occurs_has_neither_precision_nor_recall() {
        let matrix = confusion_matrix(&LABELS, &PREDICTED, 4).unwrap();
        let shares = PrecisionAndRecall::of(&matrix);
        assert_eq!(shares.precision, [1.0, 0.5, 0.5, 0.0]);
        assert_eq!(shares.recall, [2.0 / 3.0, 0.5, 1.0, 0.0]);
        assert_eq!(shares.means().0, 0.5);
    }

    #[test]
    fn the_first_of_equal_confidences_comes_first() {
        let equal: &[f64] = &[0.25, 0.25, 0.25, 0.25];
        let error = |label, k| top_k_error(&[label], &[equal], k).unwrap();
        assert_eq!([error(0, 1), error(1, 1)], [0.0, 1.0]);
        assert_eq!([error(2, 3), error(3, 3)], [0.0, 1.0]);
    }

    #[test]
    fn a_confidence_of_0_costs_as_much_as_in_neon() {
        assert_eq!(log_loss(&[0], &[&[0.0, 1.0]]).unwrap(), 50.0);
    }

    #[test]
    fn the_metrics_are_neons() {
        let figures = Figures::read("ops.safetensors");
        let figure = |name: &str| figures.get(&format!("f64/metrics/{name}"));
        let samples = |name: &str| figure(name).transposed().to_f64();
        let (targets, outputs) = (samples("t"), samples("y"));
        let labels: Vec<usize> = targets.chunks(2).map(most_confident).collect();
        let confidences: Vec<&[f64]> = outputs.chunks(2).collect();
        let predicted: Vec<usize> = confidences.iter().map(|row| most_confident(row)).collect();
        let check = |name: &str, ours: &[f64]| {
            let deviation = deviation(ours, &figure(name).values);
            assert!(deviation <= 1e-12, "{name}: {deviation}");
        };
        let accuracy_of = |samples| accuracy(&labels[..samples], &predicted[..samples]).unwrap();
        let log_loss = log_loss(&labels, &confidences).unwrap();
        let top = |k| top_k_error(&labels, &confidences, k).unwrap();
        check("accuracy", &[accuracy_of(4)]);
        check("misclass", &[1.0 - accuracy_of(4)]);
        check("accuracy_first2", &[accuracy_of(2)]);
        check("logloss", &[log_loss]);
        check("topk2", &[log_loss, top(1), top(2)]);

        // neon adds 1e-6 to what it divides by: to the samples of a row or a column.
        let matrix = confusion_matrix(&labels, &predicted, 2).unwrap();
        let PrecisionAndRecall { precision, recall } = PrecisionAndRecall::of(&matrix);
        let lowered = |share: f64, count: u64| share * count as f64 / (count as f64 + 1e-6);
        let precision = [0, 1].map(|c| lowered(precision[c], matrix[0][c] + matrix[1][c]));
        let recall = [0, 1].map(|c| lowered(recall[c], matrix[c][0] + matrix[c][1]));
        let means = PrecisionAndRecall {
            precision: precision.into(),
            recall: recall.into(),
        }
        .means();
        check("precision_recall", &[means.0, means.1]);
    }

    #[test]
    fn what_cannot_be_measured_is_an_error() {
        assert!(accuracy(&[], &[]).is_err());
        assert!(majority_baseline(&[]).is_err());
        let uneven = accuracy(&[0, 1], &[0]).unwrap_err();
        assert_eq!(uneven.to_string(), "1 predictions for 2 labels");
        let beyond = confusion_matrix(&[0, 1], &[0, 2], 2).unwrap_err();
        assert_eq!(beyond.to_string(), "class 2 among classes 0 to 1");
        assert!(log_loss(&[], &[]).is_err());
        let beyond = top_k_error(&[2], &[&[0.5, 0.5]], 5).unwrap_err();
        assert_eq!(beyond.to_string(), "class 2 among 2 confidences");
    }
}
