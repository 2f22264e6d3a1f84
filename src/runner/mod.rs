//! One run from start to record: the only place that knows all the parts.
//!
//! It tells a [`Reporter`] what happens and knows no terminal.

mod describe;
pub mod features;
pub mod identity;
pub mod initial;
pub mod keep;
pub mod model_file;
pub mod opened;
pub mod pixels;
pub mod predict;
mod prepare;
pub mod replay;
pub mod setup;
mod shared;
pub mod together;
mod watch;
pub mod write;

use rayon::ThreadPool;

use crate::config::experiment::Experiment;
use crate::error::Result;
use crate::plan::Run;
use crate::results::record::{self, Record};
use crate::results::rows::{MetricsRow, Timing};
use crate::source;
use identity::Contents;
use prepare::Prepared;
use setup::{Files, Outline};
pub use shared::Shared;

/// What happens in a run.
pub enum Event<'a> {
    /// Its record is complete and unchanged.
    Skipped,
    /// Something worth knowing: what was imported, what is resumed.
    Note(&'a str),
    /// Something that may not be what the author wanted.
    Warning(&'a str),
    /// What the frozen layers give for `of` samples is being computed; it is for `done`.
    Features { done: usize, of: usize },
    /// Training begins, on so many samples an epoch.
    Training { samples: usize },
    /// A batch is done: `samples` of `of` in the epoch (from 0), mean cost of the batch.
    Batch {
        epoch: usize,
        samples: usize,
        of: usize,
        cost: f64,
    },
    /// An epoch is done.
    Epoch(&'a MetricsRow, &'a Timing),
    /// The record stands.
    Finished(&'a Record),
}

/// Who is told, and may ask for an end.
pub trait Reporter: Send {
    fn event(&mut self, event: Event<'_>);
    fn stop_requested(&self) -> bool;
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There was a complete, unchanged record.
    Skipped,
    Finished,
    /// It was asked to stop, and left a checkpoint.
    Stopped,
}

/// Trains `run` and puts its record in place, unless one stands there already.
///
/// # Errors
/// Whatever keeps the run from its end; a record that stood there still does.
pub fn run(
    run: &Run,
    force: bool,
    shared: &Shared,
    reporter: &mut dyn Reporter,
) -> Result<Outcome> {
    within(None, run, force, shared, reporter)
}

/// The same, trained on the threads of `pool`.
fn within(
    pool: Option<&ThreadPool>,
    run: &Run,
    force: bool,
    shared: &Shared,
    reporter: &mut dyn Reporter,
) -> Result<Outcome> {
    let prepared = {
        // One at a time: it takes all processors, and what the first one computes the others find.
        let _turn = shared.turn();
        on_pool(|| prepare::prepare(run, force, shared, reporter))?
    };
    match (prepared, pool) {
        (Prepared::Ended(outcome), _) => Ok(outcome),
        (Prepared::Ready(training), None) => on_pool(|| training.train()),
        (Prepared::Ready(training), Some(pool)) => pool.install(|| training.train()),
    }
}

/// Does `work` on a thread of the current pool: between the many short operations of a step it shares
/// out work at once, where a thread outside waits for the pool to wake up and wakes up for its end.
fn on_pool<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| work())
}

/// Checks that the format of `save_path`, if there is one, is known and has a place for the model.
///
/// # Errors
/// It has not.
pub fn check_save_path(run: &Run, outline: &Outline) -> Result<()> {
    let Some(path) = &run.experiment.save_path else {
        return Ok(());
    };
    let description = describe::describe(&run.experiment, outline, run.seed);
    model_file::check(path, &description)
}

/// The checksums of all that a run of `experiment` on these files reads.
///
/// # Errors
/// A file cannot be read.
pub fn contents(experiment: &Experiment, files: &Files) -> Result<Contents> {
    let source = experiment.source_model.as_deref();
    let initial = experiment.model.initial_weights.as_deref();
    Ok(Contents {
        train: files.train.sha256()?,
        test: files.test.sha256()?,
        source: source.map(source::sha256).transpose()?,
        initial: initial.map(initial::sha256).transpose()?,
    })
}

/// The identity of a run of `experiment` on files with these `contents`. Reads the source model, for what
/// it says of pixels.
///
/// # Errors
/// It cannot be read.
pub fn identity_of(experiment: &Experiment, contents: &Contents, seed: u64) -> Result<String> {
    let source = setup::source(experiment)?;
    let (pixels, _) = pixels::settle(experiment, source.as_ref())?;
    let setup = identity::setup(experiment, &pixels, contents)?;
    Ok(identity::run(&setup, experiment, seed))
}

/// Puts a copy of the record's model where the experiment wants one, and says what it lacks.
fn copy_model(run: &Run, reporter: &mut dyn Reporter) -> Result<()> {
    let Some(copy) = &run.experiment.save_path else {
        return Ok(());
    };
    for lacking in model_file::copy(&run.dir.join(record::MODEL), copy)? {
        let note = format!("not in {}: {lacking}", copy.display());
        reporter.event(Event::Note(&note));
    }
    Ok(())
}
