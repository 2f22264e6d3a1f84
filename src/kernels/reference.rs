//! Convolutions in f64, straight from their definition, to which tests hold all kernels.

use super::convolution::Shape;
use crate::random::Stream;

/// Values between -1 and 1.
pub fn values(purpose: &str, count: usize) -> Vec<f32> {
    let mut stream = Stream::new(3, purpose, &[]);
    (0..count)
        .map(|_| stream.between(-1.0, 1.0) as f32)
        .collect()
}

/// Calls `of` with the places in x, w and y of each product of the convolution.
fn products(shape: &Shape, mut of: impl FnMut(usize, usize, usize)) {
    let [height, width] = shape.output();
    let [rows, columns] = shape.kernel;
    let (channels, filters) = (shape.channels / shape.groups, shape.filters / shape.groups);
    for image in 0..shape.batch {
        for filter in 0..shape.filters {
            for channel in 0..channels {
                let source = image * shape.channels + filter / filters * channels + channel;
                for (place, [y, x, row, column]) in (0..height * width * rows * columns)
                    .map(|n| (n / (rows * columns), n % (rows * columns)))
                    .map(|(p, c)| (p, [p / width, p % width, c / columns, c % columns]))
                {
                    let (y, x) = (y * shape.stride + row, x * shape.stride + column);
                    let y = y
                        .checked_sub(shape.padding.top)
                        .filter(|&y| y < shape.height);
                    let x = x
                        .checked_sub(shape.padding.left)
                        .filter(|&x| x < shape.width);
                    if let (Some(y), Some(x)) = (y, x) {
                        of(
                            (source * shape.height + y) * shape.width + x,
                            ((filter * channels + channel) * rows + row) * columns + column,
                            (image * shape.filters + filter) * height * width + place,
                        );
                    }
                }
            }
        }
    }
}

pub fn forward(shape: &Shape, x: &[f32], w: &[f32], bias: Option<&[f32]>, relu: bool) -> Vec<f64> {
    let mut y = vec![0.0; shape.batch * shape.filters * shape.pixels()];
    products(shape, |at_x, at_w, at_y| {
        y[at_y] += f64::from(x[at_x]) * f64::from(w[at_w])
    });
    for (place, y) in y.iter_mut().enumerate() {
        let filter = place / shape.pixels() % shape.filters;
        *y += bias.map_or(0.0, |bias| f64::from(bias[filter]));
        *y = if relu { y.max(0.0) } else { *y };
    }
    y
}

/// The errors that pass a fused ReLU.
fn passed(dy: &[f32], output: Option<&[f32]>) -> Vec<f64> {
    let of = |place: usize| output.is_none_or(|y| y[place] > 0.0);
    let dy = dy.iter().enumerate();
    dy.map(|(place, &dy)| if of(place) { f64::from(dy) } else { 0.0 })
        .collect()
}

pub fn input_gradient(shape: &Shape, dy: &[f32], output: Option<&[f32]>, w: &[f32]) -> Vec<f64> {
    let dy = passed(dy, output);
    let mut dx = vec![0.0; shape.batch * shape.image()];
    products(shape, |at_x, at_w, at_y| {
        dx[at_x] += dy[at_y] * f64::from(w[at_w])
    });
    dx
}

/// Of the weights, and of the bias.
pub fn weight_gradient(
    shape: &Shape,
    x: &[f32],
    dy: &[f32],
    output: Option<&[f32]>,
) -> (Vec<f64>, Vec<f64>) {
    let dy = passed(dy, output);
    let mut dw = vec![0.0; shape.filters * shape.filter()];
    products(shape, |at_x, at_w, at_y| {
        dw[at_w] += f64::from(x[at_x]) * dy[at_y]
    });
    let mut db = vec![0.0; shape.filters];
    for (place, dy) in dy.iter().enumerate() {
        db[place / shape.pixels() % shape.filters] += dy;
    }
    (dw, db)
}

/// The largest deviation as a share of the largest value is below `tolerance`.
pub fn assert_close(found: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-30f64, |m, v| m.max(v.abs()));
    for (place, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let deviation = (f64::from(found) - expected).abs() / largest;
        assert!(
            deviation < tolerance,
            "{what} at {place}: {found} is not {expected}"
        );
    }
}
