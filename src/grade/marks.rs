//! From a report to points: what was asked for, item by item, and what there is. Pure.
//!
//! A criterion's points are shared equally among its items. Only a run that is verified counts for
//! the regimes, their results and the comparisons: of a figure that nobody could reproduce, nothing
//! follows.

use super::finding::{Finding, Kind};
use super::report::{Judged, Report};
use super::required::{bounds, comparisons, regimes};
use super::rubric::Rubric;

/// What the rubric gives points for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    Experiments,
    Regimes,
    Consistency,
    Verification,
    Bounds,
    Comparisons,
}

/// The points of one criterion.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    pub criterion: Criterion,
    /// Rounded to hundredths.
    pub score: f64,
    pub most: f64,
    /// Empty: the rubric asks for nothing here, and gives all points.
    pub items: Vec<Item>,
}

/// One thing asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub passed: bool,
    /// What was asked for.
    pub asked: String,
    /// What there is, and what to do; a line each.
    pub found: Vec<String>,
}

impl Criterion {
    pub const ALL: [Criterion; 6] = [
        Criterion::Experiments,
        Criterion::Regimes,
        Criterion::Consistency,
        Criterion::Verification,
        Criterion::Bounds,
        Criterion::Comparisons,
    ];

    /// The key of the rubric, and the column of `grades.csv`.
    pub fn name(self) -> &'static str {
        match self {
            Criterion::Experiments => "experiments",
            Criterion::Regimes => "regimes",
            Criterion::Consistency => "consistency",
            Criterion::Verification => "verification",
            Criterion::Bounds => "bounds",
            Criterion::Comparisons => "comparisons",
        }
    }

    /// As a student reads it.
    pub fn title(self) -> &'static str {
        match self {
            Criterion::Experiments => "Experiments that graft takes",
            Criterion::Regimes => "The regimes that were asked for",
            Criterion::Consistency => "Records that agree with themselves and with the experiments",
            Criterion::Verification => "Results that come out again",
            Criterion::Bounds => "Results where they are expected",
            Criterion::Comparisons => "Runs that can be compared",
        }
    }
}

/// What the submission is worth, criterion by criterion.
pub fn marks(rubric: &Rubric, report: &Report) -> Vec<Mark> {
    let points = &rubric.points;
    let of = |criterion| match criterion {
        Criterion::Experiments => (points.experiments, experiments(report)),
        Criterion::Regimes => (points.regimes, regimes(rubric, report)),
        Criterion::Consistency => (points.consistency, consistency(report)),
        Criterion::Verification => (points.verification, verification(report)),
        Criterion::Bounds => (points.bounds, bounds(rubric, report)),
        Criterion::Comparisons => (points.comparisons, comparisons(rubric, report)),
    };
    let mark = |criterion| {
        let (most, items) = of(criterion);
        let passed = items.iter().filter(|item| item.passed).count();
        let share = match items.len() {
            0 => 1.0,
            all => passed as f64 / all as f64,
        };
        Mark {
            criterion,
            score: (most * share * 100.0).round() / 100.0,
            most,
            items,
        }
    };
    Criterion::ALL.map(mark).into()
}

fn experiments(report: &Report) -> Vec<Item> {
    let asked = |place: &str| format!("`{place}` is a valid experiment within the limits");
    let mut items: Vec<Item> = report
        .experiments
        .iter()
        .map(|looked| item(asked(&looked.place), &looked.findings, "valid"))
        .collect();
    let is_of_files = |finding: &&Finding| {
        matches!(
            finding.kind,
            Kind::Symlink | Kind::StrangeFile | Kind::TooManyFiles | Kind::FileTooLarge
        )
    };
    let strange: Vec<Finding> = report
        .findings
        .iter()
        .filter(is_of_files)
        .cloned()
        .collect();
    if !strange.is_empty() {
        items.push(item(
            "nothing but files of a usual size".to_owned(),
            &strange,
            "",
        ));
    }
    if report.experiments.is_empty() {
        let found = "there is none: put your experiments into experiments/".to_owned();
        items.push(failed("experiments/*.toml", found));
    }
    items
}

fn consistency(report: &Report) -> Vec<Item> {
    let mut items: Vec<Item> = report
        .records
        .iter()
        .map(|record| {
            let asked = format!(
                "`{}` agrees with itself and with its experiment",
                record.place
            );
            item(asked, &record.claims, "it does")
        })
        .collect();
    let unreadable = report
        .findings
        .iter()
        .filter(|finding| matches!(finding.kind, Kind::DamagedRecord | Kind::PathEscape));
    items.extend(unreadable.map(|finding| {
        let asked = format!("`{}` can be read", finding.place);
        item(asked, std::slice::from_ref(finding), "")
    }));
    for looked in &report.experiments {
        let Some(name) = &looked.name else { continue };
        if !report
            .records
            .iter()
            .any(|record| record.experiment == *name)
        {
            let found =
                format!("there is no record of `{name}`: hand in its directory below results/");
            items.push(failed(&format!("`{}` was run", looked.place), found));
        }
    }
    if report.records.is_empty() && items.is_empty() {
        items.push(failed(
            "records",
            "there is none: hand in results/ as `graft run` leaves it".to_owned(),
        ));
    }
    items
}

fn verification(report: &Report) -> Vec<Item> {
    let of_record = |record: &Judged| {
        let asked = format!("`{}` comes out again", record.place);
        let mut item = item(asked, &record.reruns, &record.how);
        item.passed = record.is_verified();
        if !item.passed && item.found.is_empty() {
            item.found.push(record.how.clone());
        }
        item
    };
    let items: Vec<Item> = report.records.iter().map(of_record).collect();
    match items.is_empty() {
        true => vec![failed("records", "there is none to run again".to_owned())],
        false => items,
    }
}

/// Passed without findings, which then says `good`.
fn item(asked: String, findings: &[Finding], good: &str) -> Item {
    Item {
        passed: findings.is_empty(),
        asked,
        found: match findings {
            [] => vec![good.to_owned()],
            findings => findings.iter().map(ToString::to_string).collect(),
        },
    }
}

fn failed(asked: &str, found: String) -> Item {
    Item {
        passed: false,
        asked: asked.to_owned(),
        found: vec![found],
    }
}
