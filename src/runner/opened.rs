//! What the runs of a plan look into without training: data files and models, each opened once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::setup::{self, Files, Outline};
use super::{contents, identity, initial, pixels};
use crate::config::experiment::{Data, DataFiles, Experiment};
use crate::data::dataset::Dataset;
use crate::data::drawn;
use crate::error::Result;
use crate::plan::Run;
use crate::results::find::{self, Status};
use crate::source::{self, SourceModel};

/// Files as they were when a run first asked for them.
#[derive(Default)]
pub struct Opened {
    data: RefCell<HashMap<PathBuf, Result<Arc<Dataset>>>>,
    sources: RefCell<HashMap<PathBuf, Result<Rc<SourceModel>>>>,
    initial: RefCell<HashMap<PathBuf, Result<Rc<SourceModel>>>>,
}

impl Opened {
    /// Shape of a sample and number of classes, without writing anything.
    ///
    /// # Errors
    /// The training file cannot be read.
    pub fn shape_and_classes(&self, data: &Data) -> Result<([usize; 3], usize)> {
        match &data.files {
            DataFiles::Files { train, .. } => {
                let train = self.data(&data.root.join(train))?;
                Ok((train.shape(), train.classes()))
            }
            DataFiles::Drawn { builtin, .. } => drawn::shape_and_classes(builtin),
        }
    }

    /// The source model at `path`, without its values.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn source(&self, path: &Path) -> Result<Rc<SourceModel>> {
        once(&self.sources, path, |path| {
            Ok(Rc::new(source::read(path)?.without_values()))
        })
    }

    /// The initial weights at `path`, without their values.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn initial(&self, path: &Path) -> Result<Rc<SourceModel>> {
        once(&self.initial, path, |path| {
            Ok(Rc::new(initial::read(path)?.without_values()))
        })
    }

    /// The outline of `experiment`, whose models are there.
    ///
    /// # Errors
    /// As [`setup::outline`]; a file that cannot be read.
    pub fn outline(&self, experiment: &Experiment) -> Result<Outline> {
        let (shape, classes) = self.shape_and_classes(&experiment.data)?;
        let source = experiment.source_model.as_deref();
        let source = source.map(|path| self.source(path)).transpose()?;
        let initial = experiment.model.initial_weights.as_deref();
        let initial = initial.map(|path| self.initial(path)).transpose()?;
        let (source, initial) = (source.as_deref(), initial.as_deref());
        setup::outline(experiment, shape, classes, source, initial)
    }

    /// What stands in the place of `run`'s record; `None` if its data or a model that it reads are
    /// not there yet. Writes nothing.
    ///
    /// # Errors
    /// A file cannot be read, or the experiment cannot run.
    pub fn status(&self, run: &Run) -> Result<Option<Status>> {
        let experiment: &Experiment = &run.experiment;
        let models_are_there = experiment.models_read().all(|path| path.exists());
        let files = setup::present(&experiment.data)?.filter(|_| models_are_there);
        let Some((train, test)) = files else {
            return Ok(None);
        };
        let files = Files::new(self.data(&train)?, self.data(&test)?)?;
        let source = experiment.source_model.as_deref();
        let source = source.map(|path| self.source(path)).transpose()?;
        let (pixels, _) = pixels::settle(experiment, source.as_deref())?;
        // Checksums of all that it reads are for telling whether a record is of this very run.
        if find::is_absent(&run.dir) {
            return Ok(Some(Status::Absent));
        }
        let contents = contents(experiment, &files)?;
        let setup = identity::setup(experiment, &pixels, &contents)?;
        let identity = identity::run(&setup, experiment, run.seed);
        Ok(Some(find::status(&run.dir, &identity)))
    }

    fn data(&self, path: &Path) -> Result<Arc<Dataset>> {
        once(&self.data, path, |path| {
            setup::open_file(path).map(Arc::new)
        })
    }
}

fn once<T: Clone>(
    kept: &RefCell<HashMap<PathBuf, Result<T>>>,
    path: &Path,
    open: impl FnOnce(&Path) -> Result<T>,
) -> Result<T> {
    if let Some(found) = kept.borrow().get(path) {
        return found.clone();
    }
    let opened = open(path);
    kept.borrow_mut().insert(path.to_owned(), opened.clone());
    opened
}
