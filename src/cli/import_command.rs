//! `graft import-command`: a command of neon's as an experiment file.

use std::process::ExitCode;

use clap::Args;

use super::neon::{read_options, warn};
use super::print;
use crate::config::neon::import;
use crate::error::Result;

/// Print the experiment file that says what a command of neon's says
///
/// Each key names the option that gives it. What no option gives (the model, the data files, the
/// optimizer) is printed as the course's script has it, and marked as assumed.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  graft import-command 'python main_transfer.py -b gpu -e 10 -z 32 --data_root data_wiki' > experiment.toml\n  graft import-command -- python main.py -b cpu -e 5"
)]
pub struct Arguments {
    /// The command: in quotes as one would type it, or its words behind `--`
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let imported = import(&arguments.command, read_options)?;
    imported.warnings.iter().for_each(|warning| warn(warning));
    for note in &imported.notes {
        eprintln!("note: {note}");
    }
    print(&imported.toml)?;
    Ok(ExitCode::SUCCESS)
}
