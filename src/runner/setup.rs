//! What a run starts from: data files, network, imported weights, learning rates.
//!
//! `graft plan` asks for the [`Outline`] alone, which needs no weights and writes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::initial;
use super::model_file;
use super::pixels::{self, Fitted};
use crate::config::experiment::{
    Body, Control, Convention, Data, DataFiles, Experiment, Model, Pixels, Preprocessing,
};
use crate::data::dataset::Dataset;
use crate::data::drawn;
use crate::error::{Error, Result};
use crate::model::network::Weights;
use crate::model::spec::{NetworkSpec, shape_text};
use crate::numbers::Dtype;
use crate::results::record::InitialWeights;
use crate::source::import;
use crate::source::origin;
use crate::source::receipt::Receipt;
use crate::source::{self, SourceModel};
use crate::train::Split;
use crate::train::groups::{self, LayerRate};

/// The network on paper and what training would do to each of its layers.
#[derive(Debug, Clone)]
pub struct Outline {
    pub spec: NetworkSpec,
    pub preprocessing: Fitted,
    /// Whose variant of its architecture the network is, where that is not what is usual.
    pub convention: Option<Convention>,
    /// What is doubtful about the variant of the architecture, given the source model.
    pub doubts: Vec<String>,
    pub rates: Vec<LayerRate>,
    /// Absent from scratch.
    pub receipt: Option<Receipt>,
    /// Absent where initial weights are drawn.
    pub initial: Option<InitialWeights>,
    /// What is taken away on purpose.
    pub control: Option<Control>,
}

/// The training and the test file, open.
pub struct Files {
    pub train: Arc<Dataset>,
    pub test: Arc<Dataset>,
}

/// The same with what happens to their pixels.
pub struct Inputs {
    pub train: Split,
    pub test: Split,
}

/// All that training needs.
pub struct Start {
    pub outline: Outline,
    /// Initial and imported.
    pub weights: Weights,
    pub inputs: Inputs,
}

/// Works out the outline of `experiment` on samples of `shape` with `classes` categories.
///
/// # Errors
/// The model or the preprocessing does not fit the data; nothing, or not all that is required, can
/// be imported; the initial weights are not there or not those of the model; a multiplier names no
/// layer.
pub fn outline(
    experiment: &Experiment,
    shape: [usize; 3],
    classes: usize,
    source: Option<&SourceModel>,
    initial: Option<&SourceModel>,
) -> Result<Outline> {
    let preprocessing = pixels::fitted(experiment, source, shape, classes)?;
    let pixels = &preprocessing.pixels;
    let spec = spec(experiment, pixels.input(shape), classes, source)?;
    let contract = &experiment.source;
    let receipt = source.map(|source| import::matches(source, &spec, &contract.rename));
    let receipt = receipt.transpose()?;
    if let Some(receipt) = &receipt {
        import::check(receipt, &spec, contract)?;
    }
    let initial = initial.map(|model| initial::check(model, &spec));
    let initial = initial.transpose()?;
    let rates = rates(experiment, &spec, receipt.as_ref())?;
    let receipt = receipt.map(|receipt| match experiment.control {
        Some(Control::RandomBackbone) => receipt.withheld(),
        _ => receipt,
    });
    Ok(Outline {
        spec,
        convention: unusual_convention(&experiment.model, source),
        doubts: source.map_or_else(Vec::new, |source| doubts(experiment, source)),
        rates,
        receipt: receipt.map(|receipt| receipt.after(pixels)),
        preprocessing,
        initial,
        control: experiment.control,
    })
}

/// What of the experiment may not go with its source model.
fn doubts(experiment: &Experiment, source: &SourceModel) -> Vec<String> {
    let mut doubts = Vec::new();
    let Experiment {
        preprocessing,
        model,
        ..
    } = experiment;
    match source.origin {
        None if origin::is_foreign(source) && *preprocessing == Preprocessing::default() => {
            doubts.push(
                "the source model is no published architecture that graft knows, so that its \
                 preprocessing is not known: pixels are prepared as in neon; say in \
                 [preprocessing] how it was trained"
                    .to_string(),
            );
        }
        Some(origin)
            if model
                .convention
                .is_some_and(|said| said != origin.convention) =>
        {
            doubts.push(format!(
                "model.convention contradicts the source model, {origin}: its padding, its poolings \
                 and the constants of its batch norms may be others; remove the key to build the \
                 model as the source was"
            ));
        }
        _ => {}
    }
    if let (Some(origin), Body::Architecture { architecture, .. }) = (source.origin, &model.body)
        && origin.architecture != *architecture
    {
        doubts.push(format!(
            "the source model is {origin}, and the model a {}: layers of the same name may be others",
            architecture.name()
        ));
    }
    doubts
}

impl Outline {
    /// What is worth knowing about the start, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = vec![self.preprocessing.pixels.summary()];
        notes.extend(self.control.map(|control| control.note().to_owned()));
        notes.extend(self.preprocessing.note.clone());
        notes.extend(self.initial.as_ref().map(initial::summary));
        notes.extend(self.receipt.as_ref().map(Receipt::summary));
        notes
    }

    /// What its author may not have meant, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::from_iter(self.preprocessing.warning.clone());
        warnings.extend(self.doubts.clone());
        warnings.extend(self.receipt.iter().flat_map(Receipt::warnings));
        warnings.extend(self.receipt.as_ref().and_then(import::little));
        warnings
    }
}

/// The source model, if there is one.
///
/// # Errors
/// It cannot be read.
pub fn source(experiment: &Experiment) -> Result<Option<SourceModel>> {
    let path = experiment.source_model.as_deref();
    path.map(source::read).transpose()
}

/// Reads the initial weights, if there are any, and sorts out what happens to pixels, what is imported
/// from `source` and at which rate each layer trains: all that training with `seed` needs.
///
/// # Errors
/// As [`outline`]; and a file that cannot be read, or initial weights of another model.
pub fn start(
    experiment: &Experiment,
    files: &Files,
    source: Option<SourceModel>,
    seed: u64,
) -> Result<Start> {
    let (shape, classes) = (files.train.shape(), files.train.classes());
    let initial = experiment.model.initial_weights.as_deref();
    let initial = initial.map(initial::read).transpose()?;
    let mut outline = outline(
        experiment,
        shape,
        classes,
        source.as_ref(),
        initial.as_ref(),
    )?;
    let mut weights = match initial {
        Some(initial) => initial::weights(initial, &outline.spec)?,
        None => Weights::new(),
    };
    let is_withheld = experiment.control == Some(Control::RandomBackbone);
    if let Some(source) = source.filter(|_| !is_withheld) {
        let (tensors, receipt) = import::import(source, &outline.spec, &experiment.source)?;
        for tensor in tensors {
            weights.insert((tensor.layer, tensor.role), tensor.values);
        }
        // The same, with the checksums of the values.
        outline.receipt = Some(receipt.after(&outline.preprocessing.pixels));
    }
    let mut inputs = inputs(files, &outline.preprocessing.pixels, experiment.dtype)?;
    if experiment.control == Some(Control::ShuffledLabels) {
        inputs.train.shuffle_labels(seed);
    }
    Ok(Start {
        outline,
        weights,
        inputs,
    })
}

/// Whose variant of its architecture `model` is: as the experiment says, else that of the source
/// model, else what is usual.
pub fn convention(model: &Model, source: Option<&SourceModel>) -> Convention {
    let origin = source.and_then(|source| source.origin);
    let origins = origin.map(|origin| origin.convention);
    let origins = origins.or_else(|| source.and_then(model_file::convention_of));
    let said = model.convention.or(origins);
    said.unwrap_or(model.own_convention())
}

fn unusual_convention(model: &Model, source: Option<&SourceModel>) -> Option<Convention> {
    Some(convention(model, source)).filter(|&found| found != model.own_convention())
}

/// The target model on samples of `shape`, with the classes that the experiment or the data say, in
/// the variant that goes with `source`.
///
/// # Errors
/// The experiment's `model.classes` is not that of the data; the layers do not fit.
pub fn spec(
    experiment: &Experiment,
    shape: [usize; 3],
    classes: usize,
    source: Option<&SourceModel>,
) -> Result<NetworkSpec> {
    match experiment.model.classes {
        Some(asked) if asked != classes => Err(Error::new(format!(
            "model.classes is {asked}, but the data have {classes} classes"
        ))
        .help("leave model.classes away: it then follows from the data")),
        _ => {
            let Experiment {
                model, batch_norm, ..
            } = experiment;
            let convention = convention(model, source);
            NetworkSpec::resolve(model, shape, classes, convention, batch_norm)
        }
    }
}

/// The learning-rate multiplier of every layer, given what was imported.
///
/// # Errors
/// As [`groups::layer_rates`].
pub fn rates(
    experiment: &Experiment,
    spec: &NetworkSpec,
    receipt: Option<&Receipt>,
) -> Result<Vec<LayerRate>> {
    let imported = |layer: &str| receipt.is_some_and(|receipt| receipt.counts_as_imported(layer));
    let Experiment {
        learning_rate_multiplier,
        optimizer,
        ..
    } = experiment;
    groups::layer_rates(spec, learning_rate_multiplier, optimizer, imported)
}

/// The training and the test file of `data`, drawn now if they are a built-in task's and not there.
///
/// # Errors
/// The task cannot be written.
pub fn files(data: &Data) -> Result<(PathBuf, PathBuf)> {
    match &data.files {
        DataFiles::Files { train, test } => Ok((data.root.join(train), data.root.join(test))),
        DataFiles::Drawn { builtin, draw_seed } => {
            let files = drawn::ensure(builtin, &data.root, *draw_seed)?;
            Ok((files.train, files.test))
        }
    }
}

/// The training and the test file of `data`, unless a built-in task's are yet to be drawn. Writes
/// nothing.
///
/// # Errors
/// There is no such task.
pub fn present(data: &Data) -> Result<Option<(PathBuf, PathBuf)>> {
    match &data.files {
        DataFiles::Files { .. } => files(data).map(Some),
        DataFiles::Drawn { builtin, draw_seed } => {
            let files = drawn::present(builtin, &data.root, *draw_seed)?;
            Ok(files.map(|files| (files.train, files.test)))
        }
    }
}

/// Opens both files.
///
/// # Errors
/// A file cannot be read, or the two do not belong together.
pub fn open(train: &Path, test: &Path) -> Result<Files> {
    Files::new(Arc::new(open_file(train)?), Arc::new(open_file(test)?))
}

/// Opens one of them.
///
/// # Errors
/// It is missing, or cannot be read.
pub fn open_file(path: &Path) -> Result<Dataset> {
    match path.exists() {
        true => Dataset::open(path),
        false => Err(Error::new("there is no such data file").at(path.display()).help(
            "paths are relative to the directory in which graft runs; `graft prepare images` makes \
             data files from pictures",
        )),
    }
}

impl Files {
    /// # Errors
    /// The two do not belong together.
    pub fn new(train: Arc<Dataset>, test: Arc<Dataset>) -> Result<Self> {
        if train.shape() != test.shape() {
            let problem = format!(
                "its images are {}, those of the training file {}",
                shape_text(&test.shape()),
                shape_text(&train.shape())
            );
            return Err(Error::new(problem).at(test.path().display()));
        }
        if train.classes() != test.classes() {
            let problem = format!(
                "it has {} classes, the training file {}",
                test.classes(),
                train.classes()
            );
            return Err(Error::new(problem).at(test.path().display()));
        }
        Ok(Self { train, test })
    }
}

fn inputs(files: &Files, pixels: &Pixels, dtype: Dtype) -> Result<Inputs> {
    let [train, test] = pixels::transforms(pixels, &files.train, &files.test, dtype)?;
    Ok(Inputs {
        train: Split::new(files.train.clone(), train),
        test: Split::new(files.test.clone(), test),
    })
}
