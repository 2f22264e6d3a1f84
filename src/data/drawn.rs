//! The built-in drawn tasks: seeded pictures of faces, written once as HDF5 in neon's layout.
//!
//! The source task, `drawn_traits`, tells twelve categories apart: three kinds of brows times four
//! kinds of mouths. The target task, `drawn_smiles`, tells smiling from frowning. What is a
//! category in one task is chance in the other, and so are pose, size, colours, light, glasses,
//! hats, things in front of the face, background and noise. The categories were chosen before any
//! network had seen the target task.
//!
//! Each picture follows from (seed, task, split, index) alone and is the same on every platform.
//! This module does not know what is learnt from the pictures.

mod canvas;
mod face;
mod scene;

use std::path::{Path, PathBuf};

use self::canvas::SIDE;
use self::face::{BROWS, Expression, MOUTHS};
use super::dataset::Dataset;
use super::hdf5::Rows;
use super::writer::DatasetWriter;
use crate::error::{Error, Result};
use crate::random::Stream;

/// Raised whenever the same seed gives other pictures, so that old files are not taken for new.
const VERSION: u32 = 1;

/// The files of a drawn task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawnFiles {
    pub train: PathBuf,
    pub test: PathBuf,
}

/// Names and descriptions of the drawn tasks.
pub fn tasks() -> [(&'static str, &'static str); 2] {
    TASKS.each_ref().map(|task| (task.name, task.description))
}

/// Shape of a sample, (channels, height, width), and number of classes of `task`; writes nothing.
///
/// # Errors
/// If there is no such task.
pub fn shape_and_classes(task: &str) -> Result<([usize; 3], usize)> {
    Ok(([3, SIDE, SIDE], find(task)?.classes.len()))
}

/// The files of `task` drawn with `seed` below `root`; draws those that are not there yet.
///
/// Two processes may do so at once: both write the same bytes, and each file appears whole.
///
/// # Errors
/// If there is no such task, or the files cannot be written.
pub fn ensure(task: &str, root: &Path, seed: u64) -> Result<DrawnFiles> {
    find(task)?.ensure(root, seed)
}

/// The files of `task` drawn with `seed` below `root`, if they are there and complete; writes
/// nothing.
///
/// # Errors
/// If there is no such task.
pub fn present(task: &str, root: &Path, seed: u64) -> Result<Option<DrawnFiles>> {
    let task = find(task)?;
    let files = task.files(root, seed);
    Ok(task.is_complete(&files).then_some(files))
}

struct Task {
    name: &'static str,
    description: &'static str,
    train: usize,
    test: usize,
    classes: &'static [&'static str],
    /// The expression for a label; what the label leaves open is drawn.
    expression: fn(usize, &mut Stream) -> Expression,
}

static TASKS: [Task; 2] = [
    Task {
        name: "drawn_traits",
        description: "source task: brows and mouths of drawn faces, 12 categories, \
                      6,000 training and 1,200 test images of 3x32x32",
        train: 6000,
        test: 1200,
        classes: &[
            "raised brows, closed mouth",
            "raised brows, open mouth",
            "raised brows, teeth",
            "raised brows, tongue",
            "level brows, closed mouth",
            "level brows, open mouth",
            "level brows, teeth",
            "level brows, tongue",
            "slanted brows, closed mouth",
            "slanted brows, open mouth",
            "slanted brows, teeth",
            "slanted brows, tongue",
        ],
        expression: |label, stream| Expression {
            brows: BROWS[label / MOUTHS.len()],
            mouth: MOUTHS[label % MOUTHS.len()],
            smiling: stream.chance(0.5),
        },
    },
    Task {
        name: "drawn_smiles",
        description: "target task: drawn faces, smiling or frowning, \
                      300 training and 2,000 test images of 3x32x32",
        train: 300,
        test: 2000,
        classes: &["frowning", "smiling"],
        expression: |label, stream| Expression {
            brows: BROWS[stream.below(BROWS.len() as u64) as usize],
            mouth: MOUTHS[stream.below(MOUTHS.len() as u64) as usize],
            smiling: label == 1,
        },
    },
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Split {
    Train,
    Test,
}

fn find(name: &str) -> Result<&'static Task> {
    TASKS.iter().find(|task| task.name == name).ok_or_else(|| {
        let names = tasks().map(|(name, _)| format!("`{name}`")).join(" and ");
        Error::new(format!("there is no drawn task `{name}`")).help(format!("there are {names}"))
    })
}

impl Task {
    fn files(&self, root: &Path, seed: u64) -> DrawnFiles {
        let directory = root.join(format!("{}-v{VERSION}-{seed}", self.name));
        DrawnFiles {
            train: directory.join("train.h5"),
            test: directory.join("test.h5"),
        }
    }

    fn ensure(&self, root: &Path, seed: u64) -> Result<DrawnFiles> {
        let files = self.files(root, seed);
        if self.is_complete(&files) {
            return Ok(files);
        }
        // Both files carry the mean of the training split, as neon's do.
        let train = self.write(Split::Train, seed, &files.train)?;
        let mean = train.channel_mean();
        let test = self.write(Split::Test, seed, &files.test)?;
        train.finish(&mean)?;
        test.finish(&mean)?;
        Ok(files)
    }

    fn samples(&self, split: Split) -> usize {
        match split {
            Split::Train => self.train,
            Split::Test => self.test,
        }
    }

    fn purpose(&self, split: Split, what: &str) -> String {
        format!("{} {split:?} {what}", self.name)
    }

    /// As many of each class as the number allows, in random order.
    fn labels(&self, split: Split, seed: u64) -> Vec<usize> {
        let mut stream = Stream::new(seed, &self.purpose(split, "labels"), &[]);
        let order = stream.permutation(self.samples(split));
        order
            .iter()
            .map(|place| place % self.classes.len())
            .collect()
    }

    fn draw(&self, split: Split, seed: u64, index: usize, label: usize) -> Vec<u8> {
        let mut stream = Stream::new(seed, &self.purpose(split, "image"), &[index as u64]);
        let expression = (self.expression)(label, &mut stream);
        face::draw(expression, &mut stream)
    }

    fn write(&self, split: Split, seed: u64, path: &Path) -> Result<DatasetWriter> {
        let labels = self.labels(split, seed);
        let classes: Vec<String> = self.classes.iter().map(|&name| name.to_owned()).collect();
        let rows = Rows::Known(labels.len());
        let mut writer = DatasetWriter::create(path, [3, SIDE, SIDE], &classes, rows)?;
        for (index, &label) in labels.iter().enumerate() {
            writer.push(&self.draw(split, seed, index, label), label as u32)?;
        }
        Ok(writer)
    }

    fn is_complete(&self, files: &DrawnFiles) -> bool {
        let complete = |path: &Path, samples| {
            Dataset::open(path).is_ok_and(|dataset| dataset.len() == samples)
        };
        complete(&files.train, self.train) && complete(&files.test, self.test)
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn digest(bytes: &[u8]) -> String {
        Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    #[test]
    fn the_pictures_are_pinned() {
        let pinned = [
            "85dedffe5578224ef75e173ab0e8b99033fdc11554e320ca8450d8244cba8901",
            "2c95610d4d09184c68ffa2f9fdc05b5b12e246795012c682a252be2a70362bff",
        ];
        for (task, pinned) in TASKS.iter().zip(pinned) {
            let labels = task.labels(Split::Train, 42);
            let pictures = labels.iter().enumerate().take(24);
            let drawn = |(index, &label): (usize, &_)| task.draw(Split::Train, 42, index, label);
            let drawn: Vec<u8> = pictures.flat_map(drawn).collect();
            assert_eq!(digest(&drawn), pinned, "{}", task.name);
        }
    }

    #[test]
    fn classes_are_balanced_in_every_split() {
        for task in &TASKS {
            for split in [Split::Train, Split::Test] {
                let labels = task.labels(split, 42);
                let each = task.samples(split) / task.classes.len();
                for class in 0..task.classes.len() {
                    assert_eq!(labels.iter().filter(|&&label| label == class).count(), each);
                }
                let ascending = labels.windows(2).filter(|pair| pair[0] < pair[1]).count();
                assert!(
                    ascending > task.classes.len(),
                    "{} is not shuffled",
                    task.name
                );
            }
        }
    }

    #[test]
    fn seeds_splits_and_samples_give_different_pictures() {
        let task = find("drawn_smiles").unwrap();
        let reference = task.draw(Split::Train, 1, 0, 0);
        assert_eq!(reference, task.draw(Split::Train, 1, 0, 0));
        assert_ne!(reference, task.draw(Split::Train, 2, 0, 0));
        assert_ne!(reference, task.draw(Split::Test, 1, 0, 0));
        assert_ne!(reference, task.draw(Split::Train, 1, 1, 0));
        assert_ne!(reference, task.draw(Split::Train, 1, 0, 1));
    }

    #[test]
    fn files_are_drawn_once_and_again_when_broken() {
        let root = tempfile::tempdir().unwrap();
        let task = Task {
            train: 6,
            test: 4,
            ..TASKS[1]
        };
        let files = task.ensure(root.path(), 42).unwrap();
        let train = Dataset::open(&files.train).unwrap();
        let test = Dataset::open(&files.test).unwrap();
        assert_eq!(
            (train.len(), train.shape(), train.classes()),
            (6, [3, 32, 32], 2)
        );
        assert_eq!((test.len(), test.class_names()), (4, train.class_names()));
        assert_eq!(train.mean().unwrap(), test.mean().unwrap());

        let (checksum, made) = (train.sha256().unwrap(), modified(&files.train));
        assert_eq!(task.ensure(root.path(), 42).unwrap(), files);
        assert_eq!(modified(&files.train), made, "was drawn again");

        std::fs::write(&files.train, b"cut off").unwrap();
        task.ensure(root.path(), 42).unwrap();
        assert_eq!(
            Dataset::open(&files.train).unwrap().sha256().unwrap(),
            checksum
        );
    }

    fn modified(path: &Path) -> std::time::SystemTime {
        std::fs::metadata(path).unwrap().modified().unwrap()
    }

    #[test]
    fn an_unknown_task_names_those_there_are() {
        let error = ensure("drawn_cats", Path::new("nowhere"), 42)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`drawn_cats`") && error.contains("`drawn_traits`"),
            "{error}"
        );
    }
}
