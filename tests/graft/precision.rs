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

        predictions_are_those_of_the_record(&place);

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

/// A saved model says of a picture what the run said of it: its batch norm has the statistics that it
/// was saved with.
fn predictions_are_those_of_the_record(place: &Place) {
    let sheet = "one.png";
    let file = "data/drawn_smiles-v1-2018/test.h5";
    place.succeed(&["inspect", file, "--picture", sheet]);
    let sheet = image::open(place.path(sheet)).expect("the first pictures");
    // The first of 12 in a row.
    let size = sheet.width() / 12;
    let first = sheet.crop_imm(0, 0, size, size);
    let first = first.resize_exact(32, 32, image::imageops::FilterType::Nearest);
    first.save(place.path("first.png")).expect("a picture");
    let said = place.succeed(&["predict", "results/whole", "first.png", "--format", "csv"]);
    let numbers = |line: &str, skipped| {
        let fields = line.split(',').skip(skipped);
        let numbers = fields.map(|field| field.parse::<f64>().expect("a number"));
        numbers.collect::<Vec<_>>()
    };
    let said = numbers(said.out.lines().nth(1).expect("a row"), 2);
    let outputs = place.read("results/whole/outputs.csv");
    let expected = numbers(outputs.lines().nth(1).expect("a row"), 3);
    for (said, expected) in said.iter().zip(&expected) {
        assert!((said - expected).abs() < 1e-3, "{said} {expected}");
    }
}

#[test]
fn batch_norm_that_is_frozen_behind_trained_layers_keeps_to_its_statistics() {
    let place = Place::new();
    let once = experiment(Dtype::F64).replace("epochs = 12", "epochs = 1");
    place.write("source.toml", &once);
    place.succeed(&["run", "source.toml"]);
    let frozen = format!(
        "source_model = \"results/source/model.safetensors\"\n\
         learning_rate_multiplier = {{ imported = 1e-30, \"norm1\" = 0.0 }}\n{once}"
    );
    // Nothing moves, so that the first batch of training is that of an evaluation, but for dropout.
    let frozen = frozen
        .replace("rate = 0.25", "rate = 0.0")
        .replace("scale", "\nscale");
    place.write("frozen.toml", &frozen);
    place.succeed(&["run", "frozen.toml", "--set", "data.shuffle=false"]);
    let all = frozen.replace(
        "\"norm1\" = 0.0",
        "\"*\" = 1e-30, \"norm1\" = 0.0, \"conv1\" = 0.0",
    );
    place.write("prefix.toml", &all);
    place.succeed(&["run", "prefix.toml", "--set", "data.shuffle=false"]);
    // Behind a trained layer as in the frozen prefix.
    let (behind, prefix) = (first_cost(&place, "frozen"), first_cost(&place, "prefix"));
    assert!((behind - prefix).abs() < 1e-12, "{behind} {prefix}");
}
