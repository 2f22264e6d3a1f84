//! How a finished run's directory gets the name of its record, and how that survives a crash.
//!
//! `<record>.partial/` is complete when it has its `record.json`. A record that stands in the place
//! is renamed to `<record>.old/`, the new one takes the name, the old one is deleted. No portable
//! call exchanges two directories, so for the microseconds between the two renames nothing has the
//! name; the new record is then complete beside it, and [`recover`] finishes what a crash at that
//! moment left.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::record::{OPTIONAL, RECORD, REQUIRED, epochs_of_state};
use crate::error::{At, Result};
use crate::files::lock::FileLock;
use crate::files::sync;

/// Ending of the directory in which a run works.
pub(super) const PARTIAL: &str = ".partial";
/// Ending of a replaced record until it is deleted.
pub(super) const OLD: &str = ".old";
/// Ending of the file that keeps two processes off one record.
pub(super) const LOCK: &str = ".lock";

/// Finishes a commit that was interrupted between its renames. Where there is none, or where
/// another process works on the record, it does nothing. Call it before looking whether the
/// record is complete.
pub fn recover(dir: &Path) -> Result<()> {
    let complete = with_suffix(dir, PARTIAL).join(RECORD).exists();
    if !complete && !with_suffix(dir, OLD).exists() {
        return Ok(());
    }
    match FileLock::try_acquire(&with_suffix(dir, LOCK))? {
        Some(_lock) => put_in_place(dir),
        None => Ok(()),
    }
}

/// Brings `.partial`, if it is complete, and what is left in `.old` to `dir`. Can be interrupted
/// anywhere and called again. The caller holds the lock.
pub(super) fn put_in_place(dir: &Path) -> Result<()> {
    let (partial, old) = (with_suffix(dir, PARTIAL), with_suffix(dir, OLD));
    if partial.join(RECORD).exists() {
        remove_all_but_the_record(&partial)?;
        move_over(&old, dir)?;
        if dir.exists() {
            rename(dir, &old)?;
        }
        rename(&partial, dir)?;
        if let Some(parent) = dir.parent().filter(|parent| *parent != Path::new("")) {
            sync(parent)?;
        }
    }
    move_over(&old, dir)
}

/// `path` with `suffix` behind its name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Whether the name says that this is not a record but something that a run has set aside.
pub(super) fn is_aside(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.ends_with(PARTIAL.as_bytes()) || name.ends_with(OLD.as_bytes())
}

/// Deletes a directory that need not exist.
pub(super) fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at(dir.display()),
        _ => Ok(()),
    }
}

/// Moves from `old` to `dir` whatever `dir` does not replace, then deletes `old`. Directories that
/// both have are gone through in the same way.
fn move_over(old: &Path, dir: &Path) -> Result<()> {
    if !old.exists() {
        return Ok(());
    }
    fs::create_dir_all(dir).at(dir.display())?;
    let replaced = dir.join(RECORD).exists();
    for name in names(old)? {
        let (from, to) = (old.join(&name), dir.join(&name));
        if replaced && is_of_a_record(&name) {
            continue;
        } else if !to.exists() {
            rename(&from, &to)?;
        } else if from.is_dir() && to.is_dir() && !from.is_symlink() {
            move_over(&from, &to)?;
        }
    }
    remove_dir(old)
}

fn remove_all_but_the_record(partial: &Path) -> Result<()> {
    for name in names(partial)? {
        let path = partial.join(&name);
        if is_of_a_record(&name) {
            continue;
        } else if path.is_dir() {
            remove_dir(&path)?;
        } else {
            fs::remove_file(&path).at(path.display())?;
        }
    }
    Ok(())
}

fn is_of_a_record(name: &OsStr) -> bool {
    let mut own = REQUIRED.iter().chain(&OPTIONAL).chain([&RECORD]);
    own.any(|own| name == *own)
        || name
            .to_str()
            .is_some_and(|name| epochs_of_state(name).is_some())
}

pub(super) fn names(dir: &Path) -> Result<Vec<OsString>> {
    let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name());
    let entries = fs::read_dir(dir).at(dir.display())?;
    entries
        .map(name)
        .collect::<io::Result<_>>()
        .at(dir.display())
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).at(from.display())
}

#[cfg(test)]
mod tests {
    use super::super::find::{find, is_complete_and_unchanged};
    use super::super::writer::RecordWriter;
    use super::super::writer::tests::{fill, put, record};
    use super::*;

    /// Leaves a complete record in `.partial`, as a crash just before the renames does.
    fn stop_before_the_renames(dir: &Path, identity: &str) {
        let writer = RecordWriter::begin(dir, identity).unwrap();
        fill(&writer, identity);
        writer.complete(record(identity)).unwrap();
    }

    #[test]
    fn a_crash_before_the_first_rename_is_recovered() {
        let results = tempfile::tempdir().unwrap();
        let dir = results.path().join("faces");
        put(&dir, "a");
        stop_before_the_renames(&dir, "b");
        assert!(is_complete_and_unchanged(&dir, "a"));
        recover(&dir).unwrap();
        assert!(is_complete_and_unchanged(&dir, "b"));
        assert_eq!(names(results.path()).unwrap(), ["faces"]);
    }

    #[test]
    fn a_crash_between_the_renames_is_recovered_with_the_seeds_beside() {
        let results = tempfile::tempdir().unwrap();
        let dir = results.path().join("faces");
        put(&dir, "a");
        put(&dir.join("seed-1"), "seed 1");
        stop_before_the_renames(&dir, "b");
        fs::rename(&dir, with_suffix(&dir, OLD)).unwrap();
        // Meanwhile another seed is run, which makes the directory anew, and the first again.
        put(&dir.join("seed-2"), "seed 2");
        drop(RecordWriter::begin(&dir.join("seed-1"), "seed 1").unwrap());
        fs::create_dir(dir.join("seed-1")).unwrap();
        recover(&dir).unwrap();
        remove_dir(&dir.join("seed-1.partial")).unwrap();
        assert!(is_complete_and_unchanged(&dir.join("seed-1"), "seed 1"));

        assert!(is_complete_and_unchanged(&dir, "b"));
        let seeds = [dir.clone(), dir.join("seed-1"), dir.join("seed-2")];
        assert_eq!(find(results.path()).unwrap(), seeds);
        assert_eq!(names(results.path()).unwrap(), ["faces"]);
    }

    #[test]
    fn an_old_record_whose_successor_is_gone_comes_back() {
        let results = tempfile::tempdir().unwrap();
        let dir = results.path().join("faces");
        put(&dir, "a");
        fs::rename(&dir, with_suffix(&dir, OLD)).unwrap();
        recover(&dir).unwrap();
        assert!(is_complete_and_unchanged(&dir, "a"));
    }
}
