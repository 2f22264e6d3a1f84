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
use crate::runner::together::Groups;
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
    let terminal = Terminal::new(&show, log);
    let (force, fail_fast) = (arguments.force, arguments.fail_fast);
    let mut command = Command {
        runs: &runs,
        ended: vec![false; runs.len()],
        failed,
        terminal,
        stop,
        force,
        fail_fast,
    };
    if command.run_all()? == Ending::Stopped {
        eprintln!("stopped; the same command goes on from the checkpoint");
        return Ok(ExitCode::from(130));
    }
    show_comparison(&runs, &command.ended)?;
    if command.failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("failed: {}", command.failed.join("; "));
    Ok(ExitCode::FAILURE)
}

/// All runs of the command, and what came of them.
struct Command<'a> {
    runs: &'a [Run],
    /// Whether each has a record now.
    ended: Vec<bool>,
    failed: Vec<String>,
    terminal: Terminal,
    stop: Arc<AtomicBool>,
    force: bool,
    fail_fast: bool,
}

/// Whether the command went on to its last run, or to the first failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Done,
    Stopped,
}

impl Command<'_> {
    fn run_all(&mut self) -> Result<Ending> {
        let shared = Shared::default();
        let mut groups = Groups::default();
        let mut waiting: Vec<usize> = (0..self.runs.len()).collect();
        while let Some(&first) = waiting.first() {
            if let Some(error) = self.without_model(first) {
                waiting.remove(0);
                if !self.end(first, Err(error)) {
                    return Ok(Ending::Done);
                }
                continue;
            }
            let is_ready = |&&place: &&usize| {
                self.runs[place]
                    .after
                    .iter()
                    .all(|&(_, maker)| self.ended[maker])
            };
            let ready: Vec<usize> = waiting.iter().filter(is_ready).copied().collect();
            let (group, abreast) = groups.first(&ready, self.runs);
            waiting.retain(|place| !group.contains(place));
            match self.run_group(&group, abreast, &shared)? {
                Some(ending) => return Ok(ending),
                None => continue,
            }
        }
        Ok(Ending::Done)
    }

    /// Trains a group; says how the command ends, if it does.
    fn run_group(
        &mut self,
        group: &[usize],
        abreast: usize,
        shared: &Shared,
    ) -> Result<Option<Ending>> {
        let (runs, force) = (self.runs, self.force);
        let (terminal, stop) = (self.terminal.clone(), self.stop.clone());
        let reporter = |run: &Run| Progress::new(run, runs, terminal.clone(), stop.clone());
        let mut ending = None;
        if let [alone] = *group {
            let outcome = runner::run(&runs[alone], force, shared, &mut reporter(&runs[alone]));
            self.note_end(alone, outcome, &mut ending);
            return Ok(ending);
        }
        let members: Vec<&Run> = group.iter().map(|&place| &runs[place]).collect();
        runner::together::together(
            &members,
            abreast,
            (force, shared),
            &|run| Box::new(reporter(run)),
            &mut |place, outcome| self.note_end(group[place], outcome, &mut ending),
        )?;
        Ok(ending)
    }

    /// Notes what came of a run, and in `ending` if that ends the command. Returns whether it goes on.
    fn note_end(
        &mut self,
        place: usize,
        outcome: Result<Outcome>,
        ending: &mut Option<Ending>,
    ) -> bool {
        if let Ok(Outcome::Stopped) = outcome {
            *ending = Some(Ending::Stopped);
            return false;
        }
        let outcome = outcome.map_err(|error| error.at(self.runs[place].name()));
        if !self.end(place, outcome) {
            ending.get_or_insert(Ending::Done);
        }
        ending.is_none()
    }

    /// Notes that a run has ended. Returns whether others are to begin.
    fn end(&mut self, place: usize, outcome: Result<Outcome>) -> bool {
        match outcome {
            Ok(_) => {
                self.ended[place] = true;
                true
            }
            Err(error) => {
                self.terminal.say(&format!("error: {error}"));
                self.failed.push(self.runs[place].name());
                !self.fail_fast
            }
        }
    }

    /// Why the run cannot be, if a model that it starts from was not made.
    fn without_model(&self, place: usize) -> Option<Error> {
        let run = &self.runs[place];
        let (model, maker) = run.after.iter().find(|(_, maker)| !self.ended[*maker])?;
        let problem = format!(
            "not run, since {} failed, which makes {}",
            self.runs[*maker].name(),
            model.display()
        );
        Some(Error::new(problem).at(run.name()))
    }
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

/// A flag that the first Ctrl-C sets.
///
/// # Errors
/// The system takes no handler.
pub(super) fn stop_on_interrupt() -> Result<Arc<AtomicBool>> {
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
