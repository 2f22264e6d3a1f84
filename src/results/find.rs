//! Finding records, and telling which are complete and unchanged. It writes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::commit::{PARTIAL, is_aside, with_suffix};
use super::loaded::LoadedRecord;
use super::record::RECORD;
use super::writer::has_identity;
use crate::error::{At, Error, Result};

/// What stands in the place of one run's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The record of this very run, its files as they were written.
    Complete,
    /// Nothing, or only files without a record.
    Absent,
    /// An interrupted run of this identity, which `graft run` takes up again.
    Interrupted,
    /// A record of something else, or a damaged one: why.
    Outdated(String),
}

/// Looks at the record of the run `identity` at `dir`. Lengths of all files are compared, and
/// checksums of those up to 16 MiB; see [`LoadedRecord::check_files_quickly`].
pub fn status(dir: &Path, identity: &str) -> Status {
    let partial = with_suffix(dir, PARTIAL);
    let found = match look(dir, identity) {
        Status::Complete => return Status::Complete,
        other => other,
    };
    if has_identity(&partial, identity) {
        return Status::Interrupted;
    }
    found
}

/// Whether nothing stands at `dir`, neither a record nor what an interrupted run left: of no run's
/// identity will [`status`] be anything but [`Status::Absent`].
pub fn is_absent(dir: &Path) -> bool {
    !dir.join(RECORD).exists() && !with_suffix(dir, PARTIAL).exists()
}

/// Whether the record of the run `identity` stands at `dir` as it was written; see [`status`].
pub fn is_complete_and_unchanged(dir: &Path, identity: &str) -> bool {
    status(dir, identity) == Status::Complete
}

/// All record directories at and below `root`, in the order of their paths. What a run has set
/// aside (`.partial`, `.old`) and hidden directories are passed over; links are not followed.
///
/// Errors: a directory cannot be read.
pub fn find(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        if dir.join(RECORD).is_file() {
            found.push(dir.clone());
        }
        for entry in fs::read_dir(&dir).at(dir.display())? {
            let entry = entry.at(dir.display())?;
            let name = entry.file_name();
            let hidden = name.as_encoded_bytes().starts_with(b".");
            let directory = entry.file_type().at(entry.path().display())?.is_dir();
            if directory && !hidden && !is_aside(&entry.path()) {
                open.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The records that can be read at and below `root`, in the order of their paths, and what is
/// wrong with the others.
///
/// Errors: a directory cannot be read.
pub fn load_all(root: &Path) -> Result<(Vec<LoadedRecord>, Vec<Error>)> {
    let mut records = Vec::new();
    let mut damaged = Vec::new();
    for dir in find(root)? {
        match LoadedRecord::read(&dir) {
            Ok(record) => records.push(record),
            Err(error) => damaged.push(error),
        }
    }
    Ok((records, damaged))
}

/// The records that arguments mean: each path is a record's directory, or one with records below.
/// A record that two paths lead to comes once, in the first place.
///
/// Errors: a path does not exist, or has no record at or below it.
pub fn named(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut records = Vec::new();
    let mut seen = BTreeSet::new();
    for path in paths {
        if !path.is_dir() {
            return Err(no_record(path));
        }
        let dirs = find(path)?;
        if dirs.is_empty() {
            return Err(no_record(path));
        }
        for dir in dirs {
            if seen.insert(fs::canonicalize(&dir).at(dir.display())?) {
                records.push(dir);
            }
        }
    }
    Ok(records)
}

/// The records of [`named`], read.
///
/// Errors: as there; a record cannot be read.
pub fn load_named(paths: &[PathBuf]) -> Result<Vec<LoadedRecord>> {
    let dirs = named(paths)?;
    dirs.iter().map(|dir| LoadedRecord::read(dir)).collect()
}

fn look(dir: &Path, identity: &str) -> Status {
    if !dir.join(RECORD).exists() {
        return Status::Absent;
    }
    let loaded = match LoadedRecord::read(dir) {
        Ok(loaded) => loaded,
        Err(error) => return Status::Outdated(error.to_string()),
    };
    if loaded.record.identity != identity {
        let reason = "the experiment, its data or its source model changed since";
        return Status::Outdated(reason.to_owned());
    }
    match loaded.check_files_quickly() {
        Ok(()) => Status::Complete,
        Err(error) => Status::Outdated(error.to_string()),
    }
}

fn no_record(path: &Path) -> Error {
    let (problem, remedy) = if !path.exists() {
        (
            "there is no such directory",
            "`graft run experiments` leaves records in `results`",
        )
    } else if path.is_file() {
        (
            "a file, not a record's directory",
            "name the directory that holds record.json",
        )
    } else if is_aside(path) {
        (
            "not a finished record",
            "run the experiment again: it goes on where it stopped",
        )
    } else {
        (
            "no record here or below",
            "`graft run` leaves one when it has trained to the end",
        )
    };
    Error::new(problem).help(remedy).at(path.display())
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::example;
    use super::super::record::{EXPERIMENT, INFERENCE, METRICS, MODEL, OUTPUTS};
    use super::super::writer::RecordWriter;
    use super::*;

    fn put(dir: &Path) {
        let record = example("faces", 42, 0.85);
        let writer = RecordWriter::begin(dir, &record.identity).unwrap();
        for name in [EXPERIMENT, METRICS, OUTPUTS, INFERENCE, MODEL] {
            fs::write(writer.path(name), name).unwrap();
        }
        writer.commit(record).unwrap();
    }

    fn message(error: Error) -> String {
        error.to_string()
    }

    #[test]
    fn records_are_found_at_any_depth_and_what_is_set_aside_is_not() {
        let results = tempfile::tempdir().unwrap();
        let root = results.path();
        for dir in ["b", "a/seed-2", "a/seed-10", "c", "d", ".hidden"] {
            put(&root.join(dir));
        }
        fs::rename(root.join("c"), root.join("c.partial")).unwrap();
        fs::rename(root.join("d"), root.join("d.old")).unwrap();
        fs::create_dir(root.join("empty")).unwrap();
        let expected = ["a/seed-10", "a/seed-2", "b"].map(|dir| root.join(dir));
        assert_eq!(find(root).unwrap(), expected);
    }

    #[test]
    fn arguments_may_be_records_or_directories_above_and_count_once() {
        let results = tempfile::tempdir().unwrap();
        let root = results.path();
        put(&root.join("a/seed-1"));
        put(&root.join("b"));
        let paths = [root.join("b"), root.to_owned(), root.join("a/../b")];
        let dirs: Vec<_> = load_named(&paths)
            .unwrap()
            .into_iter()
            .map(|it| it.dir)
            .collect();
        assert_eq!(dirs, [root.join("b"), root.join("a/seed-1")]);
    }

    #[test]
    fn an_argument_without_a_record_is_named_with_its_remedy() {
        let results = tempfile::tempdir().unwrap();
        let missing = load_named(&["no/such".into()]).unwrap_err();
        assert!(message(missing).starts_with("no/such: there is no such directory\n  help: "));
        let empty = message(load_named(&[results.path().into()]).unwrap_err());
        assert!(empty.contains("no record here or below"), "{empty}");
        let file = results.path().join("results.csv");
        fs::write(&file, "").unwrap();
        let error = message(load_named(&[file]).unwrap_err());
        assert!(
            error.contains("a file, not a record's directory"),
            "{error}"
        );
    }

    #[test]
    fn a_damaged_record_is_reported_beside_the_others() {
        let results = tempfile::tempdir().unwrap();
        put(&results.path().join("a"));
        put(&results.path().join("b"));
        fs::write(results.path().join("b").join(RECORD), "{").unwrap();
        let (records, damaged) = load_all(results.path()).unwrap();
        assert_eq!((records.len(), damaged.len()), (1, 1));
        assert!(load_named(&[results.path().to_owned()]).is_err());
    }

    #[test]
    fn any_change_makes_a_record_outdated() {
        let results = tempfile::tempdir().unwrap();
        let dir = results.path().join("faces");
        let identity = example("faces", 42, 0.85).identity;
        assert_eq!(status(&dir, &identity), Status::Absent);
        put(&dir);
        assert_eq!(status(&dir, &identity), Status::Complete);

        let reason = |status| match status {
            Status::Outdated(reason) => reason,
            other => panic!("{other:?}"),
        };
        assert!(reason(status(&dir, "another")).contains("changed since"));
        // The same length, another content.
        fs::write(dir.join(METRICS), "METRICS.csv").unwrap();
        assert!(reason(status(&dir, &identity)).contains("metrics.csv: changed since"));
        fs::remove_file(dir.join(METRICS)).unwrap();
        assert!(reason(status(&dir, &identity)).contains("metrics.csv: "));
        fs::write(dir.join(RECORD), "{").unwrap();
        assert!(reason(status(&dir, &identity)).contains("damaged"));
    }
}
