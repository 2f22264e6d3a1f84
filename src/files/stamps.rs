//! Checksums of files that a command reads again and again: computed once for as long as a file stays
//! as it is.
//!
//! Which file it is and when it last changed, the file system says. A file that changed a moment ago
//! is not remembered: another change could follow within one tick of the file system's clock.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use super::FileStamp;
use crate::error::{At, Result};

/// [`FileStamp::of`], or what it was when this process last asked, if the file has not changed since.
///
/// # Errors
/// The file cannot be read.
pub fn stamp(path: &Path) -> Result<FileStamp> {
    File::open(path)
        .and_then(|file| of_open(&file))
        .at(path.display())
}

/// A checksum that a thread of its own computes while the file is read for other purposes.
pub struct Aside(JoinHandle<io::Result<FileStamp>>);

impl Aside {
    /// Begins with the file at `path`, which is already open as `file`.
    ///
    /// # Errors
    /// It cannot be opened again, or there can be no thread.
    pub fn begin(path: &Path, file: &File) -> io::Result<Self> {
        // Another handle: the two read at their own pace.
        let again = File::open(path)?;
        if State::of(&again.metadata()?) != State::of(&file.metadata()?) {
            return Err(io::Error::other("it was replaced while it was opened"));
        }
        let thread = thread::Builder::new().name("checksum".to_owned());
        Ok(Self(thread.spawn(move || of_open(&again))?))
    }

    /// Waits for it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn end(self) -> io::Result<FileStamp> {
        let panicked = |_| Err(io::Error::other("the thread that reads it panicked"));
        self.0.join().unwrap_or_else(panicked)
    }
}

fn of_open(file: &File) -> io::Result<FileStamp> {
    let state = || Ok::<_, io::Error>(State::of(&file.metadata()?));
    let Some(before) = state()? else {
        return FileStamp::of_open(file);
    };
    if let Some(stamp) = known(|known| known.get(&before).cloned()) {
        return Ok(stamp);
    }
    let stamp = FileStamp::of_open(file)?;
    if before.is_settled() && state()?.as_ref() == Some(&before) {
        known(|known| known.insert(before, stamp.clone()));
    }
    Ok(stamp)
}

/// A file as it is between two changes.
#[derive(Debug, PartialEq, Eq, Hash)]
struct State {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds since 1970. Set by the system alone, at every change.
    changed: (i64, i64),
}

impl State {
    /// `None` where the system does not say.
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Option<Self> {
        None
    }

    /// Whether the last change is so long ago that the next one will have another time.
    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap_or(Duration::ZERO).as_secs();
        u64::try_from(self.changed.0).is_ok_and(|changed| changed + 2 < now)
    }
}

fn known<T>(of: impl FnOnce(&mut HashMap<State, FileStamp>) -> T) -> T {
    static KNOWN: Mutex<Option<HashMap<State, FileStamp>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    of(known.get_or_insert_default())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_changes_has_another_stamp_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        let mut stamps = Vec::new();
        for content in ["one", "two", "six"] {
            fs::write(&path, content).unwrap();
            stamps.push(stamp(&path).unwrap().sha256);
        }
        assert_ne!(stamps[0], stamps[1]);
        assert_ne!(stamps[1], stamps[2]);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_stays_as_it_is_is_read_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        fs::write(&path, "one").unwrap();
        let state = State::of(&fs::metadata(&path).unwrap()).unwrap();
        let remembered = FileStamp {
            bytes: 3,
            sha256: "what was remembered of it".into(),
        };
        known(|known| known.insert(state, remembered.clone()));
        assert_eq!(stamp(&path).unwrap(), remembered);
        fs::write(&path, "longer").unwrap();
        assert_eq!(stamp(&path).unwrap(), FileStamp::of(&path).unwrap());
    }
}
