//! The network in f32, by graft's kernels, layers computed as one: against itself layer by layer, and in
//! f64, by Burn.

use burn::module::ModuleVisitor;
use burn::tensor::{Gradients, Tensor};

use super::check::weights;
use super::*;

/// Convolutions of every kind, poolings and linear layers; one convolution's output is wanted twice.
fn spec() -> NetworkSpec {
    let relu = LayerKind::Relu {
        slope: 0.0,
        limit: None,
    };
    let pooling = LayerKind::MaxPooling {
        kernel: 3,
        stride: 2,
        padding: 1,
    };
    let add = LayerKind::Add {
        with: with(&["bias2"]),
    };
    let linear = LayerKind::Linear {
        features: Some(11),
        initializer: None,
    };
    let layers = vec![
        first(8),
        named("bias1", LayerKind::Bias { initializer: None }),
        named("relu1", relu.clone()),
        named("depthwise", convolution(8, 3, 2, PaddingSize::SAME, 8)),
        named("relu_depthwise", relu.clone()),
        named("conv2", convolution(12, 1, 1, PaddingSize::Pixels(0), 1)),
        named("bias2", LayerKind::Bias { initializer: None }),
        named("relu2", relu.clone()),
        named("sum", add),
        named("pool", pooling),
        named("fc1", linear),
        named("bias3", LayerKind::Bias { initializer: None }),
        named("relu3", relu),
        named(
            "fc2",
            LayerKind::Linear {
                features: None,
                initializer: None,
            },
        ),
        named("bias4", LayerKind::Bias { initializer: None }),
        named("softmax", LayerKind::Softmax),
    ];
    resolved(
        Body::Layers { layers },
        [3, 14, 13],
        3,
        Convention::Torchvision,
    )
}

/// Of all parameters, one behind another.
struct Collected<'a> {
    all: &'a Gradients,
    found: Vec<f64>,
}

impl ModuleVisitor for Collected<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &burn::module::Param<Tensor<D>>) {
        let gradient = parameter.val().grad(self.all).expect("a gradient");
        self.found.extend(gradient.into_data().iter::<f64>());
    }
}

/// Outputs and gradients.
fn passed(network: &Network, dtype: Dtype, input: Values) -> [Vec<f64>; 2] {
    let output = network.forward(input, None).features();
    let factors = (0..6).map(|n| 0.3 + (n as f64 * 0.7).sin());
    let factors = layer::tensor::<2>(&[2, 3], Numbers::new(dtype, factors), &output.device());
    let gradients = (output.clone() * factors).sum().backward();
    let mut collected = Collected {
        all: &gradients,
        found: Vec::new(),
    };
    network.visit(&mut collected);
    let output = output.into_data().iter::<f64>().collect();
    [output, collected.found]
}

#[test]
fn layers_computed_as_one_give_what_they_give_one_by_one() {
    let (spec, device) = (spec(), Device::flex().autodiff());
    let network = |dtype| {
        let network = Network::new(&spec, weights(&spec), 1, dtype, &device);
        network.unwrap_or_else(|error| panic!("{error}"))
    };
    let input = |dtype| {
        let pixels = Numbers::new(dtype, pixels(&spec, 2));
        images(pixels, spec.input, &device)
    };
    let fused = network(Dtype::F32);
    let chains: Vec<_> = fused.chains.iter().map(|chain| chain.len()).collect();
    assert_eq!(chains, [3, 2, 2, 1, 1, 1, 3, 2, 1]);
    let mut single = network(Dtype::F32);
    single.chains = (0..spec.layers.len())
        .map(|layer| layer..layer + 1)
        .collect();
    let found = passed(&fused, Dtype::F32, input(Dtype::F32));
    let expected = passed(&single, Dtype::F32, input(Dtype::F32));
    let reference = passed(&network(Dtype::F64), Dtype::F64, input(Dtype::F64));
    for (nth, what) in ["outputs", "gradients"].into_iter().enumerate() {
        assert_close(&found[nth], &expected[nth], 1e-6, what);
        assert_close(&found[nth], &reference[nth], 1e-5, what);
    }
}
