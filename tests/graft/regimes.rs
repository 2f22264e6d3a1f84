//! The three regimes, end to end: the real binary, the real drawn tasks, a tiny network.

use std::collections::BTreeMap;

use crate::common::{Place, TINY};

/// A source experiment that trains one epoch on the target's own images, so that it is quick; its
/// classifier has another name than the target's.
fn source() -> String {
    let tiny = TINY.replace("cls_smile", "cls_source");
    format!(
        "seed = 7{}",
        tiny.replace("head = [8]", "head = [8]\nhead_names = [\"fc6\"]")
    )
}

fn with_source(multiplier: &str) -> String {
    format!(
        "source_model = \"results/source/model.safetensors\"\n\
         learning_rate_multiplier = {multiplier}\n{TINY}"
    )
}

/// Tensors of a safetensors file by name.
fn tensors(place: &Place, record: &str) -> BTreeMap<String, Vec<f32>> {
    let bytes = std::fs::read(place.path(&format!("results/{record}/model.safetensors")));
    let bytes = bytes.expect("a model");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let read = |data: &[u8]| {
        data.chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    };
    file.iter()
        .map(|(name, view)| (name.to_string(), read(view.data())))
        .collect()
}

/// Norm of the difference over the norm of `before`.
fn change(before: &[f32], after: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x).powi(2);
    let difference: f64 = before.iter().zip(after).map(|(a, b)| square(a - b)).sum();
    let norm: f64 = before.iter().map(|&a| square(a)).sum();
    (difference / norm).sqrt()
}

#[test]
fn one_command_trains_the_source_first_then_the_three_regimes_and_compares_them() {
    let place = Place::new();
    place.write("experiments/source.toml", source());
    place.write("experiments/from_scratch.toml", TINY);
    place.write("experiments/fine_tuning.toml", with_source("0.001"));
    place.write("experiments/feature_extraction.toml", with_source("0"));
    let printed = place.succeed(&["run", "experiments"]);
    for name in [
        "source",
        "from_scratch",
        "fine_tuning",
        "feature_extraction",
    ] {
        assert!(printed.out.contains(name), "{}", printed.out);
        for file in [
            "record.json",
            "experiment.toml",
            "metrics.csv",
            "outputs.csv",
            "inference.txt",
            "log.txt",
        ] {
            assert!(
                place.path(&format!("results/{name}/{file}")).is_file(),
                "{name}/{file}"
            );
        }
    }
    let order = |name: &str| printed.err.find(&format!("] {name}:")).expect(name);
    assert!(order("source") < order("fine_tuning"));

    // Feature extraction: imported bytes are unchanged. Fine-tuning: they change, and by far less
    // than those of the layers that are trained at the full rate.
    let source = tensors(&place, "source");
    let frozen = tensors(&place, "feature_extraction");
    let tuned = tensors(&place, "fine_tuning");
    let scratch = tensors(&place, "from_scratch");
    let mut imported = 0;
    for (name, before) in source.iter().filter(|(name, _)| name.starts_with("conv")) {
        assert_eq!(before, &frozen[name], "{name} changed though frozen");
        assert_ne!(before, &tuned[name], "{name} did not change in fine-tuning");
        assert_ne!(before, &scratch[name], "{name} was imported from scratch");
        imported += 1;
    }
    assert_eq!(imported, 16, "8 convolutions with their biases");
    let new = change(&scratch["conv3_1.weight"], &tuned["conv3_1.weight"]);
    assert!(new > 0.1, "other initial weights");

    // Complete records are skipped; --force trains again, to the same weights.
    let again = place.succeed(&["run", "experiments"]);
    assert_eq!(again.err.matches("skipped").count(), 4, "{}", again.err);
    place.succeed(&["run", "experiments/feature_extraction.toml", "--force"]);
    assert_eq!(frozen, tensors(&place, "feature_extraction"));

    // Another rate makes another run.
    let changed = place.succeed(&[
        "run",
        "experiments/from_scratch.toml",
        "--set",
        "optimizer.learning_rate=0.002",
    ]);
    assert!(!changed.err.contains("skipped"), "{}", changed.err);
}

#[test]
fn fine_tuning_changes_imported_layers_a_thousandth_as_much() {
    let place = Place::new();
    place.write("experiments/source.toml", source());
    // The same start and the same order of samples: only the multiplier differs.
    place.write("experiments/slow.toml", with_source("0.001"));
    place.write("experiments/full.toml", with_source("1.0"));
    let sgd = [
        "--set",
        "optimizer.algorithm=sgd",
        "--set",
        "optimizer.learning_rate=0.5",
        "--set",
        "model.dropout=0.0",
        "--set",
        "batch_size=300",
    ];
    place.succeed(&[&["run", "experiments"][..], &sgd[..]].concat());
    let (source, slow, full) = (
        tensors(&place, "source"),
        tensors(&place, "slow"),
        tensors(&place, "full"),
    );
    // A single step with the whole file as its batch: the ratio is exact but for rounding.
    for name in ["conv1_1.weight", "conv3_1.weight", "conv5_2.weight"] {
        let ratio = change(&source[name], &slow[name]) / change(&source[name], &full[name]);
        assert!((ratio / 0.001 - 1.0).abs() < 0.02, "{name}: {ratio}");
    }
}

#[test]
fn a_run_of_one_file_makes_its_source_model_first() {
    let place = Place::new();
    place.write("experiments/source.toml", source());
    place.write("experiments/fine_tuning.toml", with_source("0.001"));
    let printed = place.succeed(&["run", "experiments/fine_tuning.toml"]);
    assert!(printed.err.contains("[1/2] source:"), "{}", printed.err);
    assert!(place.path("results/fine_tuning/receipt.json").is_file());
    let receipt = place.read("results/fine_tuning/receipt.json");
    assert!(receipt.contains("conv1_1_bias"), "{receipt}");
}

#[test]
fn several_seeds_make_several_records_and_one_row() {
    let place = Place::new();
    place.write(
        "experiments/from_scratch.toml",
        format!("seeds = 2\n{TINY}"),
    );
    place.succeed(&["run", "experiments"]);
    for seed in ["seed-42", "seed-43"] {
        assert!(
            place
                .path(&format!("results/from_scratch/{seed}/record.json"))
                .is_file()
        );
    }
    let csv = place.succeed(&["compare", "--format", "csv"]).out;
    assert_eq!(csv.lines().count(), 2, "{csv}");
    let all = place.read("results/results.csv");
    assert_eq!(all.lines().count(), 3, "{all}");
    for format in ["table", "markdown", "json"] {
        let printed = place.succeed(&["compare", "results/from_scratch", "--format", format]);
        assert!(printed.out.contains("from_scratch"), "{}", printed.out);
    }
}

#[test]
fn a_failed_experiment_is_named_and_the_others_go_on() {
    let place = Place::new();
    place.write(
        "experiments/a_broken.toml",
        TINY.replace("drawn_smiles", "drawn_similes"),
    );
    place.write(
        "experiments/b_waits.toml",
        TINY.replace("epochs = 1", "epochs = 1\nsource_model = \"nowhere.p\""),
    );
    place.write("experiments/c_sound.toml", TINY);
    let printed = place.fail(&["run", "experiments"]);
    assert!(printed.err.contains("drawn_similes"), "{}", printed.err);
    assert!(
        printed.err.contains("failed: a_broken; b_waits"),
        "{}",
        printed.err
    );
    assert!(place.path("results/c_sound/record.json").is_file());
    assert!(!place.path("results/a_broken/record.json").exists());

    let place = Place::new();
    place.write(
        "experiments/a_broken.toml",
        TINY.replace("drawn_smiles", "drawn_similes"),
    );
    place.write("experiments/c_sound.toml", TINY);
    place.fail(&["run", "experiments", "--fail-fast"]);
    assert!(!place.path("results/c_sound").exists());
}

#[test]
fn frozen_batch_norm_keeps_its_statistics_and_trained_batch_norm_does_not() {
    let network = |classifier: &str| {
        format!(
            "epochs = 1\n[data]\nbuiltin = \"drawn_smiles\"\n[preprocessing]\nscale = 0.015625\n[model]\n\
             layers = [\n\
             {{ name = \"conv1\", type = \"convolution\", channels = 4, kernel = 3, stride = 2, bias = true }},\n\
             {{ name = \"norm1\", type = \"batch_norm\" }},\n{{ name = \"relu1\", type = \"relu\" }},\n\
             {{ name = \"drop1\", type = \"dropout\", rate = 0.5 }},\n\
             {{ name = \"pool1\", type = \"average_pooling\", kernel = 3 }},\n\
             {{ name = \"{classifier}\", type = \"linear\", bias = true }},\n\
             {{ name = \"softmax\", type = \"softmax\" }} ]\n"
        )
    };
    let target = |multiplier: &str| {
        let source = "source_model = \"results/source/model.safetensors\"\n";
        format!(
            "{source}learning_rate_multiplier = {multiplier}\n{}",
            network("cls")
        )
    };
    let place = Place::new();
    place.write("experiments/source.toml", network("fc"));
    place.write("experiments/frozen.toml", target("0"));
    place.write("experiments/tuned.toml", target("0.001"));
    // Frozen behind a layer that is trained, so that it is no part of the frozen prefix.
    place.write(
        "experiments/between.toml",
        target("{ imported = 0.0, \"conv1\" = 1.0 }"),
    );
    place.succeed(&["run", "experiments"]);
    let (source, frozen) = (tensors(&place, "source"), tensors(&place, "frozen"));
    let (tuned, between) = (tensors(&place, "tuned"), tensors(&place, "between"));
    for name in ["norm1.scale", "norm1.shift", "norm1.mean", "norm1.variance"] {
        assert_eq!(source[name], frozen[name], "{name}");
        assert_eq!(source[name], between[name], "{name}");
        assert_ne!(source[name], tuned[name], "{name}");
    }
    assert_ne!(source["conv1.weight"], between["conv1.weight"]);
    assert_eq!(source["conv1_bias.bias"], between["conv1_bias.bias"]);
}

#[test]
fn a_training_that_diverges_is_an_error_and_leaves_no_record() {
    let place = Place::new();
    place.write("e.toml", TINY);
    let rate = "optimizer.learning_rate=1e9";
    let printed = place.fail(&["run", "e.toml", "--set", rate]);
    assert!(printed.err.contains("learning_rate"), "{}", printed.err);
    assert!(!place.path("results/e").exists());
}

#[test]
fn a_copy_of_the_model_goes_where_it_is_asked_for_even_if_nothing_is_left_to_train() {
    let place = Place::new();
    place.write("e.toml", TINY);
    place.succeed(&["run", "e.toml"]);
    place.succeed(&["run", "e.toml", "-s", "models/copy.safetensors"]);
    let copy = std::fs::read(place.path("models/copy.safetensors")).expect("a copy");
    let model = std::fs::read(place.path("results/e/model.safetensors")).expect("a model");
    assert_eq!(copy, model);
    let refused = place.fail(&["run", "e.toml", "-s", "models/copy.onnx"]);
    assert!(refused.err.contains(".safetensors"), "{}", refused.err);
}

#[test]
fn a_plan_says_what_would_run_and_what_is_complete() {
    let place = Place::new();
    place.write("experiments/source.toml", source());
    place.write("experiments/fine_tuning.toml", with_source("0.001"));
    let before = place.succeed(&["plan", "experiments"]).out;
    assert!(
        before.contains("after the model that it starts from is trained"),
        "{before}"
    );
    place.succeed(&["run", "experiments"]);
    let after = place.succeed(&["plan", "experiments"]).out;
    assert_eq!(
        after.matches("complete, would be skipped").count(),
        2,
        "{after}"
    );
    let json = place
        .succeed(&["plan", "experiments", "--format", "json"])
        .out;
    let rows: serde_json::Value = serde_json::from_str(&json).expect("one JSON document");
    assert_eq!(rows[0]["experiment"], "source");

    let several = place.fail(&["run", "experiments", "--set", "seeds=2"]);
    assert!(several.err.contains("several seeds"), "{}", several.err);
}
