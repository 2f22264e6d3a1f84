//! All kernels against the definition in f64, and against themselves on other numbers of threads.

use super::*;
use crate::kernels::reference::{self, assert_close, values};

const fn even(size: usize) -> Padding {
    let [top, bottom, left, right] = [size; 4];
    Padding {
        top,
        bottom,
        left,
        right,
    }
}

/// Batch, channels, height, width; filters, rows, columns; stride, padding, groups.
const fn shape(
    [batch, channels, height, width]: [usize; 4],
    [filters, rows, columns]: [usize; 3],
    stride: usize,
    padding: Padding,
    groups: usize,
) -> Shape {
    Shape {
        batch,
        channels,
        height,
        width,
        filters,
        kernel: [rows, columns],
        stride,
        padding,
        groups,
    }
}

const SAME: Padding = Padding {
    top: 0,
    bottom: 1,
    left: 0,
    right: 1,
};

const SHAPES: [Shape; 22] = [
    shape([1, 3, 9, 7], [5, 3, 3], 1, even(1), 1),
    shape([2, 3, 33, 31], [64, 3, 3], 1, even(1), 1),
    shape([3, 16, 13, 11], [24, 3, 3], 1, even(1), 1),
    shape([1, 64, 28, 27], [33, 3, 3], 1, even(1), 1),
    shape([1, 512, 4, 5], [512, 3, 3], 1, even(1), 1),
    shape([2, 32, 2, 2], [17, 3, 3], 1, even(1), 1),
    shape([1, 1, 1, 1], [1, 3, 3], 1, even(1), 1),
    shape([2, 8, 9, 9], [8, 3, 3], 1, even(0), 1),
    shape([2, 5, 12, 13], [6, 3, 3], 2, SAME, 1),
    shape([2, 3, 12, 35], [7, 3, 3], 2, SAME, 1),
    shape([2, 3, 23, 23], [9, 7, 7], 2, even(3), 1),
    shape([1, 3, 40, 37], [8, 11, 11], 4, even(2), 1),
    shape([3, 20, 7, 9], [30, 1, 1], 1, even(0), 1),
    shape([2, 20, 8, 7], [10, 1, 1], 2, even(0), 1),
    shape([2, 12, 9, 8], [8, 5, 5], 1, even(2), 2),
    shape([2, 4, 7, 9], [4, 5, 3], 2, even(1), 4),
    shape([2, 19, 15, 17], [19, 3, 3], 1, even(1), 19),
    shape([2, 19, 15, 18], [19, 3, 3], 2, SAME, 19),
    shape([1, 3, 40, 35], [3, 5, 5], 1, even(2), 3),
    shape([2, 4, 9, 33], [4, 5, 5], 2, even(2), 4),
    shape([2, 4, 10, 10], [4, 3, 3], 3, even(0), 4),
    shape([1, 6, 5, 4], [12, 3, 3], 1, even(1), 6),
];

/// What all three functions give, with and without what is fused.
struct Results {
    y: Vec<f32>,
    dx: Vec<f32>,
    dw: Vec<f32>,
    db: Vec<f32>,
}

fn inputs(shape: &Shape) -> [Vec<f32>; 4] {
    let outputs = shape.batch * shape.filters * shape.pixels();
    [
        values("x", shape.batch * shape.image()),
        values("w", shape.filters * shape.filter()),
        values("bias", shape.filters),
        values("dy", outputs),
    ]
}

fn compute(shape: &Shape, fused: bool, exact: bool) -> Results {
    let [x, w, bias, dy] = inputs(shape);
    // What was in the buffers before must not matter.
    let mut results = Results {
        y: vec![f32::NAN; dy.len()],
        dx: vec![f32::NAN; x.len()],
        dw: vec![f32::NAN; w.len()],
        db: vec![f32::NAN; bias.len()],
    };
    let Results { y, dx, dw, db } = &mut results;
    forward(shape, &x, &w, fused.then_some(&bias), fused, exact, y);
    let errors = match fused {
        true => Errors::Masked(&dy, y),
        false => Errors::Plain(&dy),
    };
    input_gradient(shape, errors, &w, exact, dx);
    weight_gradient(shape, &x, errors, exact, dw, Some(db));
    results
}

fn on_threads<T: Send>(count: usize, task: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
    pool.expect("a pool of threads").install(task)
}

#[test]
fn outputs_and_gradients_are_those_of_the_definition() {
    for (nth, shape) in SHAPES.iter().enumerate() {
        let [x, w, bias, dy] = inputs(shape);
        for (fused, exact) in [(false, true), (true, false)] {
            // Exact kernels err by rounding alone; Winograd's by a little more.
            let tolerance = if exact { 1e-6 } else { 1e-5 };
            let found = compute(shape, fused, exact);
            let check = |found: &[f32], expected: &[f64], what: &str| {
                let what = format!("{what} of {nth}, fused: {fused}");
                assert_close(found, expected, tolerance, &what);
            };
            let y = reference::forward(shape, &x, &w, fused.then_some(&bias), fused);
            check(&found.y, &y, "y");
            let output = fused.then_some(found.y.as_slice());
            check(
                &found.dx,
                &reference::input_gradient(shape, &dy, output, &w),
                "dx",
            );
            let (dw, db) = reference::weight_gradient(shape, &x, &dy, output);
            check(&found.dw, &dw, "dw");
            check(&found.db, &db, "db");
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for (nth, shape) in SHAPES.iter().enumerate() {
        let bits = |threads| {
            let found = on_threads(threads, || compute(shape, true, false));
            let all = [found.y, found.dx, found.dw, found.db].concat();
            all.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        let alone = bits(1);
        assert!(bits(2) == alone && bits(3) == alone, "shape {nth}");
    }
}

#[test]
fn a_sample_does_not_depend_on_the_others_of_its_batch() {
    for (nth, shape) in SHAPES.iter().enumerate() {
        let [x, w, bias, _] = inputs(shape);
        let together = compute(shape, true, false).y;
        let single = Shape { batch: 1, ..*shape };
        let samples = x.chunks(shape.image());
        for (x, expected) in samples.zip(together.chunks(shape.filters * shape.pixels())) {
            let mut y = vec![f32::NAN; expected.len()];
            forward(&single, x, &w, Some(&bias), true, false, &mut y);
            assert_eq!(y, expected, "shape {nth}");
        }
    }
}

#[test]
fn what_is_not_a_number_is_not_hidden_by_the_relu() {
    let shape = shape([1, 2, 3, 3], [2, 1, 1], 1, even(0), 1);
    let (mut x, w) = (values("x", 18), values("w", 4));
    x[4] = f32::NAN;
    let mut y = vec![0.0; 18];
    forward(&shape, &x, &w, None, true, false, &mut y);
    assert!(y[4].is_nan() && y[13].is_nan());
}
