//! 3x3 convolutions of stride 1 with one row and column of zeros around, by Winograd's F(4x4, 3x3):
//! 36 products a tile of 16 outputs, where the definition has 144.
//!
//! Forward, the gradient for the input (which is a convolution with turned filters) and the gradient
//! for the filters. Maps are (images, channels, height, width) in f32. The relative error against
//! the definition in f64 is 0.4e-6 to 1.9e-6; `cargo bench --bench errors` prints it for each
//! layer of VGG-16. All results are the same whatever the number of threads, and those of an image
//! whatever the other images.
//!
//! It knows no network and no Burn.

mod filters;
mod forward;
mod gradient;
mod maps;
mod products;
mod sums;
#[cfg(test)]
mod tests;
mod tiles;
mod transform;

pub use filters::Filters;
pub use forward::{Output, convolve};
pub use gradient::filter_gradient;
pub use maps::{Maps, NONE, Pixels};
