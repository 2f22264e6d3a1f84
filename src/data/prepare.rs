//! Class folders of JPEG and PNG files → `train.h5` and `test.h5` in neon's layout.
//!
//! ```text
//! DIR/cats/*.jpg      DIR/train/cats/*.jpg
//! DIR/dogs/*.png  or  DIR/train/dogs/*.png
//!                     DIR/test/cats/…       (or val)
//! ```
//! One image is in memory at a time. This module does not know how files are decoded, or the
//! command line.

use std::path::{Path, PathBuf};

use super::folders::{self, ClassFolder};
use super::hdf5::Rows;
use super::images::Image;
use super::writer::DatasetWriter;
use crate::error::{At, Error, Result};
use crate::random::Stream;

/// How images become HDF5 files.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Side of the square images in pixels; see [`Image::resized`] for how they are cut.
    pub size: usize,
    /// Length of an image's shorter side, in pixels, when the square of `size` is cut out of its
    /// middle; absent: that of the square, so that nothing is cut off the shorter side.
    pub resize: Option<usize>,
    /// Seeds the split and the order of the samples.
    pub seed: u64,
    /// Share of each class that is kept for testing, if there are no folders that say so.
    pub test_fraction: f64,
    pub on_error: OnError,
    /// Whether to replace files that are there already.
    pub force: bool,
}

/// What to do about an image that cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// End with an error that names it.
    Fail,
    /// Leave it out, and list it in the summary.
    Skip,
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub train: PathBuf,
    pub test: PathBuf,
    /// In the order of the labels.
    pub classes: Vec<ClassCount>,
    /// Red, green and blue, averaged over the training images.
    pub mean: Vec<f32>,
    /// Errors that name the images left out; empty with [`OnError::Fail`].
    pub skipped: Vec<Error>,
}

/// A class and how many of its images were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassCount {
    pub name: String,
    pub train: usize,
    pub test: usize,
}

/// Writes `train.h5` and `test.h5` into `out` from the images below `directory`.
///
/// Labels follow the alphabetical order of the class folders; their names are kept in the files.
/// Folders `train` and `test` (or `val`) in `directory` are the splits; otherwise the files of each
/// class are split at random. Samples are in random order. Both files carry the channel mean of
/// the training images.
///
/// # Errors
/// If there are no class folders, the splits have different classes, a class is too small to be
/// split, an image is broken (unless skipped), or the files exist (unless forced) or cannot be
/// written. No file is left half-written.
pub fn images(directory: &Path, out: &Path, options: &Options) -> Result<Summary> {
    options.check()?;
    let (train, test) = (out.join("train.h5"), out.join("test.h5"));
    for file in [&train, &test] {
        if file.exists() && !options.force {
            let error = Error::new("exists already").at(file.display());
            return Err(error.help("choose another --out, or replace it with --force"));
        }
    }
    let splits = find_splits(directory, options)?;
    let names: Vec<String> = splits[0].iter().map(|class| class.name.clone()).collect();
    let mut skipped = Vec::new();
    let mut writers = Vec::new();
    let mut counts = Vec::new();
    for (index, (classes, path)) in splits.iter().zip([&train, &test]).enumerate() {
        let files = shuffled(classes, options.seed, index as u64);
        let (writer, count) = write_split(&files, path, &names, options, &mut skipped)?;
        writers.push(writer);
        counts.push(count);
    }
    let mean = writers[0].channel_mean();
    for writer in writers {
        writer.finish(&mean)?;
    }
    let classes = names
        .into_iter()
        .enumerate()
        .map(|(label, name)| ClassCount {
            name,
            train: counts[0][label],
            test: counts[1][label],
        });
    Ok(Summary {
        classes: classes.collect(),
        train,
        test,
        mean,
        skipped,
    })
}

impl Options {
    fn check(&self) -> Result<()> {
        if self.size == 0 {
            return Err(Error::new("images of 0 pixels")
                .at("--size")
                .help("try --size 64"));
        }
        if let Some(resize) = self.resize.filter(|&resize| resize < self.size) {
            let problem = format!("{resize} is less than the size {}", self.size);
            return Err(Error::new(problem)
                .at("--resize")
                .help("usual is `--resize 256 --size 224`"));
        }
        if !(self.test_fraction > 0.0 && self.test_fraction < 1.0) {
            let problem = format!("{} is not between 0 and 1", self.test_fraction);
            return Err(Error::new(problem).at("--test_fraction"));
        }
        Ok(())
    }
}

/// The classes of the training and the test split, in the same order.
fn find_splits(directory: &Path, options: &Options) -> Result<[Vec<ClassFolder>; 2]> {
    let train = directory.join("train");
    let test = ["test", "val"].map(|name| directory.join(name));
    match test.iter().find(|test| test.is_dir()) {
        Some(test) if train.is_dir() => {
            let splits = [folders::classes(&train)?, folders::classes(test)?];
            folders::check_agreement(&splits[0], &splits[1]).at(directory.display())?;
            Ok(splits)
        }
        _ if train.is_dir() => {
            let error = Error::new("has `train`, but neither `test` nor `val`");
            let remedy = format!("to split its images at random, prepare {}", train.display());
            Err(error.at(directory.display()).help(remedy))
        }
        _ => split(folders::classes(directory)?, options).at(directory.display()),
    }
}

/// Divides the files of each class at random, at least one to either side.
fn split(classes: Vec<ClassFolder>, options: &Options) -> Result<[Vec<ClassFolder>; 2]> {
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (label, ClassFolder { name, files }) in classes.into_iter().enumerate() {
        if files.len() < 2 {
            let error = Error::new("has a single image, which cannot be split").at(&name);
            return Err(error.help("add images, or make folders `train` and `test` yourself"));
        }
        let wanted = (files.len() as f64 * options.test_fraction).round() as usize;
        let tested = wanted.clamp(1, files.len() - 1);
        let mut stream = Stream::new(options.seed, "prepare split", &[label as u64]);
        let order = stream.permutation(files.len());
        let take = |places: &[usize]| ClassFolder {
            name: name.clone(),
            files: places.iter().map(|&place| files[place].clone()).collect(),
        };
        test.push(take(&order[..tested]));
        train.push(take(&order[tested..]));
    }
    Ok([train, test])
}

/// All files with their labels, in random order.
fn shuffled(classes: &[ClassFolder], seed: u64, split: u64) -> Vec<(&Path, u32)> {
    let labelled = classes.iter().enumerate().flat_map(|(label, class)| {
        class
            .files
            .iter()
            .map(move |file| (file.as_path(), label as u32))
    });
    let files: Vec<_> = labelled.collect();
    let order = Stream::new(seed, "prepare order", &[split]).permutation(files.len());
    order.into_iter().map(|place| files[place]).collect()
}

/// Writes the images of a split; returns how many of each class there are.
fn write_split(
    files: &[(&Path, u32)],
    path: &Path,
    names: &[String],
    options: &Options,
    skipped: &mut Vec<Error>,
) -> Result<(DatasetWriter, Vec<usize>)> {
    let rows = match options.on_error {
        OnError::Fail => Rows::Known(files.len()),
        OnError::Skip => Rows::Growing,
    };
    let shape = [3, options.size, options.size];
    let mut writer = DatasetWriter::create(path, shape, names, rows)?;
    let mut counts = vec![0; names.len()];
    for &(file, label) in files {
        match read_image(file, options) {
            Ok(pixels) => {
                writer.push(&pixels, label)?;
                counts[label as usize] += 1;
            }
            Err(error) if options.on_error == OnError::Skip => skipped.push(error),
            Err(error) => {
                return Err(
                    error.help("repair or remove it, or leave out such files with --on_error skip")
                );
            }
        }
    }
    if writer.samples() == 0 {
        let error = Error::new("would hold no image: none can be decoded").at(path.display());
        return Err(error);
    }
    Ok((writer, counts))
}

fn read_image(file: &Path, options: &Options) -> Result<Vec<u8>> {
    let read = || -> Result<Vec<u8>> {
        let image = Image::decode(&std::fs::read(file)?)?;
        let Options { size, resize, .. } = *options;
        let image = match resize {
            Some(side) => image.middle(size as f64 / side as f64)?,
            None => image,
        };
        Ok(image.resized(size, size)?.planes())
    };
    read().at(file.display())
}

#[cfg(test)]
#[path = "prepare_tests.rs"]
mod tests;
