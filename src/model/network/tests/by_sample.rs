//! What cut-off layers give for a sample does not depend on its batch, not in the last bit.

use super::*;

/// Samples that are computed in batches of several sizes.
const SAMPLES: usize = 35;

/// The bits of what all layers but the softmax give for each sample, so many at a time.
fn bits(spec: &NetworkSpec, dtype: Dtype, order: &[usize], batch: usize) -> Vec<Vec<u64>> {
    let device = Device::flex();
    let on = device.clone().autodiff();
    let network = Network::new(spec, weights(spec), 1, dtype, &on).expect("a network");
    let (front, _) = network.split(spec.layers.len());
    let pixels = pixels(spec, SAMPLES);
    let samples: Vec<&[f64]> = pixels.chunks(pixels.len() / SAMPLES).collect();
    let mut rows = vec![Vec::new(); SAMPLES];
    for places in order.chunks(batch) {
        let values = places.iter().flat_map(|&place| samples[place]).copied();
        let input = images(Numbers::new(dtype, values), spec.input, &device);
        let output = host(front.forward(input, None));
        let outputs = output.chunks(output.len() / places.len());
        for (&place, output) in places.iter().zip(outputs) {
            rows[place] = output.iter().map(|value| value.to_bits()).collect();
        }
    }
    rows
}

fn check(spec: &NetworkSpec, dtype: Dtype, what: &str) {
    let forwards: Vec<usize> = (0..SAMPLES).collect();
    let backwards: Vec<usize> = (0..SAMPLES).rev().collect();
    let alone = bits(spec, dtype, &forwards, 1);
    assert!(alone[0] != alone[1], "{what}: samples differ");
    for (order, batch) in [(&forwards, 3), (&backwards, 32), (&backwards, SAMPLES)] {
        let together = bits(spec, dtype, order, batch);
        assert!(together == alone, "{what} in {dtype}, {batch} at a time");
    }
}

/// Every operation that a frozen layer may have.
fn every_operation() -> NetworkSpec {
    let linear = |features| LayerKind::Linear {
        features,
        initializer: None,
    };
    let bias = LayerKind::Bias { initializer: None };
    let same = |groups| convolution(24, 3, 1, PaddingSize::Pixels(1), groups);
    let (kernel, stride, padding) = (3, 2, 1);
    let relu = |slope, limit| LayerKind::Relu { slope, limit };
    let layers = vec![
        first(24),
        named("bias", bias.clone()),
        named("relu", relu(0.0, None)),
        named("grouped", same(3)),
        named("norm", batch_norm()),
        named("leaky", relu(0.1, None)),
        named("depthwise", same(24)),
        named("limited", relu(0.0, Some(6.0))),
        named("one", convolution(24, 1, 1, PaddingSize::Pixels(0), 1)),
        named("elu", LayerKind::Elu { alpha: 1.0 }),
        named(
            "sum",
            LayerKind::Add {
                with: with(&["leaky"]),
            },
        ),
        named("five", convolution(20, 5, 2, PaddingSize::Pixels(2), 1)),
        named("tanh", LayerKind::Tanh),
        named(
            "max",
            LayerKind::MaxPooling {
                kernel,
                stride,
                padding,
            },
        ),
        named(
            "average",
            LayerKind::AveragePooling {
                kernel,
                stride: 1,
                padding,
            },
        ),
        named(
            "joined",
            LayerKind::Concatenate {
                with: with(&["max"]),
            },
        ),
        named("fc1", linear(Some(300))),
        named("fc1_bias", bias),
        named("sigmoid", LayerKind::Sigmoid),
        named("fc2", linear(None)),
        named("softmax", LayerKind::Softmax),
    ];
    resolved(
        Body::Layers { layers },
        [3, 21, 19],
        3,
        Convention::Torchvision,
    )
}

#[test]
fn no_operation_lets_a_sample_depend_on_its_batch() {
    for dtype in [Dtype::F32, Dtype::F64, Dtype::F16, Dtype::Bf16] {
        check(&every_operation(), dtype, "every operation");
    }
}

#[test]
fn no_architecture_lets_a_sample_depend_on_its_batch() {
    for architecture in [
        Architecture::Squeezenet1_1,
        Architecture::MobilenetV1,
        Architecture::MobilenetV2,
    ] {
        let spec = at_size(architecture, Convention::Torchvision, 33);
        check(&spec, Dtype::F32, architecture.name());
    }
}
