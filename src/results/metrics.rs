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

fn check(labels: &[usize], predicted: &[usize]) -> Result<()> {
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
    fn what_cannot_be_measured_is_an_error() {
        assert!(accuracy(&[], &[]).is_err());
        assert!(majority_baseline(&[]).is_err());
        let uneven = accuracy(&[0, 1], &[0]).unwrap_err();
        assert_eq!(uneven.to_string(), "1 predictions for 2 labels");
        let beyond = confusion_matrix(&[0, 1], &[0, 2], 2).unwrap_err();
        assert_eq!(beyond.to_string(), "class 2 among classes 0 to 1");
    }
}
