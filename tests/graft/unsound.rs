//! What neon gets wrong, shown to be right here without being asked for.

use std::collections::BTreeMap;

use graft::source;

use crate::common::{Place, data};

/// The course's network on neon's files, whose test file of 24 samples no batch of 16 divides.
fn experiment(train: &str, more: &str) -> String {
    format!(
        r#"
epochs = 3
batch_size = 16
{more}
[data]
root = {:?}
train = "{train}"
test = "test.h5"
[model]
architecture = "vgg16"
widths = [4, 8, 16, 16, 16]
head = [32, 32]
classifier = "cls_imdb_wiki_face"
dropout = 0.0
[record]
batches = true
"#,
        data("neon")
    )
}

/// Values of the convolutional part of a model file, by layer and tensor, bit for bit.
fn convolutional(path: std::path::PathBuf) -> BTreeMap<String, Vec<u64>> {
    let model = source::read(&path).expect("a model");
    let layers = model.layers.iter();
    let layers = layers.filter(|layer| layer.name.starts_with("conv"));
    let tensors = layers.flat_map(|layer| {
        let tensors = layer.tensors.iter();
        tensors.map(|tensor| {
            let values = tensor.values.to_f64();
            let bits = values.into_iter().map(f64::to_bits).collect();
            (layer.name.clone(), bits)
        })
    });
    tensors.collect()
}

/// Rows of a table of numbers, by column.
fn table(text: &str) -> Vec<BTreeMap<String, f64>> {
    let mut lines = text.lines().map(|line| line.split(','));
    let header: Vec<&str> = lines.next().expect("a header").collect();
    let row = |line: std::str::Split<'_, char>| {
        let fields = header.iter().zip(line);
        let numbers =
            fields.filter_map(|(name, field)| Some(((*name).into(), field.parse().ok()?)));
        numbers.collect()
    };
    lines.map(row).collect()
}

#[test]
fn frozen_layers_do_not_drift_though_the_source_model_holds_velocities() {
    let place = Place::new();
    let source = data("neon/target_final_finetune_lr0.1.p");
    let multipliers = "learning_rate_multiplier = { default = 1.0, \"conv*\" = 0.0 }";
    let more = format!("source_model = {source:?}\n{multipliers}");
    place.write("frozen.toml", experiment("train.h5", &more));
    place.succeed(&["run", "frozen.toml"]);
    place.succeed(&["convert", "results/frozen/model.safetensors", "ours.p"]);
    let (before, after) = (convolutional(source), convolutional(place.path("ours.p")));
    assert_eq!(after.len(), 26);
    assert_eq!(after, before);
}

#[test]
fn no_velocity_is_imported_with_the_weights() {
    let place = Place::new();
    let with_states = data("neon/target_final_finetune_lr0.1.p");
    let with_states = with_states.to_str().expect("a path");
    let states = |arguments: &[&str]| {
        let printed = place.succeed(arguments).out;
        let mut lines = printed.lines();
        let fact = lines.find_map(|line| line.strip_prefix("optimizer states"));
        fact.expect("their number").trim().to_owned()
    };
    assert_eq!(states(&["convert", with_states, "kept.safetensors"]), "32");
    let without = "without.safetensors";
    assert_eq!(
        states(&["convert", with_states, without, "--drop_states"]),
        "0"
    );
    for (name, source) in [("with", with_states), ("without", "without.safetensors")] {
        let more = format!("source_model = {source:?}\nlearning_rate_multiplier = 0.001");
        place.write(&format!("{name}.toml"), experiment("train.h5", &more));
        place.succeed(&["run", &format!("{name}.toml")]);
    }
    assert_eq!(
        place.read("results/with/batches.csv"),
        place.read("results/without/batches.csv")
    );
}

#[test]
fn labels_and_outputs_of_the_inference_file_belong_together_after_an_odd_batch() {
    let place = Place::new();
    // 24 samples: in batches of 16 the second is half full, in one batch of 24 nothing is odd.
    place.write("odd.toml", experiment("train.h5", "seed = 3"));
    place.succeed(&["run", "odd.toml"]);
    place.succeed(&["convert", "results/odd/model.safetensors", "trained.p"]);
    let trained = "seed = 3\nsource_model = \"trained.p\"\nlearning_rate_multiplier = 1e-30";
    let even = experiment("train.h5", trained).replace("batch_size = 16", "batch_size = 24");
    place.write("even.toml", even);
    place.succeed(&["run", "even.toml"]);
    let lines = |name: &str| {
        let text = place.read(&format!("results/{name}/inference.txt"));
        let line = |line: &str| {
            let numbers = line.split(|c: char| "[], ".contains(c));
            let numbers = numbers.filter_map(|word| word.parse::<f64>().ok());
            numbers.collect::<Vec<_>>()
        };
        text.lines().map(line).collect::<Vec<_>>()
    };
    let (odd, even) = (lines("odd"), lines("even"));
    assert_eq!((odd.len(), even.len()), (24, 24));
    for (odd, even) in odd.iter().zip(&even) {
        assert_eq!(odd[2], even[2], "labels");
        assert!((odd[0] - even[0]).abs() < 1e-6, "{odd:?} {even:?}");
    }
    let labels: Vec<f64> = odd.iter().map(|line| line[2]).collect();
    // As neon's own reader of the file gave them.
    let reference = std::fs::read(data("neon/reference.json")).expect("the reference");
    let reference: serde_json::Value = serde_json::from_slice(&reference).expect("JSON");
    let expected = reference["f32"]["finetune_lr0.1"]["test_labels"].as_array();
    let expected = expected.expect("labels").iter().map(|label| label.as_f64());
    assert!(expected.eq(labels.into_iter().map(Some)));
}

#[test]
fn the_cost_of_an_epoch_is_the_mean_over_the_samples_that_were_trained_on() {
    for (name, more, batches) in [
        ("smaller", "", [2, 2, 2]),
        ("wrapped", "compatibility = \"neon\"", [2, 1, 2]),
    ] {
        let place = Place::new();
        place.write(&format!("{name}.toml"), experiment("test.h5", more));
        place.succeed(&["run", &format!("{name}.toml")]);
        let rows = table(&place.read(&format!("results/{name}/batches.csv")));
        let epochs = table(&place.read(&format!("results/{name}/metrics.csv")));
        for (epoch, batches) in epochs.iter().zip(batches) {
            let of_epoch = rows.iter().filter(|row| row["epoch"] == epoch["epoch"]);
            let of_epoch: Vec<_> = of_epoch.collect();
            assert_eq!(of_epoch.len(), batches, "{name}");
            let samples: f64 = of_epoch.iter().map(|row| row["samples"]).sum();
            let cost = of_epoch.iter().map(|row| row["samples"] * row["cost"]);
            let mean = cost.sum::<f64>() / samples;
            assert!((epoch["training_cost"] - mean).abs() < 1e-12, "{name}");
        }
    }
}
