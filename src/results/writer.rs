//! Writing a record so that nobody ever sees half of one.
//!
//! A run works in `<record>.partial/`: there go its files and its checkpoint, and there they stay
//! if it is killed. [`RecordWriter::commit`] writes `record.json` last and has the directory put
//! into place. `<record>.lock` keeps two processes off one record while it is written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::commit::{LOCK, OLD, PARTIAL, is_aside, names, put_in_place, remove_dir, with_suffix};
use super::record::{OPTIONAL, RECORD, REQUIRED, Record, epochs_of_state};
use crate::error::{At, Error, Result};
use crate::files::lock::FileLock;
use crate::files::{FileStamp, sync, write_atomically};

/// In `.partial`: the identity of the run that works there.
const IDENTITY: &str = "identity";

/// One run's hold on its record, from start to [`commit`](Self::commit). Dropped before, it
/// leaves `.partial` to be taken up again.
#[derive(Debug)]
pub struct RecordWriter {
    dir: PathBuf,
    partial: PathBuf,
    identity: String,
    resumed: bool,
    /// Whether what an interrupted run of another identity left was deleted.
    discarded: bool,
    _lock: FileLock,
}

impl RecordWriter {
    /// Starts, or takes up again, the run `identity` whose record is to stand at `dir`. What an
    /// interrupted run of another identity left is deleted. A record that stands at `dir` is not
    /// touched before [`commit`](Self::commit).
    ///
    /// Errors: another process works on this record; the name is one that graft keeps for itself,
    /// or a file's; the directory cannot be written.
    pub fn begin(dir: &Path, identity: &str) -> Result<Self> {
        check_place(dir)?;
        let parent = dir.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(parent).at(parent.display())?;
        let lock = FileLock::try_acquire(&with_suffix(dir, LOCK))?.ok_or_else(|| {
            Error::new("another graft process is running this experiment")
                .help("wait until it has ended, or end it")
                .at(dir.display())
        })?;
        put_in_place(dir)?;
        let mut writer = Self {
            dir: dir.to_owned(),
            partial: with_suffix(dir, PARTIAL),
            identity: identity.to_owned(),
            resumed: true,
            discarded: false,
            _lock: lock,
        };
        if !has_identity(&writer.partial, identity) {
            writer.discarded = writer.partial.exists();
            writer.start_over()?;
        }
        Ok(writer)
    }

    /// Whether an interrupted run of the same identity left its files here.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// Whether an interrupted run was here whose experiment, data or source model were others.
    pub fn discarded(&self) -> bool {
        self.discarded
    }

    /// Deletes what an interrupted run left.
    pub fn start_over(&mut self) -> Result<()> {
        remove_dir(&self.partial)?;
        fs::create_dir_all(&self.partial).at(self.partial.display())?;
        self.resumed = false;
        write_atomically(&self.partial.join(IDENTITY), self.identity.as_bytes())
    }

    /// Where the file `name` of the record is to be written, or any other that the run needs (a
    /// checkpoint) and that will be deleted with the commit.
    pub fn path(&self, name: &str) -> PathBuf {
        self.partial.join(name)
    }

    /// Completes the record with `record.json`, in which it fills in `files`, and puts it in
    /// place. Returns where it stands now. Every file, the log too, is written to its end before.
    ///
    /// Of a record that stood there, files are replaced; directories and other files (records of
    /// single seeds, somebody's notes) move over.
    ///
    /// Errors: a file of the record is missing, `record` is of another run, or the disk refuses.
    /// The old record then still stands.
    pub fn commit(self, record: Record) -> Result<PathBuf> {
        self.complete(record)?;
        put_in_place(&self.dir)?;
        Ok(self.dir)
    }

    /// All of [`commit`](Self::commit) but the renames.
    pub(super) fn complete(&self, mut record: Record) -> Result<()> {
        if record.identity != self.identity {
            let problem = "the record is not of the run that was begun here";
            return Err(Error::new(problem).at(self.dir.display()));
        }
        record.files = stamp_files(&self.partial)?;
        record.checksum = record.own_checksum()?;
        for name in record.files.keys() {
            sync(&self.path(name))?;
        }
        write_atomically(&self.path(RECORD), record.to_json()?.as_bytes())?;
        sync(&self.partial)
    }
}

/// Whether the run `identity` works, or worked, in the directory `partial`.
pub(super) fn has_identity(partial: &Path, identity: &str) -> bool {
    fs::read(partial.join(IDENTITY)).is_ok_and(|found| found == identity.as_bytes())
}

fn check_place(dir: &Path) -> Result<()> {
    let error = if is_aside(dir) {
        Error::new(format!("a record cannot be named *{PARTIAL} or *{OLD}"))
            .help("name the experiment otherwise")
    } else if dir.is_file() {
        Error::new("a file stands where the record is to go").help("move the file away")
    } else {
        return Ok(());
    };
    Err(error.at(dir.display()))
}

fn stamp_files(partial: &Path) -> Result<BTreeMap<String, FileStamp>> {
    let mut files = BTreeMap::new();
    for name in REQUIRED {
        files.insert(name.to_owned(), FileStamp::of(&partial.join(name))?);
    }
    for name in names(partial)? {
        let Some(name) = name.to_str() else { continue };
        if OPTIONAL.contains(&name) || epochs_of_state(name).is_some() {
            files.insert(name.to_owned(), FileStamp::of(&partial.join(name))?);
        }
    }
    Ok(files)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::find::{Status, find, is_complete_and_unchanged, status};
    use super::super::loaded::LoadedRecord;
    use super::super::record::tests::example;
    use super::super::record::{METRICS, MODEL, RECEIPT};
    use super::*;
    use std::ffi::OsString;

    pub fn fill(writer: &RecordWriter, model: &str) {
        for name in REQUIRED {
            fs::write(writer.path(name), name).unwrap();
        }
        fs::write(writer.path(MODEL), model).unwrap();
    }

    pub fn record(identity: &str) -> Record {
        let mut record = example("faces", 42, 0.85);
        record.identity = identity.to_owned();
        record
    }

    /// Puts a record with this identity, and with it as the model's content, at `dir`.
    pub fn put(dir: &Path, identity: &str) {
        let writer = RecordWriter::begin(dir, identity).unwrap();
        fill(&writer, identity);
        writer.commit(record(identity)).unwrap();
    }

    fn listing(dir: &Path) -> Vec<OsString> {
        let names = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let mut names: Vec<OsString> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_committed_record_stands_alone_and_complete() {
        let results = tempfile::tempdir().unwrap();
        let dir = results.path().join("group/faces");
        let writer = RecordWriter::begin(&dir, "a").unwrap();
        fill(&writer, "weights");
        fs::write(writer.path("checkpoint.safetensors"), "of no use any more").unwrap();
        assert_eq!(find(results.path()).unwrap(), [] as [PathBuf; 0]);
        assert_eq!(writer.commit(record("a")).unwrap(), dir);

        assert_eq!(find(results.path()).unwrap(), std::slice::from_ref(&dir));
        assert!(is_complete_and_unchanged(&dir, "a"));
        LoadedRecord::read(&dir).unwrap().check_files().unwrap();
        assert_eq!(listing(&results.path().join("group")), ["faces"]);
        assert!(!dir.join("checkpoint.safetensors").exists());
    }

    #[test]
    fn a_killed_run_leaves_its_checkpoint_and_no_record() {
        let results = tempfile::tempdir().unwrap();
        let dir = results.path().join("faces");
        let writer = RecordWriter::begin(&dir, "a").unwrap();
        assert!(!writer.resumed());
        fill(&writer, "weights");
        fs::write(writer.path("checkpoint.safetensors"), "epoch 3").unwrap();
        drop(writer);
        assert_eq!(find(results.path()).unwrap(), [] as [PathBuf; 0]);
        assert_eq!(status(&dir, "a"), Status::Interrupted);

        let again = RecordWriter::begin(&dir, "a").unwrap();
        assert!(again.resumed());
        assert_eq!(
            fs::read(again.path("checkpoint.safetensors")).unwrap(),
            b"epoch 3"
        );
    }

    #[test]
    fn what_a_run_of_another_identity_left_is_not_taken_up() {
        let results = tempfile::tempdir().unwrap();
        let dir = results.path().join("faces");
        let writer = RecordWriter::begin(&dir, "a").unwrap();
        fs::write(writer.path("checkpoint.safetensors"), "epoch 3").unwrap();
        drop(writer);
        let other = RecordWriter::begin(&dir, "b").unwrap();
        assert!(!other.resumed());
        assert!(!other.path("checkpoint.safetensors").exists());
    }

    #[test]
    fn a_new_record_replaces_the_old_one_and_only_that() {
        let results = tempfile::tempdir().unwrap();
        let dir = results.path().join("faces");
        put(&dir, "a");
        fs::write(dir.join(RECEIPT), "of the old one").unwrap();
        fs::write(dir.join("notes.txt"), "mine").unwrap();
        put(&dir.join("seed-1"), "seed 1");
        put(&dir, "b");

        assert_eq!(fs::read(dir.join(MODEL)).unwrap(), b"b");
        assert!(is_complete_and_unchanged(&dir, "b"));
        assert!(!dir.join(RECEIPT).exists());
        assert_eq!(fs::read(dir.join("notes.txt")).unwrap(), b"mine");
        assert_eq!(
            find(results.path()).unwrap(),
            [dir.clone(), dir.join("seed-1")]
        );
        assert_eq!(listing(results.path()), ["faces"]);
    }

    #[test]
    fn the_old_record_stands_until_the_new_one_is_complete() {
        let results = tempfile::tempdir().unwrap();
        let dir = results.path().join("faces");
        put(&dir, "a");
        let writer = RecordWriter::begin(&dir, "b").unwrap();
        fs::write(writer.path(METRICS), "").unwrap();
        let error = writer.commit(record("b")).unwrap_err().to_string();
        assert!(error.contains("experiment.toml"), "{error}");
        assert!(is_complete_and_unchanged(&dir, "a"));
    }

    #[test]
    fn a_record_of_another_run_is_refused() {
        let results = tempfile::tempdir().unwrap();
        let writer = RecordWriter::begin(&results.path().join("faces"), "a").unwrap();
        fill(&writer, "weights");
        assert!(writer.commit(record("b")).is_err());
    }

    #[test]
    fn two_runs_on_one_record_are_refused_until_the_first_has_ended() {
        let results = tempfile::tempdir().unwrap();
        let dir = results.path().join("faces");
        let first = RecordWriter::begin(&dir, "a").unwrap();
        let error = RecordWriter::begin(&dir, "a").unwrap_err().to_string();
        assert!(
            error.contains("another graft process is running"),
            "{error}"
        );
        RecordWriter::begin(&results.path().join("others"), "b").unwrap();
        drop(first);
        RecordWriter::begin(&dir, "a").unwrap();
    }

    #[test]
    fn a_file_in_the_place_of_the_record_is_not_replaced() {
        let results = tempfile::tempdir().unwrap();
        let dir = results.path().join("faces");
        fs::write(&dir, "mine").unwrap();
        let error = RecordWriter::begin(&dir, "a").unwrap_err().to_string();
        assert!(error.contains("a file stands where the record"), "{error}");
    }

    #[test]
    fn names_that_would_never_be_found_are_refused() {
        assert!(RecordWriter::begin(Path::new("results/faces.old"), "a").is_err());
        assert!(RecordWriter::begin(Path::new("results/faces.partial"), "a").is_err());
    }
}
