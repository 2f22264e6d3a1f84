//! Models in other tools' formats as source models, from file to receipt: what graft exports comes back,
//! contracts are kept before anything is trained, and what may be wrong is said.

use std::fs;

use crate::common::Place;

/// A graph with a batch norm, a shortcut and depthwise filters, on the drawn faces.
const NETWORK: &str = r#"
seed = 3
epochs = 1
batch_size = 50
[data]
builtin = "drawn_smiles"
[model]
layers = [
    { name = "conv1", type = "convolution", channels = 4, kernel = 4, stride = 4, bias = true },
    { name = "norm1", type = "batch_norm" },
    { name = "relu1", type = "relu" },
    { name = "block2", type = "basic_block", channels = 8, stride = 2 },
    { name = "block3", type = "depthwise_separable", channels = 8 },
    { name = "pool3", type = "global_average_pooling" },
    { name = "classifier", type = "linear", bias = true },
    { name = "softmax", type = "softmax" },
]
[preprocessing]
preset = "keras-tf"
"#;

/// A record of [`NETWORK`], as `results/maker`.
fn trained() -> Place {
    let place = Place::new();
    place.write("maker.toml", NETWORK);
    place.succeed(&["run", "maker.toml"]);
    place
}

/// The same network with `source` as its source model and `more` at the end.
fn taker(source: &str, more: &str) -> String {
    format!("source_model = \"{source}\"\n{NETWORK}\n{more}")
}

#[test]
fn what_graft_exports_comes_back_whole_from_every_format_and_computes_the_same() {
    let place = trained();
    let logits = |source: &str| {
        place.write("taker.toml", taker(source, "[source]\ncoverage = 1.0"));
        let features = ["features", "taker.toml", "--layer", "classifier_bias"];
        let printed = place.succeed(&[&features[..], &["--out", "f.npz", "--force"]].concat());
        assert!(printed.out.contains("100.0 %; 100.0 %"), "{}", printed.out);
        fs::read(place.path("f.npz")).expect("features")
    };
    let expected = logits("results/maker/model.safetensors");
    for (to, out) in [
        ("safetensors", "m.safetensors"),
        ("pytorch-names", "p.safetensors"),
        ("pytorch-names", "p.pt"),
        ("npz", "m.npz"),
        ("onnx", "m.onnx"),
    ] {
        place.succeed(&["export", "results/maker", "--to", to, "--out", out]);
        assert!(logits(out) == expected, "{out} computes something else");
    }
}

#[test]
fn a_broken_contract_stops_the_run_before_anything_is_written() {
    let place = trained();
    place.succeed(&["export", "results/maker", "--to", "npz", "--out", "m.npz"]);
    let other = taker("m.npz", "[source]\ncoverage = 0.9")
        .replace("\"conv1\"", "\"first\"")
        .replace("\"block2\"", "\"second\"");
    place.write("other.toml", &other);
    let printed = place.graft(&["run", "other.toml"]);
    assert_eq!(printed.code, Some(1));
    for part in [
        "source.coverage: 0.",
        "of the model's parameters are imported, and 0.9 are expected",
        "the source's `block2_conv2` (8, 8, 3, 3) for `second_conv2` (8, 8, 3, 3)",
        "\"block2_conv2\" = \"second_conv2\"",
    ] {
        assert!(printed.err.contains(part), "no {part} in {}", printed.err);
    }
    assert!(!place.path("results/other").exists());
    assert!(!place.path("results/other.partial").exists());

    let rename = "[source.rename]\n\"conv1*\" = \"first*\"\n\"block2_*\" = \"second_*\"\n";
    place.write("other.toml", other + "\n" + rename);
    place.succeed(&["run", "other.toml"]);
    let receipt = place.read("results/other/receipt.json");
    let receipt: serde_json::Value = serde_json::from_str(&receipt).expect("JSON");
    assert_eq!(
        receipt["totals"]["tensors"],
        receipt["totals"]["of_tensors"]
    );
    let first = &receipt["tensors"][0];
    assert_eq!(first["from"]["layer"], "conv1");
    assert_eq!(first["layer"], "first");
    assert_eq!(first["from"]["sha256"], first["sha256"]);
}

#[test]
fn a_foreign_model_of_no_known_architecture_asks_how_its_pixels_were_prepared() {
    let place = trained();
    place.succeed(&["export", "results/maker", "--to", "onnx", "--out", "m.onnx"]);
    let silent = taker("m.onnx", "").replace("[preprocessing]\npreset = \"keras-tf\"\n", "");
    place.write("silent.toml", silent);
    let plan = place.succeed(&["plan", "silent.toml"]).out;
    assert!(
        plan.contains("warning: the source model is no published architecture that graft knows"),
        "{plan}"
    );
    place.write("said.toml", taker("m.onnx", ""));
    let plan = place.succeed(&["plan", "said.toml"]).out;
    assert!(!plan.contains("warning"), "{plan}");
}
