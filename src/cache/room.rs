//! Keeping the directory below its limit: what was used least recently goes, and nothing in use.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{LOCK, PARTIAL, counts};
use crate::error::{At, Result};
use crate::files::lock::FileLock;

/// One file that counts.
struct Held {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// Deletes files of `directory` until `needed` more bytes fit below `limit`; `own` does not count,
/// since it is what they are needed for. Returns whether they fit.
///
/// # Errors
/// The directory cannot be read, or a file that is not in use cannot be deleted.
pub fn make(directory: &Path, limit: u64, needed: u64, own: &Path) -> Result<bool> {
    // Two processes that count at the same time would both find room for one.
    let _lock = FileLock::acquire(&directory.join(LOCK))?;
    let mut held = held(directory, own).at(directory.display())?;
    held.sort_by_key(|file| file.used);
    let mut total: u64 = held.iter().map(|file| file.bytes).sum();
    for file in held {
        if total.saturating_add(needed) <= limit {
            break;
        }
        if delete_unused(&file.path)? {
            total -= file.bytes;
        }
    }
    if total.saturating_add(needed) > limit {
        return Ok(false);
    }
    // The next one to count shall find it.
    let reserved = File::options().create(true).append(true).open(own);
    let reserved = reserved.at(own.display())?;
    let length = reserved.metadata().at(own.display())?.len();
    reserved.set_len(length.max(needed)).at(own.display())?;
    Ok(true)
}

fn held(directory: &Path, own: &Path) -> io::Result<Vec<Held>> {
    let mut held = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if !counts(&path) || path == own {
            continue;
        }
        // Another process may have deleted or renamed it since.
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        held.push(Held {
            bytes: metadata.len(),
            used: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            path,
        });
    }
    Ok(held)
}

/// Whether the file at `path` is gone: nobody had it open, or was making it.
fn delete_unused(path: &Path) -> Result<bool> {
    let is_partial = path.extension().is_some_and(|ending| ending == PARTIAL);
    let _maker = match is_partial {
        true => match FileLock::try_acquire(&path.with_extension(LOCK))? {
            None => return Ok(false),
            lock => lock,
        },
        false => None,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error).at(path.display()),
    };
    match file.try_lock() {
        Ok(()) => fs::remove_file(path).map(|()| true).at(path.display()),
        Err(_) => Ok(false),
    }
}
