//! A lock between processes: a file that exists while somebody works.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{At, Result};

/// An advisory lock held through a file, which is deleted when the lock is dropped. The operating
/// system releases it if the process dies; the file that then remains locks nothing.
#[derive(Debug)]
pub struct FileLock {
    path: PathBuf,
    _file: File,
}

impl FileLock {
    /// Takes the lock, or returns `None` if somebody else holds it.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>> {
        lock(path, File::try_lock).at(path.display())
    }

    /// Takes the lock, waiting for whoever holds it.
    pub fn acquire(path: &Path) -> Result<Self> {
        let wait = |file: &File| file.lock().map_err(TryLockError::Error);
        loop {
            if let Some(lock) = lock(path, wait).at(path.display())? {
                return Ok(lock);
            }
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // A file that cannot be deleted does no harm: unlocked, it locks nothing.
        let _ = fs::remove_file(&self.path);
    }
}

fn lock(
    path: &Path,
    take: impl Fn(&File) -> Result<(), TryLockError>,
) -> io::Result<Option<FileLock>> {
    loop {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        match take(&file) {
            // Its holder may have deleted the file between our opening and our locking it.
            Ok(()) if !is_at(&file, path)? => continue,
            Ok(()) => {
                return Ok(Some(FileLock {
                    path: path.to_owned(),
                    _file: file,
                }));
            }
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Whether `path` still leads to the open `file`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let opened = file.metadata()?;
    match fs::metadata(path) {
        Ok(now) => Ok((now.dev(), now.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether `path` still leads to the open `file`.
#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_refused_and_a_dropped_one_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.lock");
        let held = FileLock::try_acquire(&path).unwrap().unwrap();
        assert!(FileLock::try_acquire(&path).unwrap().is_none());
        drop(held);
        assert!(!path.exists());
        assert!(FileLock::try_acquire(&path).unwrap().is_some());
    }

    #[test]
    fn a_file_left_by_a_dead_process_locks_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.lock");
        fs::write(&path, "").unwrap();
        assert!(FileLock::try_acquire(&path).unwrap().is_some());
    }

    #[test]
    fn eight_threads_never_hold_the_lock_together() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("results.lock");
        let holders = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let _lock = FileLock::acquire(&path).unwrap();
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        holders.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }
}
