//! Against sums in f64, and against themselves in other batches and on other numbers of threads.

use super::*;
use crate::kernels::reference::{assert_close, values};

const SIZES: [[usize; 3]; 7] = [
    [1, 1, 1],
    [1, 700, 33],
    [2, 16, 5],
    [3, 17, 16],
    [5, 1031, 18],
    [10, 2048, 64],
    [33, 515, 7],
];

fn sizes([batch, inputs, outputs]: [usize; 3]) -> Sizes {
    Sizes {
        batch,
        inputs,
        outputs,
    }
}

/// x, w, bias, dy.
fn inputs(sizes: Sizes) -> [Vec<f32>; 4] {
    [
        values("x", sizes.batch * sizes.inputs),
        values("w", sizes.outputs * sizes.inputs),
        values("bias", sizes.outputs),
        values("dy", sizes.batch * sizes.outputs),
    ]
}

/// y, dx, dw, db, with bias and ReLU.
fn compute(sizes: Sizes) -> [Vec<f32>; 4] {
    let [x, w, bias, dy] = inputs(sizes);
    let mut results = [&dy, &x, &w, &bias].map(|like| vec![f32::NAN; like.len()]);
    let [y, dx, dw, db] = &mut results;
    forward(sizes, &x, &w, Some(&bias), true, y);
    input_gradient(sizes, &dy, Some(y), &w, dx);
    weight_gradient(sizes, &x, &dy, Some(y), dw);
    bias_gradient(sizes, &dy, Some(y), db);
    results
}

#[test]
fn outputs_and_gradients_are_sums_of_products() {
    for all in SIZES {
        let sizes = sizes(all);
        let Sizes {
            batch,
            inputs: width,
            outputs,
        } = sizes;
        let [x, w, bias, dy] = inputs(sizes).map(|v| v.into_iter().map(f64::from).collect());
        let (x, w, bias, dy): (Vec<f64>, Vec<f64>, Vec<f64>, Vec<f64>) = (x, w, bias, dy);
        let [y, dx, dw, db] = compute(sizes);
        let pairs = || (0..batch * outputs).map(|place| (place / outputs, place % outputs));
        let sums = pairs().map(|(n, o)| {
            let products = (0..width).map(|k| x[n * width + k] * w[o * width + k]);
            (products.sum::<f64>() + bias[o]).max(0.0)
        });
        assert_close(&y, &sums.collect::<Vec<_>>(), 1e-6, "y");
        let (mut of_x, mut of_w, mut of_b) =
            (vec![0.0; x.len()], vec![0.0; w.len()], vec![0.0; outputs]);
        for (n, o) in pairs().filter(|(n, o)| y[n * outputs + o] > 0.0) {
            let error = dy[n * outputs + o];
            of_b[o] += error;
            for k in 0..width {
                of_x[n * width + k] += error * w[o * width + k];
                of_w[o * width + k] += error * x[n * width + k];
            }
        }
        assert_close(&dx, &of_x, 1e-6, "dx");
        assert_close(&dw, &of_w, 1e-6, "dw");
        assert_close(&db, &of_b, 1e-6, "db");
    }
}

#[test]
fn neither_threads_nor_the_rest_of_the_batch_change_a_bit() {
    for all in SIZES {
        let sizes = sizes(all);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let results = pool.expect("a pool of threads").install(|| compute(sizes));
            results.map(|values| values.into_iter().map(f32::to_bits).collect::<Vec<_>>())
        };
        let alone = on(1);
        assert!(on(2) == alone && on(3) == alone, "{all:?}");
        let [x, w, bias, _] = inputs(sizes);
        let single = Sizes { batch: 1, ..sizes };
        let samples = x.chunks(sizes.inputs).zip(alone[0].chunks(sizes.outputs));
        for (x, expected) in samples {
            let mut y = vec![f32::NAN; sizes.outputs];
            forward(single, x, &w, Some(&bias), true, &mut y);
            let y: Vec<u32> = y.into_iter().map(f32::to_bits).collect();
            assert_eq!(y, expected, "{all:?}");
        }
    }
}
