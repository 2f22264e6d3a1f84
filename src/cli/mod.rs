//! The command line: one file a verb, each of which turns arguments into calls and results into
//! text. Nothing below this floor knows an argument or draws on a terminal.

mod check;
mod compare;
mod convert;
mod doctor;
mod export;
mod features;
mod grade;
mod import_command;
mod inspect;
mod neon;
mod plan;
mod predict;
mod prepare;
mod progress;
mod run;
mod verify;

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::Overrides;
use crate::config::neon::Show;
use crate::error::{At, Result};
use crate::kernels::InstructionSet;

/// A declarative experiment runner for transfer learning.
#[derive(Debug, Parser)]
#[command(name = "graft", version, about, disable_help_subcommand = true)]
#[command(propagate_version = true)]
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
    Check(check::Arguments),
    Verify(verify::Arguments),
    Inspect(inspect::Arguments),
    Convert(convert::Arguments),
    Export(export::Arguments),
    Features(features::Arguments),
    Prepare(prepare::Arguments),
    Predict(predict::Arguments),
    Grade(grade::Arguments),
    ImportCommand(import_command::Arguments),
    Doctor(doctor::Arguments),
}

/// Reads the words of a command line, the first of which is the command's name. Ends the process
/// where they are wrong, or ask for help.
pub fn parse(words: impl Iterator<Item = OsString>) -> Arguments {
    Arguments::parse_from(neon::respell(words))
}

/// Carries out what the command line asks for.
///
/// # Errors
/// Whatever stops the verb; failures of single experiments are reported by the verb itself and
/// show in the exit code.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    InstructionSet::asked()?;
    match arguments.verb {
        Verb::Run(arguments) => run::run(arguments),
        Verb::Plan(arguments) => plan::run(arguments),
        Verb::Compare(arguments) => compare::run(arguments),
        Verb::Check(arguments) => check::run(arguments),
        Verb::Verify(arguments) => verify::run(arguments),
        Verb::Inspect(arguments) => inspect::run(arguments),
        Verb::Convert(arguments) => convert::run(arguments),
        Verb::Export(arguments) => export::run(arguments),
        Verb::Features(arguments) => features::run(arguments),
        Verb::Prepare(arguments) => prepare::run(arguments),
        Verb::Predict(arguments) => predict::run(arguments),
        Verb::Grade(arguments) => grade::run(arguments),
        Verb::ImportCommand(arguments) => import_command::run(arguments),
        Verb::Doctor(arguments) => doctor::run(arguments),
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
    #[command(flatten)]
    neon: neon::Options,
}

impl ExperimentArguments {
    /// What the arguments say about the experiments, and what a run is to show. Prints what there
    /// is to note about them.
    ///
    /// # Errors
    /// An option of neon's that graft refuses, or a value that it does not take.
    fn read(&self) -> Result<(Overrides, Show)> {
        let translation = self.neon.translate()?;
        for note in translation.notes {
            eprintln!("note: {note}");
        }
        let overrides = Overrides {
            options: translation.settings,
            set: self.set.clone(),
            controls: false,
        };
        Ok((overrides, translation.show))
    }
}
