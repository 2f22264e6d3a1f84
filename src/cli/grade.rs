//! `graft grade`: points for a class, with reasons.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::print;
use crate::error::Result;
use crate::grade::{Request, grade};
use crate::report::cell::Cell;
use crate::report::table::{Format, Table};

/// Grade submissions by a rubric: experiments and records, run again
///
/// Writes grades.csv, a sheet a student and Gradescope's results.json. What was graded before and has
/// not changed is not graded again.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  graft grade submissions --rubric rubric.toml --out grades\n  graft grade submissions --rubric rubric.toml --out grades --samples 4 --only ann"
)]
pub struct Arguments {
    /// Directory of submissions, a directory a student
    submissions: PathBuf,
    /// What is asked for, and what it is worth
    #[arg(long)]
    rubric: PathBuf,
    /// Where everything is written
    #[arg(long)]
    out: PathBuf,
    /// Replay so many randomly chosen segments of each run instead of all of it
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Grade these submissions only
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
    /// Grade again what has not changed
    #[arg(long)]
    force: bool,
    /// Format of the table that is printed: table, csv, markdown or json
    #[arg(long, default_value = "table")]
    format: Format,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let request = Request {
        submissions: arguments.submissions,
        rubric: arguments.rubric,
        out: arguments.out,
        samples: arguments.samples,
        only: arguments.only,
        force: arguments.force,
    };
    let graded = grade(&request, &mut |line| eprintln!("{line}"))?;
    let mut table = Table::new(["submission", "points", "of", "found"]);
    for one in &graded {
        table.push([
            Cell::from(one.name.as_str()),
            Cell::Figure(one.score().to_string()),
            Cell::Figure(one.most().to_string()),
            Cell::from(one.verdict()),
        ]);
    }
    print(&table.render(arguments.format))?;
    Ok(ExitCode::SUCCESS)
}
