//! Single operations, in f32 and f64.

use super::*;
use crate::config::experiment::DropoutScaling;
use crate::neon_figures::{Figures, Matrix, deviation};
use crate::random::Generator;
use crate::random::mt19937::Mt19937;

/// Precision, its name in the figures, and the largest deviation from neon's.
const PRECISIONS: [(Dtype, &str, f64); 2] = [(Dtype::F32, "f32", 1e-6), (Dtype::F64, "f64", 1e-12)];

type Case<'a> = (
    &'a str,
    Operation,
    &'a [usize],
    &'a [usize],
    Option<(Role, &'a [usize])>,
);

const fn convolution(stride: usize, padding: usize) -> Operation {
    Operation::Convolution {
        stride,
        padding: Padding::even(padding),
        groups: 1,
    }
}

const fn max_pooling(kernel: usize, stride: usize, padding: usize, ceil: bool) -> Operation {
    Operation::MaxPooling {
        kernel,
        stride,
        padding,
        ceil,
    }
}

const AVERAGE: Operation = Operation::AveragePooling {
    kernel: 2,
    stride: 2,
    padding: 0,
    ceil: false,
};

/// Name in the figures, operation, shape of a sample before and behind it, its tensor.
const CASES: [Case<'_>; 20] = [
    (
        "conv1x1",
        convolution(1, 0),
        &[3, 4, 4],
        &[2, 4, 4],
        Some((Role::Weight, &[2, 3, 1, 1])),
    ),
    (
        "conv3x3_p1",
        convolution(1, 1),
        &[3, 6, 5],
        &[2, 6, 5],
        Some((Role::Weight, &[2, 3, 3, 3])),
    ),
    (
        "conv3x3_s2_p0",
        convolution(2, 0),
        &[2, 7, 8],
        &[3, 3, 3],
        Some((Role::Weight, &[3, 2, 3, 3])),
    ),
    (
        "conv5x3_s2_p1",
        convolution(2, 1),
        &[2, 7, 8],
        &[2, 3, 4],
        Some((Role::Weight, &[2, 2, 5, 3])),
    ),
    (
        "linear",
        Operation::Linear,
        &[2, 3, 2],
        &[5],
        Some((Role::Weight, &[5, 12])),
    ),
    (
        "bias_conv",
        Operation::Bias,
        &[3, 4, 5],
        &[3, 4, 5],
        Some((Role::Bias, &[3])),
    ),
    (
        "bias_flat",
        Operation::Bias,
        &[7],
        &[7],
        Some((Role::Bias, &[7])),
    ),
    ("rectlin", Operation::Relu, &[6], &[6], None),
    (
        "rectlin_slope0.1",
        Operation::LeakyRelu { slope: 0.1 },
        &[6],
        &[6],
        None,
    ),
    ("explin", Operation::Elu { alpha: 1.0 }, &[6], &[6], None),
    ("tanh", Operation::Tanh, &[6], &[6], None),
    ("logistic", Operation::Sigmoid, &[6], &[6], None),
    (
        "pool2_s2",
        max_pooling(2, 2, 0, false),
        &[2, 6, 4],
        &[2, 3, 2],
        None,
    ),
    (
        "pool2_s2_odd",
        max_pooling(2, 2, 0, false),
        &[2, 5, 7],
        &[2, 2, 3],
        None,
    ),
    (
        "pool3_s1_p1",
        max_pooling(3, 1, 1, false),
        &[1, 4, 4],
        &[1, 4, 4],
        None,
    ),
    (
        "pool3_s2",
        max_pooling(3, 2, 0, false),
        &[2, 7, 7],
        &[2, 3, 3],
        None,
    ),
    (
        "pool3_s2_even",
        max_pooling(3, 2, 0, false),
        &[1, 6, 6],
        &[1, 2, 2],
        None,
    ),
    (
        "caffe_pool2_s2_odd",
        max_pooling(2, 2, 0, true),
        &[2, 5, 7],
        &[2, 3, 4],
        None,
    ),
    (
        "caffe_pool3_s2_even",
        max_pooling(3, 2, 0, true),
        &[1, 6, 6],
        &[1, 3, 3],
        None,
    ),
    ("avgpool2_s2", AVERAGE, &[2, 6, 4], &[2, 3, 2], None),
];

/// The layer with neon's weights.
fn layer(spec: &LayerSpec, weights: Option<&Matrix>) -> Layer {
    let values = |_| {
        let weights = weights.expect("weights of a layer that has some");
        match spec.operation {
            Operation::Convolution { .. } => weights.transposed(),
            _ => weights.values.clone(),
        }
    };
    Layer::new(spec, 1, &device(), values)
}

#[test]
fn every_operation_gives_neons_output_error_and_gradient() {
    let figures = Figures::read("ops.safetensors");
    for (dtype, precision, tolerance) in PRECISIONS {
        for (name, operation, input, output, tensor) in CASES {
            let figure = |what: &str| figures.get(&format!("{precision}/{name}/{what}"));
            let spec = spec(operation, output, tensor);
            let layer = layer(&spec, tensor.map(|_| figure("W")));
            let x = figure("x").transposed();
            assert_eq!(x.dtype(), dtype);
            let passed = pass(&layer, samples(x, input), figure("e").transposed());
            let check = |what: &str, ours: &[f64], neons: &Numbers| {
                let deviation = deviation(ours, neons);
                assert!(
                    deviation <= tolerance,
                    "{precision} {name}: {what} {deviation}"
                );
            };
            check("output", &passed.output, &figure("y").transposed());
            check("error", &passed.delta, &figure("dx").transposed());
            if let Some(gradient) = passed.gradient {
                let gradient = in_neons_layout(&layer, &gradient);
                check("gradient", &gradient, &figure("dW").values);
            }
        }
    }
}

#[test]
fn a_convolution_and_its_bias_are_neons_fused_layer() {
    let figures = Figures::read("ops.safetensors");
    for (_, precision, tolerance) in PRECISIONS {
        let figure = |what: &str| figures.get(&format!("{precision}/conv3x3_p1_fusedbias/{what}"));
        let shape: &[usize] = &[2, 3, 3, 3];
        let convolution = spec(convolution(1, 1), &[2, 6, 5], Some((Role::Weight, shape)));
        let convolution = layer(&convolution, Some(figure("W")));
        let bias = spec(Operation::Bias, &[2, 6, 5], Some((Role::Bias, &[2])));
        let bias = layer(&bias, Some(figure("weight_bias")));
        let x = samples(figure("x").transposed(), &[3, 6, 5]);
        let error = figure("e").transposed();
        let between = convolution.forward("layer", x.clone(), None).features();
        let between = samples(numbers(between.into_data()), &[2, 6, 5]);
        let second = pass(&bias, between, error.clone());
        let back = Numbers::new(error.dtype(), second.delta);
        let first = pass(&convolution, x, back);
        let gradient = in_neons_layout(&convolution, &first.gradient.expect("a gradient"));
        for (ours, neons) in [
            (second.output, figure("y").transposed()),
            (first.delta, figure("dx").transposed()),
            (gradient, figure("dW").values.clone()),
            (
                second.gradient.expect("a gradient"),
                figure("dbias").values.clone(),
            ),
        ] {
            let deviation = deviation(&ours, &neons);
            assert!(deviation <= tolerance, "{precision}: {deviation}");
        }
    }
}

#[test]
fn outputs_behind_which_neon_takes_its_shortcut_are_neons() {
    let figures = Figures::read("ops.safetensors");
    for (_, precision, tolerance) in PRECISIONS {
        for (name, operation) in [
            ("softmax", Operation::Softmax),
            ("logistic_shortcut", Operation::Sigmoid),
        ] {
            let figure = |what: &str| figures.get(&format!("{precision}/{name}/{what}"));
            let layer = layer(&spec(operation, &[6], None), None);
            let x = samples(figure("x").transposed(), &[6]);
            let output = host(layer.forward("layer", x, None).features());
            let deviation = deviation(&output, &figure("y").transposed());
            assert!(deviation <= tolerance, "{precision} {name}: {deviation}");
            // There, neon passes the error of a cost through as it is: `loss.gradient = "shortcut"`.
            assert_eq!(figure("dx").values, figure("e").values);
        }
    }
}

#[test]
fn activations_far_from_0_have_gradients_that_are_numbers() {
    for operation in [
        Operation::LeakyRelu { slope: 0.1 },
        Operation::Elu { alpha: 0.5 },
        Operation::Tanh,
        Operation::Sigmoid,
    ] {
        for dtype in [Dtype::F32, Dtype::F64] {
            let numbers = |values: &[f64]| Numbers::new(dtype, values.iter().copied());
            let x = Values::Maps(
                tensor(&[1, 2, 1, 1], numbers(&[-1e4, 1e4]), &device()).require_grad(),
            );
            let layer = layer(&spec(operation, &[2, 1, 1], None), None);
            let passed = pass(&layer, x, numbers(&[1.0, 1.0]));
            let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
            assert!(
                finite(&passed.output) && finite(&passed.delta),
                "{operation:?}"
            );
        }
    }
}

#[test]
fn dropout_is_neons_given_the_mask_that_neon_drew() {
    let figures = Figures::read("ops.safetensors");
    // neon's mask is the first draw of its generator, (features, batch).
    let mut generator = Mt19937::new(5);
    let drawn = Matrix {
        rows: 6,
        columns: 4,
        values: Numbers::new(Dtype::F64, (0..24).map(|_| generator.uniform())),
    };
    let kept: Vec<bool> = drawn
        .transposed()
        .to_f64()
        .iter()
        .map(|u| *u < 0.7)
        .collect();
    for (scaling, name) in [
        (DropoutScaling::Inference, "dropout_keep0.7_neon"),
        (DropoutScaling::Training, "dropout_keep0.7_caffe"),
    ] {
        let dropout = Dropout::new(0.3, scaling);
        for (_, precision, tolerance) in PRECISIONS {
            let figure = |what: &str| figures.get(&format!("{precision}/{name}/{what}"));
            let Values::Features(x) = samples(figure("x").transposed(), &[6]) else {
                unreachable!("samples of one dimension are features");
            };
            let trained = dropout.in_training(x.clone(), &kept);
            let error = tensor::<2>(&[4, 6], figure("e").transposed(), &device());
            let gradients = (trained.clone() * error).sum().backward();
            for (what, ours) in [
                ("y_train", trained),
                ("dx", x.grad(&gradients).expect("an error at the input")),
                ("y_inference", dropout.at_inference(x)),
            ] {
                let deviation = deviation(&host(ours), &figure(what).transposed());
                assert!(
                    deviation <= tolerance,
                    "{precision} {name} {what}: {deviation}"
                );
            }
        }
    }
}

#[test]
fn a_frozen_dropout_layer_computes_as_at_inference() {
    let draw = Draw {
        seed: 1,
        epoch: 0,
        samples: &[0, 1],
    };
    for (scaling, expected) in [
        (DropoutScaling::Inference, 0.75),
        (DropoutScaling::Training, 1.0),
    ] {
        let operation = Operation::Dropout {
            rate: 0.25,
            scaling,
        };
        let dropout = layer(&spec(operation, &[8], None), None);
        let ones = || samples(Numbers::F64(vec![1.0; 16]), &[8]);
        let output = |layer: &Layer, draw| host(layer.forward("layer", ones(), draw).features());
        assert_eq!(output(&dropout, None), [expected; 16]);
        assert!(output(&dropout, Some(draw)).contains(&0.0));
        assert_eq!(output(&dropout.freeze(), Some(draw)), [expected; 16]);
    }
}
