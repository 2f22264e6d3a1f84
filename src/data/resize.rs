//! Planes of pixels at another size: bilinear, antialiased (Pillow's `BILINEAR`).
//!
//! Computed in f32, whatever the precision of the pixels, and on one thread: the values do not
//! depend on how many there are. It knows neither samples nor channels.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::F32;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::dataset::Pixel;
use crate::error::{Error, Result};

/// Planes of `height` × `width` values, one after the other, each at `size` × `size`. Planes that are
/// not square lose the ends of their longer side, evenly, as in [`super::images::Image::resized`].
///
/// # Errors
/// A side of 0, or one that is absurd.
pub fn resized<T: Pixel>(planes: &[T], [height, width]: [usize; 2], size: usize) -> Result<Vec<T>> {
    let failed = |why: &dyn std::fmt::Display| {
        Error::new(format!(
            "cannot be resized from {width}x{height} to {size}x{size} pixels: {why}"
        ))
    };
    let side = |side: usize| match u32::try_from(side) {
        Ok(side) if side > 0 => Ok(side),
        _ => Err(failed(&"there are no such images")),
    };
    let (width, height, side) = (side(width)?, side(height)?, side(size)?);
    let plane = width as usize * height as usize;
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .fit_into_destination(Some((0.5, 0.5)));
    let mut resizer = Resizer::new();
    let mut to = TypedImage::<F32>::new(side, side);
    let mut result = Vec::with_capacity(planes.len() / plane * size * size);
    for values in planes.chunks_exact(plane) {
        let from: Vec<F32> = values
            .iter()
            .map(|&value| F32::new(single(value)))
            .collect();
        let from = TypedImageRef::new(width, height, &from).map_err(|error| failed(&error))?;
        resizer
            .resize_typed(&from, &mut to, &options)
            .map_err(|error| failed(&error))?;
        result.extend(to.pixels().iter().map(|pixel| T::from_f32(pixel.0)));
    }
    Ok(result)
}

fn single<T: Pixel>(value: T) -> f32 {
    let value: f64 = value.into();
    value as f32
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Pillow's figures: `ImageOps.fit(image, (size, size), BILINEAR)` of 17 rows of 23 pixels.
    const PILLOW: &str = include_str!("../../tests/data/pixels/bilinear.json");

    fn numbers(list: &Value) -> Vec<f64> {
        let list = list.as_array().expect("a list");
        list.iter()
            .map(|number| number.as_f64().expect("a number"))
            .collect()
    }

    fn largest_difference(ours: &[f64], theirs: &[f64]) -> f64 {
        assert_eq!(ours.len(), theirs.len());
        let pairs = ours.iter().zip(theirs);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn the_values_are_pillows() -> Result<()> {
        let pillow: Value = serde_json::from_str(PILLOW).expect("JSON");
        let image = numbers(&pillow["input"]);
        for expected in pillow["resized"].as_array().expect("a list") {
            let size = expected["size"].as_u64().expect("a size") as usize;
            let ours = resized(&image, [17, 23], size)?;
            let largest = largest_difference(&ours, &numbers(&expected["floats"]));
            assert!(largest < 2e-4, "{size}, floats: {largest}");
            // Pillow rounds to bytes twice, after the columns and after the rows.
            let largest = largest_difference(&ours, &numbers(&expected["bytes"]));
            assert!(largest < 1.0, "{size}, bytes: {largest}");
        }
        Ok(())
    }

    #[test]
    fn each_plane_is_resized_on_its_own() -> Result<()> {
        let plane = |start: u32| (start..start + 12).map(|n| n as f32).collect::<Vec<_>>();
        let together = resized(&[plane(0), plane(100)].concat(), [3, 4], 5)?;
        let apart = [
            resized(&plane(0), [3, 4], 5)?,
            resized(&plane(100), [3, 4], 5)?,
        ];
        assert_eq!(together, apart.concat());
        Ok(())
    }

    #[test]
    fn a_size_that_cannot_be_is_refused() {
        let message = resized::<f32>(&[], [0, 4], 5).map_err(|error| error.to_string());
        assert_eq!(
            message,
            Err("cannot be resized from 4x0 to 5x5 pixels: there are no such images".to_owned())
        );
        assert!(resized(&[1.0f32], [1, 1], 0).is_err());
    }
}
