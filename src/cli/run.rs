//! `graft run`: train what is not trained yet.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;

use super::progress::{Log, Progress, Terminal};
use super::{ExperimentArguments, print};
use crate::error::{Error, Result};
use crate::gather::gather;
use crate::plan::{self, Run};
use crate::report::compare::{Order, compare};
use crate::report::table::Format;
use crate::results::{self, RESULTS};
use crate::runner::{self, Outcome, Shared};

/// Train experiments and keep their records
///
/// Records that are complete and unchanged are skipped, interrupted runs are taken up again.
/// Ctrl-C leaves a checkpoint. After a failed experiment the others go on; the command then ends
/// with an error that names it.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  graft run experiments\n  graft run experiments/fine_tuning.toml -e 3 --set optimizer.learning_rate=0.01"
)]
pub struct Arguments {
    #[command(flatten)]
    experiments: ExperimentArguments,
    /// Train again what has a complete record
    #[arg(long)]
    force: bool,
    /// Stop at the first failed experiment
    #[arg(long)]
    fail_fast: bool,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let stop = stop_on_interrupt()?;
    let results = Path::new(RESULTS);
    let (overrides, show) = arguments.experiments.read()?;
    let log = show.log.as_deref().map(Log::open).transpose()?;
    let loaded = gather(&arguments.experiments.paths, &overrides, results);
    let mut failed: Vec<String> = Vec::new();
    for error in &loaded.errors {
        eprintln!("error: {error}");
        // The place stands before the first colon that a space follows.
        let text = error.to_string();
        failed.push(text.split(": ").next().unwrap_or_default().to_string());
    }
    if arguments.fail_fast && !failed.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    let runs = plan::order(loaded.experiments, results)?;
    let mut ended: Vec<bool> = Vec::with_capacity(runs.len());
    let shared = Shared::default();
    for run in &runs {
        let outcome = match run.after.iter().find(|(_, maker)| !ended[*maker]) {
            Some((model, maker)) => Err(Error::new(format!(
                "not run, since {} failed, which makes {}",
                runs[*maker].name(),
                model.display()
            ))
            .at(run.name())),
            None => {
                let terminal = Terminal::new(&show, log.clone());
                one(run, &runs, (arguments.force, &shared), terminal, &stop)
            }
        };
        match outcome {
            Ok(Outcome::Stopped) => {
                eprintln!("stopped; the same command goes on from the checkpoint");
                return Ok(ExitCode::from(130));
            }
            Ok(_) => ended.push(true),
            Err(error) => {
                eprintln!("error: {error}");
                if let Some(log) = &log {
                    log.write(&format!("error: {error}"));
                }
                failed.push(run.name());
                ended.push(false);
                if arguments.fail_fast {
                    break;
                }
            }
        }
    }
    show_comparison(&runs, &ended)?;
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("failed: {}", failed.join("; "));
    Ok(ExitCode::FAILURE)
}

fn one(
    run: &Run,
    runs: &[Run],
    (force, shared): (bool, &Shared),
    terminal: Terminal,
    stop: &Arc<AtomicBool>,
) -> Result<Outcome> {
    let mut progress = Progress::new(run, runs, terminal, stop.clone());
    let outcome = runner::run(run, force, shared, &mut progress);
    outcome.map_err(|error| error.at(run.name()))
}

/// The comparison of the runs that have a record now.
fn show_comparison(runs: &[Run], ended: &[bool]) -> Result<()> {
    let with_record = runs.iter().zip(ended).filter(|(_, ended)| **ended);
    let dirs: Vec<_> = with_record.map(|(run, _)| run.dir.clone()).collect();
    if dirs.is_empty() {
        return Ok(());
    }
    let records = results::find::load_named(&dirs)?;
    let table = compare(&records, Order::Given).render(Format::Terminal);
    print(&format!("\n{table}"))
}

fn stop_on_interrupt() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    ctrlc::set_handler(move || {
        // A second Ctrl-C does not wait for the batch to end.
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    })
    .map_err(|error| Error::new(format!("cannot handle Ctrl-C: {error}")))?;
    Ok(stop)
}
