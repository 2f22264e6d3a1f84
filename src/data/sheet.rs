//! A contact sheet: the first samples of a data file as one PNG, to look at.

use std::path::Path;

use super::dataset::Dataset;
use crate::error::{Error, Result};

/// Writes the first `columns` x `rows` samples of `data`, each pixel `scale` pixels wide, to the PNG
/// file `path`. Values are shown as they are stored, from 0 to 255; one channel is shown grey.
///
/// # Errors
/// Samples of neither three channels nor one; a file that cannot be read or written.
pub fn write(data: &Dataset, columns: usize, rows: usize, scale: usize, path: &Path) -> Result<()> {
    let [channels, height, width] = data.shape();
    if channels != 3 && channels != 1 {
        let problem = format!("samples of {channels} channels are no pictures");
        return Err(Error::new(problem).at(data.path().display()));
    }
    let samples: Vec<usize> = (0..data.len().min(columns * rows)).collect();
    let mut values = Vec::<f32>::new();
    data.read(&samples, &mut values)?;
    let (tile_width, tile_height) = (width * scale, height * scale);
    let size = |count: usize, tile: usize| u32::try_from(count * tile).unwrap_or(u32::MAX);
    let pixel = |x: u32, y: u32| {
        let (x, y) = (x as usize, y as usize);
        let sample = y / tile_height * columns + x / tile_width;
        let place = (y % tile_height / scale) * width + x % tile_width / scale;
        let value = |channel: usize| {
            let plane = sample * channels + channel % channels;
            values
                .get(plane * height * width + place)
                .map_or(255, |&value| value as u8)
        };
        image::Rgb([value(0), value(1), value(2)])
    };
    let used_rows = samples.len().div_ceil(columns.max(1));
    let sheet = image::RgbImage::from_fn(
        size(columns, tile_width),
        size(used_rows, tile_height),
        pixel,
    );
    sheet
        .save_with_format(path, image::ImageFormat::Png)
        .map_err(|error| Error::new(error.to_string()).at(path.display()))
}
