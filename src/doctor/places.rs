//! The directories that runs write to: whether they can, how much is there, how much room is left.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use crate::config::experiment::Experiment;

/// A directory that runs write to.
#[derive(Debug, Serialize)]
pub struct Place {
    /// What goes there.
    pub what: &'static str,
    pub path: PathBuf,
    pub exists: bool,
    /// Whether runs end without it.
    pub is_needed: bool,
    /// Why nothing can be written there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Bytes of all files in it.
    pub bytes: u64,
    /// Bytes of room on its disk; absent where the system does not say.
    pub free: Option<u64>,
    /// Most bytes that it may hold; absent where nothing bounds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// The results, and every cache directory of the experiments.
pub(super) fn places(experiments: &[Experiment], results: &Path) -> Vec<Place> {
    let mut places = vec![place("records", results, true, None)];
    for cache in experiments.iter().map(|experiment| &experiment.cache) {
        let is_new = places.iter().all(|place| place.path != cache.directory);
        if cache.is_on && is_new {
            let limit = Some(cache.limit_bytes());
            places.push(place("kept outputs", &cache.directory, false, limit));
        }
    }
    places
}

fn place(what: &'static str, path: &Path, is_needed: bool, limit: Option<u64>) -> Place {
    let problem = try_to_write(path).err().map(|(place, error)| {
        format!(
            "{}: {what} cannot be written there: {error}\n  help: give yourself the right to write \
             to {}, or run graft in another directory",
            path.display(),
            place.display()
        )
    });
    Place {
        what,
        path: path.to_owned(),
        exists: path.is_dir(),
        is_needed,
        problem,
        bytes: bytes(path).unwrap_or(0),
        free: nearest(path).and_then(|place| free(&place)),
        limit,
    }
}

/// Writes a file without a name to the directory, or where it would be made; an error says where.
fn try_to_write(path: &Path) -> Result<(), (PathBuf, io::Error)> {
    let Some(place) = nearest(path) else {
        let error = io::Error::from(io::ErrorKind::NotFound);
        return Err((path.to_owned(), error));
    };
    match tempfile::tempfile_in(&place) {
        Ok(_) => Ok(()),
        Err(error) => Err((place, error)),
    }
}

/// The directory, or the innermost one above it that is there, a file too.
fn nearest(path: &Path) -> Option<PathBuf> {
    let above = path.ancestors().find(|above| match above.to_str() {
        Some("") => true,
        _ => above.symlink_metadata().is_ok(),
    })?;
    Some(match above.to_str() {
        Some("") => PathBuf::from("."),
        _ => above.to_owned(),
    })
}

/// Of all files in a directory and below it; links are not followed.
fn bytes(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            match metadata.is_dir() {
                true => open.push(entry.path()),
                false => bytes += metadata.len(),
            }
        }
    }
    Ok(bytes)
}

/// By `df`, in the form that POSIX fixes: the standard library does not ask for it.
fn free(directory: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(directory).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().nth(1)?;
    let kilobytes: u64 = line.split_whitespace().nth(3)?.parse().ok()?;
    Some(kilobytes << 10)
}
