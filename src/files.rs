//! Small helpers on files: checksums, locks, and writing that leaves the old file or the new one.

pub mod lock;
pub mod stamps;

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{At, Error, Result};

/// Length and checksum of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStamp {
    pub bytes: u64,
    /// SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

impl FileStamp {
    /// Reads the whole file, by pieces.
    ///
    /// Errors: the file cannot be read.
    pub fn of(path: &Path) -> Result<Self> {
        let stamp = File::open(path).and_then(|file| Self::of_open(&file));
        stamp.at(path.display())
    }

    /// The same of a file that was opened for it.
    fn of_open(mut file: &File) -> io::Result<Self> {
        let mut hash = Sha256::new();
        // What is hashed is still in the cache of the core that read it.
        let mut buffer = vec![0; 64 << 10];
        let mut bytes = 0;
        loop {
            let read = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            hash.update(&buffer[..read]);
            bytes += read as u64;
        }
        let sha256 = hexadecimal(&hash.finalize());
        Ok(Self { bytes, sha256 })
    }
}

/// Writes `content` to `path` as [`write_atomically_with`] does.
///
/// # Errors
/// Whatever the file system refuses; `path` is then as before.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    write_atomically_with(path, |file| file.write_all(content))
}

/// Lets `write` fill a temporary file beside `path`, brings it to the disk and renames it into
/// place: a reader, or a power failure, finds the old content or the new one.
///
/// # Errors
/// Whatever `write` or the file system refuses; `path` is then as before.
pub fn write_atomically_with(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<()> {
    match path.parent() {
        Some(parent) if parent != Path::new("") && !parent.is_dir() => {
            let problem = format!("there is no directory {}", parent.display());
            Err(Error::new(problem)
                .at(path.display())
                .help("make it first, or choose another place"))
        }
        _ => try_write(path, write).at(path.display()),
    }
}

/// `bytes` as lower-case hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Has the operating system bring a file, or a directory's names, to the disk.
pub fn sync(path: &Path) -> Result<()> {
    // Only Unix opens directories; elsewhere a rename needs no such help.
    if cfg!(not(unix)) && path.is_dir() {
        return Ok(());
    }
    File::open(path)
        .and_then(|file| file.sync_all())
        .at(path.display())
}

fn try_write(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        // As other files are made, less the umask; temporary files are private otherwise.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let temporary = builder.tempfile_in(directory)?;
    let mut file = BufWriter::new(temporary.as_file());
    write(&mut file)?;
    file.flush()?;
    drop(file);
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|failed| failed.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_has_the_sha256_of_fips_180() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("abc");
        fs::write(&path, "abc").unwrap();
        let stamp = FileStamp::of(&path).unwrap();
        assert_eq!(stamp.bytes, 3);
        assert_eq!(
            stamp.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_file_longer_than_the_buffer_is_counted_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("long");
        fs::write(&path, vec![7; 200_000]).unwrap();
        assert_eq!(FileStamp::of(&path).unwrap().bytes, 200_000);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = FileStamp::of(Path::new("no/such/file")).unwrap_err();
        assert!(error.to_string().starts_with("no/such/file: "));
    }

    #[test]
    fn writing_atomically_replaces_and_leaves_nothing_beside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("results.csv");
        write_atomically(&path, b"old").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
