//! Zip archives as numpy and PyTorch write them: nothing compressed, the content of each file aligned
//! to 64 bytes, the same bytes for the same content.

use std::io::{Result, Seek, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// An archive that is being written.
pub struct Archive<W: Write + Seek> {
    zip: ZipWriter<W>,
}

/// Bytes to which PyTorch aligns tensors.
const ALIGNMENT: u16 = 64;

impl<W: Write + Seek> Archive<W> {
    pub fn new(file: W) -> Self {
        Self {
            zip: ZipWriter::new(file),
        }
    }

    /// Adds the file `name` of `bytes` bytes, which are those of `blocks` in turn.
    ///
    /// # Errors
    /// A name twice; whatever the file system refuses.
    pub fn add(
        &mut self,
        name: &str,
        bytes: usize,
        mut blocks: impl Iterator<Item = impl AsRef<[u8]>>,
    ) -> Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .with_alignment(ALIGNMENT)
            .last_modified_time(DateTime::default())
            // Beyond what the lengths of the first zip archives can say.
            .large_file(bytes >= u32::MAX as usize);
        self.zip.start_file(name, options)?;
        blocks.try_for_each(|block| self.zip.write_all(block.as_ref()))
    }

    /// Writes the list of files that ends an archive.
    ///
    /// # Errors
    /// Whatever the file system refuses.
    pub fn finish(self) -> Result<()> {
        self.zip.finish()?;
        Ok(())
    }
}
