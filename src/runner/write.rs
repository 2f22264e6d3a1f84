//! What a finished run leaves: the files of its record, and the record itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::identity::Contents;
use super::setup::{Inputs, Outline};
use super::{describe, model_file};
use crate::data::dataset::Dataset;
use crate::error::{At, Error, Result};
use crate::files::{self, stamps};
use crate::model::backend;
use crate::model::spec::NetworkSpec;
use crate::plan::Run;
use crate::results::record::{self, Build, Coverage, DataFile, Metrics, Parameters, Source};
use crate::results::rows::{self, MetricsRow, OutputRow};
use crate::results::writer::RecordWriter;
use crate::results::{self, inference};
use crate::source::receipt::Receipt;
use crate::train::Trainer;
use crate::train::evaluate::{self, Evaluation};
use crate::train::groups::LayerRate;
use crate::train::saving::Saving;
use crate::train::updates::States;

/// Writes all files of the record but its log and `record.json`.
///
/// # Errors
/// Whatever the file system refuses.
pub fn write_files(
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
    rows::write_timings(&writer.path(record::TIMINGS), trainer.timings())?;
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

/// A row a test sample.
pub fn output_rows(evaluation: &Evaluation, test: &Dataset) -> Vec<OutputRow> {
    let rows = evaluation.confidences.chunks_exact(test.classes());
    rows.zip(test.labels())
        .enumerate()
        .map(|(index, (row, &label))| OutputRow {
            index,
            label: label as usize,
            predicted: evaluate::most_confident(row),
            confidences: row.to_vec(),
        })
        .collect()
}

/// The program that runs.
///
/// # Errors
/// Its file cannot be read.
pub fn build() -> Result<Build> {
    let program = std::env::current_exe().at("the program's own file")?;
    Ok(Build {
        sha256: stamps::stamp(&program)?.sha256,
        arithmetic: backend::arithmetic(),
    })
}

/// How many parameters there are, and what becomes of them.
pub fn parameters(
    spec: &NetworkSpec,
    rates: &[LayerRate],
    receipt: Option<&Receipt>,
) -> Parameters {
    let layers = || spec.layers.iter().zip(rates);
    let count = |select: &dyn Fn(&LayerRate) -> bool| -> u64 {
        let selected = layers().filter(|(_, rate)| select(rate));
        selected
            .map(|(layer, _)| layer.parameter_count() as u64)
            .sum()
    };
    Parameters {
        total: count(&|_| true),
        imported: receipt.map_or(0, |receipt| receipt.totals.parameters as u64),
        trained: count(&|rate| !rate.frozen),
        frozen: count(&|rate| rate.frozen),
    }
}

/// The data files as the run read them.
pub fn data(inputs: &Inputs, contents: &Contents) -> record::Data {
    record::Data {
        train: data_file(&inputs.train.data, &contents.train),
        test: data_file(&inputs.test.data, &contents.test),
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
pub fn class_names(data: &Dataset) -> Vec<String> {
    match data.class_names() {
        [] => (0..data.classes()).map(|class| class.to_string()).collect(),
        names => names.to_vec(),
    }
}

/// The source model, if there is one, and what was imported.
pub fn source(outline: &Outline) -> Option<Source> {
    let receipt = outline.receipt.as_ref()?;
    Some(source_of(receipt, &outline.rates))
}

/// What was kept of frozen layers.
pub fn features(saving: &Saving) -> record::Features {
    record::Features {
        layers: saving.layers,
        multiply_adds: saving.multiply_adds,
        dtype: saving.dtype.to_string(),
        is_exact: saving.is_exact,
    }
}

/// The source model of `receipt`, whose layers train at `rates`.
pub fn source_of(receipt: &Receipt, rates: &[LayerRate]) -> Source {
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

/// The final figures.
///
/// # Errors
/// There are no labels.
pub fn metrics(evaluation: &Evaluation, rows: &[MetricsRow], labels: &[u32]) -> Result<Metrics> {
    let labels: Vec<usize> = labels.iter().map(|&label| label as usize).collect();
    Ok(Metrics {
        training_cost: rows.last().map_or(f64::NAN, |row| row.training_cost),
        test_cost: evaluation.cost,
        accuracy: evaluation.accuracy,
        majority_baseline: results::metrics::majority_baseline(&labels)?,
        samples: labels.len() as u64,
    })
}
