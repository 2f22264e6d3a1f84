//! `graft plan`: what `graft run` would do, layer by layer, without doing it.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use clap::Args;

use super::{ExperimentArguments, print};
use crate::config::experiment::Control;
use crate::error::{Error, Result};
use crate::gather::gather;
use crate::model::spec::{LayerSpec, shape_text};
use crate::plan::{self, Run};
use crate::report::cell::{Cell, grouped};
use crate::report::table::{Format, Table};
use crate::results::RESULTS;
use crate::results::find::Status;
use crate::runner;
use crate::runner::model_file;
use crate::runner::opened::Opened;
use crate::runner::setup::{self, Outline};
use crate::runner::together::Alike;
use crate::train::groups::frozen_prefix;
use crate::train::saving::saving;

/// Show what would run, in which order, and what would happen to each layer
///
/// Trains nothing and writes nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  graft plan experiments\n  graft plan experiments/fine_tuning.toml --set learning_rate_multiplier=0.01"
)]
pub struct Arguments {
    #[command(flatten)]
    experiments: ExperimentArguments,
    /// Beside every experiment, the same with shuffled labels and with a random backbone
    #[arg(long)]
    controls: bool,
    /// table, csv, markdown or json; csv and json are one table of all layers
    #[arg(long, default_value = "table")]
    format: Format,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let (mut overrides, _) = arguments.experiments.read()?;
    overrides.controls = arguments.controls;
    let loaded = gather(&arguments.experiments.paths, &overrides, Path::new(RESULTS));
    for error in &loaded.errors {
        eprintln!("error: {error}");
    }
    let mut failed = !loaded.errors.is_empty();
    let runs = plan::order(loaded.experiments, Path::new(RESULTS))?;
    let for_people = matches!(arguments.format, Format::Terminal | Format::Markdown);
    let has_entries = |run: &Run| !run.experiment.optimizer.layer.is_empty();
    let with_optimizers = runs.iter().any(has_entries);
    let mut all = Table::new([&["experiment"], headers(with_optimizers)].concat());
    let opened = Opened::default();
    let mut outlines: Vec<Option<Rc<Outline>>> = Vec::with_capacity(runs.len());
    let mut pending: Vec<bool> = Vec::with_capacity(runs.len());
    let mut seen: HashSet<&str> = HashSet::new();
    for (index, run) in runs.iter().enumerate() {
        let outlined = outline(run, &runs, &outlines, &opened).and_then(|outline| {
            runner::check_save_path(run, &outline)?;
            Ok(outline)
        });
        let status = status(run, &pending, &opened);
        pending.push(status != "complete, would be skipped");
        let first = seen.insert(&run.experiment.name);
        match &outlined {
            Ok(outline) if for_people => {
                if first {
                    print(&head(run, &runs, outline))?;
                    print(&layers(run, outline, None).render(arguments.format))?;
                    print(&foot(run, outline))?;
                }
                print(&format!("   seed {}: {status}\n", run.seed))?;
                let last = runs.get(index + 1).map(|next| &next.experiment.name);
                print(if last == Some(&run.experiment.name) {
                    ""
                } else {
                    "\n"
                })?;
            }
            Ok(outline) if first => all = layers(run, outline, Some(all)),
            Err(error) if first => {
                failed = true;
                eprintln!("error: {}", error.clone().at(&run.experiment.name));
            }
            _ => {}
        }
        outlines.push(outlined.ok());
    }
    match for_people {
        true => print(&groups(&runs, &outlines, &pending))?,
        false => print(&all.render(arguments.format))?,
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The outline of a run; the models that it starts from are there, or come from others of the
/// `runs`, whose outlines are in `outlines`.
fn outline(
    run: &Run,
    runs: &[Run],
    outlines: &[Option<Rc<Outline>>],
    opened: &Opened,
) -> Result<Rc<Outline>> {
    let experiment = run.experiment.as_ref();
    // Runs of one experiment, one for each seed, have one outline.
    let before = runs[..outlines.len()].last().zip(outlines.last());
    if let Some((before, Some(outline))) = before
        && Arc::ptr_eq(&before.experiment, &run.experiment)
    {
        return Ok(outline.clone());
    }
    let (shape, classes) = opened.shape_and_classes(&experiment.data)?;
    let made = |path: &Path, maker: usize| {
        let outline = outlines.get(maker).and_then(Option::as_ref);
        let outline = outline.ok_or_else(|| {
            Error::new(format!(
                "{} is not made: see the error above",
                path.display()
            ))
        })?;
        let (images, _) = opened.shape_and_classes(&runs[maker].experiment.data)?;
        model_file::outline_of(path, outline, images).map(Rc::new)
    };
    let source = experiment.source_model.as_ref();
    let source = source.map(|path| match run.maker(path) {
        Some(maker) => made(path, maker),
        None => opened.source(path),
    });
    let initial = experiment.model.initial_weights.as_ref();
    let initial = initial.map(|path| match run.maker(path) {
        Some(maker) => made(path, maker),
        None => opened.initial(path),
    });
    let (source, initial) = (source.transpose()?, initial.transpose()?);
    let (source, initial) = (source.as_deref(), initial.as_deref());
    setup::outline(experiment, shape, classes, source, initial).map(Rc::new)
}

/// What `graft run` would do about `run`, in words; `pending` says which runs before it would run.
fn status(run: &Run, pending: &[bool], opened: &Opened) -> &'static str {
    let is_pending = |(_, maker): &(_, usize)| pending.get(*maker) == Some(&true);
    if run.after.iter().any(is_pending) {
        return "would run, after the model that it starts from is trained";
    }
    match opened.status(run) {
        Ok(Some(Status::Complete)) => "complete, would be skipped",
        Ok(Some(Status::Interrupted)) => "interrupted, would go on from its checkpoint",
        Ok(Some(Status::Outdated(_))) => "has an outdated record, would run",
        Ok(Some(Status::Absent) | None) => "would run",
        Err(_) => "would fail",
    }
}

fn head(run: &Run, runs: &[Run], outline: &Outline) -> String {
    let experiment = &run.experiment;
    let mut text = format!(
        "{} ({} epochs, batch {}, backend {})\n",
        experiment.name, experiment.epochs, experiment.batch_size, experiment.backend
    );
    for (model, maker) in &run.after {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "   after {}, which makes {}",
            runs[*maker].name(),
            model.display()
        );
    }
    for note in outline.notes() {
        let _ = writeln!(text, "   {note}");
    }
    for warning in outline.warnings() {
        let _ = writeln!(text, "   warning: {warning}");
    }
    text
}

/// The runs that would be trained side by side, a line a group.
fn groups(runs: &[Run], outlines: &[Option<Rc<Outline>>], pending: &[bool]) -> String {
    let mut groups: Vec<(Alike, Vec<&Run>)> = Vec::new();
    for ((run, outline), _) in runs.iter().zip(outlines).zip(pending).filter(|(_, p)| **p) {
        let outline = outline.as_deref();
        let Some(alike) = outline.and_then(|outline| Alike::of(&run.experiment, outline)) else {
            continue;
        };
        match groups.iter_mut().find(|(other, _)| other.is_like(&alike)) {
            Some((_, group)) => group.push(run),
            None => groups.push((alike, vec![run])),
        }
    }
    let several = groups.iter().filter(|(_, group)| group.len() > 1);
    let line = |(alike, group): &(Alike, Vec<&Run>)| {
        let names: Vec<String> = group.iter().map(|run| run.name()).collect();
        format!(
            "{} runs read the same kept outputs and train side by side, {} at a time: {}\n",
            group.len(),
            alike.abreast(group.len()),
            names.join("; ")
        )
    };
    several.map(line).collect()
}

fn foot(run: &Run, outline: &Outline) -> String {
    let prefix = frozen_prefix(&outline.spec, &outline.rates);
    let parameters = grouped(outline.spec.parameter_count() as u64);
    let saving = saving(&run.experiment, &outline.spec, &outline.rates);
    let saving = saving.map_or(String::new(), |saving| format!("   {saving}\n"));
    format!("   {parameters} parameters; no gradient passes the first {prefix} layers\n{saving}")
}

/// Of which the last column is there if some experiment has `[[optimizer.layer]]`.
const HEADERS: [&str; 8] = [
    "layer",
    "type",
    "output",
    "parameters",
    "imported",
    "learning rate",
    "frozen",
    "optimizer",
];

fn headers(with_optimizers: bool) -> &'static [&'static str] {
    let all = HEADERS.len();
    &HEADERS[..if with_optimizers { all } else { all - 1 }]
}

/// A row a layer: a table of its own, or rows of `all`, which begin with the experiment's name.
fn layers(run: &Run, outline: &Outline, all: Option<Table>) -> Table {
    let optimizer = &run.experiment.optimizer;
    let name = all
        .as_ref()
        .map(|_| Cell::from(run.experiment.name.as_str()));
    let with_optimizers = !optimizer.layer.is_empty();
    let mut table = all.unwrap_or_else(|| Table::new(headers(with_optimizers).iter().copied()));
    let imported = |imported: bool| match (imported, run.experiment.control) {
        (true, Some(Control::RandomBackbone)) => "drawn".into(),
        (imported, _) => yes_or_no(imported),
    };
    for (layer, rate) in outline.spec.layers.iter().zip(&outline.rates) {
        let has_parameters = !layer.parameters.is_empty();
        let only_with_parameters = |cell: Cell| if has_parameters { cell } else { Cell::Missing };
        let rule = optimizer.rule_of(rate.entry);
        let learning_rate = rule.learning_rate;
        let cells = [
            layer.name.as_str().into(),
            kind(layer).into(),
            shape_text(&layer.output).into(),
            only_with_parameters(layer.parameter_count().into()),
            only_with_parameters(imported(rate.imported)),
            only_with_parameters(Cell::Figure(plain(learning_rate * rate.multiplier))),
            only_with_parameters(yes_or_no(rate.frozen)),
        ];
        let optimizer = only_with_parameters(rule.algorithm.name().into());
        let optimizer = table.has("optimizer").then_some(optimizer);
        table.push(name.clone().into_iter().chain(cells).chain(optimizer));
    }
    table
}

fn yes_or_no(yes: bool) -> Cell {
    if yes { "yes" } else { "no" }.into()
}

/// What a layer does, and on whose outputs where that is not the layer before it.
fn kind(layer: &LayerSpec) -> String {
    let description = layer.operation.description();
    match layer.inputs.is_empty() {
        true => description,
        false => format!("{description} of {}", layer.inputs.join(", ")),
    }
}

/// A rate without the last digits that a multiplication leaves: 0.3, not 0.30000000000000004.
fn plain(rate: f64) -> String {
    let rounded: f64 = format!("{rate:.12e}").parse().unwrap_or(rate);
    format!("{rounded}")
}
