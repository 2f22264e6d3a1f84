//! What the rubric asks for by name: regimes, their results, comparisons. Pure.
//!
//! Only a verified run counts: of a figure that nobody could reproduce, nothing follows.

use std::collections::BTreeSet;

use super::finding::{Finding, Kind};
use super::marks::Item;
use super::report::{Judged, Looked, Report};
use super::rubric::{Comparison, Required, Rubric};
use crate::results::record::Regime;

/// The regimes that the rubric asks for and the report has no experiment of, as findings.
pub fn missing(rubric: &Rubric, report: &Report) -> Vec<Finding> {
    let mut findings = Vec::new();
    for required in &rubric.regime {
        if broken(required.regime, report).is_some() {
            continue;
        }
        let is_it = |looked: &&Looked| looked.regime == Some(required.regime);
        if report.experiments.iter().any(|looked| is_it(&looked)) {
            continue;
        }
        let word = required.regime.name();
        let mut named = report.experiments.iter();
        let named =
            named.find(|looked| looked.name.as_ref().is_some_and(|name| name.contains(word)));
        let finding = match named.and_then(|looked| Some((looked, looked.regime?))) {
            Some((looked, Regime::FineTuning)) if required.regime == Regime::FeatureExtraction => {
                let text = "it is called feature extraction and trains the imported layers on: its multiplier is not 0";
                Finding::new(Kind::NotFrozen, looked.place.as_str(), text)
                    .help("write `learning_rate_multiplier = 0`")
            }
            Some((looked, regime)) => {
                let text = format!("it is called {word} and is {}", regime.name());
                Finding::new(Kind::MissingRegime, looked.place.as_str(), text)
                    .help(how(required.regime))
            }
            None => Finding::new(
                Kind::MissingRegime,
                "",
                format!("there is no experiment of {word}"),
            )
            .help(how(required.regime)),
        };
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    findings
}

/// The experiments that no record is of, as findings.
pub fn not_run(report: &Report) -> Vec<Finding> {
    let looked = report.experiments.iter();
    let names = looked.filter_map(|looked| Some((looked, looked.name.as_ref()?)));
    let without = names.filter(|(_, name)| {
        let mut records = report.records.iter();
        !records.any(|record| record.experiment == **name)
    });
    let finding = |(looked, name): (&Looked, &String)| {
        let text = format!("there is no record of `{name}` that can be read");
        Finding::new(Kind::NotRun, looked.place.as_str(), text)
            .help("hand in its directory below results/")
    };
    without.map(finding).collect()
}

/// The file that is called as the regime and is no valid experiment.
fn broken(regime: Regime, report: &Report) -> Option<&Looked> {
    let mut all = report.experiments.iter();
    all.find(|looked| looked.name.is_none() && looked.place.contains(regime.name()))
}

fn how(regime: Regime) -> &'static str {
    match regime {
        Regime::FromScratch => "leave `source_model` away",
        Regime::FineTuning => "name a `source_model`, and a `learning_rate_multiplier` above 0",
        Regime::FeatureExtraction => "name a `source_model`, and `learning_rate_multiplier = 0`",
    }
}

/// An item a `[[regime]]`: are there runs of it?
pub fn regimes(rubric: &Rubric, report: &Report) -> Vec<Item> {
    let missing = missing(rubric, report);
    let of = |required: &Required| {
        let runs = runs_of(required, report);
        let seeds: BTreeSet<u64> = runs.iter().map(|run| run.seed).collect();
        let passed = seeds.len() >= required.seeds;
        let mut found = Vec::new();
        if passed {
            let places: Vec<&str> = runs.iter().map(|run| run.place.as_str()).collect();
            found.push(format!("verified: {}", places.join(", ")));
        } else {
            let of_it = |finding: &&Finding| {
                finding.text.contains(required.regime.name())
                    || finding.kind == Kind::NotFrozen
                        && required.regime == Regime::FeatureExtraction
            };
            found.extend(missing.iter().filter(of_it).map(ToString::to_string));
            // Of runs on other data, a source model's say, only where there are no better ones.
            let of_regime = |run: &&Judged| run.regime == required.regime;
            let others: Vec<&Judged> = report.records.iter().filter(of_regime).collect();
            let is_near = |run: &&&Judged| run.data.as_ref() == Some(&required.data);
            let near: Vec<&Judged> = others.iter().filter(is_near).copied().collect();
            let shown = if near.is_empty() { others } else { near };
            found.extend(shown.into_iter().filter_map(|run| why_not(required, run)));
            let broken = broken(required.regime, report);
            found.extend(broken.map(|looked| format!("`{}` is not valid", looked.place)));
            if found.is_empty() {
                found.push(format!(
                    "there are {} such runs with different seeds",
                    seeds.len()
                ));
            }
        }
        Item {
            passed,
            asked: asked_for(required),
            found,
        }
    };
    rubric.regime.iter().map(of).collect()
}

fn asked_for(required: &Required) -> String {
    let mut text = format!("{} on `{}`", required.regime.name(), required.data);
    if let Some(source) = &required.source_model {
        text += &format!(", importing from `{source}`");
    }
    if let Some(multiplier) = &required.multiplier {
        text += &format!(", multiplier {multiplier}");
    }
    if required.coverage > 0.0 {
        text += &format!(
            ", at least {:.1} % of the parameters imported",
            100.0 * required.coverage
        );
    }
    if required.seeds > 1 {
        text += &format!(", {} seeds", required.seeds);
    }
    text
}

/// The verified runs that are what the rubric asks for.
fn runs_of<'a>(required: &Required, report: &'a Report) -> Vec<&'a Judged> {
    let records = report.records.iter();
    let fitting =
        records.filter(|run| run.regime == required.regime && why_not(required, run).is_none());
    fitting.collect()
}

/// Why a run of the regime is not what the rubric asks for.
fn why_not(required: &Required, run: &Judged) -> Option<String> {
    let place = &run.place;
    if !run.is_verified() {
        return Some(format!("`{place}` does not count: it is not verified"));
    }
    if let Some(control) = &run.control {
        return Some(format!(
            "`{place}` does not count: it is a control, {control}"
        ));
    }
    if run.data.as_ref() != Some(&required.data) {
        let data = run.data.as_deref().unwrap_or("others");
        return Some(format!("`{place}` does not count: its data are `{data}`"));
    }
    if required.source_model.is_some() && run.source != required.source_model {
        let source = run.source.as_deref().unwrap_or("another");
        return Some(format!(
            "`{place}` does not count: its source model is `{source}`"
        ));
    }
    if let Some(within) = required.multiplier
        && !run
            .multipliers
            .iter()
            .all(|&multiplier| within.holds(multiplier))
    {
        return Some(format!(
            "`{place}` does not count: its multipliers are {:?}",
            run.multipliers
        ));
    }
    (run.coverage < required.coverage).then(|| {
        format!(
            "`{place}` does not count: {:.1} % of its parameters are imported",
            100.0 * run.coverage
        )
    })
}

/// An item a `[[regime]]` with bounds of its accuracy.
pub fn bounds(rubric: &Rubric, report: &Report) -> Vec<Item> {
    let of = |required: &Required| {
        let within = required.accuracy?;
        let runs = runs_of(required, report);
        let mean = runs.iter().map(|run| run.accuracy).sum::<f64>() / runs.len() as f64;
        let found = match runs.len() {
            0 => "no verified run to look at".to_owned(),
            runs => format!("accuracy {mean:.4}, the mean of {runs} verified runs"),
        };
        Some(Item {
            passed: !runs.is_empty() && within.holds(mean),
            asked: format!(
                "{} on `{}`: accuracy {within}",
                required.regime.name(),
                required.data
            ),
            found: vec![found],
        })
    };
    rubric.regime.iter().filter_map(of).collect()
}

/// An item a `[[comparison]]`.
pub fn comparisons(rubric: &Rubric, report: &Report) -> Vec<Item> {
    let of = |comparison: &Comparison| {
        let seeds = comparison.between.iter().map(|&regime| {
            let runs = report.records.iter().filter(|run| {
                run.is_verified()
                    && run.regime == regime
                    && run.data.as_ref() == Some(&comparison.data)
            });
            runs.map(|run| run.seed).collect::<BTreeSet<u64>>()
        });
        let common = seeds.reduce(|all, some| all.intersection(&some).copied().collect());
        let common = common.map_or(0, |seeds| seeds.len());
        let names: Vec<&str> = comparison
            .between
            .iter()
            .map(|regime| regime.name())
            .collect();
        Item {
            passed: common >= comparison.seeds,
            asked: format!(
                "{} on `{}`, each with the same {} or more seeds",
                names.join(", "),
                comparison.data,
                comparison.seeds
            ),
            found: vec![format!("{common} seeds of which all have a verified run")],
        }
    };
    rubric.comparison.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::super::marks::{Criterion, marks};
    use super::super::report::tests::{judged, report};
    use super::*;

    fn rubric() -> Rubric {
        let text = r#"
            title = "t"
            secret = "s"
            points = { regimes = 4, verification = 3, bounds = 1, comparisons = 1 }
            data = [{ name = "smiles", builtin = "drawn_smiles" }]
            source_model = [{ name = "own", trained_on = "smiles" }]
            limits = {}
            [[regime]]
            regime = "fine_tuning"
            data = "smiles"
            multiplier = [0.0001, 0.01]
            coverage = 0.4
            seeds = 2
            accuracy = [0.7, 0.8]
            [[comparison]]
            between = ["fine_tuning", "from_scratch"]
            data = "smiles"
        "#;
        toml_edit::de::from_str(text).unwrap()
    }

    fn score(report: &Report, criterion: Criterion) -> f64 {
        let marks = marks(&rubric(), report);
        let mark = marks.iter().find(|mark| mark.criterion == criterion);
        mark.unwrap().score
    }

    #[test]
    fn a_regime_counts_with_all_its_seeds_and_only_if_verified() {
        let two = vec![judged("results/a", 1), judged("results/b", 2)];
        let mut good = report("ann", two);
        assert_eq!(score(&good, Criterion::Regimes), 4.0);
        assert_eq!(score(&good, Criterion::Bounds), 1.0);
        assert_eq!(score(&good, Criterion::Comparisons), 0.0);
        let mut twice = good.clone();
        twice.records[1].seed = 1;
        assert_eq!(score(&twice, Criterion::Regimes), 0.0);
        good.records[1]
            .reruns
            .push(Finding::new(Kind::MetricsEdited, "results/b", "edited"));
        assert_eq!(score(&good, Criterion::Regimes), 0.0);
        assert_eq!(score(&good, Criterion::Verification), 1.5);
    }

    #[test]
    fn a_run_that_imports_too_little_or_at_another_rate_is_not_the_regime() {
        let base = report("ann", vec![judged("results/a", 1), judged("results/b", 2)]);
        for change in [
            |run: &mut Judged| run.coverage = 0.3,
            |run: &mut Judged| run.multipliers = vec![0.001, 0.5],
            |run: &mut Judged| run.data = Some("others".to_owned()),
        ] {
            let mut report = base.clone();
            change(&mut report.records[0]);
            assert_eq!(score(&report, Criterion::Regimes), 0.0);
        }
    }

    #[test]
    fn a_regime_that_is_not_there_is_named_and_a_mislabelled_one_for_what_it_is() {
        let mut report = report("ann", vec![]);
        let kinds = |report: &Report| {
            let mut rubric = rubric();
            rubric.regime[0].regime = Regime::FeatureExtraction;
            let found = missing(&rubric, report);
            found
                .into_iter()
                .map(|finding| finding.kind)
                .collect::<Vec<_>>()
        };
        assert_eq!(kinds(&report), [Kind::MissingRegime]);
        report.experiments.push(Looked {
            place: "experiments/feature_extraction.toml".to_owned(),
            name: Some("feature_extraction".to_owned()),
            regime: Some(Regime::FineTuning),
            findings: Vec::new(),
        });
        assert_eq!(kinds(&report), [Kind::NotFrozen]);
    }
}
