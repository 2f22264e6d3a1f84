//! `graft compare`: a table of what came of the runs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::print;
use crate::error::{Error, Result};
use crate::report::compare::{Order, compare};
use crate::report::table::Format;
use crate::results::find;

/// Put records side by side
///
/// One row an experiment; the runs of several seeds are taken together.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  graft compare\n  graft compare results/faces --format markdown"
)]
pub struct Arguments {
    /// Records, or directories with records below them; none: all of results
    #[arg(value_name = "RECORD")]
    records: Vec<PathBuf>,
    /// table, csv, markdown or json
    #[arg(long, default_value = "table")]
    format: Format,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let (records, order) = match arguments.records.as_slice() {
        [] => {
            let results = PathBuf::from("results");
            if !results.is_dir() {
                return Err(Error::new("there is no directory `results` here")
                    .help("`graft run experiments` makes records; or name a record"));
            }
            let (records, damaged) = find::load_all(&results)?;
            for error in damaged {
                eprintln!("warning: {error}");
            }
            (records, Order::Sorted)
        }
        [directory] => (
            find::load_named(std::slice::from_ref(directory))?,
            Order::Sorted,
        ),
        named => (find::load_named(named)?, Order::Given),
    };
    if records.is_empty() {
        return Err(
            Error::new("no record in `results`").help("`graft run experiments` leaves some")
        );
    }
    print(&compare(&records, order).render(arguments.format))?;
    Ok(ExitCode::SUCCESS)
}
