//! `graft features`: what a layer gives for every sample, as an archive of numpy's.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::{ExperimentArguments, print};
use crate::error::{Error, Result};
use crate::export::npz::{self, Array};
use crate::gather::gather;
use crate::model::spec::shape_text;
use crate::results::RESULTS;
use crate::runner::features::{self, Which};

/// Write what a layer gives for each image, before any training
///
/// The network is that of the experiment at its start: imported layers as imported. The archive holds
/// `features` (samples, …) and `labels` (samples); numpy.load opens it.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  graft features experiments/hymenoptera/squeezenet_feature_extraction.toml --layer fire9_concat --out fire9.npz"
)]
pub struct Arguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// The layer's name, as `graft plan` lists it
    #[arg(long, value_name = "NAME")]
    layer: String,
    /// Which of the data files
    #[arg(long, value_enum, default_value = "test")]
    split: SplitName,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace FILE if it is there
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SplitName {
    Train,
    Test,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let (overrides, _) = arguments.experiment.read()?;
    let out = &arguments.out;
    if out.exists() && !arguments.force {
        return Err(Error::new("is there already")
            .at(out.display())
            .help("--force replaces it; `--out` names another file"));
    }
    let loaded = gather(&arguments.experiment.paths, &overrides, Path::new(RESULTS));
    if let Some(error) = loaded.errors.into_iter().next() {
        return Err(error);
    }
    let [experiment] = loaded.experiments.as_slice() else {
        let problem = format!(
            "{} experiments, where one is wanted",
            loaded.experiments.len()
        );
        return Err(Error::new(problem).help("name one experiment file"));
    };
    let which = match arguments.split {
        SplitName::Train => Which::Train,
        SplitName::Test => Which::Test,
    };
    let seed = experiment.seeds.first().copied().unwrap_or_default();
    let found = features::features(experiment, seed, &arguments.layer, which)?;
    let arrays = [
        Array::numbers("features", &found.shape, &found.values),
        Array::labels("labels", &found.labels),
    ];
    npz::write_arrays(out, &arrays)?;
    if let Some(receipt) = &found.receipt {
        print(&format!("{receipt}\n"))?;
    }
    let shape = shape_text(&found.shape);
    print(&format!("{}: features {shape}, labels\n", out.display()))?;
    Ok(ExitCode::SUCCESS)
}
