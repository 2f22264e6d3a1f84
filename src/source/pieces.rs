//! A model file that is read by pieces: its bytes are never in memory as a whole beside the values
//! that are made of them.
//!
//! Every read is checked against the file's length before anything is allocated. It knows no format.

use std::cell::RefCell;
use std::fmt;
use std::fs;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use crate::error::{Error, Result};

/// Bytes that are read at a time; a multiple of every element's size.
pub const BLOCK: usize = 1 << 16;

/// A file, or bytes in memory. Clones share it.
#[derive(Clone)]
pub struct Pieces {
    source: Rc<RefCell<Source>>,
    len: u64,
}

impl Pieces {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::of_file(fs::File::open(path)?)
    }

    /// A file that is open.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn of_file(file: fs::File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self::new(Box::new(file), metadata.len()))
    }

    /// Bytes that are in memory already.
    pub fn of(bytes: Vec<u8>) -> Self {
        let len = bytes.len() as u64;
        Self::new(Box::new(Cursor::new(bytes)), len)
    }

    fn new(file: Box<dyn ReadSeek>, len: u64) -> Self {
        let source = Source {
            file,
            window: Vec::new(),
            start: 0,
        };
        Self {
            source: Rc::new(RefCell::new(source)),
            len,
        }
    }

    /// Number of bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// A copy of `len` bytes from `offset` on.
    ///
    /// # Errors
    /// The file ends before, or cannot be read; nothing is allocated for an absurd length.
    pub fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        self.check(offset, len)?;
        let too_long = |_| Error::new(format!("{len} bytes are more than the memory can hold"));
        let mut bytes = vec![0; usize::try_from(len).map_err(too_long)?];
        self.fill(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `bytes` from `offset` on.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn fill(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        self.check(offset, bytes.len() as u64)?;
        Ok(self.source.borrow_mut().copy(offset, bytes)?)
    }

    /// The `N` bytes at `offset`, with those around them read ahead.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn array<const N: usize>(&self, offset: u64) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Hands over `len` bytes from `offset` on, in blocks of [`BLOCK`] bytes, the last one shorter.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn for_each_block(&self, offset: u64, len: u64, take: &mut dyn FnMut(&[u8])) -> Result<()> {
        self.check(offset, len)?;
        let mut block = vec![0; BLOCK];
        let mut done = 0;
        while done < len {
            let size = (len - done).min(BLOCK as u64);
            let block = &mut block[..size as usize];
            self.source.borrow_mut().direct(offset + done, block)?;
            take(block);
            done += size;
        }
        Ok(())
    }

    /// Place of the next byte of this value at or behind `offset`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn find(&self, byte: u8, offset: u64) -> Result<Option<u64>> {
        let mut place = offset;
        let mut block = vec![0; BLOCK.min(1 << 10)];
        while place < self.len {
            let size = (self.len - place).min(block.len() as u64);
            let block = &mut block[..size as usize];
            self.source.borrow_mut().copy(place, block)?;
            if let Some(index) = block.iter().position(|&found| found == byte) {
                return Ok(Some(place + index as u64));
            }
            place += size;
        }
        Ok(None)
    }

    /// The bytes for readers that want to read and seek.
    pub fn reader(&self) -> Reader {
        Reader {
            pieces: self.clone(),
            position: 0,
        }
    }

    /// # Errors
    /// The file ends before `len` bytes from `offset` on.
    pub fn check(&self, offset: u64, len: u64) -> Result<()> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => Ok(()),
            _ => {
                let left = self.len.saturating_sub(offset);
                let problem = format!("{len} bytes should follow, but the file ends after {left}");
                Err(Error::new(problem)
                    .help("the file is truncated or damaged: copy it again and compare its size"))
            }
        }
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len)
    }
}

/// [`Pieces`] with a position, as [`Read`] and [`Seek`] want it.
#[derive(Debug)]
pub struct Reader {
    pieces: Pieces,
    position: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.pieces.len.saturating_sub(self.position);
        let size = left.min(buffer.len() as u64) as usize;
        let mut source = self.pieces.source.borrow_mut();
        source.copy(self.position, &mut buffer[..size])?;
        self.position += size as u64;
        Ok(size)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(distance) => self.pieces.len.checked_add_signed(distance),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
        };
        self.position = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

struct Source {
    file: Box<dyn ReadSeek>,
    /// A part of the file, for many small reads side by side.
    window: Vec<u8>,
    /// Where it begins.
    start: u64,
}

impl Source {
    /// Fills `bytes` from `offset` on; the caller has checked that so many are there.
    fn copy(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        if bytes.len() >= BLOCK {
            return self.direct(offset, bytes);
        }
        if !self.holds(offset, bytes.len()) {
            self.window.clear();
            self.start = offset;
            self.file.seek(SeekFrom::Start(offset))?;
            let window = &mut self.window;
            self.file.by_ref().take(BLOCK as u64).read_to_end(window)?;
            if !self.holds(offset, bytes.len()) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let place = (offset - self.start) as usize;
        bytes.copy_from_slice(&self.window[place..place + bytes.len()]);
        Ok(())
    }

    fn holds(&self, offset: u64, len: usize) -> bool {
        let end = self.start + self.window.len() as u64;
        offset >= self.start && offset <= end && end - offset >= len as u64
    }

    fn direct(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_bytes_of_the_file_wherever_they_begin() -> Result<()> {
        let bytes: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        let pieces = Pieces::of(bytes.clone());
        for (offset, len) in [
            (0, 7),
            (65_530, 20),
            (3, 70_000),
            (199_999, 1),
            (200_000, 0),
        ] {
            let found = pieces.read(offset as u64, len as u64)?;
            assert_eq!(found, bytes[offset..offset + len], "{offset}");
        }
        assert_eq!(pieces.array::<2>(65_535)?, [bytes[65_535], bytes[65_536]]);
        let mut blocks = Vec::new();
        pieces.for_each_block(5, 150_000, &mut |block| blocks.extend_from_slice(block))?;
        assert_eq!(blocks, bytes[5..150_005]);
        assert_eq!(pieces.find(250, 100_000)?, Some(100_148));
        assert_eq!(pieces.find(255, 0)?, None);
        Ok(())
    }

    #[test]
    fn beyond_the_end_is_an_error_and_never_an_allocation() {
        let pieces = Pieces::of(vec![0; 10]);
        for (offset, len) in [(0, 11), (10, 1), (11, 0), (u64::MAX, 2), (1, u64::MAX)] {
            let error = pieces.read(offset, len).err().map(|e| e.to_string());
            assert!(error.is_some_and(|e| e.contains("the file ends after")));
            assert!(pieces.for_each_block(offset, len, &mut |_| {}).is_err());
        }
    }

    #[test]
    fn a_reader_reads_and_seeks() -> io::Result<()> {
        let mut reader = Pieces::of(b"0123456789".to_vec()).reader();
        reader.seek(SeekFrom::End(-3))?;
        let mut rest = String::new();
        reader.read_to_string(&mut rest)?;
        assert_eq!(rest, "789");
        assert!(reader.seek(SeekFrom::Current(-11)).is_err());
        reader.seek(SeekFrom::Start(99))?;
        assert_eq!(reader.read(&mut [0; 4])?, 0);
        Ok(())
    }
}
