//! A directory of computed rows, found again by what they were computed from.
//!
//! A file is named by a key, a hash of all that decides its content, so that it is never out of date:
//! whoever has the same key may use it, in this process or another. The directory holds at most so
//! many bytes; the files used least recently go first, and none that somebody has open. Nothing in
//! it is needed: it may be deleted at any time between runs. It does not know what the rows mean.

mod entry;
mod room;

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

pub use entry::Entry;
use entry::{Layout, check};

use crate::error::{At, Result};
use crate::files::hexadecimal;
use crate::files::lock::FileLock;

/// SHA-256 of all that decides the content of an entry.
pub type Key = [u8; 32];

/// Endings of complete files, of those in the making, and of the locks of their makers.
const COMPLETE: &str = "features";
const PARTIAL: &str = "partial";
const LOCK: &str = "lock";

/// How often somebody who waits for another process looks again.
const PAUSE: Duration = Duration::from_millis(100);

/// The directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    directory: PathBuf,
    /// Most bytes of all files together.
    limit: u64,
}

/// What came of looking for a key.
#[derive(Debug)]
pub enum Found {
    Entry(Entry),
    Absent,
    /// The file was damaged, as the text says, and is deleted.
    Damaged(String),
}

/// What came of asking to make an entry.
pub enum Making {
    /// It is to be filled.
    Begun(Filling),
    /// Another process has made it in the meantime.
    Made(Entry),
    /// It does not fit beside what is in use.
    NoRoom,
    /// Whoever waited for another process had enough.
    Stopped,
}

/// An entry in the making. Dropped before [`finish`](Self::finish), it leaves the rows that it has,
/// and the next one to make it goes on behind them.
pub struct Filling {
    layout: Layout,
    key: Key,
    complete: PathBuf,
    partial: PathBuf,
    writer: BufWriter<File>,
    done: usize,
    _lock: FileLock,
}

impl Cache {
    /// The cache in `directory`, which need not exist, of at most `limit` bytes.
    pub fn new(directory: impl Into<PathBuf>, limit: u64) -> Self {
        Self {
            directory: directory.into(),
            limit,
        }
    }

    /// Looks for `rows` rows of `row_bytes` bytes under `key`, and checks every one of them.
    ///
    /// # Errors
    /// A file that is there cannot be read.
    pub fn find(&self, key: &Key, rows: usize, row_bytes: usize) -> Result<Found> {
        let path = self.path(key, COMPLETE);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Absent),
            Err(error) => return Err(error).at(path.display()),
        };
        // As long as the file is open nobody makes room by deleting it.
        file.lock_shared().at(path.display())?;
        // Only the order in which files are deleted depends on it.
        let _ = file.set_modified(SystemTime::now());
        let layout = Layout { rows, row_bytes };
        match check(&file, key, layout).at(path.display())? {
            Ok(()) => Ok(Found::Entry(Entry::new(file, path, *key, layout))),
            Err(damage) => {
                fs::remove_file(&path).at(path.display())?;
                Ok(Found::Damaged(format!("{}: {damage}", path.display())))
            }
        }
    }

    /// Begins, or takes up again, an entry of `rows` rows of `row_bytes` bytes under `key`. While
    /// another process makes it this one waits, unless `stop` says that it shall not.
    ///
    /// # Errors
    /// Whatever the file system refuses.
    pub fn make(
        &self,
        key: &Key,
        rows: usize,
        row_bytes: usize,
        stop: &dyn Fn() -> bool,
    ) -> Result<Making> {
        let layout = Layout { rows, row_bytes };
        if layout.bytes() > self.limit {
            return Ok(Making::NoRoom);
        }
        fs::create_dir_all(&self.directory).at(self.directory.display())?;
        let lock = loop {
            match FileLock::try_acquire(&self.path(key, LOCK))? {
                Some(lock) => break lock,
                None if stop() => return Ok(Making::Stopped),
                None => sleep(PAUSE),
            }
        };
        if let Found::Entry(entry) = self.find(key, rows, row_bytes)? {
            return Ok(Making::Made(entry));
        }
        let partial = self.path(key, PARTIAL);
        if !room::make(&self.directory, self.limit, layout.bytes(), &partial)? {
            return Ok(Making::NoRoom);
        }
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).read(true).write(true);
        let file = options.open(&partial).at(partial.display())?;
        let (file, done) = entry::resumed(file, key, layout).at(partial.display())?;
        Ok(Making::Begun(Filling {
            layout,
            key: *key,
            complete: self.path(key, COMPLETE),
            partial,
            writer: BufWriter::with_capacity(1 << 20, file),
            done,
            _lock: lock,
        }))
    }

    fn path(&self, key: &Key, ending: &str) -> PathBuf {
        let name = format!("{}.{ending}", hexadecimal(key));
        self.directory.join(name)
    }
}

impl Filling {
    /// Rows that are there already, from the first one on.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Appends whole rows.
    ///
    /// # Errors
    /// Whatever the file system refuses.
    pub fn push(&mut self, rows: &[u8]) -> Result<()> {
        for row in rows.chunks_exact(self.layout.row_bytes) {
            let checksum = entry::checksum(&self.key, self.done, row);
            let written = self.writer.write_all(row);
            let written = written.and_then(|()| self.writer.write_all(&checksum.to_le_bytes()));
            written.at(self.partial.display())?;
            self.done += 1;
        }
        Ok(())
    }

    /// Puts the entry in place, and opens it.
    ///
    /// # Errors
    /// Whatever the file system refuses.
    pub fn finish(mut self) -> Result<Entry> {
        debug_assert_eq!(self.done, self.layout.rows);
        self.writer.flush().at(self.partial.display())?;
        let file = self.writer.get_ref().try_clone();
        let file = file.at(self.partial.display())?;
        file.lock_shared().at(self.partial.display())?;
        // Nothing waits for the disk: what a power failure leaves of the file, its checksums tell.
        fs::rename(&self.partial, &self.complete).at(self.complete.display())?;
        Ok(Entry::new(
            file,
            self.complete.clone(),
            self.key,
            self.layout,
        ))
    }
}

/// Whether `path` has the ending of a file that counts against the limit.
fn counts(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    matches!(ending, Some(COMPLETE | PARTIAL))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
