//! `graft inspect`: what is in a source model, a data file or a record.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::print;
use crate::data::dataset::{Dataset, MeanSource};
use crate::data::sheet;
use crate::error::{At, Error, Result};
use crate::model::spec::shape_text;
use crate::report::cell::{Cell, grouped};
use crate::report::inspect;
use crate::report::table::{Format, Table, json};
use crate::results::loaded::LoadedRecord;
use crate::results::record::OUTPUTS;
use crate::source::{self, SourceModel, keras, origin};

/// Show what is in a source model, an HDF5 data file or a record
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  graft inspect VGG_D.p\n  graft inspect resnet18.pth\n  graft inspect data_wiki/train.h5\n  graft inspect results/fine_tuning"
)]
pub struct Arguments {
    /// A source model (.pth, .safetensors, .h5, .npz, .onnx, .p …), a data file (.h5) or a record's
    /// directory
    file: PathBuf,
    /// Write the first 48 pictures of a data file to this PNG file
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// table, csv, markdown or json
    #[arg(long, default_value = "table")]
    format: Format,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments {
        file,
        picture,
        format,
    } = arguments;
    let has_pictures = !file.is_dir() && is_hdf5(&file)? && keras::is_data(&file)?;
    if picture.is_some() && !has_pictures {
        return Err(Error::new("has no pictures")
            .at(file.display())
            .help("--picture goes with a data file (.h5)"));
    }
    let tables = if file.is_dir() {
        record(&file)?
    } else if has_pictures {
        let data = Dataset::open(&file)?;
        if let Some(picture) = &picture {
            sheet::write(&data, 12, 4, (64 / data.shape()[1].max(1)).max(1), picture)?;
        }
        vec![("facts", data_facts(&data)?), ("rows", classes(&data))]
    } else {
        let model = source::read(&file)?;
        vec![("facts", model_facts(&model)), ("rows", layers(&model))]
    };
    if format == Format::Json {
        // One document: a program reads it in one go.
        print(&json(&BTreeMap::from_iter(tables)))?;
    } else {
        for (_, table) in tables {
            print(&(table.render(format) + "\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The tables of a record, with their names in JSON.
fn record(dir: &Path) -> Result<Vec<(&'static str, Table)>> {
    let loaded = LoadedRecord::read(dir)?;
    let record = &loaded.record;
    let test =
        inspect::test(&record.classes, &loaded.outputs()?).at(dir.join(OUTPUTS).display())?;
    let [confusion, classes, measures] = test;
    Ok(vec![
        ("facts", inspect::facts(record)),
        (
            "rows",
            inspect::epochs(&loaded.metrics()?, &loaded.timings()?),
        ),
        ("confusion", confusion),
        ("classes", classes),
        ("measures", measures),
    ])
}

fn is_hdf5(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let file = File::open(path).at(path.display())?;
    file.take(8).read_to_end(&mut start).at(path.display())?;
    Ok(start == b"\x89HDF\r\n\x1a\n")
}

fn data_facts(data: &Dataset) -> Result<Table> {
    let facts = [
        ("file", data.path().display().to_string()),
        ("format", "HDF5 in neon's layout".to_string()),
        ("samples", grouped(data.len() as u64)),
        ("shape", shape_text(&data.shape())),
        ("values", data.type_name()),
        ("mean", mean_source(data).to_string()),
        ("sha256", data.sha256()?),
    ];
    Ok(facts
        .into_iter()
        .fold(Table::new(["fact", "value"]), |table, (fact, value)| {
            table.row([fact.to_string(), value])
        }))
}

fn mean_source(data: &Dataset) -> &'static str {
    match data.mean_source() {
        MeanSource::StoredPerPixel => "in the file, a value a pixel",
        MeanSource::StoredPerChannel => "in the file, a value a channel",
        MeanSource::Computed => "not in the file; computed, a value a channel",
    }
}

fn classes(data: &Dataset) -> Table {
    let mut table = Table::new(["class", "name", "samples"]);
    for class in 0..data.classes() {
        let samples = data
            .labels()
            .iter()
            .filter(|&&label| label as usize == class);
        let name = data
            .class_names()
            .get(class)
            .map(|name| Cell::from(name.as_str()));
        table.push([
            class.into(),
            name.unwrap_or(Cell::Missing),
            samples.count().into(),
        ]);
    }
    table
}

fn model_facts(model: &SourceModel) -> Table {
    let tensors: usize = model.layers.iter().map(|layer| layer.tensors.len()).sum();
    let mut table = Table::new(["fact", "value"])
        .row(["file", &model.path.display().to_string()])
        .row(["format", &model.format.to_string()])
        .row(["origin", &whose(model)])
        .row(["layers", &model.layers.len().to_string()])
        .row(["tensors", &tensors.to_string()])
        .row(["parameters", &grouped(model.parameter_count() as u64)])
        .row(["sha256", &model.sha256]);
    for (key, value) in &model.metadata {
        table.push([key.as_str(), value.as_str()]);
    }
    table
}

/// Whose model it is.
fn whose(model: &SourceModel) -> String {
    match model.origin {
        Some(origin) => origin.to_string(),
        None if origin::is_foreign(model) => {
            "no published architecture that graft knows".to_string()
        }
        None => "its own".to_string(),
    }
}

/// A row a tensor, and one for each layer without any.
fn layers(model: &SourceModel) -> Table {
    let mut table = Table::new(["layer", "type", "tensor", "shape", "parameters"]);
    for layer in &model.layers {
        let kind = || Cell::from(layer.kind.clone());
        if layer.tensors.is_empty() {
            table.push([layer.name.as_str().into(), kind()]);
        }
        for tensor in &layer.tensors {
            table.push([
                layer.name.as_str().into(),
                kind(),
                tensor.name.as_str().into(),
                shape_text(&tensor.shape).into(),
                tensor.count().into(),
            ]);
        }
    }
    table
}
