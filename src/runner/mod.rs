//! One run from start to record: the only place that knows all the parts.
//!
//! It tells a [`Reporter`] what happens and knows no terminal.

mod describe;
pub mod features;
pub mod identity;
pub mod initial;
pub mod keep;
pub mod model_file;
pub mod pixels;
pub mod predict;
pub mod setup;
mod watch;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Instant, SystemTime};

use crate::config::experiment::Experiment;
use crate::data::dataset::Dataset;
use crate::error::{At, Error, Result};
use crate::files;
use crate::model::backend;
use crate::model::network::NamedTensor;
use crate::numbers::Dtype;
use crate::plan::Run;
use crate::results::find::{self, Status};
use crate::results::record::{
    self, Coverage, DataFile, Metrics, Parameters, Record, Source, State,
};
use crate::results::rows::{self, MetricsRow, OutputRow};
use crate::results::writer::RecordWriter;
use crate::results::{RESULTS, commit, inference, metrics, summary, time};
use crate::source;
use crate::source::receipt::Receipt;
use crate::train::checkpoint;
use crate::train::evaluate::Evaluation;
use crate::train::groups::LayerRate;
use crate::train::updates::States;
use crate::train::{End, Trainer};
use identity::Contents;
pub use keep::Shared;
use setup::{Files, Inputs, Outline, Start};
use watch::Watch;

/// What happens in a run.
pub enum Event<'a> {
    /// Its record is complete and unchanged.
    Skipped,
    /// Something worth knowing: what was imported, what is resumed.
    Note(&'a str),
    /// Something that may not be what the author wanted.
    Warning(&'a str),
    /// What the frozen layers give for `of` samples is being computed; it is for `done`.
    Features { done: usize, of: usize },
    /// Training begins, on so many samples an epoch.
    Training { samples: usize },
    /// A batch is done: `samples` of `of` in the epoch (from 0), mean cost of the batch.
    Batch {
        epoch: usize,
        samples: usize,
        of: usize,
        cost: f64,
    },
    /// An epoch is done.
    Epoch(&'a MetricsRow),
    /// The record stands.
    Finished(&'a Record),
}

/// Who is told, and may ask for an end.
pub trait Reporter {
    fn event(&mut self, event: Event<'_>);
    fn stop_requested(&self) -> bool;
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There was a complete, unchanged record.
    Skipped,
    Finished,
    /// It was asked to stop, and left a checkpoint.
    Stopped,
}

/// What stands in the place of `run`'s record; `None` if its data or a model that it reads are not
/// there yet. Writes nothing.
///
/// # Errors
/// A file cannot be read, or the experiment cannot run.
pub fn status(run: &Run) -> Result<Option<Status>> {
    let experiment = run.experiment.as_ref();
    let models_are_there = experiment.models_read().all(|path| path.exists());
    let Some((train, test)) = setup::present(&experiment.data)?.filter(|_| models_are_there) else {
        return Ok(None);
    };
    let contents = contents(experiment, &setup::open(&train, &test)?)?;
    let (pixels, _) = pixels::settle(experiment, setup::source(experiment)?.as_ref())?;
    let setup = identity::setup(experiment, &pixels, &contents)?;
    Ok(Some(find::status(
        &run.dir,
        &identity::run(&setup, experiment, run.seed),
    )))
}

/// Trains `run` and puts its record in place, unless one stands there already.
///
/// # Errors
/// Whatever keeps the run from its end; a record that stood there still does.
pub fn run(
    run: &Run,
    force: bool,
    shared: &Shared,
    reporter: &mut dyn Reporter,
) -> Result<Outcome> {
    let (started, clock) = (SystemTime::now(), Instant::now());
    let experiment = run.experiment.as_ref();
    let device = backend::device(experiment.backend, experiment.dtype)?;
    if let Some(path) = &experiment.save_path {
        model_file::make_way(path)?;
    }
    let (train, test) = setup::files(&experiment.data)?;
    let files = setup::open(&train, &test)?;
    let contents = contents(experiment, &files)?;
    let source = setup::source(experiment)?;
    let (pixels, _) = pixels::settle(experiment, source.as_ref())?;
    let setup = identity::setup(experiment, &pixels, &contents)?;
    let identity = identity::run(&setup, experiment, run.seed);

    commit::recover(&run.dir)?;
    if !force && find::status(&run.dir, &identity) == Status::Complete {
        copy_model(run, reporter)?;
        reporter.event(Event::Skipped);
        return Ok(Outcome::Skipped);
    }
    // Whatever can be wrong with the model or the import shows before anything is written.
    let Start {
        outline,
        weights,
        mut inputs,
    } = setup::start(experiment, &files, source)?;
    check_save_path(run, &outline)?;
    let mut writer = RecordWriter::begin(&run.dir, &identity)?;
    if force {
        writer.start_over()?;
    }
    let mut watch = Watch::new(reporter, &writer, &identity, inputs.train.data.len())?;
    outline.notes().iter().for_each(|note| watch.note(note));
    outline.warnings().iter().for_each(|text| watch.warn(text));
    let mut trainer = Trainer::new(
        experiment,
        &outline.spec,
        &outline.rates,
        weights,
        run.seed,
        device,
    )?;
    if let Some(checkpoint) = checkpoint::read_if_there(&watch.checkpoint_path(), &identity)? {
        watch.note(&format!("goes on from {}", checkpoint.progress));
        trainer.resume(checkpoint)?;
    }
    if experiment.record.batches {
        watch.keep_batches(&writer.path(record::BATCHES), &trainer)?;
    }
    let before = trainer.seconds();
    let about = (&outline, &contents);
    if !keep::keep(shared, experiment, about, &trainer, &mut inputs, &mut watch)? {
        watch.note("stopped before training; what is computed is kept");
        return Ok(Outcome::Stopped);
    }
    watch.training();
    if trainer.train(&inputs.train, Some(&inputs.test), &mut watch)? == End::Stopped {
        watch.note("stopped; a checkpoint is kept");
        return Ok(Outcome::Stopped);
    }
    check_finite(&trainer.tensors(), experiment.dtype)?;
    let evaluation = trainer.evaluate(&inputs.test)?;
    write_files(&writer, run, &trainer, &evaluation, &outline, &inputs)?;
    watch.close()?;
    let record = Record {
        format: record::FORMAT,
        experiment: experiment.name.clone(),
        seed: run.seed,
        identity,
        setup,
        state: State::Complete,
        graft: env!("CARGO_PKG_VERSION").to_string(),
        backend: experiment.backend.to_string(),
        device: backend::describe(experiment.backend),
        threads: backend::threads(),
        started: time::utc(started),
        seconds: before + clock.elapsed().as_secs_f64(),
        epochs: experiment.epochs,
        parameters: parameters(&outline),
        data: record::Data {
            train: data_file(&inputs.train.data, &contents.train),
            test: data_file(&inputs.test.data, &contents.test),
        },
        source: outline
            .receipt
            .as_ref()
            .map(|receipt| source_of(receipt, &outline.rates)),
        initial_weights: outline.initial.clone(),
        features: keep::saving(experiment, &outline.spec, &outline.rates)
            .as_ref()
            .map(record::Features::from),
        classes: class_names(&inputs.test.data),
        metrics: final_metrics(&evaluation, trainer.rows(), inputs.test.data.labels())?,
        files: Default::default(),
    };
    writer.commit(record)?;
    copy_model(run, reporter)?;
    for damaged in summary::write_summary(Path::new(RESULTS))? {
        reporter.event(Event::Warning(&format!("not in results.csv: {damaged}")));
    }
    reporter.event(Event::Finished(&Record::read(&run.dir)?));
    Ok(Outcome::Finished)
}

/// Checks that the format of `save_path`, if there is one, is known and has a place for the model.
///
/// # Errors
/// It has not.
pub fn check_save_path(run: &Run, outline: &Outline) -> Result<()> {
    let Some(path) = &run.experiment.save_path else {
        return Ok(());
    };
    let description = describe::describe(&run.experiment, outline, run.seed);
    model_file::check(path, &description)
}

/// A model that has overflowed or diverged is no result, though its confidences may still be numbers.
fn check_finite(tensors: &[NamedTensor], dtype: Dtype) -> Result<()> {
    match tensors.iter().find(|tensor| !tensor.values.is_finite()) {
        None => Ok(()),
        Some(tensor) => Err(Error::new(format!(
            "after training, {} holds values that are not finite in {dtype}",
            tensor.name()
        ))
        .help("lower optimizer.learning_rate or preprocessing.scale, or choose another `dtype`")),
    }
}

fn contents(experiment: &Experiment, files: &Files) -> Result<Contents> {
    let source = experiment.source_model.as_deref();
    let initial = experiment.model.initial_weights.as_deref();
    Ok(Contents {
        train: files.train.sha256()?,
        test: files.test.sha256()?,
        source: source.map(source::sha256).transpose()?,
        initial: initial.map(initial::sha256).transpose()?,
    })
}

fn write_files(
    writer: &RecordWriter,
    run: &Run,
    trainer: &Trainer<'_>,
    evaluation: &Evaluation,
    outline: &Outline,
    inputs: &Inputs,
) -> Result<()> {
    let outputs = output_rows(evaluation, &inputs.test.data);
    let experiment = writer.path(record::EXPERIMENT);
    fs::write(&experiment, run.experiment.to_toml()?).at(experiment.display())?;
    rows::write_metrics(&writer.path(record::METRICS), trainer.rows())?;
    rows::write_outputs(&writer.path(record::OUTPUTS), &outputs)?;
    files::write_atomically(
        &writer.path(record::INFERENCE),
        inference::to_text(&outputs).as_bytes(),
    )?;
    let receipt = writer.path(record::RECEIPT);
    match &outline.receipt {
        Some(found) => files::write_atomically(&receipt, json(found)?.as_bytes())?,
        None => remove_if_there(&receipt)?,
    }
    let states = match run.experiment.save_optimizer_state {
        true => trainer.states()?,
        false => States::new(),
    };
    let model = writer.path(record::MODEL);
    model_file::write(
        &model,
        &trainer.tensors(),
        &states,
        (&outline.preprocessing.pixels, &inputs.train.transform),
        &describe::describe(&run.experiment, outline, run.seed),
        outline.convention,
    )
}

/// Puts a copy of the record's model where the experiment wants one, and says what it lacks.
fn copy_model(run: &Run, reporter: &mut dyn Reporter) -> Result<()> {
    let Some(copy) = &run.experiment.save_path else {
        return Ok(());
    };
    for lacking in model_file::copy(&run.dir.join(record::MODEL), copy)? {
        let note = format!("not in {}: {lacking}", copy.display());
        reporter.event(Event::Note(&note));
    }
    Ok(())
}

fn json(receipt: &Receipt) -> Result<String> {
    let text = serde_json::to_string_pretty(receipt);
    text.map(|text| text + "\n")
        .map_err(|error| Error::new(error.to_string()).at("receipt"))
}

fn remove_if_there(path: &Path) -> Result<()> {
    match path.exists() {
        true => fs::remove_file(path).at(path.display()),
        false => Ok(()),
    }
}

fn output_rows(evaluation: &Evaluation, test: &Dataset) -> Vec<OutputRow> {
    let rows = evaluation.confidences.chunks_exact(test.classes());
    rows.zip(test.labels())
        .enumerate()
        .map(|(index, (row, &label))| OutputRow {
            index,
            label: label as usize,
            predicted: crate::train::evaluate::most_confident(row),
            confidences: row.to_vec(),
        })
        .collect()
}

fn parameters(outline: &Outline) -> Parameters {
    let layers = || outline.spec.layers.iter().zip(&outline.rates);
    let count = |select: &dyn Fn(&LayerRate) -> bool| -> u64 {
        let selected = layers().filter(|(_, rate)| select(rate));
        selected
            .map(|(layer, _)| layer.parameter_count() as u64)
            .sum()
    };
    Parameters {
        total: count(&|_| true),
        imported: outline
            .receipt
            .as_ref()
            .map_or(0, |receipt| receipt.totals.parameters as u64),
        trained: count(&|rate| !rate.frozen),
        frozen: count(&|rate| rate.frozen),
    }
}

fn data_file(data: &Dataset, sha256: &str) -> DataFile {
    DataFile {
        path: data.path().to_path_buf(),
        sha256: sha256.to_string(),
        samples: data.len() as u64,
        classes: data.classes(),
    }
}

/// The names of the classes; their numbers where the file does not name them.
fn class_names(data: &Dataset) -> Vec<String> {
    match data.class_names() {
        [] => (0..data.classes()).map(|class| class.to_string()).collect(),
        names => names.to_vec(),
    }
}

fn source_of(receipt: &Receipt, rates: &[LayerRate]) -> Source {
    let imported = rates.iter().filter(|rate| rate.imported);
    // Bits of floats that are not negative sort as the numbers do.
    let multipliers: BTreeSet<u64> = imported.map(|rate| rate.multiplier.to_bits()).collect();
    Source {
        path: receipt.source.path.clone().into(),
        format: receipt.source.format.clone(),
        sha256: receipt.source.sha256.clone(),
        imported_tensors: receipt.totals.tensors,
        target_tensors: receipt.totals.of_tensors,
        imported_parameters: receipt.totals.parameters as u64,
        coverage: Some(Coverage {
            parameters: receipt.totals.share_of_parameters(),
            multiply_adds: receipt.totals.share_of_multiply_adds(),
        }),
        multipliers: multipliers.into_iter().map(f64::from_bits).collect(),
    }
}

fn final_metrics(evaluation: &Evaluation, rows: &[MetricsRow], labels: &[u32]) -> Result<Metrics> {
    let labels: Vec<usize> = labels.iter().map(|&label| label as usize).collect();
    Ok(Metrics {
        training_cost: rows.last().map_or(f64::NAN, |row| row.training_cost),
        test_cost: evaluation.cost,
        accuracy: evaluation.accuracy,
        majority_baseline: metrics::majority_baseline(&labels)?,
        samples: labels.len() as u64,
    })
}
