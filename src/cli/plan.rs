//! `graft plan`: what `graft run` would do, layer by layer, without doing it.

use std::process::ExitCode;

use clap::Args;

use super::ExperimentArguments;
use crate::error::{Error, Result};
use crate::gather::gather;
use crate::model::spec::{NetworkSpec, shape_text};
use crate::plan::{self, Run};
use crate::report::cell::{Cell, grouped};
use crate::report::table::{Format, Table};
use crate::runner::setup::{self, Outline};
use crate::source::{self, SourceModel};
use crate::train::groups;

/// Show what would run, in which order, and what would happen to each layer
///
/// Trains nothing and writes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  graft plan experiments\n  graft plan experiments/fine_tuning.toml --set learning_rate_multiplier=0.01")]
pub struct Arguments {
    #[command(flatten)]
    experiments: ExperimentArguments,
    /// table, csv, markdown or json
    #[arg(long, default_value = "table")]
    format: Format,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let results = &arguments.experiments.results;
    let overrides = arguments.experiments.overrides();
    let loaded = gather(&arguments.experiments.paths, &overrides, results);
    for error in &loaded.errors {
        eprintln!("error: {error}");
    }
    let mut failed = !loaded.errors.is_empty();
    let runs = plan::order(loaded.experiments, results)?;
    let mut specs: Vec<Option<NetworkSpec>> = Vec::with_capacity(runs.len());
    for (index, run) in runs.iter().enumerate() {
        let outlined = outline(run, &specs);
        let seen = runs[..index].iter().any(|other| other.experiment.name == run.experiment.name);
        match &outlined {
            Ok(outline) if !seen => show(index, run, &runs, outline, arguments.format),
            Err(error) if !seen => {
                failed = true;
                eprintln!("error: {}", error.clone().at(&run.experiment.name));
            }
            _ => {}
        }
        specs.push(outlined.ok().map(|outline| outline.spec));
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The outline of a run whose source model is there, or comes from a run whose spec is in `specs`.
fn outline(run: &Run, specs: &[Option<NetworkSpec>]) -> Result<Outline> {
    let experiment = run.experiment.as_ref();
    let (shape, classes) = setup::shape_and_classes(&experiment.data)?;
    let source = match (&experiment.source_model, run.after) {
        (None, _) => None,
        (Some(path), Some(maker)) => {
            let spec = specs.get(maker).and_then(Option::as_ref).ok_or_else(|| {
                Error::new(format!("{} is not made: see the error above", path.display()))
            })?;
            Some(SourceModel::outline_of(path, spec))
        }
        (Some(path), None) => Some(source::read(path)?),
    };
    setup::outline(experiment, shape, classes, source.as_ref())
}

fn show(index: usize, run: &Run, runs: &[Run], outline: &Outline, format: Format) {
    let experiment = &run.experiment;
    if matches!(format, Format::Terminal | Format::Markdown) {
        let seeds: Vec<String> = experiment.seeds.iter().map(u64::to_string).collect();
        println!(
            "{}. {} (seed {}; {} epochs, batch {}, backend {})",
            index + 1,
            experiment.name,
            seeds.join(", "),
            experiment.epochs,
            experiment.batch_size,
            experiment.backend
        );
        if let Some(maker) = run.after {
            println!("   after {}, which makes its source model", runs[maker].name());
        }
        if let Some(receipt) = &outline.receipt {
            println!("   {}", receipt.summary());
            for warning in receipt.warnings() {
                println!("   warning: {warning}");
            }
        }
    }
    println!("{}", layers(outline, experiment.optimizer.learning_rate).render(format));
    if matches!(format, Format::Terminal | Format::Markdown) {
        let prefix = groups::frozen_prefix(&outline.spec, &outline.rates);
        let parameters = grouped(outline.spec.parameter_count() as u64);
        println!("   {parameters} parameters; no gradient passes the first {prefix} layers\n");
    }
}

/// A row a layer.
fn layers(outline: &Outline, learning_rate: f64) -> Table {
    let mut table = Table::new([
        "layer",
        "type",
        "output",
        "parameters",
        "imported",
        "learning rate",
        "frozen",
    ]);
    for (layer, rate) in outline.spec.layers.iter().zip(&outline.rates) {
        let has_parameters = !layer.parameters.is_empty();
        let only_with_parameters = |cell: Cell| if has_parameters { cell } else { Cell::Missing };
        let yes = |yes: bool| Cell::from(if yes { "yes" } else { "no" });
        table.push([
            layer.name.as_str().into(),
            layer.operation.name().into(),
            shape_text(&layer.output).into(),
            only_with_parameters(layer.parameter_count().into()),
            only_with_parameters(yes(rate.imported)),
            only_with_parameters(Cell::Figure(format!("{}", learning_rate * rate.multiplier))),
            only_with_parameters(yes(rate.frozen)),
        ]);
    }
    table
}
