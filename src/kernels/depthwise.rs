//! Depthwise convolutions: each channel has one filter of its own (Howard et al. 2017).

use rayon::prelude::*;

use super::convolution::{Padding, Shape};
use super::disjoint::Disjoint;
use super::planes::{Layout, correlate, gather, passed};
use super::wide::{LANES, Vector};

/// Whether these kernels are for a convolution.
pub fn fits(shape: &Shape) -> bool {
    let Padding {
        top,
        bottom,
        left,
        right,
    } = shape.padding;
    let [rows, columns] = shape.kernel;
    shape.groups == shape.channels
        && shape.filters == shape.channels
        && rows == columns
        && [3, 5].contains(&rows)
        && [top, bottom, left, right].iter().all(|&size| size < rows)
}

/// y = x * w, plus bias, then ReLU. All as of [`super::convolution::forward`].
pub fn forward(
    shape: &Shape,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    relu: bool,
    y: &mut [f32],
) {
    let size = [shape.height, shape.width];
    let output = shape.output();
    let layout = Layout::new(shape, output);
    let planes = y.par_chunks_mut(shape.pixels()).enumerate();
    planes.for_each_init(
        || layout.buffer(),
        |buffer, (plane, y)| {
            let channel = plane % shape.channels;
            let x = &x[plane * size[0] * size[1]..][..size[0] * size[1]];
            layout.spread(x, size, [shape.padding.top, shape.padding.left], 1, buffer);
            let w = &w[channel * shape.filter()..][..shape.filter()];
            correlate(
                layout,
                buffer,
                w,
                bias.map_or(0.0, |bias| bias[channel]),
                output[1],
                y,
            );
            if relu {
                y.iter_mut()
                    .for_each(|y| *y = if *y < 0.0 { 0.0 } else { *y });
            }
        },
    );
}

/// Gradient for x, as of [`super::convolution::input_gradient`]: the errors, with zeros between them
/// for the stride, and the filters turned around.
pub fn input_gradient(
    shape: &Shape,
    dy: &[f32],
    output: Option<&[f32]>,
    w: &[f32],
    dx: &mut [f32],
) {
    let (pixels, size, edge) = (shape.pixels(), shape.output(), shape.kernel[0] - 1);
    let layout = Layout::new(
        &Shape {
            stride: 1,
            ..*shape
        },
        [shape.height, shape.width],
    );
    let before = [edge - shape.padding.top, edge - shape.padding.left];
    let planes = dx.par_chunks_mut(shape.height * shape.width).enumerate();
    planes.for_each_init(
        || (layout.buffer(), Vec::new()),
        |(buffer, errors), (plane, dx)| {
            let errors = passed(dy, output, plane * pixels..(plane + 1) * pixels, errors);
            layout.spread(errors, size, before, shape.stride, buffer);
            let channel = plane % shape.channels;
            let mut w = w[channel * shape.filter()..][..shape.filter()].to_vec();
            w.reverse();
            correlate(layout, buffer, &w, 0.0, shape.width, dx);
        },
    );
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
    let dw = Disjoint::new(dw);
    (0..shape.channels).into_par_iter().for_each_init(
        || (layout.buffer(), Vec::new()),
        |(buffer, errors), channel| {
            // SAFETY: a task has the filter of its channel alone.
            let dw = unsafe { dw.part(channel * shape.filter(), shape.filter()) };
            let mut sums = vec![[0.0; LANES]; shape.filter()];
            for image in 0..shape.batch {
                let plane = image * shape.channels + channel;
                let x = &x[plane * size[0] * size[1]..][..size[0] * size[1]];
                layout.spread(x, size, [shape.padding.top, shape.padding.left], 1, buffer);
                let errors = passed(dy, output, plane * pixels..(plane + 1) * pixels, errors);
                gather(layout, buffer, &[errors], width, &mut sums);
            }
            for (dw, sums) in dw.iter_mut().zip(sums) {
                *dw = sums.sum();
            }
        },
    );
}
