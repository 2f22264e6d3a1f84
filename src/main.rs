//! The command `graft`: arguments in, errors out, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    match graft::cli::run(graft::cli::parse(std::env::args_os())) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
