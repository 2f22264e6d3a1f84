//! Winograd's kernels against the definition in f64 on every instruction set that the processor has;
//! what is common to all kernels is tested in `convolution`.

use super::*;
use crate::kernels::convolution::{Padding, Shape};
use crate::kernels::reference::{self, values};
use crate::kernels::simd::InstructionSet;

/// Images, channels, height, width, filters.
const SIZES: [[usize; 5]; 9] = [
    [1, 1, 1, 1, 1],
    [1, 3, 5, 7, 5],
    [1, 16, 13, 17, 33],
    [3, 9, 14, 14, 70],
    [2, 40, 28, 30, 16],
    [40, 8, 4, 4, 8],
    [1, 512, 4, 6, 40],
    [1, 24, 6, 4, 512],
    [2, 17, 3, 64, 19],
];

fn shape([batch, channels, height, width, filters]: [usize; 5]) -> Shape {
    let [top, bottom, left, right] = [1; 4];
    Shape {
        batch,
        channels,
        height,
        width,
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
    }
}

fn maps([images, channels, height, width, _]: [usize; 5]) -> Maps {
    Maps {
        images,
        channels,
        height,
        width,
    }
}

/// |found - expected| / |expected|, in the 2-norm.
fn relative_error(found: &[f32], expected: &[f64]) -> f64 {
    let pairs = found.iter().zip(expected);
    let error: f64 = pairs.map(|(&a, b)| (f64::from(a) - b).powi(2)).sum();
    let size: f64 = expected.iter().map(|b| b * b).sum();
    (error / size).sqrt()
}

/// x, w, bias, the gradient for the output.
fn numbers(shape: &Shape) -> [Vec<f32>; 4] {
    [
        values("x", shape.batch * shape.image()),
        values("w", shape.filters * shape.filter()),
        values("bias", shape.filters),
        values("dy", shape.batch * shape.filters * shape.pixels()),
    ]
}

fn filters<'a>(shape: &Shape, values: &'a [f32], turned: bool) -> Filters<'a> {
    let Shape {
        filters, channels, ..
    } = *shape;
    Filters {
        values,
        filters,
        channels,
        turned,
    }
}

/// y behind a ReLU, and the gradients for x, w and bias.
fn compute(set: InstructionSet, sizes: [usize; 5]) -> [Vec<f32>; 4] {
    let (shape, maps) = (shape(sizes), maps(sizes));
    let [x, w, bias, dy] = numbers(&shape);
    let mut results = [&dy, &x, &w, &bias].map(|like| vec![f32::NAN; like.len()]);
    let [y, dx, dw, db] = &mut results;
    let straight = filters(&shape, &w, false);
    convolve(
        set,
        maps,
        straight,
        Pixels::Plain(&x),
        Some(&bias),
        Output::Relu(y),
    );
    let errors = Pixels::Masked(&dy, y);
    let back = Maps {
        channels: shape.filters,
        ..maps
    };
    convolve(
        set,
        back,
        filters(&shape, &w, true),
        errors,
        None,
        Output::Plain(dx),
    );
    filter_gradient(
        set,
        maps,
        shape.filters,
        Pixels::Plain(&x),
        errors,
        dw,
        Some(db),
    );
    results
}

#[test]
fn every_instruction_set_gives_what_the_definition_gives() {
    for sizes in SIZES {
        let shape = shape(sizes);
        let [x, w, bias, dy] = numbers(&shape);
        let y = reference::forward(&shape, &x, &w, Some(&bias), true);
        for set in InstructionSet::all() {
            let [found, dx, dw, db] = compute(set, sizes);
            let output = Some(found.as_slice());
            let (of_w, of_bias) = reference::weight_gradient(&shape, &x, &dy, output);
            let of_x = reference::input_gradient(&shape, &dy, output, &w);
            let pairs = [(&found, &y), (&dx, &of_x), (&dw, &of_w), (&db, &of_bias)];
            for (what, (found, expected)) in ["y", "dx", "dw", "db"].into_iter().zip(pairs) {
                let silent = expected.iter().all(|&value| value == 0.0);
                let error = relative_error(found, expected);
                assert!(
                    silent || error < 2e-6,
                    "{what} of {sizes:?} by {set:?}: {error:e}"
                );
            }
        }
    }
}

#[test]
fn instruction_sets_with_fused_products_give_the_same_bits() {
    for sizes in SIZES {
        let fused = InstructionSet::all().into_iter();
        let fused = fused.filter(|&set| set != InstructionSet::Portable);
        let results: Vec<_> = fused.map(|set| compute(set, sizes)).collect();
        for pair in results.windows(2) {
            assert!(pair[0] == pair[1], "{sizes:?}");
        }
    }
}

#[test]
fn what_is_not_a_number_stays_so_behind_relu_and_pooling() {
    let sizes = [1, 2, 8, 8, 3];
    let (shape, maps) = (shape(sizes), maps(sizes));
    let [mut x, w, bias, _] = numbers(&shape);
    x[27] = f32::NAN;
    for set in InstructionSet::all() {
        let (mut y, mut winners) = (vec![0.0; 3 * 16], vec![0; 3 * 16]);
        let output = Output::Pooled(&mut y, &mut winners);
        convolve(
            set,
            maps,
            filters(&shape, &w, false),
            Pixels::Plain(&x),
            Some(&bias),
            output,
        );
        assert!(y.iter().any(|value| value.is_nan()), "{set:?}");
    }
}

#[test]
fn a_fused_pooling_gives_the_bits_of_pooling_behind_it() {
    for sizes in SIZES
        .into_iter()
        .filter(|sizes| sizes[2] % 2 == 0 && sizes[3] % 2 == 0)
    {
        let (shape, maps) = (shape(sizes), maps(sizes));
        let [x, w, bias, dy] = numbers(&shape);
        let quarter = dy.len() / 4;
        for set in InstructionSet::all() {
            let straight = filters(&shape, &w, false);
            let mut y = vec![0.0; dy.len()];
            let output = Output::Relu(&mut y);
            convolve(set, maps, straight, Pixels::Plain(&x), Some(&bias), output);
            let (mut pooled, mut winners) = (vec![f32::NAN; quarter], vec![9; quarter]);
            let output = Output::Pooled(&mut pooled, &mut winners);
            convolve(set, maps, straight, Pixels::Plain(&x), Some(&bias), output);

            let dy = &dy[..quarter];
            let mut scattered = vec![0.0; y.len()];
            for (place, (&pooled, &winner)) in pooled.iter().zip(&winners).enumerate() {
                let four = four(place, shape.height, shape.width);
                let largest = four.map(|at| y[at]).into_iter().fold(0.0, f32::max);
                assert_eq!(pooled, largest);
                match four.iter().position(|&at| y[at] == largest) {
                    Some(first) if largest > 0.0 => {
                        assert_eq!(usize::from(winner), first);
                        scattered[four[first]] = dy[place];
                    }
                    _ => assert_eq!(winner, NONE),
                }
            }
            let back = |errors: Pixels<'_>| {
                let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; w.len()]);
                let inputs = Maps {
                    channels: shape.filters,
                    ..maps
                };
                let turned = filters(&shape, &w, true);
                convolve(set, inputs, turned, errors, None, Output::Plain(&mut dx));
                let x = Pixels::Plain(&x);
                filter_gradient(set, maps, shape.filters, x, errors, &mut dw, None);
                (dx, dw)
            };
            let fused = back(Pixels::Pooled(dy, &winners));
            assert!(
                fused == back(Pixels::Plain(&scattered)),
                "{sizes:?} by {set:?}"
            );
        }
    }
}

/// The places of the four pixels whose largest is at `place` of the pooled maps.
fn four(place: usize, height: usize, width: usize) -> [usize; 4] {
    let (plane, rest) = (
        place / (height / 2 * (width / 2)),
        place % (height / 2 * (width / 2)),
    );
    let (y, x) = (rest / (width / 2) * 2, rest % (width / 2) * 2);
    [(0, 0), (0, 1), (1, 0), (1, 1)]
        .map(|(row, column)| (plane * height + y + row) * width + x + column)
}
