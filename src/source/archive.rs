//! Zip archives: their entries by name, read in blocks, never more than they declare.
//!
//! PyTorch's and numpy's files are such archives. It knows neither.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use zip::{CompressionMethod, ZipArchive};

use super::pieces::{BLOCK, Pieces, Reader};
use crate::error::{Error, Result};

/// How many times its size a compressed file may unpack to: weights do not halve, those of which
/// most are zero may shrink to a tenth; a bomb reaches a thousand.
pub const MOST_EXPANSION: u64 = 32;

/// Bytes that any file may unpack to.
const FREE: u64 = 1 << 20;

/// An archive, open for reading.
pub struct Archive {
    zip: RefCell<ZipArchive<Reader>>,
    entries: Vec<Entry>,
    places: HashMap<String, usize>,
    /// Bytes that may still be unpacked.
    left: Cell<u64>,
}

/// One file of an archive.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub name: String,
    /// Bytes of its content, as declared.
    pub size: u64,
    is_stored: bool,
    index: usize,
}

impl Archive {
    /// Reads the list of entries.
    ///
    /// # Errors
    /// A damaged archive, an entry that is encrypted or a name that is there twice.
    pub fn open(pieces: &Pieces) -> Result<Self> {
        let zip = ZipArchive::new(pieces.reader()).map_err(damaged)?;
        if zip.has_duplicate_names() {
            return Err(Error::new("is an archive with two entries of one name"));
        }
        let mut entries = Vec::with_capacity(zip.len());
        for index in 0..zip.len() {
            let data = zip.by_index_data(index).map_err(damaged)?;
            let name = data.name().map_err(damaged)?.into_owned();
            if data.encrypted() {
                let problem = format!("its entry `{}` is encrypted", name.escape_debug());
                return Err(Error::new(problem));
            }
            entries.push(Entry {
                name,
                size: data.size(),
                is_stored: data.compression() == CompressionMethod::Stored,
                index,
            });
        }
        let places = entries
            .iter()
            .map(|entry| entry.name.clone())
            .zip(0..)
            .collect();
        Ok(Self {
            zip: RefCell::new(zip),
            entries,
            places,
            left: Cell::new(room(pieces)),
        })
    }

    /// In the order of the archive.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of this name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(*self.places.get(name)?)
    }

    /// The content of an entry of at most `most` bytes.
    ///
    /// # Errors
    /// A longer one, or as [`for_each_block`](Self::for_each_block).
    pub fn read(&self, entry: &Entry, most: u64) -> Result<Vec<u8>> {
        if entry.size > most {
            let problem = format!("its entry `{}` is too long", entry.name.escape_debug());
            return Err(Error::new(problem));
        }
        let mut content = Vec::new();
        self.for_each_block(entry, 0, entry.size, &mut |block| {
            content.extend_from_slice(block);
        })?;
        Ok(content)
    }

    /// Hands over `len` bytes of an entry from `start` on, in blocks of [`BLOCK`] bytes, the last
    /// one shorter. The checksum is verified where these are all.
    ///
    /// # Errors
    /// An entry that is shorter or longer than declared or otherwise damaged; one that unpacks to
    /// many times its size.
    pub fn for_each_block(
        &self,
        entry: &Entry,
        start: u64,
        len: u64,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        let place = || format!("entry `{}`", entry.name.escape_debug());
        let end = start.checked_add(len).filter(|&end| end <= entry.size);
        let Some(end) = end else {
            let problem = format!("it holds {} bytes, too few", entry.size);
            return Err(Error::new(problem).at(place()));
        };
        let is_whole = (start, len) == (0, entry.size);
        let unpacked = if entry.is_stored { len } else { end };
        let left = self.left.get().checked_sub(unpacked);
        let too_much = || {
            Error::new("unpacks to many times the size of the file").help("this is no model's size")
        };
        self.left.set(left.ok_or_else(too_much)?);
        let mut zip = self.zip.borrow_mut();
        let mut read = || -> io::Result<()> {
            if entry.is_stored && !is_whole {
                let mut content = zip.by_index_seek(entry.index).map_err(io::Error::other)?;
                content.seek(SeekFrom::Start(start))?;
                return blocks(&mut content, len, take);
            }
            let mut content = zip.by_index(entry.index).map_err(io::Error::other)?;
            blocks(&mut content, start, &mut |_| {})?;
            blocks(&mut content, len, take)?;
            // Its end, where the checksum is verified.
            match is_whole && content.read(&mut [0])? != 0 {
                true => Err(io::Error::other("it is longer than declared")),
                false => Ok(()),
            }
        };
        read().map_err(|error| damaged(error).at(place()))
    }
}

/// Bytes that a file may unpack to.
pub fn room(pieces: &Pieces) -> u64 {
    pieces
        .len()
        .saturating_mul(MOST_EXPANSION)
        .saturating_add(FREE)
}

fn blocks(from: &mut impl Read, len: u64, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    let mut done = 0;
    while done < len {
        let size = (len - done).min(BLOCK as u64);
        let block = &mut block[..size as usize];
        from.read_exact(block)?;
        take(block);
        done += size;
    }
    Ok(())
}

fn damaged(error: impl fmt::Display) -> Error {
    let error = error.to_string();
    let error: String = error
        .chars()
        .take(200)
        .flat_map(char::escape_debug)
        .collect();
    Error::new(format!("is a damaged zip archive: {error}"))
        .help("the file is truncated or damaged: copy it again and compare its size")
}
