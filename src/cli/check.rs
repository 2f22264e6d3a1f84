//! `graft check`: is a record what it says, as far as one can see without training?

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::print;
use crate::error::Result;
use crate::report::table::json;
use crate::results::find;
use crate::verify::{Findings, check};

/// Hold records against themselves, without training
///
/// Compares every file with its checksum, the tables with one another and with record.json, the order
/// of the samples with the seed, the model with the log of its weights and frozen layers with the
/// receipt of their import; data and source models too, where they are there.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  graft check results\n  graft check results/fine_tuning --format json"
)]
pub struct Arguments {
    /// Records, or directories with records below them
    #[arg(required = true, value_name = "RECORD")]
    records: Vec<PathBuf>,
    /// text or json
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

/// One record in JSON.
#[derive(Serialize)]
struct Checked {
    record: PathBuf,
    #[serde(flatten)]
    findings: Findings,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let mut checked = Vec::new();
    for dir in find::named(&arguments.records)? {
        let findings = check::check(&dir);
        if arguments.format == "text" {
            print(&text(&dir.display().to_string(), &findings))?;
        }
        checked.push(Checked {
            record: dir,
            findings,
        });
    }
    if arguments.format == "json" {
        print(&json(&checked))?;
    }
    let is_clean = checked.iter().all(|checked| checked.findings.is_clean());
    Ok(match is_clean {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn text(name: &str, findings: &Findings) -> String {
    let verdict = match findings.findings.len() {
        0 => "consistent".to_string(),
        1 => "1 finding".to_string(),
        count => format!("{count} findings"),
    };
    let found = findings.findings.iter();
    let found = found.map(|finding| format!("  {}: {}\n", finding.what.name(), finding.text));
    let unchecked = findings.unchecked.iter();
    let unchecked = unchecked.map(|text| format!("  not checked: {text}\n"));
    format!("{name}: {verdict}\n") + &found.chain(unchecked).collect::<String>()
}
