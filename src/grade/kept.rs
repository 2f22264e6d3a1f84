//! Reports of an earlier call, so that what has not changed is not graded again.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::report::Report;
use crate::error::{At, Error, Result};
use crate::files::{hexadecimal, write_atomically};

/// Changes when the same submission is judged in another way than by an older graft.
const GENERATION: &str = "grade 1";

#[derive(Serialize, Deserialize)]
struct Kept {
    /// Of all that the report follows from.
    key: String,
    report: Report,
}

/// What a report follows from: the submission's files, the rubric with the grader's data, how much is
/// replayed, and this program.
pub fn key(submission: &str, grounds: &str, samples: Option<usize>) -> String {
    let samples = samples.map_or("all".to_owned(), |samples| samples.to_string());
    let parts = [
        GENERATION,
        env!("CARGO_PKG_VERSION"),
        submission,
        grounds,
        &samples,
    ];
    hexadecimal(&Sha256::digest(parts.join("\n")))
}

/// The report kept at `path`, if it follows from `key`. One that cannot be read is made anew.
pub fn read(path: &Path, key: &str) -> Option<Report> {
    let text = fs::read_to_string(path).ok()?;
    let kept: Kept = serde_json::from_str(&text).ok()?;
    (kept.key == key).then_some(kept.report)
}

/// Keeps a report.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, key: String, report: &Report) -> Result<()> {
    let kept = Kept {
        key,
        report: report.clone(),
    };
    let text = serde_json::to_string_pretty(&kept).map_err(|error| Error::new(error.to_string()));
    write_atomically(path, (text.at(path.display())? + "\n").as_bytes())
}
