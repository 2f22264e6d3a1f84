//! The file of one entry: a header, then each row with its checksum.
//!
//! The checksum (CRC-32) covers the key and the place of the row as well, so that a row of another
//! file, or one in another's place, is told from the right one.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::Key;
use crate::error::{At, Error, Result};

const MAGIC: &[u8; 16] = b"graft features 1";

/// Magic, rows, bytes of a row, key.
const HEADER: usize = 16 + 8 + 8 + 32;

const CHECKSUM: usize = 4;

/// How many rows there are, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub rows: usize,
    pub row_bytes: usize,
}

impl Layout {
    /// Length of the whole file.
    pub fn bytes(self) -> u64 {
        HEADER as u64 + self.rows as u64 * self.stride()
    }

    fn stride(self) -> u64 {
        (self.row_bytes + CHECKSUM) as u64
    }

    fn start(self, row: usize) -> SeekFrom {
        SeekFrom::Start(HEADER as u64 + row as u64 * self.stride())
    }

    fn header(self, key: &Key) -> Vec<u8> {
        let numbers = [self.rows, self.row_bytes].map(|number| (number as u64).to_le_bytes());
        [&MAGIC[..], &numbers[0], &numbers[1], key].concat()
    }
}

/// A complete file, open for reading by any thread. While it is there the file is not deleted to
/// make room.
#[derive(Debug)]
pub struct Entry {
    file: Mutex<File>,
    path: PathBuf,
    key: Key,
    layout: Layout,
}

impl Entry {
    /// `file`, at `path`, has been checked, or written, and is locked.
    pub(super) fn new(file: File, path: PathBuf, key: Key, layout: Layout) -> Self {
        Self {
            file: Mutex::new(file),
            path,
            key,
            layout,
        }
    }

    /// Appends these rows to `out`, one after another.
    ///
    /// # Errors
    /// The file cannot be read, or a row has changed since the file was opened.
    pub fn read(&self, rows: &[usize], out: &mut Vec<u8>) -> Result<()> {
        let mut row_and_checksum = vec![0; self.layout.row_bytes + CHECKSUM];
        for &row in rows {
            self.read_at(row, &mut row_and_checksum)
                .at(self.path.display())?;
            let Some(row_bytes) = checked(&self.key, row, &row_and_checksum) else {
                return Err(
                    Error::new(format!("row {row} has changed while it was in use"))
                        .at(self.path.display())
                        .help("run again: the file is then made anew"),
                );
            };
            out.extend_from_slice(row_bytes);
        }
        Ok(())
    }

    fn read_at(&self, row: usize, out: &mut [u8]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(self.layout.start(row))?;
        file.read_exact(out)
    }
}

/// Reads all of `file`, and says what is wrong with it.
pub fn check(file: &File, key: &Key, layout: Layout) -> io::Result<Result<(), String>> {
    if file.metadata()?.len() != layout.bytes() {
        return Ok(Err("it is not of the length that it should have".into()));
    }
    let valid = valid_rows(file, key, layout)?;
    Ok(match valid {
        None => Err("its header is damaged".into()),
        Some(valid) if valid < layout.rows => Err(format!("row {valid} is damaged")),
        Some(_) => Ok(()),
    })
}

/// Gives a file in the making its header and its length. Returns it, to be written behind the
/// rows that it has, with their number.
pub fn resumed(mut file: File, key: &Key, layout: Layout) -> io::Result<(File, usize)> {
    let length = file.metadata()?.len();
    let rows = match length == layout.bytes() {
        true => valid_rows(&file, key, layout)?.unwrap_or(0),
        false => 0,
    };
    if rows == 0 {
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&layout.header(key))?;
    }
    // What is yet to come counts against the limit already.
    file.set_len(layout.bytes())?;
    file.seek(layout.start(rows))?;
    Ok((file, rows))
}

/// The number of rows up to the first damaged one; `None` without a header.
fn valid_rows(mut file: &File, key: &Key, layout: Layout) -> io::Result<Option<usize>> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut header = vec![0; HEADER];
    reader.read_exact(&mut header)?;
    if header != layout.header(key) {
        return Ok(None);
    }
    let mut row_and_checksum = vec![0; layout.row_bytes + CHECKSUM];
    for row in 0..layout.rows {
        reader.read_exact(&mut row_and_checksum)?;
        if checked(key, row, &row_and_checksum).is_none() {
            return Ok(Some(row));
        }
    }
    Ok(Some(layout.rows))
}

/// The row, if its checksum, which stands behind it, is right.
fn checked<'a>(key: &Key, row: usize, row_and_checksum: &'a [u8]) -> Option<&'a [u8]> {
    let (bytes, stored) = row_and_checksum.split_last_chunk::<CHECKSUM>()?;
    (checksum(key, row, bytes) == u32::from_le_bytes(*stored)).then_some(bytes)
}

/// Of the row at this place.
pub fn checksum(key: &Key, row: usize, bytes: &[u8]) -> u32 {
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(key);
    checksum.update(&(row as u64).to_le_bytes());
    checksum.update(bytes);
    checksum.finalize()
}
