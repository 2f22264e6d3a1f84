//! The first bytes of an HDF5 file: enough of them to notice a truncated one.
//!
//! Readers find a truncated file only when they reach the missing rows, hours into a training.
//! The superblock says where the file should end (HDF5 File Format Specification 3.0, II.A).

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::{Error, Result};

const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// Longest part of a superblock that is read here.
const READ: usize = 64;

/// What graft needs of a superblock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superblock {
    /// Where the superblock begins; the addresses in the file count from here.
    pub base: u64,
    /// Bytes of an address, 8 in practice.
    pub address_bytes: u8,
    /// Bytes of a length, 8 in practice.
    pub length_bytes: u8,
    /// Length that the file has on disk.
    pub file_length: u64,
}

/// Reads the superblock of the file at `path`.
///
/// # Errors
/// If the file cannot be read, is not HDF5, or ends before its own end-of-file address.
pub fn check(path: &Path) -> Result<Superblock> {
    let mut file = fs::File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(Error::new("is a directory, not an HDF5 file"));
    }
    let file_length = metadata.len();
    // A user block of 512 · 2ⁿ bytes may precede the superblock.
    let places = std::iter::successors(Some(512u64), |place| place.checked_mul(2));
    for base in std::iter::once(0)
        .chain(places)
        .take_while(|&base| base < file_length)
    {
        let mut bytes = Vec::with_capacity(READ);
        file.seek(SeekFrom::Start(base))?;
        file.by_ref().take(READ as u64).read_to_end(&mut bytes)?;
        if bytes.starts_with(&SIGNATURE) {
            return parse(&bytes, base, file_length);
        }
    }
    Err(Error::new("is not an HDF5 file").help("a file of another kind, or a failed download?"))
}

fn parse(bytes: &[u8], base: u64, file_length: u64) -> Result<Superblock> {
    let truncated = |end: &str| {
        Error::new(format!(
            "is truncated: it should have {end}, but has {file_length} bytes"
        ))
        .help("copy or make the file again")
    };
    let byte = |place: usize| {
        bytes
            .get(place)
            .copied()
            .ok_or_else(|| truncated("a superblock"))
    };
    let (address_bytes, length_bytes, first_address) = match byte(8)? {
        0 => (byte(13)?, byte(14)?, 24),
        1 => (byte(13)?, byte(14)?, 28),
        2 | 3 => (byte(9)?, byte(10)?, 12),
        version => {
            return Err(Error::new(format!(
                "has a superblock of version {version}, which is unknown"
            )));
        }
    };
    if !matches!(address_bytes, 2 | 4 | 8) || !matches!(length_bytes, 2 | 4 | 8) {
        return Err(Error::new("has a damaged superblock").help("copy or make the file again"));
    }
    // Base address, free space or extension, end of file: the third address in every version.
    let mut end = 0u64;
    for place in (0..usize::from(address_bytes)).rev() {
        end = end << 8
            | u64::from(byte(
                first_address + 2 * usize::from(address_bytes) + place,
            )?);
    }
    if file_length < end {
        return Err(truncated(&format!("{end} bytes")));
    }
    Ok(Superblock {
        base,
        address_bytes,
        length_bytes,
        file_length,
    })
}
