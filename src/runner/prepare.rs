//! A run up to its first batch, and from there to its record.

use std::path::Path;
use std::time::{Instant, SystemTime};

use super::identity::{self, Contents};
use super::keep;
use super::setup::{self, Files, Inputs, Outline, Start};
use super::shared::Shared;
use super::watch::Watch;
use super::write::{self, write_files};
use super::{Event, Outcome, Reporter, check_save_path, contents, copy_model, model_file, pixels};
use crate::config::experiment::Experiment;
use crate::error::{Error, Result};
use crate::model::backend;
use crate::model::network::NamedTensor;
use crate::numbers::Dtype;
use crate::plan::Run;
use crate::results::find::{self, Status};
use crate::results::record::{self, Record, State};
use crate::results::writer::RecordWriter;
use crate::results::{RESULTS, commit, summary, time};
use crate::train::saving::saving;
use crate::train::{End, Trainer};

/// What came of preparing a run.
pub enum Prepared<'a> {
    /// It is to be trained.
    Ready(Box<Training<'a>>),
    /// There was nothing to do, or somebody asked for an end.
    Ended(Outcome),
}

/// A run that is about to train.
pub struct Training<'a> {
    pub(super) run: &'a Run,
    started: (SystemTime, Instant),
    /// Seconds of training before an interruption.
    before: f64,
    setup: String,
    identity: String,
    contents: Contents,
    outline: Outline,
    pub(super) inputs: Inputs,
    pub(super) trainer: Trainer<'a>,
    writer: RecordWriter,
    watch: Watch<'a>,
}

/// Reads all that `run` needs, takes up what an interrupted one left, and finds or computes what its
/// frozen layers give.
///
/// # Errors
/// Whatever is wrong with it; nothing is written before that shows.
pub fn prepare<'a>(
    run: &'a Run,
    force: bool,
    shared: &Shared,
    reporter: &'a mut dyn Reporter,
) -> Result<Prepared<'a>> {
    let started = (SystemTime::now(), Instant::now());
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
        return Ok(Prepared::Ended(Outcome::Skipped));
    }
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
    let (spec, rates) = (&outline.spec, &outline.rates);
    let mut trainer = Trainer::new(experiment, spec, rates, weights, run.seed, device)?;
    if writer.discarded() {
        watch.warn(
            "an interrupted run was here whose experiment, data or source model were others: this one \
             begins from the start",
        );
    }
    if let Some(checkpoint) = watch.checkpoint() {
        watch.note(&format!("goes on from {}", checkpoint.progress));
        trainer.resume(checkpoint)?;
    }
    if experiment.record.batches {
        watch.keep_batches(&writer.path(record::BATCHES), &trainer)?;
    }
    let about = (&outline, &contents);
    if !keep::keep(shared, experiment, about, &trainer, &mut inputs, &mut watch)? {
        watch.note("stopped before training; what is computed is kept");
        return Ok(Prepared::Ended(Outcome::Stopped));
    }
    Ok(Prepared::Ready(Box::new(Training {
        run,
        started,
        before: trainer.seconds(),
        setup,
        identity,
        contents,
        outline,
        inputs,
        trainer,
        writer,
        watch,
    })))
}

impl Training<'_> {
    /// Trains, evaluates and writes the record.
    ///
    /// # Errors
    /// Whatever keeps the run from its end.
    pub fn train(mut self) -> Result<Outcome> {
        let experiment = self.run.experiment.as_ref();
        let Inputs { train, test } = &self.inputs;
        self.watch.training();
        if self.trainer.train(train, Some(test), &mut self.watch)? == End::Stopped {
            self.watch.note("stopped; a checkpoint is kept");
            return Ok(Outcome::Stopped);
        }
        check_finite(&self.trainer.tensors(), experiment.dtype)?;
        let evaluation = self.trainer.evaluate(test)?;
        let (outline, inputs) = (&self.outline, &self.inputs);
        write_files(
            &self.writer,
            self.run,
            &self.trainer,
            &evaluation,
            outline,
            inputs,
        )?;
        self.watch.close()?;
        check_unchanged(&self.contents, experiment, inputs)?;
        let (started, clock) = self.started;
        let record = Record {
            format: record::FORMAT,
            experiment: experiment.name.clone(),
            seed: self.run.seed,
            identity: self.identity,
            setup: self.setup,
            state: State::Complete,
            graft: env!("CARGO_PKG_VERSION").to_string(),
            build: Some(write::build()?),
            backend: experiment.backend.to_string(),
            device: backend::describe(experiment.backend),
            threads: rayon::current_num_threads(),
            started: time::utc(started),
            seconds: self.before + clock.elapsed().as_secs_f64(),
            epochs: experiment.epochs,
            parameters: write::parameters(&outline.spec, &outline.rates, outline.receipt.as_ref()),
            data: write::data(inputs, &self.contents),
            source: write::source(outline),
            initial_weights: outline.initial.clone(),
            features: saving(experiment, &outline.spec, &outline.rates)
                .as_ref()
                .map(write::features),
            classes: write::class_names(&test.data),
            metrics: write::metrics(&evaluation, self.trainer.rows(), test.data.labels())?,
            files: Default::default(),
            checksum: String::new(),
        };
        self.writer.commit(record)?;
        let reporter = self.watch.reporter();
        copy_model(self.run, reporter)?;
        if self.run.dir.starts_with(RESULTS) {
            for damaged in summary::write_summary(Path::new(RESULTS))? {
                reporter.event(Event::Warning(&format!("not in results.csv: {damaged}")));
            }
        }
        reporter.event(Event::Finished(&Record::read(&self.run.dir)?));
        Ok(Outcome::Finished)
    }
}

/// Results of files that changed while they were read are of no data at all.
fn check_unchanged(contents: &Contents, experiment: &Experiment, inputs: &Inputs) -> Result<()> {
    let files = Files {
        train: inputs.train.data.clone(),
        test: inputs.test.data.clone(),
    };
    match super::contents(experiment, &files)? == *contents {
        true => Ok(()),
        false => Err(Error::new(
            "the data or a model that the run starts from changed while it ran",
        )
        .help("leave them alone, and run it again")),
    }
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
