//! The command line: one file a verb, each of which turns arguments into calls and results into
//! text. Nothing below this floor knows an argument or draws on a terminal.

mod compare;
mod convert;
mod inspect;
mod plan;
mod predict;
mod prepare;
mod progress;
mod run;

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::Overrides;
use crate::error::{At, Result};

/// A declarative experiment runner for transfer learning.
#[derive(Debug, Parser)]
#[command(name = "graft", version, about, disable_help_subcommand = true)]
#[command(
    after_help = "Start with:\n  graft run experiments        train all regimes\n  graft compare                see what came of it"
)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Arguments),
    Plan(plan::Arguments),
    Compare(compare::Arguments),
    Inspect(inspect::Arguments),
    Convert(convert::Arguments),
    Prepare(prepare::Arguments),
    Predict(predict::Arguments),
}

/// Carries out what the command line asks for.
///
/// # Errors
/// Whatever stops the verb; failures of single experiments are reported by the verb itself and
/// show in the exit code.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    match arguments.verb {
        Verb::Run(arguments) => run::run(arguments),
        Verb::Plan(arguments) => plan::run(arguments),
        Verb::Compare(arguments) => compare::run(arguments),
        Verb::Inspect(arguments) => inspect::run(arguments),
        Verb::Convert(arguments) => convert::run(arguments),
        Verb::Prepare(arguments) => prepare::run(arguments),
        Verb::Predict(arguments) => predict::run(arguments),
    }
}

/// Writes `text` to standard output; whether somebody still reads it is not our business.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).at("standard output"),
        _ => Ok(()),
    }
}

/// Arguments of the verbs that read experiments; they override what the files say.
#[derive(Debug, Args)]
struct ExperimentArguments {
    /// Experiment files, or directories: their *.toml files without base*.toml
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Any key of the experiment file, e.g. optimizer.learning_rate=0.01
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// cpu, ndarray, wgpu, cuda or cuda:1; neon's gpu means cuda
    #[arg(short, long)]
    backend: Option<String>,
    /// Complete passes over the training data
    #[arg(short, long, value_name = "N")]
    epochs: Option<usize>,
    /// Samples a step
    #[arg(
        short = 'z',
        long = "batch_size",
        alias = "batch-size",
        value_name = "N"
    )]
    batch_size: Option<usize>,
    /// One run with this seed
    #[arg(short = 'r', long = "seed", alias = "rng_seed", value_name = "N")]
    seed: Option<u64>,
    /// Directory of the data files
    #[arg(long = "data_root", alias = "data-root", value_name = "DIR")]
    data_root: Option<PathBuf>,
    /// File whose layers are imported
    #[arg(long = "source_model", alias = "source-model", value_name = "FILE")]
    source_model: Option<PathBuf>,
    /// Where a copy of the trained model goes
    #[arg(short, long = "save_path", alias = "save-path", value_name = "FILE")]
    save_path: Option<PathBuf>,
    /// Epochs between checkpoints
    #[arg(long, value_name = "N")]
    serialize: Option<usize>,
}

impl ExperimentArguments {
    fn overrides(&self) -> Overrides {
        Overrides {
            set: self.set.clone(),
            backend: self.backend.clone(),
            epochs: self.epochs,
            batch_size: self.batch_size,
            seed: self.seed,
            data_root: self.data_root.clone(),
            source_model: self.source_model.clone(),
            save_path: self.save_path.clone(),
            serialize: self.serialize,
        }
    }
}
