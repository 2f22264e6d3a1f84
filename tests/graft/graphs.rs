//! Networks with shortcuts, end to end: trained, imported, cut, and their batch norms' statistics.

use std::collections::BTreeMap;

use crate::common::Place;

/// A residual network of blocks, small enough to train in a second.
const BLOCKS: &str = r#"
epochs = 1
data.builtin = "drawn_smiles"
preprocessing.scale = 0.015625
[model]
initializer = "kaiming"
layers = [
  { name = "conv1", type = "convolution", channels = 4, kernel = 3, stride = 2, padding = "same" },
  { name = "bn1", type = "batch_norm" },
  { name = "relu1", type = "relu", limit = 6 },
  { name = "block1", type = "basic_block", channels = 4 },
  { name = "block2", type = "inverted_residual", channels = 4, expansion = 2 },
  { name = "block3", type = "basic_block", channels = 8, stride = 2, shortcut = "pad" },
  { name = "fire", type = "fire", squeeze = 4, expand = 4 },
  { name = "pool", type = "global_average_pooling" },
  { name = "CLASSIFIER", type = "linear", bias = true },
  { name = "softmax", type = "softmax" },
]
"#;

fn experiment(classifier: &str, keys: &str) -> String {
    format!("{keys}{}", BLOCKS.replace("CLASSIFIER", classifier))
}

fn target(keys: &str) -> String {
    let source = "source_model = \"results/source/model.safetensors\"\n";
    experiment("new", &format!("{source}{keys}"))
}

/// Bytes of the tensors of a record's model by name.
fn tensors(place: &Place, record: &str) -> BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(place.path(&format!("results/{record}/model.safetensors")));
    let bytes = bytes.expect("a model");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let tensor = |(name, view): (&str, safetensors::tensor::TensorView<'_>)| {
        (name.to_string(), view.data().to_vec())
    };
    file.iter().map(tensor).collect()
}

#[test]
fn statistics_are_kept_or_trained_as_the_experiment_says_and_frozen_ones_never_move() {
    let place = Place::new();
    place.write("e/source.toml", experiment("old", "seed = 7\n"));
    let keep = "learning_rate_multiplier = 0.1\nbatch_norm.statistics = \"keep\"\n";
    place.write("e/keep.toml", target(keep));
    place.write("e/train.toml", target("learning_rate_multiplier = 0.1\n"));
    // Ends in the middle of block2, whose shortcut begins behind block1.
    let frozen = "learning_rate_multiplier = { imported = 1, \"*1*\" = 0, block2_expand = 0 }\n";
    place.write("e/frozen.toml", target(frozen));
    place.succeed(&["run", "e"]);
    let source = tensors(&place, "source");
    let is_statistic = |name: &str| name.ends_with(".mean") || name.ends_with(".variance");
    let statistics: Vec<_> = source.keys().filter(|name| is_statistic(name)).collect();
    assert_eq!(statistics.len(), 16);
    let (kept, trained) = (tensors(&place, "keep"), tensors(&place, "train"));
    for name in statistics {
        assert_eq!(kept[name], source[name], "{name}");
        assert_ne!(trained[name], source[name], "{name}");
    }
    assert_ne!(kept["bn1.scale"], source["bn1.scale"], "it trains");
    let frozen = tensors(&place, "frozen");
    for (name, bytes) in &source {
        let (layer, _) = name.split_once('.').expect("layer and role");
        let stands_still = layer.contains('1') || layer == "block2_expand";
        match frozen.get(name) {
            Some(after) => assert_eq!(after == bytes, stands_still, "{name}"),
            None => assert!(layer.starts_with("old"), "{name}"),
        }
    }
    let plan = place
        .succeed(&["plan", "e/frozen.toml", "--format", "csv"])
        .out;
    assert!(
        plan.contains("block2_add,\"add of block2_project_bn, block1_relu\""),
        "{plan}"
    );
    // The sum of block2 is the next place where one value alone goes on.
    let plan = place.succeed(&["plan", "e/frozen.toml"]).out;
    let expected = "no gradient passes the first 10 layers";
    assert!(plan.contains(expected), "{plan}");
}

#[test]
fn a_model_with_shortcuts_is_not_for_neon() {
    let place = Place::new();
    let refused = |layers: &str| {
        let head = "save_path = \"a.p\"\ndata.builtin = \"drawn_smiles\"\n";
        let end = "{ name = \"fc\", type = \"linear\" }, { name = \"s\", type = \"softmax\" }";
        place.write(
            "a.toml",
            format!("{head}model.layers = [{layers}, {end}]\n"),
        );
        place.fail(&["run", "a.toml"]).err
    };
    let sum = "{ name = \"a\", type = \"relu\" }, { name = \"b\", type = \"tanh\" }, \
               { name = \"sum\", type = \"add\", with = [\"a\"] }";
    let err = refused(sum);
    let expected = "layer `sum`: neon's models are chains of layers, and this one works on others \
                    than the layer before it: b, a";
    assert!(err.contains(expected), "{err}");
    let err = refused("{ name = \"a\", type = \"relu\", limit = 6 }");
    let expected = "layer `a`: neon has no relu, limit 6";
    assert!(err.contains(expected), "{err}");
    let err = refused(
        "{ name = \"a\", type = \"convolution\", kernel = 3, channels = 4, stride = 2, padding = \"same\" }",
    );
    assert!(
        err.contains("layer `a`: neon has no convolution in groups or of uneven padding"),
        "{err}"
    );
}
