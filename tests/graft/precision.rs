//! `dtype`: training, batch norm, dropout, resumption and the saved model in every precision.

use graft::numbers::Dtype;
use graft::source;

use crate::common::Place;
use crate::resume::{model, start};

/// Twelve epochs of a small network with all that has state: batch norm, dropout, an optimizer.
fn experiment(dtype: Dtype) -> String {
    format!(
        r#"
dtype = "{dtype}"
epochs = 12
[data]
builtin = "drawn_smiles"
[model]
initializer = "kaiming"
layers = [
    {{ name = "conv1", type = "convolution", channels = 4, kernel = 3, padding = 1 }},
    {{ name = "norm1", type = "batch_norm" }},
    {{ name = "relu1", type = "relu" }},
    {{ name = "pool1", type = "max_pooling", kernel = 4 }},
    {{ name = "drop1", type = "dropout", rate = 0.25 }},
    {{ name = "classifier", type = "linear", bias = true }},
    {{ name = "softmax", type = "softmax" }},
]
[preprocessing]
scale = 0.015625
[optimizer]
algorithm = "adam"
epsilon = 1e-4
clip_gradient_norm = 1.0
[record]
batches = true
"#
    )
}

/// The cost of the first minibatch.
fn first_cost(place: &Place, record: &str) -> f64 {
    let batches = place.read(&format!("results/{record}/batches.csv"));
    let row = batches.lines().nth(1).expect("a row");
    let cost = row.split(',').nth(3).expect("a cost");
    cost.parse().expect("a number")
}

#[test]
fn every_precision_trains_resumes_to_the_same_bytes_and_is_that_of_the_saved_model() {
    let exact = Place::new();
    exact.write("exact.toml", experiment(Dtype::F64));
    exact.succeed(&["run", "exact.toml"]);
    let expected = first_cost(&exact, "exact");
    for (dtype, tolerance) in [
        (Dtype::F32, 1e-5),
        (Dtype::F64, 0.0),
        (Dtype::F16, 0.02),
        (Dtype::Bf16, 0.1),
    ] {
        let place = Place::new();
        place.write("experiments/whole.toml", experiment(dtype));
        place.succeed(&["run", "experiments/whole.toml"]);
        let cost = first_cost(&place, "whole");
        assert!((cost - expected).abs() <= tolerance, "{dtype}: {cost}");

        place.write("experiments/long.toml", experiment(dtype));
        let mut child = start(&place);
        child.kill().expect("killed");
        child.wait().expect("ended");
        let printed = place.succeed(&["run", "experiments/long.toml"]);
        assert!(printed.err.contains("goes on from"), "{}", printed.err);
        assert_eq!(model(&place, "long"), model(&place, "whole"), "{dtype}");

        let saved = source::read(&place.path("results/whole/model.safetensors"));
        let saved = saved.expect("a model");
        let tensors = saved.layers.iter().flat_map(|layer| &layer.tensors);
        assert!(tensors.clone().count() == 7);
        for tensor in tensors {
            assert_eq!(tensor.values.dtype(), dtype, "{}", tensor.name);
            assert!(tensor.values.is_finite(), "{dtype} {}", tensor.name);
        }
    }
}
