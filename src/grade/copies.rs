//! Runs that two submissions share. Pure.
//!
//! Equal experiments make equal models, costs and outputs; when a run began and how long it took, no
//! two share. Who had it from whom, only an assigned seed can tell; without one, both are reported,
//! for a person to decide.

use std::collections::BTreeMap;

use super::finding::{Finding, Kind};
use super::report::{Judged, Report};

/// A run that is in another submission too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// For the student: names nobody else.
    pub finding: Finding,
    /// For the grader: where the other one is.
    pub other: String,
}

/// What is to be said of each submission, by its name. `seeds` are the assigned ones.
pub fn copies(
    reports: &[Report],
    seeds: Option<&BTreeMap<String, u64>>,
) -> BTreeMap<String, Vec<Shared>> {
    let mut found: BTreeMap<String, Vec<Shared>> = BTreeMap::new();
    for (index, report) in reports.iter().enumerate() {
        for other in &reports[index + 1..] {
            for (one, two) in shared(report, other) {
                let sides = [(report, one), (other, two)];
                for (mine, theirs) in [(sides[0], sides[1]), (sides[1], sides[0])] {
                    if let Some(shared) = finding(mine, theirs, seeds) {
                        found.entry(mine.0.name.clone()).or_default().push(shared);
                    }
                }
            }
        }
    }
    found
}

fn shared<'a>(one: &'a Report, other: &'a Report) -> Vec<(&'a Judged, &'a Judged)> {
    let pairs = one.records.iter().filter_map(|record| {
        let mut theirs = other.records.iter();
        let same = theirs.find(|theirs| record.fingerprint.is_same_run(&theirs.fingerprint))?;
        Some((record, same))
    });
    pairs.collect()
}

/// What is to be said of `record`; nothing if it is known to be the original.
fn finding(
    (mine, record): (&Report, &Judged),
    (theirs, their_record): (&Report, &Judged),
    seeds: Option<&BTreeMap<String, u64>>,
) -> Option<Shared> {
    let has_own_seed = |report: &Report, record: &Judged| {
        let assigned = seeds.and_then(|seeds| seeds.get(&report.name));
        assigned == Some(&record.seed)
    };
    let text = match (
        has_own_seed(mine, record),
        has_own_seed(theirs, their_record),
    ) {
        (true, false) => return None,
        (false, true) => {
            "it is a run of another submission: it began at the same moment, took the same time, and \
             has the seed that was assigned there"
        }
        _ => {
            "another submission has the same run: it began at the same moment and took the same time; \
             whose it is, a person has to decide"
        }
    };
    Some(Shared {
        finding: Finding::new(Kind::Copied, record.place.as_str(), text)
            .help("hand in runs of your own"),
        other: format!("{} = {}/{}", record.place, theirs.name, their_record.place),
    })
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::{judged, report};
    use super::*;

    /// Two submissions with one run, of seed 1, and a third with another one of seed 1.
    fn class() -> Vec<Report> {
        let run = |started: &str| {
            let mut run = judged("results/a", 1);
            run.fingerprint.started = started.to_owned();
            vec![run]
        };
        vec![
            report("ann", run("noon")),
            report("bob", run("noon")),
            report("eve", run("night")),
        ]
    }

    #[test]
    fn a_shared_run_is_reported_on_both_and_equal_results_are_not() {
        let found = copies(&class(), None);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["ann", "bob"]);
        assert_eq!(found["ann"][0].other, "results/a = bob/results/a");
        assert!(!found["ann"][0].finding.text.contains("bob"));
    }

    #[test]
    fn an_assigned_seed_tells_the_original_from_the_copy() {
        let seeds = BTreeMap::from([("ann".to_owned(), 1), ("bob".to_owned(), 2)]);
        let found = copies(&class(), Some(&seeds));
        assert_eq!(found.keys().collect::<Vec<_>>(), ["bob"]);
    }
}
