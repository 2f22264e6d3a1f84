//! `graft verify`: run what records claim again, and say whether it comes to the same.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;

use super::print;
use super::run::stop_on_interrupt;
use crate::error::{At, Error, Result};
use crate::report::table::json;
use crate::results::find;
use crate::runner::{Event, Reporter, Shared};
use crate::verify::judge::Tolerance;
use crate::verify::rerun::{Options, Sampling, Verification, verify};

/// Train what records claim again, in a temporary place, and compare
///
/// Says bit-identical, equal within tolerance (where another processor computed the record), or from
/// which epoch on it differs, at what. The data and the source model must be where the record's
/// experiment names them, with the same checksums. Records of finished runs are never touched.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  graft verify results/fine_tuning\n  graft verify results --samples 2"
)]
pub struct Arguments {
    /// Records, or directories with records below them
    #[arg(required = true, value_name = "RECORD")]
    records: Vec<PathBuf>,
    /// Replay only so many stretches between the states that `checkpoint.keep` left in the record
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Which stretches; without it, nobody can know before
    #[arg(long, value_name = "SEED", requires = "samples")]
    sampling_seed: Option<u64>,
    /// Run this experiment in place of the record's own: the same with other paths
    #[arg(long, value_name = "FILE")]
    experiment: Option<PathBuf>,
    /// Keep the fresh records here, and use those that are here already
    #[arg(long, value_name = "DIR")]
    fresh: Option<PathBuf>,
    /// Compute convolutions by their definition, to see how far the fast kernels are off
    #[arg(long)]
    exact: bool,
    /// Where other arithmetic computed the record: by how much training costs may differ, relative;
    /// confidences by five times as much, weights by twenty-five times
    #[arg(long, default_value_t = 0.01)]
    tolerance: f64,
    /// text or json
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let stop = stop_on_interrupt()?;
    let records = find::named(&arguments.records)?;
    if arguments.experiment.is_some() && records.len() > 1 {
        return Err(Error::new("one experiment for several records")
            .at("--experiment")
            .help("name a single record"));
    }
    let temporary = tempfile::tempdir().at("a temporary directory")?;
    let options = Options {
        fresh: arguments.fresh.unwrap_or(temporary.path().to_owned()),
        experiment: arguments.experiment,
        exact: arguments.exact,
        tolerance: Tolerance {
            cost: arguments.tolerance,
            confidence: 5.0 * arguments.tolerance,
            weights: 25.0 * arguments.tolerance,
        },
        sampling: arguments.samples.map(|stretches| Sampling {
            stretches,
            seed: arguments.sampling_seed.unwrap_or_else(unforeseen),
        }),
    };
    let shared = Shared::default();
    let mut all = Vec::new();
    for dir in records {
        let mut reporter = Quiet { stop: stop.clone() };
        let verification = verify(&dir, &options, &shared, &mut reporter)?;
        if arguments.format == "text" {
            print(&text(&verification))?;
        }
        all.push(verification);
    }
    if arguments.format == "json" {
        print(&json(&all))?;
    }
    Ok(match all.iter().all(Verification::is_good) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn text(verification: &Verification) -> String {
    let Verification {
        record,
        judgement,
        findings,
        unchecked,
        ..
    } = verification;
    let mut text = format!(
        "{}: {}\n  {}\n",
        record.display(),
        judgement.verdict.words(),
        judgement.text
    );
    for finding in findings {
        text += &format!("  {}: {}\n", finding.what.name(), finding.text);
    }
    for what in unchecked {
        text += &format!("  not checked: {what}\n");
    }
    text
}

/// A number that nobody knows before: the hasher of a fresh hash map is seeded by the system.
fn unforeseen() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one("sampling seed")
}

/// Says nothing of single epochs.
struct Quiet {
    stop: Arc<AtomicBool>,
}

impl Reporter for Quiet {
    fn event(&mut self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            eprintln!("warning: {text}");
        }
    }

    fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}
