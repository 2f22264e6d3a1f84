//! `graft predict`: a trained model's confidences for pictures.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::print;
use crate::error::Result;
use crate::report::cell::Cell;
use crate::report::table::{Format, Table};
use crate::runner::predict::{Prediction, Predictor};

/// Show how confident a trained model is of each class, for images
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  graft predict results/faces/fine_tuning/seed-1 me.jpg you.png")]
pub struct Arguments {
    /// A record's directory
    record: PathBuf,
    /// JPEG or PNG files; each is cropped to the middle square and resized to the model's input
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// cpu, ndarray, wgpu, cuda or cuda:1
    #[arg(short, long, default_value = "cpu")]
    backend: String,
    /// table, csv, markdown or json
    #[arg(long, default_value = "table")]
    format: Format,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let predictor = Predictor::open(&arguments.record, arguments.backend.parse()?)?;
    let headers = ["image", "class"].map(str::to_string).into_iter();
    let mut table = Table::new(headers.chain(predictor.classes().iter().cloned()));
    let mut code = ExitCode::SUCCESS;
    for image in &arguments.images {
        match predictor.predict(image) {
            Ok(Prediction { class, confidences }) => {
                let name = predictor.classes()[class].as_str();
                let cells = [Cell::from(image.display().to_string()), name.into()];
                let confidences = confidences.iter().map(|&value| Cell::real(value, 4));
                table.push(cells.into_iter().chain(confidences));
            }
            Err(error) => {
                eprintln!("error: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    print(&table.render(arguments.format))?;
    Ok(code)
}
