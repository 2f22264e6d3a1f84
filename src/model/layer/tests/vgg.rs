//! Four test images through the whole network of the reference runs, layer by layer. The figures
//! have the outputs and errors of the first image, and the gradients of the weights over all four.

use std::path::Path;

use super::*;
use crate::config::experiment::{
    Architecture, Body, DropoutScaling, InitialDraws, Model, PoolingSize,
};
use crate::model::network::Weights;
use crate::model::spec::NetworkSpec;
use crate::neon_figures::{Figures, Matrix, deviation};
use crate::source::{self, import};

/// The course's network at the widths of the figures.
fn network() -> NetworkSpec {
    let model = Model {
        body: Body::Architecture {
            architecture: Architecture::Vgg16,
            widths: vec![4, 8, 16, 16, 16],
            head: vec![32, 32],
            head_names: vec!["fc6_new".into(), "fc7_new".into()],
            classifier: "cls_imdb_wiki_face".into(),
            dropout: 0.0,
        },
        classes: None,
        initializer: Initializer::XavierLocal,
        bias_initializer: Initializer::Constant { value: 0.0 },
        initial_draws: InitialDraws::ByName,
        initial_weights: None,
        pooling: PoolingSize::Floor,
        dropout_scaling: DropoutScaling::Training,
    };
    NetworkSpec::resolve(&model, [3, 32, 32], 2).expect("a network")
}

/// The initial weights of the reference runs, with the source model's imported over them.
fn weights(network: &NetworkSpec) -> Weights {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/neon");
    let mut weights = Weights::new();
    for file in ["target_init.p", "source_vgg_tiny.p"] {
        let model = source::read(&directory.join(file)).expect("a model of neon's");
        let (tensors, _) = import::import(&model, network, &[]).expect("layers that fit");
        for tensor in tensors {
            weights.insert((tensor.layer, tensor.role), tensor.values.into());
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
    const TOLERANCE: f64 = 2e-6;
    let figures = Figures::read("layers.safetensors");
    let network = network();
    let names = names_of_neons(&network);
    let mut weights = weights(&network);
    let mut layers = Vec::new();
    let mut inputs = vec![figures.get("input_mean_subtracted").transposed()];
    let mut shapes = vec![network.input.to_vec()];
    for (spec, name) in network.layers.iter().zip(&names) {
        let values = |index: usize| {
            let key = (spec.name.clone(), spec.parameters[index].role);
            weights.remove(&key).expect("weights for each layer")
        };
        let layer = Layer::new(spec, 1, &device(), values);
        let input = samples(inputs[inputs.len() - 1].clone(), &shapes[shapes.len() - 1]);
        let output = numbers(layer.forward("layer", input, None).features().into_data());
        check(
            &output.to_f64(),
            figures.get(&format!("fwd/{name}")),
            name,
            TOLERANCE,
        );
        inputs.push(output);
        shapes.push(spec.output.clone());
        layers.push(layer);
    }
    // neon's softmax passes the error of the cost through as it is.
    let mut error = figures.get("delta_cost").transposed();
    for index in (0..layers.len() - 1).rev() {
        let input = samples(inputs[index].clone(), &shapes[index]);
        let passed = pass(&layers[index], input, error);
        let name = &names[index];
        // neon does not compute the error at the images.
        if index > 0 {
            let neons = figures.get(&format!("bwd_delta_to_input_of/{name}"));
            check(&passed.delta, neons, name, TOLERANCE);
        }
        if let Some(gradient) = &passed.gradient {
            let gradient = in_neons_layout(&layers[index], gradient);
            let neons = figures.get(&format!("dW_batch_sum/{}", network.layers[index].name));
            let deviation = deviation(&gradient, &neons.values);
            assert!(deviation <= TOLERANCE, "{name}: gradient {deviation}");
        }
        error = Numbers::new(Dtype::F32, passed.delta);
    }
}

/// The first of four samples.
fn check(ours: &[f64], neons: &Matrix, name: &str, tolerance: f64) {
    let deviation = deviation(&ours[..ours.len() / 4], &neons.transposed());
    assert!(deviation <= tolerance, "{name}: {deviation}");
}
