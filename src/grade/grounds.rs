//! The grader's side: the data and the models that may be used, by checksum, and the seeds that were
//! given out. A submission's own files never take their place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::rubric::{DataSet, Rubric};
use crate::config::experiment::DataFiles;
use crate::data::drawn;
use crate::error::{At, Error, Result};
use crate::files::{FileStamp, hexadecimal};
use crate::runner::setup;

/// Everything that the rubric names, opened.
#[derive(Debug)]
pub struct Grounds {
    pub data: Vec<Allowed>,
    pub models: Vec<Model>,
    /// The assigned seed of each submission; absent: none are assigned.
    pub seeds: Option<BTreeMap<String, u64>>,
    /// Changes when anything of it does.
    pub hash: String,
}

/// Data that may be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Allowed {
    pub name: String,
    /// Absolute.
    pub root: PathBuf,
    pub files: DataFiles,
    pub train: AllowedFile,
    pub test: AllowedFile,
}

/// One of the two files.
#[derive(Debug, Clone, PartialEq)]
pub struct AllowedFile {
    /// Absolute.
    pub path: PathBuf,
    pub sha256: String,
    pub samples: u64,
}

/// A model file of the grader.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub name: String,
    /// Absolute.
    pub path: PathBuf,
    pub sha256: String,
}

impl Grounds {
    /// Opens what `rubric`, of this text, names. Drawn tasks are drawn below `work`.
    ///
    /// # Errors
    /// A file is not there or cannot be read; there is no such task.
    pub fn open(rubric: &Rubric, text: &str, work: &Path) -> Result<Self> {
        let drawn = absolute(&work.join("data"))?;
        let data = rubric.data.iter().map(|set| allowed(set, &drawn));
        let data = data.collect::<Result<Vec<_>>>()?;
        let mut models = Vec::new();
        for source in &rubric.source_model {
            let Some(path) = &source.path else { continue };
            let stamp = FileStamp::of(path)
                .map_err(|error| error.at(format_args!("source_model `{}`", source.name)))?;
            models.push(Model {
                name: source.name.clone(),
                path: absolute(path)?,
                sha256: stamp.sha256,
            });
        }
        let seeds = rubric.seeds.as_deref().map(read_seeds).transpose()?;
        let mut hash = Sha256::new();
        hash.update(text.as_bytes());
        for sum in data
            .iter()
            .flat_map(|data| [&data.train.sha256, &data.test.sha256])
        {
            hash.update(sum.as_bytes());
        }
        for model in &models {
            hash.update(model.sha256.as_bytes());
        }
        Ok(Self {
            data,
            models,
            seeds,
            hash: hexadecimal(&hash.finalize()),
        })
    }

    /// The data with these checksums.
    pub fn data_of(&self, train: &str, test: &str) -> Option<&Allowed> {
        let mut data = self.data.iter();
        data.find(|data| data.train.sha256 == train && data.test.sha256 == test)
    }
}

fn allowed(set: &DataSet, drawn: &Path) -> Result<Allowed> {
    let place = format!("data `{}`", set.name);
    let (root, files, paths) = match (&set.builtin, &set.train, &set.test) {
        (Some(builtin), ..) => {
            let paths = drawn::ensure(builtin, drawn, set.draw_seed).map_err(|e| e.at(&place))?;
            let files = DataFiles::Drawn {
                builtin: builtin.clone(),
                draw_seed: set.draw_seed,
            };
            (drawn.to_owned(), files, [paths.train, paths.test])
        }
        (None, Some(train), Some(test)) => {
            let paths = [absolute(train)?, absolute(test)?];
            let [train, test] = paths.clone();
            (PathBuf::from("."), DataFiles::Files { train, test }, paths)
        }
        _ => return Err(Error::new("neither `builtin` nor `train` and `test`").at(place)),
    };
    let [train, test] = paths.map(|path| AllowedFile::open(path).map_err(|e| e.at(&place)));
    Ok(Allowed {
        name: set.name.clone(),
        root,
        files,
        train: train?,
        test: test?,
    })
}

impl AllowedFile {
    fn open(path: PathBuf) -> Result<Self> {
        Ok(Self {
            sha256: FileStamp::of(&path)?.sha256,
            samples: setup::open_file(&path)?.len() as u64,
            path,
        })
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).at(path.display())
}

fn read_seeds(path: &Path) -> Result<BTreeMap<String, u64>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Row {
        submission: String,
        seed: u64,
    }
    let wrong = |error: csv::Error| {
        let help = "a header `submission,seed`, and a line a submission";
        Error::new(error.to_string()).at(path.display()).help(help)
    };
    let mut reader = csv::Reader::from_path(path).map_err(wrong)?;
    let rows = reader
        .deserialize()
        .map(|row: Result<Row, _>| row.map(|row| (row.submission, row.seed)));
    rows.collect::<Result<_, _>>().map_err(wrong)
}
