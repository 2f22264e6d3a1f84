//! The gradient for filters 3x3 that see few channels, those of a network's first layer: directly. In
//! other kernels' vectors and products most places would be empty.

use rayon::prelude::*;

use super::convolution::Shape;
use super::planes::{Layout, gather, passed};
use super::wide::{LANES, Vector};

/// Filters that a task has: their sums fill the registers.
const FILTERS: usize = 3;
/// Rows of an image that are summed up before they are added to the others: rounding errors grow with
/// the terms that are added one after another.
const BAND: usize = 16;
/// More are no longer few.
const MOST: usize = 4;

/// Whether this kernel is for a convolution.
pub fn fits(shape: &Shape) -> bool {
    let padding = shape.padding;
    let sides = [padding.top, padding.bottom, padding.left, padding.right];
    shape.groups == 1
        && shape.channels <= MOST
        && shape.kernel == [3, 3]
        && sides.iter().all(|&size| size < 3)
}

/// Gradient for w, as of [`super::convolution::weight_gradient`].
pub fn weight_gradient(
    shape: &Shape,
    x: &[f32],
    dy: &[f32],
    output: Option<&[f32]>,
    dw: &mut [f32],
) {
    let (pixels, size) = (shape.pixels(), [shape.height, shape.width]);
    let [_, width] = shape.output();
    let layout = Layout::new(shape, shape.output());
    let before = [shape.padding.top, shape.padding.left];
    let planes = x.par_chunks_exact(size[0] * size[1]).map(|plane| {
        let mut buffer = layout.buffer();
        layout.spread(plane, size, before, 1, &mut buffer);
        buffer
    });
    let planes: Vec<Vec<f32>> = planes.collect();
    let blocks = dw.par_chunks_mut(FILTERS * shape.filter()).enumerate();
    blocks.for_each_init(
        || [const { Vec::new() }; FILTERS],
        |buffers, (block, dw)| {
            let filters = dw.len() / shape.filter();
            // (channel, filter, row, column)
            let mut sums = vec![[0.0; LANES]; dw.len()];
            let mut of_band = vec![[0.0; LANES]; filters * 9];
            for (image, planes) in planes.chunks_exact(shape.channels).enumerate() {
                let first = image * shape.filters + block * FILTERS;
                let errors = buffers.iter_mut().zip(first..first + filters);
                let errors = errors.map(|(buffer, plane)| {
                    passed(dy, output, plane * pixels..(plane + 1) * pixels, buffer)
                });
                let errors: Vec<&[f32]> = errors.collect();
                for row in (0..pixels / width).step_by(BAND) {
                    let of = row * width..pixels.min((row + BAND) * width);
                    let errors: Vec<&[f32]> = errors.iter().map(|dy| &dy[of.clone()]).collect();
                    for (plane, sums) in planes.iter().zip(sums.chunks_exact_mut(filters * 9)) {
                        let plane = layout.below(plane, row * shape.stride);
                        of_band.fill([0.0; LANES]);
                        gather(layout, plane, &errors, width, &mut of_band);
                        let lanes = sums.as_flattened_mut().iter_mut();
                        lanes
                            .zip(of_band.as_flattened())
                            .for_each(|(sum, of_band)| *sum += of_band);
                    }
                }
            }
            for (nth, sums) in sums.into_iter().enumerate() {
                let (channel, filter, cell) = (nth / 9 / filters, nth / 9 % filters, nth % 9);
                dw[(filter * shape.channels + channel) * 9 + cell] = sums.sum();
            }
        },
    );
}
