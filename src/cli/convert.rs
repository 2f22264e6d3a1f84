//! `graft convert`: a model from one file format to another.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::print;
use crate::error::{Error, Result};
use crate::numbers::Dtype;
use crate::report::cell::{Cell, grouped};
use crate::report::table::{Format, Table};
use crate::source::convert::{Converted, Options, Target, convert};

/// Convert a model between neon's pickles and safetensors, or another program's to safetensors
///
/// The names stay the same, and every value bit for bit. The ending of the new file says the
/// format: .safetensors is graft's, .prm, .p and .pkl are neon's. What has no place in the new
/// file is listed.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  graft convert VGG_D.p VGG_D.safetensors\n  graft convert results/fine_tuning/model.safetensors fine_tuned.prm\n  graft convert VGG_D_fused_conv_bias.p VGG_D.p --to neon"
)]
pub struct Arguments {
    /// The model that is there
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The file to write
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// safetensors, neon, neon_fused or neon_obsolete; by default as the ending of OUT says, and of
    /// neon's layouts the one that IN has
    #[arg(long, value_name = "FORMAT")]
    to: Option<Target>,
    /// Take the description of the layers from this model, where IN has none
    #[arg(long, value_name = "MODEL")]
    like: Option<PathBuf>,
    /// Precision of all values: f32, f64, f16 or bf16
    #[arg(long, value_name = "DTYPE", value_parser = dtype)]
    dtype: Option<Dtype>,
    /// Leave out what the optimizer remembers; neon imports it with the weights, whereupon layers
    /// that are meant to be frozen drift
    #[arg(long = "drop_states", alias = "drop-states")]
    drop_states: bool,
    /// Replace OUT if it is there
    #[arg(long)]
    force: bool,
    /// table, csv, markdown or json
    #[arg(long, default_value = "table")]
    format: Format,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { input, output, .. } = &arguments;
    if output.exists() && !arguments.force {
        return Err(Error::new("is there already")
            .at(output.display())
            .help("--force replaces it"));
    }
    let options = Options {
        to: arguments.to,
        like: arguments.like.as_deref(),
        dtype: arguments.dtype,
        drop_states: arguments.drop_states,
    };
    let converted = convert(input, output, &options)?;
    print(&receipt(&arguments, &converted).render(arguments.format))?;
    Ok(ExitCode::SUCCESS)
}

/// A row for each file and count, and one for everything that was left out.
fn receipt(arguments: &Arguments, converted: &Converted) -> Table {
    let mut table = Table::new(["fact", "value"])
        .row(["from", &arguments.input.display().to_string()])
        .row(["… format", &converted.from.to_string()])
        .row(["… sha256", &converted.from_sha256])
        .row(["to", &arguments.output.display().to_string()])
        .row(["… format", &converted.to.to_string()])
        .row(["… sha256", &converted.to_sha256])
        .row(["tensors", &converted.tensors.to_string()])
        .row(["parameters", &grouped(converted.parameters as u64)])
        .row(["optimizer states", &converted.states.to_string()]);
    for what in &converted.left_out {
        table.push([Cell::from("left out"), Cell::from(what.as_str())]);
    }
    table
}

/// The precision of this name.
pub(super) fn dtype(word: &str) -> Result<Dtype> {
    match word {
        "f32" => Ok(Dtype::F32),
        "f64" => Ok(Dtype::F64),
        "f16" => Ok(Dtype::F16),
        "bf16" => Ok(Dtype::Bf16),
        _ => Err(Error::new("there are f32, f64, f16 and bf16")),
    }
}
