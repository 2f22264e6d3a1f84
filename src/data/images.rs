//! JPEG and PNG files as 8-bit RGB of any size asked for.
//!
//! Decoding is strict: a truncated file is an error, never a half-grey image. Whatever a file
//! holds becomes RGB: greyscale is repeated, 16 bits are rounded to 8, a palette is looked up, CMYK
//! is converted (stored inverted, as Adobe does and everybody since), transparent pixels are laid
//! over white, and a photograph is turned as its EXIF orientation says. Colour profiles are ignored.
//!
//! It does not know what an image shows, or where it will be stored.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use fast_image_resize::images::{Image as Pixels, ImageRef};
use fast_image_resize::{PixelType, ResizeOptions, Resizer};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, RgbImage};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::error::{At, Error, Result};

/// Longest side of an image that is decoded, in pixels: larger ones are refused before they fill
/// the memory.
const LONGEST_SIDE: u32 = 16_384;

/// An image in 8-bit RGB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    width: u32,
    height: u32,
    /// Red, green and blue of each pixel, row by row.
    rgb: Vec<u8>,
}

/// Reads the image at `path` for a network whose input is `shape` = (channels, height, width).
///
/// It is resized as by [`Image::resized`]. Returns its values, 0 to 255, in (channel, row, column)
/// order: red, green and blue, or their luma if the network has a single channel.
///
/// # Errors
/// If the file is no readable JPEG or PNG, or the network has neither 3 channels nor 1.
pub fn load(path: &Path, shape: [usize; 3]) -> Result<Vec<f32>> {
    let load = || {
        let [channels, height, width] = shape;
        let image = Image::decode(&fs::read(path)?)?.resized(width, height)?;
        match channels {
            3 => Ok(image.planes().into_iter().map(f32::from).collect()),
            1 => Ok(image.luma()),
            _ => {
                let problem = format!("a picture gives 3 channels or 1, not {channels}");
                Err(Error::new(problem).help("prepare such data as HDF5"))
            }
        }
    };
    load().at(path.display())
}

impl Image {
    /// Decodes the bytes of a JPEG or PNG file; the kind is told by the content.
    ///
    /// # Errors
    /// If it is of another kind, truncated, damaged, or longer than 16,384 pixels on a side.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        match image::guess_format(bytes) {
            Ok(ImageFormat::Jpeg) => decode_jpeg(bytes),
            Ok(ImageFormat::Png) => decode_png(bytes),
            _ if bytes.is_empty() => Err(Error::new("is empty")),
            _ => Err(Error::new("is neither JPEG nor PNG")),
        }
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The middle of the image: this `share` of its shorter side, of more than 0 and up to 1, cut off
    /// at all four sides by the same number of pixels.
    ///
    /// # Errors
    /// So small a share that no pixel is left.
    pub fn middle(&self, share: f64) -> Result<Self> {
        let shorter = self.width.min(self.height);
        let margin = (f64::from(shorter) * (1.0 - share) / 2.0).round().max(0.0) as u32;
        let inner = |side: u32| side.checked_sub(2 * margin).filter(|&side| side > 0);
        let (Some(width), Some(height)) = (inner(self.width), inner(self.height)) else {
            return Err(Error::new("nothing is left of the image").help("cut less off its sides"));
        };
        let row = |row: u32| {
            let start = 3 * ((row + margin) * self.width + margin) as usize;
            &self.rgb[start..start + 3 * width as usize]
        };
        Ok(Self {
            width,
            height,
            rgb: (0..height).flat_map(row).copied().collect(),
        })
    }

    /// The image at exactly `width` × `height` pixels. The aspect is kept: what does not fit is cut
    /// off evenly from both ends of the longer side. Antialiased (Lanczos, 3 lobes).
    ///
    /// # Errors
    /// If a side is 0 or too long.
    pub fn resized(&self, width: usize, height: usize) -> Result<Self> {
        let side = |side: usize| {
            let side = u32::try_from(side).ok();
            side.filter(|side| (1..=LONGEST_SIDE).contains(side))
                .ok_or_else(|| Error::new(format!("cannot be resized to {width}x{height} pixels")))
        };
        let (width, height) = (side(width)?, side(height)?);
        let failed =
            |error: &dyn std::fmt::Display| Error::new(format!("cannot be resized: {error}"));
        let whole = ImageRef::new(self.width, self.height, &self.rgb, PixelType::U8x3);
        let whole = whole.map_err(|error| failed(&error))?;
        let mut resized = Pixels::new(width, height, PixelType::U8x3);
        let [left, top, across, down] = self.cut_for(width, height);
        let options = ResizeOptions::new().crop(left, top, across, down);
        Resizer::new()
            .resize(&whole, &mut resized, &options)
            .map_err(|error| failed(&error))?;
        Ok(Self {
            width,
            height,
            rgb: resized.into_vec(),
        })
    }

    /// Left, top, width and height of the largest part of the image's middle that has the aspect of
    /// `width` × `height`. It begins at whole pixels: a part that needs no resizing is cut out as it
    /// is, and not blurred by half a pixel.
    fn cut_for(&self, width: u32, height: u32) -> [f64; 4] {
        let [own_width, own_height, width, height] =
            [self.width, self.height, width, height].map(f64::from);
        // The products are exact, so that a side that is kept whole is never longer than it is.
        let (across, down) = if own_width * height > own_height * width {
            (own_height * width / height, own_height)
        } else {
            (own_width, own_width * height / width)
        };
        let begin = |whole: f64, part: f64| ((whole - part) / 2.0).floor();
        [
            begin(own_width, across),
            begin(own_height, down),
            across,
            down,
        ]
    }

    /// All red values row by row, then all green ones, then all blue ones.
    pub fn planes(&self) -> Vec<u8> {
        let channel = |channel: usize| self.rgb.iter().skip(channel).step_by(3).copied();
        (0..3).flat_map(channel).collect()
    }

    /// The brightness of each pixel, 0 to 255 (ITU-R BT.601).
    fn luma(&self) -> Vec<f32> {
        let luma = |rgb: &[u8]| {
            0.299 * f32::from(rgb[0]) + 0.587 * f32::from(rgb[1]) + 0.114 * f32::from(rgb[2])
        };
        self.rgb.chunks_exact(3).map(luma).collect()
    }

    fn from_rgb(image: DynamicImage, orientation: Orientation) -> Self {
        let mut image = image;
        image.apply_orientation(orientation);
        Self {
            width: image.width(),
            height: image.height(),
            rgb: image.into_rgb8().into_raw(),
        }
    }
}

/// The crate image decodes JPEG by zune-jpeg too, but leniently, with no way to ask for more.
fn decode_jpeg(bytes: &[u8]) -> Result<Image> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(LONGEST_SIDE as usize)
        .set_max_height(LONGEST_SIDE as usize)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let rgb = decoder.decode().map_err(failed)?;
    let (width, height) = decoder
        .dimensions()
        .ok_or_else(|| Error::new("has no size"))?;
    let image = RgbImage::from_raw(width as u32, height as u32, rgb)
        .ok_or_else(|| Error::new("does not decode to RGB"))?;
    let orientation = decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif));
    Ok(Image::from_rgb(
        image.into(),
        orientation.unwrap_or(Orientation::NoTransforms),
    ))
}

fn decode_png(bytes: &[u8]) -> Result<Image> {
    let mut decoder = image::codecs::png::PngDecoder::new(Cursor::new(bytes)).map_err(failed)?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    decoder.set_limits(limits).map_err(failed)?;
    let orientation = decoder.orientation().map_err(failed)?;
    let image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    if !image.color().has_alpha() {
        return Ok(Image::from_rgb(image, orientation));
    }
    let image = image.into_rgba8();
    let over_white = RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0;
        let blend = |value: u8| {
            let blended = u32::from(value) * u32::from(alpha) + 255 * u32::from(255 - alpha);
            ((blended + 127) / 255) as u8
        };
        image::Rgb([blend(red), blend(green), blend(blue)])
    });
    Ok(Image::from_rgb(over_white.into(), orientation))
}

fn failed(error: impl std::fmt::Display) -> Error {
    let error = error.to_string();
    Error::new(format!("cannot be decoded: {}", error.trim()))
}

#[cfg(test)]
#[path = "images_tests.rs"]
mod tests;
