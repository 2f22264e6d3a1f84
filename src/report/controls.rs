//! What the controls of a comparison say: whether shuffled labels were beaten by chance alone, and
//! what importing was worth.

use super::row::Row;

/// Names of controls in records.
const SHUFFLED_LABELS: &str = "shuffled_labels";
const RANDOM_BACKBONE: &str = "random_backbone";

/// Standard errors above the baseline from which on shuffled labels are a warning.
const ERRORS: f64 = 3.0;

/// Warnings, and what else there is to say.
pub(super) fn notes(rows: &[Row]) -> (Vec<String>, Vec<String>) {
    let (mut warnings, mut notes) = (Vec::new(), Vec::new());
    for row in rows {
        let (is_warning, text) = match row.control.as_deref() {
            Some(SHUFFLED_LABELS) => shuffled_labels(row),
            Some(RANDOM_BACKBONE) => match rows.iter().find(|other| is_control_of(row, other)) {
                Some(without) => random_backbone(row, without),
                None => continue,
            },
            _ => continue,
        };
        match is_warning {
            true => warnings.push(format!("warning: {text}")),
            false => notes.push(text),
        }
    }
    (warnings, notes)
}

/// Whether `control` is `other` with something taken away, on the same data.
fn is_control_of(control: &Row, other: &Row) -> bool {
    let name = control.control.as_deref().unwrap_or_default();
    let own = control.experiment.strip_suffix(name);
    let own = own.and_then(|own| own.strip_suffix('.'));
    other.control.is_none()
        && own == Some(other.experiment.as_str())
        && other.train.sha256 == control.train.sha256
        && other.test.sha256 == control.test.sha256
}

/// Chance leaves a run on shuffled labels uncertain in two ways: the choice of the test samples, and
/// how far the shuffled labels agree with the right ones by luck, which the runs show if there are
/// several.
fn shuffled_labels(row: &Row) -> (bool, String) {
    let (accuracy, baseline) = (row.accuracy.mean, row.majority_baseline);
    let variance = baseline * (1.0 - baseline);
    let of_labels = variance / row.train.samples.max(1) as f64;
    let of_runs = row.accuracy.deviation.map_or(0.0, |it| it * it);
    let of_luck = of_labels.max(of_runs) / row.accuracy.n.max(1) as f64;
    let error = (variance / row.test.samples.max(1) as f64 + of_luck).sqrt();
    let what = format!("{} ({accuracy:.3})", row.experiment);
    // Not `accuracy <= …`: of a NaN nothing can be said either.
    match accuracy - baseline > ERRORS * error {
        true => (
            true,
            format!(
                "{what} learnt from shuffled labels and yet is above always answering the most \
                 frequent class ({baseline:.3}), by more than {ERRORS} standard errors: something \
                 leaks, such as a choice that was made by looking at the test data."
            ),
        ),
        false => (
            false,
            format!(
                "{what} learnt from shuffled labels and knows no more than the most frequent class \
                 ({baseline:.3}), within {:.1} percentage points: as it should be.",
                ERRORS * error * 100.0
            ),
        ),
    }
}

fn random_backbone(control: &Row, without: &Row) -> (bool, String) {
    let (random, imported) = (control.accuracy.mean, without.accuracy.mean);
    // Rounded, and -0 made 0.
    let points = ((imported - random) * 1000.0).round() / 10.0 + 0.0;
    let figures = format!("({imported:.3} against {random:.3})");
    match imported > random {
        true => (
            false,
            format!(
                "{}: {points:+.1} percentage points against the same with its backbone drawn at \
                 random {figures}: so much the imported weights are worth.",
                without.experiment
            ),
        ),
        false => (
            true,
            format!(
                "{} is not above the same with its backbone drawn at random {figures}: the imported \
                 weights are worth nothing here.",
                without.experiment
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::loaded::LoadedRecord;
    use crate::results::record::tests::example;

    fn row(name: &str, control: Option<&str>, accuracies: &[f64]) -> Row {
        let runs = accuracies.iter().zip(1..).map(|(&accuracy, seed)| {
            let mut record = example(name, seed, accuracy);
            record.control = control.map(str::to_owned);
            record
        });
        let runs = runs.map(|record| LoadedRecord {
            dir: "results".into(),
            record,
        });
        let runs: Vec<LoadedRecord> = runs.collect();
        Row::of(&runs.iter().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn shuffled_labels_at_chance_are_well_and_far_above_it_a_leak() {
        let name = "tuned.shuffled_labels";
        let at_chance = row(name, Some(SHUFFLED_LABELS), &[0.51, 0.47, 0.53]);
        let (warnings, notes_) = notes(&[at_chance]);
        assert!(warnings.is_empty(), "{warnings:?}");
        assert!(notes_[0].contains("as it should be"), "{notes_:?}");
        let leaking = row(name, Some(SHUFFLED_LABELS), &[0.71, 0.70, 0.72]);
        let (warnings, _) = notes(&[leaking]);
        assert!(warnings[0].contains("something leaks"), "{warnings:?}");
    }

    #[test]
    fn one_run_on_few_labels_is_allowed_the_luck_of_them() {
        // 300 labels agree with the right ones to within 2.9 points: 0.56 is two errors above.
        let lucky = row("a.shuffled_labels", Some(SHUFFLED_LABELS), &[0.56]);
        assert!(notes(&[lucky]).0.is_empty());
    }

    #[test]
    fn what_an_import_is_worth_is_measured_by_its_own_control() {
        let tuned = row("tuned", None, &[0.875]);
        let other = row("other", None, &[0.5]);
        let control = row("tuned.random_backbone", Some(RANDOM_BACKBONE), &[0.625]);
        let (warnings, notes_) = notes(&[other, tuned, control]);
        assert!(warnings.is_empty());
        assert!(
            notes_[0].starts_with("tuned: +25.0 percentage points"),
            "{notes_:?}"
        );
        let tuned = row("tuned", None, &[0.625]);
        let control = row("tuned.random_backbone", Some(RANDOM_BACKBONE), &[0.75]);
        let (warnings, _) = notes(&[tuned, control]);
        assert!(warnings[0].contains("worth nothing here"), "{warnings:?}");
    }
}
