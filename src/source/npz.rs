//! numpy's `.npz`: an archive of arrays, `<layer>.<tensor>.npy` each, and the arrays' headers.
//!
//! Format: numpy's `lib/format.py` (NEP 1), versions 1 to 3. The header is a Python literal, of which
//! only what numpy writes is understood.

use super::archive::{self, Archive, Entry};
use super::element::{ByteOrder, Element};
use super::layers::{self, Layers};
use super::numpy;
use super::pieces::Pieces;
use super::strides::Strides;
use super::{Contents, Format};
use crate::error::{At, Error, Result};
use crate::numbers::Numbers;

/// Whether the archive holds numpy's arrays.
pub fn is_npz(archive: &Archive) -> bool {
    let mut entries = archive.entries().iter();
    entries.any(|entry| entry.name.ends_with(ENDING))
}

/// Reads every array.
///
/// # Errors
/// A damaged archive; an array of objects, text or another type without plain numbers.
pub fn read(pieces: &Pieces, archive: &Archive) -> Result<Contents> {
    let mut found = Layers::of_at_most(archive::room(pieces));
    for entry in archive.entries() {
        let Some(path) = entry.name.strip_suffix(ENDING) else {
            continue;
        };
        array(archive, entry, path, &mut found).at(path.escape_debug())?;
    }
    Ok(Contents {
        format: Format::Npz,
        layers: found.finish(),
        metadata: Default::default(),
    })
}

const ENDING: &str = ".npy";

/// Longest header of an array; numpy's own limit for headers that it trusts is as high.
const LONGEST_HEADER: u64 = 1 << 16;

fn array(archive: &Archive, entry: &Entry, path: &str, found: &mut Layers) -> Result<()> {
    let Some(header) = Header::read(archive, entry)? else {
        return Ok(());
    };
    let (layer, name) = match layers::split(path) {
        // Keras' variables, as `np.savez(**{v.name: …})` calls them.
        (lone, _) if lone == path => slashed(path).unwrap_or((lone, path)),
        parts => parts,
    };
    if layers::is_bookkeeping(header.element.is_float(), &header.shape, name) {
        return Ok(());
    }
    found.room_for(&header.shape, header.element.size())?;
    let values = header.values(archive, entry)?;
    found.push((layer, name), path, header.shape, values)
}

/// `conv1/kernel:0`, where the end says what it is.
fn slashed(path: &str) -> Option<(&str, &str)> {
    let (layer, name) = path.strip_suffix(":0").unwrap_or(path).rsplit_once('/')?;
    layers::is_role(name).then_some((layer, name))
}

/// Whether a header is of an array of text, numpy's type `U`.
fn is_text(header: &str) -> bool {
    let kind = header
        .split_once("'descr':")
        .map(|(_, rest)| rest.trim_start());
    kind.is_some_and(|kind| {
        ["'<U", "'>U", "'|U"]
            .iter()
            .any(|text| kind.starts_with(text))
    })
}

/// What comes before the elements of an array.
#[derive(Debug, PartialEq)]
struct Header {
    element: Element,
    order: ByteOrder,
    is_fortran: bool,
    shape: Vec<usize>,
    /// Bytes before the first element.
    length: u64,
}

impl Header {
    /// None for an array of text.
    fn read(archive: &Archive, entry: &Entry) -> Result<Option<Self>> {
        let mut start = Vec::new();
        let most = (LONGEST_HEADER + 12).min(entry.size);
        archive.for_each_block(entry, 0, most, &mut |block| start.extend_from_slice(block))?;
        let (length, text) = match start.as_slice() {
            [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, a, b, rest @ ..] => {
                (10 + u64::from(u16::from_le_bytes([*a, *b])), rest)
            }
            [
                0x93,
                b'N',
                b'U',
                b'M',
                b'P',
                b'Y',
                2 | 3,
                _,
                a,
                b,
                c,
                d,
                rest @ ..,
            ] => (12 + u64::from(u32::from_le_bytes([*a, *b, *c, *d])), rest),
            _ => return Err(Error::new("is not an array of numpy")),
        };
        let text = usize::try_from(length - (start.len() - text.len()) as u64)
            .ok()
            .and_then(|length| text.get(..length))
            .and_then(|text| std::str::from_utf8(text).ok())
            .ok_or_else(malformed)?;
        // Text describes a model and is no part of it.
        match is_text(text) {
            true => Ok(None),
            false => Self::parse(text, length).map(Some),
        }
    }

    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`
    fn parse(text: &str, length: u64) -> Result<Self> {
        let text = text.trim();
        let inner = text
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'));
        let inner = inner.ok_or_else(malformed)?;
        let after = |key: &str| {
            let (_, rest) = inner.split_once(&format!("'{key}':"))?;
            Some(rest.trim_start())
        };
        let description = after("descr").ok_or_else(malformed)?;
        let description = description
            .strip_prefix('\'')
            .and_then(|d| d.split_once('\''));
        let code = description.map_or("of several fields", |(code, _)| code);
        let (order, code) = match code.split_at_checked(1) {
            Some(("<" | "|" | "=", code)) => (ByteOrder::Little, code),
            Some((">", code)) => (ByteOrder::Big, code),
            _ => (ByteOrder::Little, code),
        };
        let element = numpy::element(code).ok_or_else(|| numpy::unsupported(code))?;
        let fortran = after("fortran_order").ok_or_else(malformed)?;
        let is_fortran = match (fortran.starts_with("True"), fortran.starts_with("False")) {
            (true, _) => true,
            (_, true) => false,
            _ => return Err(malformed()),
        };
        let shape = after("shape").and_then(|shape| shape.strip_prefix('('));
        let (shape, _) = shape
            .and_then(|s| s.split_once(')'))
            .ok_or_else(malformed)?;
        let sizes = shape
            .split(',')
            .map(str::trim)
            .filter(|size| !size.is_empty());
        // Python 2 wrote long integers.
        let sizes = sizes.map(|size| size.strip_suffix('L').unwrap_or(size).parse());
        Ok(Self {
            element,
            order,
            is_fortran,
            shape: sizes.collect::<Result<_, _>>().map_err(|_| malformed())?,
            length,
        })
    }

    fn values(&self, archive: &Archive, entry: &Entry) -> Result<Numbers> {
        let count: usize = self.shape.iter().product();
        let bytes = (count as u64).checked_mul(self.element.size() as u64);
        if bytes.and_then(|bytes| bytes.checked_add(self.length)) != Some(entry.size) {
            let problem = format!("{count} values do not have {} bytes", entry.size);
            return Err(Error::new(problem).help("the file is damaged"));
        }
        // The whole entry is read, so that its checksum is verified; the header is skipped. What
        // follows it need not be aligned to elements.
        let mut skip = self.length as usize;
        let mut rest = Vec::new();
        let feed = |take: &mut dyn FnMut(&[u8])| {
            archive.for_each_block(entry, 0, entry.size, &mut |block| {
                let skipped = skip.min(block.len());
                skip -= skipped;
                rest.extend_from_slice(&block[skipped..]);
                let whole = rest.len() - rest.len() % self.element.size();
                take(&rest[..whole]);
                rest.drain(..whole);
            })
        };
        match self.is_fortran {
            true => {
                let strides = Strides::fortran(&self.shape)?;
                self.element.decode_strided(self.order, &strides, feed)
            }
            false => self.element.decode(self.order, count, feed),
        }
    }
}

fn malformed() -> Error {
    Error::new("its header is malformed").help("the file is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let error = Header::parse(text, 128).err();
        error.map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn headers_of_numpy_are_understood() -> Result<()> {
        let header = Header::parse(
            "{'descr': '>f8', 'fortran_order': True, 'shape': (3L, 4), }   \n",
            80,
        )?;
        let expected = Header {
            element: Element::F64,
            order: ByteOrder::Big,
            is_fortran: true,
            shape: vec![3, 4],
            length: 80,
        };
        assert_eq!(header, expected);
        for (shape, sizes) in [("()", &[][..]), ("(7,)", &[7])] {
            let text = format!("{{'descr': '|i1', 'fortran_order': False, 'shape': {shape}, }}");
            assert_eq!(Header::parse(&text, 80)?.shape, sizes);
        }
        Ok(())
    }

    #[test]
    fn other_types_and_damaged_headers_are_refused() {
        for (descr, problem) in [
            ("'|O'", "dtype `O`"),
            ("'<U4'", "dtype `U4`"),
            ("[('a', '<f4')]", "dtype `of several fields`"),
            ("'<c8'", "dtype `c8`"),
            ("''", "dtype ``"),
        ] {
            let message = refusal(&format!(
                "{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}"
            ));
            assert!(message.contains(problem), "{message}");
        }
        for text in [
            "",
            "{}",
            "{'descr': '<f4'}",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': 3}",
        ] {
            assert!(refusal(text).contains("malformed"), "{text}");
        }
    }
}
