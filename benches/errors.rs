//! How far the convolution kernels are from the definition in f64, layer by layer of VGG-16:
//!
//! ```sh
//! cargo bench --bench errors
//! ```
//!
//! One image of normally distributed values, filters as a network begins with (He et al. 2015). The
//! error is |kernel - f64| / |f64|, in the 2-norm over all values of the layer.

use graft::kernels::convolution::{self, Errors, Padding, Shape};
use graft::random::Stream;
use rayon::prelude::*;

/// Channels, height and width, filters of VGG-16's convolutions at 224x224, each size once.
const LAYERS: [(&str, [usize; 3]); 9] = [
    ("conv1_1", [3, 224, 64]),
    ("conv1_2", [64, 224, 64]),
    ("conv2_1", [64, 112, 128]),
    ("conv2_2", [128, 112, 128]),
    ("conv3_1", [128, 56, 256]),
    ("conv3_2, conv3_3", [256, 56, 256]),
    ("conv4_1", [256, 28, 512]),
    ("conv4_2, conv4_3", [512, 28, 512]),
    ("conv5_1, conv5_2, conv5_3", [512, 14, 512]),
];

fn main() {
    println!("| layer | output | `exact` | input gradient | `exact` | weight gradient | `exact` |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (name, [channels, side, filters]) in LAYERS {
        let layer = Layer::new(channels, side, filters);
        let expected = layer.in_f64();
        let [fast, exact] = [false, true].map(|exact| layer.by_kernels(exact));
        let errors = (0..3).flat_map(|nth| {
            let error = |found: &[Vec<f32>; 3]| relative_error(&found[nth], &expected[nth]);
            [error(&fast), error(&exact)]
        });
        let errors: Vec<String> = errors.map(|error| format!("{error:.1e}")).collect();
        println!("| {name} | {} |", errors.join(" | "));
    }
}

struct Layer {
    shape: Shape,
    x: Vec<f32>,
    w: Vec<f32>,
    dy: Vec<f32>,
}

impl Layer {
    fn new(channels: usize, side: usize, filters: usize) -> Self {
        let [top, bottom, left, right] = [1; 4];
        let shape = Shape {
            batch: 1,
            channels,
            height: side,
            width: side,
            filters,
            kernel: [3, 3],
            stride: 1,
            padding: Padding {
                top,
                bottom,
                left,
                right,
            },
            groups: 1,
        };
        let deviation = (2.0 / (9 * channels) as f64).sqrt();
        Self {
            shape,
            x: normal("x", channels * side * side, 1.0),
            w: normal("w", filters * channels * 9, deviation),
            dy: normal("dy", filters * side * side, 1.0),
        }
    }

    /// The output and the gradients for input and weights.
    fn by_kernels(&self, exact: bool) -> [Vec<f32>; 3] {
        let Self { shape, x, w, dy } = self;
        let mut results = [dy, x, w].map(|like| vec![0.0; like.len()]);
        let [y, dx, dw] = &mut results;
        convolution::forward(shape, x, w, None, false, exact, y);
        let errors = Errors::Plain(dy);
        convolution::input_gradient(shape, errors, w, exact, dx);
        convolution::weight_gradient(shape, x, errors, exact, dw, None);
        results
    }

    /// The same from the definition, as products of matrices.
    fn in_f64(&self) -> [Vec<f64>; 3] {
        let Shape {
            channels,
            height,
            width,
            filters,
            ..
        } = self.shape;
        let (taps, pixels) = (channels * 9, height * width);
        let [x, w, dy] = [&self.x, &self.w, &self.dy].map(|values| as_f64(values));
        // (channel, row, column of the filter; pixel of the output)
        let mut columns = vec![0.0; taps * pixels];
        self.each_product(|tap, pixel, place| columns[tap * pixels + pixel] = x[place]);

        let mut y = vec![0.0; filters * pixels];
        multiply(
            [filters, pixels, taps],
            (&w, taps, 1),
            (&columns, pixels, 1),
            &mut y,
        );
        let mut dw = vec![0.0; filters * taps];
        multiply(
            [filters, taps, pixels],
            (&dy, pixels, 1),
            (&columns, 1, pixels),
            &mut dw,
        );
        multiply(
            [taps, pixels, filters],
            (&w, 1, taps),
            (&dy, pixels, 1),
            &mut columns,
        );
        let mut dx = vec![0.0; x.len()];
        self.each_product(|tap, pixel, place| dx[place] += columns[tap * pixels + pixel]);
        [y, dx, dw]
    }

    /// Calls `of` with each tap of a filter, pixel of the output, and place in x that they meet at.
    fn each_product(&self, mut of: impl FnMut(usize, usize, usize)) {
        let Shape {
            channels,
            height,
            width,
            ..
        } = self.shape;
        for tap in 0..channels * 9 {
            let (channel, row, column) = (tap / 9, tap / 3 % 3, tap % 3);
            for y in 0..height {
                for x in 0..width {
                    let (above, left) = (y + row, x + column);
                    if (1..=height).contains(&above) && (1..=width).contains(&left) {
                        let place = (channel * height + above - 1) * width + left - 1;
                        of(tap, y * width + x, place);
                    }
                }
            }
        }
    }
}

fn normal(purpose: &str, count: usize, deviation: f64) -> Vec<f32> {
    let mut stream = Stream::new(5, purpose, &[]);
    // Box and Muller 1958.
    let mut value = || {
        let radius = (-2.0 * stream.between(1e-12, 1.0).ln()).sqrt();
        radius * (std::f64::consts::TAU * stream.between(0.0, 1.0)).cos()
    };
    (0..count).map(|_| (value() * deviation) as f32).collect()
}

fn as_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// `output` (m, n) = left (m, k) times right (k, n); a matrix is its values, and how far rows and
/// columns are apart. Rows are computed side by side.
fn multiply(
    [m, n, k]: [usize; 3],
    left: (&[f64], usize, usize),
    right: (&[f64], usize, usize),
    output: &mut [f64],
) {
    assert_eq!(output.len(), m * n);
    output.fill(0.0);
    output
        .par_chunks_mut(n)
        .enumerate()
        .for_each(|(row, output)| {
            for term in 0..k {
                let factor = left.0[row * left.1 + term * left.2];
                let values = right.0[term * right.1..].iter().step_by(right.2);
                for (sum, value) in output.iter_mut().zip(values) {
                    *sum += factor * value;
                }
            }
        });
}

fn relative_error(found: &[f32], expected: &[f64]) -> f64 {
    let pairs = found.iter().zip(expected);
    let error: f64 = pairs.map(|(&a, b)| (f64::from(a) - b).powi(2)).sum();
    let size: f64 = expected.iter().map(|b| b * b).sum();
    (error / size).sqrt()
}
