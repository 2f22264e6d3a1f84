//! What comes out: a row of `grades.csv`, a Markdown sheet for the student, Gradescope's
//! `results.json`. Text from marks; no time, no directory of the grader's.

use std::fmt::Write;

use serde_json::{Value, json};

use super::copies::Shared;
use super::finding::Finding;
use super::marks::{Criterion, Item, Mark};
use crate::error::{Error, Result};

/// A submission with its marks.
#[derive(Debug)]
pub struct Graded {
    pub name: String,
    pub marks: Vec<Mark>,
    /// All, sorted, each once.
    pub findings: Vec<Finding>,
    /// Runs that others have handed in too.
    pub shared: Vec<Shared>,
}

impl Graded {
    pub fn score(&self) -> f64 {
        hundredths(self.marks.iter().map(|mark| mark.score).sum())
    }

    pub fn most(&self) -> f64 {
        hundredths(self.marks.iter().map(|mark| mark.most).sum())
    }

    /// The names of all that was found, by spaces; `clean` if nothing was.
    pub fn verdict(&self) -> String {
        let shared = self.shared.iter().map(|shared| &shared.finding);
        let mut kinds: Vec<_> = self.findings.iter().chain(shared).map(|f| f.kind).collect();
        kinds.sort();
        kinds.dedup();
        let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        match names.is_empty() {
            true => "clean".to_owned(),
            false => names.join(" "),
        }
    }
}

/// `grades.csv`: a row a submission, a column a criterion, what was found, and where else its runs are.
///
/// # Errors
/// A name cannot be written.
pub fn grades(all: &[Graded]) -> Result<String> {
    let not_csv = |error: csv::Error| Error::new(error.to_string()).at("grades.csv");
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header = vec!["submission", "points", "of"];
    header.extend(Criterion::ALL.map(Criterion::name));
    header.extend(["found", "shared"]);
    writer.write_record(header).map_err(not_csv)?;
    for graded in all {
        let mut row = vec![
            graded.name.clone(),
            graded.score().to_string(),
            graded.most().to_string(),
        ];
        row.extend(graded.marks.iter().map(|mark| mark.score.to_string()));
        row.push(graded.verdict());
        let shared: Vec<&str> = graded
            .shared
            .iter()
            .map(|shared| shared.other.as_str())
            .collect();
        row.push(shared.join("; "));
        writer.write_record(row).map_err(not_csv)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| Error::new(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| Error::new(error.to_string()))
}

/// The sheet that the student gets.
pub fn sheet(title: &str, graded: &Graded) -> String {
    let mut text = format!(
        "# {title}: {}\n\n**{} of {} points**\n",
        graded.name,
        graded.score(),
        graded.most()
    );
    let shared = graded.shared.iter().map(|shared| &shared.finding);
    let found: Vec<&Finding> = graded.findings.iter().chain(shared).collect();
    if !found.is_empty() {
        text += "\n## What was found\n\n";
        found_lines(&found, &mut text);
    }
    for mark in &graded.marks {
        if mark.most == 0.0 && mark.items.is_empty() {
            continue;
        }
        let title = mark.criterion.title();
        let _ = writeln!(text, "\n## {title}: {} of {}\n", mark.score, mark.most);
        for item in &mark.items {
            text += &lines(item);
        }
        if mark.items.is_empty() {
            text += "- nothing was asked for\n";
        }
    }
    text += "\nA run counts only if it comes out again when the grader trains it. `graft check` and \
             `graft verify` say the same on your machine.\n";
    text
}

/// Gradescope's `results.json`: a test a criterion, and one for the grader's eyes.
///
/// # Errors
/// It cannot be written as JSON.
pub fn gradescope(graded: &Graded) -> Result<String> {
    let mut tests: Vec<Value> = graded
        .marks
        .iter()
        .filter(|mark| mark.most > 0.0)
        .map(test)
        .collect();
    if !graded.shared.is_empty() {
        let lines: Vec<String> = graded.shared.iter().map(|s| s.other.clone()).collect();
        tests.push(json!({
            "name": "Runs that are in another submission too",
            "score": 0.0,
            "max_score": 0.0,
            "output": lines.join("\n"),
            "visibility": "hidden",
        }));
    }
    let results = json!({
        "score": graded.score(),
        "output": format!("found: {}", graded.verdict()),
        "visibility": "visible",
        "tests": tests,
    });
    let text = serde_json::to_string_pretty(&results);
    text.map(|text| text + "\n")
        .map_err(|error| Error::new(error.to_string()).at("results.json"))
}

/// A line a finding; those that differ in nothing but their place share one.
fn found_lines(found: &[&Finding], text: &mut String) {
    let same = |one: &Finding, other: &Finding| {
        (one.kind, &one.text, &one.remedy) == (other.kind, &other.text, &other.remedy)
    };
    for (index, finding) in found.iter().enumerate() {
        if found[..index].iter().any(|before| same(before, finding)) {
            continue;
        }
        let all = found.iter().filter(|other| same(other, finding));
        let places: Vec<&str> = all.map(|other| other.place.as_str()).collect();
        let together = Finding {
            place: places.join("`, `"),
            ..(*finding).clone()
        };
        let name = finding.kind.name().replace('_', " ");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "- **{name}** {}", one_line(&together.to_string()));
    }
}

fn test(mark: &Mark) -> Value {
    let output: String = mark.items.iter().map(lines).collect();
    json!({
        "name": mark.criterion.title(),
        "score": mark.score,
        "max_score": mark.most,
        "output": output,
        "visibility": "visible",
    })
}

fn lines(item: &Item) -> String {
    let sign = if item.passed { "yes" } else { "**no**" };
    let mut text = format!("- {sign}: {}\n", item.asked);
    for found in item.found.iter().filter(|found| !found.is_empty()) {
        let _ = writeln!(text, "  - {}", one_line(found));
    }
    text
}

/// Messages with a snippet of the file have several lines.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let words = lines
        .iter()
        .filter(|line| !line.trim_matches(['|', '^', ' ']).is_empty());
    words.copied().collect::<Vec<_>>().join(" ")
}

fn hundredths(points: f64) -> f64 {
    (points * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::super::finding::Kind;
    use super::*;

    fn graded() -> Graded {
        let item = Item {
            passed: false,
            asked: "a regime".to_owned(),
            found: vec!["none".to_owned()],
        };
        Graded {
            name: "ann".to_owned(),
            marks: Criterion::ALL
                .map(|criterion| Mark {
                    criterion,
                    score: 0.5,
                    most: 1.0,
                    items: vec![item.clone()],
                })
                .into(),
            findings: vec![Finding::new(Kind::MissingRegime, "", "no fine_tuning")],
            shared: vec![Shared {
                finding: Finding::new(Kind::Copied, "results/a", "another submission has it"),
                other: "results/a = bob/results/a".to_owned(),
            }],
        }
    }

    #[test]
    fn a_row_names_all_that_was_found() {
        let text = grades(&[graded()]).unwrap();
        let last = text.lines().last().unwrap();
        assert_eq!(
            last,
            "ann,3,6,0.5,0.5,0.5,0.5,0.5,0.5,missing_regime copied,results/a = bob/results/a"
        );
    }

    #[test]
    fn the_other_student_is_named_to_the_grader_alone() {
        let sheet = sheet("Exercise", &graded());
        assert!(
            sheet.starts_with("# Exercise: ann\n\n**3 of 6 points**\n"),
            "{sheet}"
        );
        assert!(sheet.contains("- **no**: a regime\n  - none\n"), "{sheet}");
        assert!(!sheet.contains("bob"), "{sheet}");
        assert!(
            sheet.contains("- **copied** `results/a`: another submission has it\n"),
            "{sheet}"
        );
        let results: Value = serde_json::from_str(&gradescope(&graded()).unwrap()).unwrap();
        assert_eq!(results["tests"][0]["max_score"], 1.0);
        assert_eq!(results["tests"][6]["visibility"], "hidden");
    }
}
