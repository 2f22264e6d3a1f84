//! Four test images through the whole network of the reference runs, layer by layer: outputs and
//! errors of each image, and the gradients of the weights over all four.

use std::path::Path;

use super::*;
use crate::config::experiment::Source;
use crate::model::network::Weights;
use crate::model::spec::NetworkSpec;
use crate::neon_figures::{Figures, Matrix, deviation, reference_network};
use crate::source::{self, import};

/// Largest deviation, of f64 too: the figures are f32.
const TOLERANCE: f64 = 1e-6;
/// Of the gradient of weights in f32, which sums over up to 4,096 places. (In f64 it is within
/// [`TOLERANCE`]: what deviates is the sum's rounding, in neon and here.)
const SUMMED: f64 = 3e-6;

/// The initial weights of the reference runs, with the source model's imported over them.
fn weights(network: &NetworkSpec) -> Weights {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/neon");
    let mut weights = Weights::new();
    for file in ["target_init.p", "source_vgg_tiny.p"] {
        let model = source::read(&directory.join(file)).expect("a model of neon's");
        let (tensors, _) =
            import::import(model, network, &Source::default()).expect("layers that fit");
        for tensor in tensors {
            weights.insert((tensor.layer, tensor.role), tensor.values);
        }
    }
    weights
}

/// neon's name of a layer's figures: its place, counting the dropout layers that graft has none of,
/// and a name that neon makes up for layers without weights.
fn names_of_neons(network: &NetworkSpec) -> Vec<String> {
    let (mut poolings, mut activations, mut place) = (0, 0, 0);
    let mut names = Vec::new();
    for layer in &network.layers {
        let name = match layer.operation {
            Operation::MaxPooling { .. } => {
                poolings += 1;
                format!("Pooling_{}", poolings - 1)
            }
            Operation::Relu if layer.name.starts_with("conv") => {
                activations += 1;
                format!("Activation_{}", activations - 1)
            }
            Operation::Relu => layer.name.replace("_relu", "_Rectlin"),
            Operation::Softmax => "cls_imdb_wiki_face_Softmax".into(),
            _ => layer.name.clone(),
        };
        names.push(format!("{place:02}_{name}"));
        let dropout = layer.name == "fc6_new_relu" || layer.name == "fc7_new_relu";
        place += if dropout { 2 } else { 1 };
    }
    names
}

#[test]
fn every_layer_of_the_reference_network_gives_neons_output_error_and_gradient() {
    let network = reference_network();
    for dtype in [Dtype::F32, Dtype::F64] {
        let (layers, inputs) = forward(&network, dtype);
        backward(&network, &layers, inputs, dtype);
    }
}

/// Runs all layers; each with what it gets, as samples of its shape.
fn forward(network: &NetworkSpec, dtype: Dtype) -> (Vec<Layer>, Vec<Values>) {
    let figures = Figures::read("layers.safetensors");
    let mut weights = weights(network);
    let (mut layers, mut inputs) = (Vec::new(), Vec::new());
    let mut shape: &[usize] = &network.input;
    let mut values = figures.get("input_mean_subtracted").transposed().to(dtype);
    for (spec, name) in network.layers.iter().zip(names_of_neons(network)) {
        let weights = |index: usize| {
            let key = (spec.name.clone(), spec.parameters[index].role);
            let weights = weights.remove(&key);
            weights.expect("weights for each layer").to(dtype)
        };
        let mut layer = Layer::new(spec, 1, &device(), weights);
        // neon computes convolutions by their definition.
        layer.set_exact(true);
        let input = samples(values, shape);
        let output = layer.forward("layer", input.clone(), None).features();
        values = numbers(output.into_data());
        shape = &spec.output;
        check(&values.to_f64(), figures.get(&format!("fwd/{name}")), &name);
        layers.push(layer);
        inputs.push(input);
    }
    (layers, inputs)
}

/// Takes neon's error of the cost back through all layers but the softmax, which passes it on as it
/// is.
fn backward(network: &NetworkSpec, layers: &[Layer], inputs: Vec<Values>, dtype: Dtype) {
    let figures = Figures::read("layers.safetensors");
    let mut error = figures.get("delta_cost").transposed().to(dtype);
    let names = names_of_neons(network);
    let all = layers.iter().zip(inputs).zip(names).zip(&network.layers);
    for (((layer, input), name), spec) in all.rev().skip(1) {
        let passed = pass(layer, input, error);
        // neon does not compute the error at the images.
        if spec.name != "conv1_1" {
            let neons = figures.get(&format!("bwd_delta_to_input_of/{name}"));
            check(&passed.delta, neons, &name);
        }
        if let Some(gradient) = &passed.gradient {
            let gradient = in_neons_layout(layer, gradient);
            let neons = figures.get(&format!("dW_batch_sum/{}", spec.name));
            let deviation = deviation(&gradient, &neons.values);
            let tolerance = match dtype {
                Dtype::F64 => TOLERANCE,
                _ => SUMMED,
            };
            assert!(deviation <= tolerance, "{name}: gradient {deviation}");
        }
        error = Numbers::new(dtype, passed.delta);
    }
}

fn check(ours: &[f64], neons: &Matrix, name: &str) {
    let deviation = deviation(ours, &neons.transposed());
    assert!(deviation <= TOLERANCE, "{name}: {deviation}");
}
