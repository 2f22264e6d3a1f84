//! Writes a file of labelled images in neon's layout, whole or not at all.
//!
//! It does not know where the images come from. [`super::dataset`] reads what it writes.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::hdf5::{Attribute, Rows, TableWriter, Writer};
use super::layout::CLASS_NAMES;
use crate::error::{At, Error, Result};

/// A file in the making. It appears under its name when it is finished; dropped before, it leaves
/// nothing behind.
pub struct DatasetWriter {
    path: PathBuf,
    /// Beside the file, so that renaming it needs no copy.
    directory: TempDir,
    file: Writer,
    input: TableWriter<u8>,
    shape: [usize; 3],
    class_names: Vec<String>,
    labels: Vec<i32>,
    /// For each channel.
    sums: Vec<u64>,
}

impl DatasetWriter {
    /// Begins a file of uint8 images of `shape` (channels, height, width) with one class for each
    /// of the names. Directories above `path` are made.
    pub fn create(
        path: &Path,
        shape: [usize; 3],
        class_names: &[String],
        rows: Rows,
    ) -> Result<Self> {
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).at(parent.display())?;
        let directory = tempfile::Builder::new()
            .prefix(".graft-")
            .tempdir_in(parent);
        let directory = directory.at(parent.display())?;
        let file = Writer::create(&unfinished(&directory))?;
        let input = file.table("input", rows, shape.iter().product())?;
        input.attribute(
            "lshape",
            &Attribute::Integers(shape.map(|size| size as i64).to_vec()),
        )?;
        Ok(Self {
            path: path.to_owned(),
            directory,
            file,
            input,
            shape,
            class_names: class_names.to_vec(),
            labels: Vec::new(),
            sums: vec![0; shape[0]],
        })
    }

    /// Appends a sample: its values in (channel, row, column) order, and its class.
    ///
    /// # Errors
    /// If the values do not fit the shape, the label is no class, or the disk is full.
    pub fn push(&mut self, pixels: &[u8], label: u32) -> Result<()> {
        let [channels, height, width] = self.shape;
        if pixels.len() != channels * height * width {
            let problem = format!("{} values for a sample of {:?}", pixels.len(), self.shape);
            return Err(Error::new(problem).at(self.path.display()));
        }
        let label = i32::try_from(label)
            .ok()
            .filter(|&label| (label as usize) < self.class_names.len());
        let Some(label) = label else {
            return Err(Error::new("a label that is no class").at(self.path.display()));
        };
        self.input.append(pixels)?;
        self.labels.push(label);
        for (sum, plane) in self
            .sums
            .iter_mut()
            .zip(pixels.chunks_exact(height * width))
        {
            *sum += plane.iter().map(|&value| u64::from(value)).sum::<u64>();
        }
        Ok(())
    }

    /// Number of samples so far.
    pub fn samples(&self) -> usize {
        self.labels.len()
    }

    /// The mean of every channel over the samples so far; 0 without samples.
    pub fn channel_mean(&self) -> Vec<f32> {
        let [_, height, width] = self.shape;
        let count = (self.labels.len() * height * width).max(1) as f64;
        self.sums
            .iter()
            .map(|&sum| (sum as f64 / count) as f32)
            .collect()
    }

    /// Writes labels and this mean (one value a channel), and puts the file in its place,
    /// replacing any that is there.
    pub fn finish(self, mean: &[f32]) -> Result<()> {
        let rows = self.labels.len();
        self.input.finish()?;
        let mut output = self.file.table("output", Rows::Known(rows), 1)?;
        output.append(&self.labels)?;
        output.attribute(
            "nclass",
            &Attribute::Integers(vec![self.class_names.len() as i64]),
        )?;
        output.attribute(CLASS_NAMES, &Attribute::Strings(self.class_names))?;
        output.finish()?;
        let mut table = self.file.table("mean", Rows::Known(mean.len()), 1)?;
        table.append(mean)?;
        table.finish()?;
        self.file.finish()?;
        let unfinished = unfinished(&self.directory);
        fs::File::open(&unfinished)
            .and_then(|file| file.sync_all())
            .at(self.path.display())?;
        fs::rename(&unfinished, &self.path).at(self.path.display())
    }
}

fn unfinished(directory: &TempDir) -> PathBuf {
    directory.path().join("unfinished.h5")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::dataset::{Dataset, MeanSource};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        for rows in [Rows::Known(3), Rows::Growing] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("new/train.h5");
            let classes = names(&["brows up", "sourire é"]);
            let mut writer = DatasetWriter::create(&path, [2, 1, 2], &classes, rows).unwrap();
            writer.push(&[1, 2, 3, 4], 1).unwrap();
            writer.push(&[5, 6, 7, 8], 0).unwrap();
            writer.push(&[9, 10, 11, 12], 1).unwrap();
            let mean = writer.channel_mean();
            assert_eq!(mean, [5.5, 7.5]);
            writer.finish(&mean).unwrap();

            let dataset = Dataset::open(&path).unwrap();
            assert_eq!(dataset.shape(), [2, 1, 2]);
            assert_eq!(dataset.labels(), [1, 0, 1]);
            assert_eq!(dataset.class_names(), classes);
            assert_eq!(dataset.mean_source(), MeanSource::StoredPerChannel);
            assert_eq!(dataset.mean().unwrap(), [5.5, 5.5, 7.5, 7.5]);
            let mut pixels = Vec::<f32>::new();
            dataset.read(&[2, 0], &mut pixels).unwrap();
            assert_eq!(pixels, [9.0, 10.0, 11.0, 12.0, 1.0, 2.0, 3.0, 4.0]);
        }
    }

    #[test]
    fn a_file_that_is_not_finished_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("train.h5");
        let mut writer =
            DatasetWriter::create(&path, [1, 1, 1], &names(&["only"]), Rows::Growing).unwrap();
        writer.push(&[1], 0).unwrap();
        drop(writer);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn samples_that_do_not_fit_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("train.h5");
        let mut writer =
            DatasetWriter::create(&path, [1, 1, 2], &names(&["only"]), Rows::Known(2)).unwrap();
        assert!(writer.push(&[1], 0).is_err());
        assert!(writer.push(&[1, 2], 1).is_err());
        writer.push(&[1, 2], 0).unwrap();
        let error = writer.finish(&[0.0]).unwrap_err();
        assert!(error.to_string().contains("has 1 of its 2 rows"), "{error}");
    }
}
