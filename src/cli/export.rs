//! `graft export`: a record's model in a format that other tools open.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::convert::dtype;
use super::print;
use crate::error::{Error, Result};
use crate::export::{self, Exported};
use crate::numbers::Dtype;
use crate::report::cell::{Cell, grouped};
use crate::report::table::{Format, Table};

/// Write a trained model in a format that other tools open
///
/// safetensors is graft's own format, neon a pickle of neon's. pytorch-names is a PyTorch state dict
/// under torchvision's names, where the architecture is one of torchvision's: as safetensors, or, if
/// FILE ends in .pt or .pth, as PyTorch's own archive. onnx is the whole computation from raw pixels
/// to confidences, npz numpy's archive of arrays. What a format has no place for is listed.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  graft export results/faces/fine_tuning --to onnx\n  graft export results/faces/fine_tuning --to pytorch-names --out faces.pt\n  graft export models/faces.safetensors --to npz"
)]
pub struct Arguments {
    /// A record's directory, or a model.safetensors that graft wrote
    #[arg(value_name = "RECORD")]
    record: PathBuf,
    /// safetensors, pytorch-names, neon, onnx or npz
    #[arg(long, value_name = "FORMAT")]
    to: export::Format,
    /// The file to write; by default the experiment's name, here
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Precision of all values: f32, f64, f16 or bf16; onnx is f32 alone
    #[arg(long, value_name = "DTYPE", value_parser = dtype)]
    dtype: Option<Dtype>,
    /// Replace FILE if it is there
    #[arg(long)]
    force: bool,
    /// table, csv, markdown or json
    #[arg(long, default_value = "table")]
    format: Format,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { record, to, .. } = &arguments;
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => export::usual_out(record, *to)?,
    };
    if out.exists() && !arguments.force {
        return Err(Error::new("is there already")
            .at(out.display())
            .help("--force replaces it; `--out` names another file"));
    }
    let exported = export::export(record, *to, &out, arguments.dtype)?;
    let table = receipt(&out.display().to_string(), &exported);
    print(&table.render(arguments.format))?;
    Ok(ExitCode::SUCCESS)
}

/// A row for each file and count, and one for everything that there is to know.
fn receipt(out: &str, exported: &Exported) -> Table {
    let mut table = Table::new(["fact", "value"])
        .row(["from", &exported.from.display().to_string()])
        .row(["… sha256", &exported.from_sha256])
        .row(["to", out])
        .row(["… format", &exported.format])
        .row(["… sha256", &exported.sha256])
        .row(["tensors", &exported.tensors.to_string()])
        .row(["parameters", &grouped(exported.parameters as u64)]);
    for note in &exported.notes {
        table.push([Cell::from("note"), Cell::from(note.as_str())]);
    }
    for what in &exported.left_out {
        table.push([Cell::from("left out"), Cell::from(what.as_str())]);
    }
    table
}
