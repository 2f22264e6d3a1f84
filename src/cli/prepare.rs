//! `graft prepare`: data files from what people have.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::print;
use crate::data::prepare::{self, OnError, Options};
use crate::error::Result;
use crate::report::cell::Cell;
use crate::report::table::{Format, Table};

/// Make data files from images
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  graft prepare images photos --out data/photos --size 64")]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Images(Images),
}

/// Write train.h5 and test.h5 from folders of JPEG and PNG files, a folder a class
///
/// Folders `train` and `test` (or `val`) in DIR are the two splits, with the class folders in them;
/// otherwise DIR holds the class folders, and a share of each class is kept for testing.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  graft prepare images photos --out data/photos --size 64\n  graft prepare images photos --out data/photos --size 64 --on_error skip --force"
)]
struct Images {
    /// Directory of the class folders, or of train and test
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Directory of the two files
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Side of the square images in pixels; the middle square is cut out and resized
    #[arg(long, value_name = "N")]
    size: usize,
    /// Resize the shorter side of each image to N pixels before the square is cut out of the middle,
    /// as is usual for models trained on ImageNet: 256 for a size of 224; by default, N is the size
    #[arg(long, value_name = "N")]
    resize: Option<usize>,
    /// Seeds the split and the order of the samples
    #[arg(long, default_value_t = 2018, value_name = "N")]
    seed: u64,
    /// Share of each class kept for testing, if no folders say so
    #[arg(
        long = "test_fraction",
        alias = "test-fraction",
        default_value_t = 0.2,
        value_name = "SHARE"
    )]
    test_fraction: f64,
    /// What to do about a broken image: it is named either way
    #[arg(
        long = "on_error",
        alias = "on-error",
        value_enum,
        default_value = "fail"
    )]
    on_error: Broken,
    /// Replace files that are there already
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Broken {
    /// End with an error
    Fail,
    /// Leave it out
    Skip,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let What::Images(images) = arguments.what;
    let options = Options {
        size: images.size,
        resize: images.resize,
        seed: images.seed,
        test_fraction: images.test_fraction,
        on_error: match images.on_error {
            Broken::Fail => OnError::Fail,
            Broken::Skip => OnError::Skip,
        },
        force: images.force,
    };
    let summary = prepare::images(&images.directory, &images.out, &options)?;
    for error in &summary.skipped {
        eprintln!("skipped: {error}");
    }
    let mut table = Table::new(["label", "class", "training", "test"]);
    for (label, class) in summary.classes.iter().enumerate() {
        let name = Cell::from(class.name.as_str());
        table.push([label.into(), name, class.train.into(), class.test.into()]);
    }
    print(&table.render(Format::Terminal))?;
    let [red, green, blue] = [0, 1, 2].map(|c| summary.mean.get(c).copied().unwrap_or_default());
    print(&format!(
        "mean of the training images: red {red:.1}, green {green:.1}, blue {blue:.1}\n{}\n{}\n",
        summary.train.display(),
        summary.test.display()
    ))?;
    if !summary.skipped.is_empty() {
        print(&format!(
            "broken images skipped: {}\n",
            summary.skipped.len()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
