//! The command `graft`: arguments in, errors out, exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match graft::cli::run(graft::cli::Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
