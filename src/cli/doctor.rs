//! `graft doctor`: what matters for reproducing results on this machine.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::print;
use crate::config::{Loaded, Overrides};
use crate::doctor::{self, Checked, Examination, InputFile, Place, Presence};
use crate::error::Result;
use crate::gather::gather;
use crate::report::table::json;
use crate::results::RESULTS;

/// Where experiments are looked for if none are named.
const EXPERIMENTS: &str = "experiments";

/// Show what matters for reproducing results here, and what would keep experiments from running
///
/// The processor and the kernels chosen for it, backends, versions, the environment, directories, data
/// and source models, held against the records that are there. Trains nothing. The exit code is 1 only
/// if something would keep an experiment from running.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  graft doctor\n  graft doctor experiments/faces --format json")]
pub struct Arguments {
    /// Experiment files, or directories of them; none: `experiments`, if it is there
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { mut paths, format } = arguments;
    if paths.is_empty() && Path::new(EXPERIMENTS).is_dir() {
        paths.push(EXPERIMENTS.into());
    }
    let results = Path::new(RESULTS);
    let loaded = match paths.is_empty() {
        true => Loaded::default(),
        false => gather(&paths, &Overrides::default(), results),
    };
    let found = doctor::examine(loaded, results);
    print(&match format {
        Format::Text => text(&found),
        Format::Json => json(&found),
    })?;
    for problem in &found.problems {
        eprintln!("error: {problem}");
    }
    Ok(match found.problems.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn text(found: &Examination) -> String {
    let mut text = about_the_machine(found);
    for place in &found.places {
        line(&mut text, place.what, &about_place(place));
    }
    for checked in &found.experiments {
        text += &about_experiment(checked);
    }
    for warning in &found.warnings {
        text += &format!("warning: {warning}\n");
    }
    text += match (found.problems.len(), found.experiments.len()) {
        (0, 0) => "nothing is wrong here; no experiments were looked at\n",
        (0, _) => "nothing keeps these experiments from running\n",
        _ => "",
    };
    text
}

fn about_the_machine(found: &Examination) -> String {
    let Examination {
        machine,
        build,
        backends,
        environment,
        ..
    } = found;
    let mut text = String::new();
    let processor = format!("{} ({})", machine.processor, machine.architecture);
    line(&mut text, "processor", processor.trim());
    line(&mut text, "features", &machine.features.join(" "));
    line(&mut text, "kernels", &machine.kernels);
    line(&mut text, "arithmetic", &machine.arithmetic);
    let threads = format!("{} of {} processors", machine.threads, machine.processors);
    line(&mut text, "threads", &threads);
    if let (Some(free), Some(all)) = (machine.memory_free, machine.memory) {
        line(
            &mut text,
            "memory",
            &format!("{} free of {}", size(free), size(all)),
        );
    }
    let sha256 = build.sha256.as_deref().unwrap_or("unknown");
    let graft = format!(
        "{}, sha256 {sha256}{}",
        build.graft,
        if build.debug { ", not optimised" } else { "" }
    );
    line(&mut text, "graft", &graft);
    let from = format!("{}; Rust {} or newer", build.target, build.rust_at_least);
    line(&mut text, "built for", &from);
    line(&mut text, "burn", build.burn);
    for state in backends {
        let works = if state.works { "works" } else { "not here" };
        let why = state.text.lines().next().unwrap_or_default();
        line(
            &mut text,
            &format!("backend {}", state.name),
            &format!("{works}: {why}"),
        );
    }
    for variable in environment {
        let value = format!("{} ({})", variable.value, variable.effect);
        line(&mut text, &variable.name, &value);
    }
    text
}

fn about_place(place: &Place) -> String {
    let mut text = format!("{}: ", place.path.display());
    text += match (place.exists, &place.problem) {
        (_, Some(_)) => "cannot be written",
        (true, None) => "can be written",
        (false, None) => "not there yet, can be made",
    };
    // Writing to a string cannot fail.
    let _ = write!(text, "; {} in it", size(place.bytes));
    if let Some(limit) = place.limit {
        let _ = write!(text, " of at most {}", size(limit));
    }
    if let Some(free) = place.free {
        let _ = write!(text, "; {} of room on the disk", size(free));
    }
    text
}

fn about_experiment(checked: &Checked) -> String {
    let records = match checked.records {
        0 => "no record".to_owned(),
        1 => "1 record".to_owned(),
        records => format!("{records} records"),
    };
    let mut text = format!("{} ({records})\n", checked.experiment);
    for file in &checked.files {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "   {}", about_file(file));
    }
    text
}

fn about_file(file: &InputFile) -> String {
    let place = format!("{} {}", file.what, file.path.display());
    match (file.presence, &file.bytes, &file.sha256) {
        (Presence::Present, Some(bytes), Some(sha256)) => {
            let short: String = sha256.chars().take(8).collect();
            let records = match (file.same, file.other) {
                (0, 0) => String::new(),
                (_, 0) => ", as the records say".to_owned(),
                (same, other) => format!(", as {same} of {} records say", same + other),
            };
            format!("{place}: {}, sha256 {short}{records}", size(*bytes))
        }
        (Presence::WillBeMade, ..) => {
            format!("{place}: not there yet, another experiment makes it")
        }
        (Presence::WillBeDrawn, ..) => format!("{place}: not there yet, graft draws it"),
        _ => format!("{place}: missing"),
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{name:<16} {value}");
}

/// `1.2 GB`, of 10⁹ bytes.
fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        0.0..1e3 => format!("{bytes} bytes"),
        1e3..1e6 => format!("{:.1} kB", bytes / 1e3),
        1e6..1e9 => format!("{:.1} MB", bytes / 1e6),
        _ => format!("{:.1} GB", bytes / 1e9),
    }
}
