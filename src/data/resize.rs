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
pub fn resized<T: Pixel>(
    planes: &[T],
    [height, width]: [usize; 2],
    size: usize,
) -> Result<Vec<T>> {
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
        let from: Vec<F32> = values.iter().map(|&value| F32::new(single(value))).collect();
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
