//! Models that leave graft for neon, and come back.

use crate::common::{Place, TINY};

/// The facts of `graft inspect` or `graft convert`, as CSV lines `fact,value`.
fn fact<'a>(csv: &'a str, name: &str) -> Vec<&'a str> {
    let values = csv.lines().filter_map(|line| line.split_once(','));
    values
        .filter(|(fact, _)| *fact == name)
        .map(|(_, value)| value)
        .collect()
}

/// Name, type, shape and bytes of every tensor, by name.
fn tensors(place: &Place, name: &str) -> Vec<(String, safetensors::Dtype, Vec<usize>, Vec<u8>)> {
    let bytes = std::fs::read(place.path(name)).expect("a model");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let tensors = file.tensors().into_iter();
    let mut tensors: Vec<_> = tensors
        .map(|(name, view)| {
            (
                name,
                view.dtype(),
                view.shape().to_vec(),
                view.data().to_vec(),
            )
        })
        .collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    tensors
}

#[test]
fn a_run_saves_a_file_for_neon_that_holds_the_same_tensors() {
    let place = Place::new();
    place.write("e.toml", format!("save_path = \"out/model.prm\"\n{TINY}"));
    place.succeed(&["run", "e.toml"]);
    let inspected = place
        .succeed(&["inspect", "out/model.prm", "--format", "csv"])
        .out;
    assert_eq!(fact(&inspected, "format"), ["neon pickle"]);
    // VGG-11 with one head layer and the classifier: ten layers with a bias each.
    assert_eq!(fact(&inspected, "tensors"), ["20"]);
    assert_eq!(fact(&inspected, "epoch_index"), ["1"]);
    assert!(
        inspected.contains("\nconv1_1,Convolution,W,"),
        "{inspected}"
    );
    assert!(
        inspected.contains("\ncls_smile_bias,Bias,W,"),
        "{inspected}"
    );

    let back = ["convert", "out/model.prm", "back.safetensors"];
    place.succeed(&back);
    assert!(tensors(&place, "back.safetensors") == tensors(&place, "results/e/model.safetensors"));

    // The record's own model says as much about its layers as the file for neon does.
    let model = "results/e/model.safetensors";
    let converted = place
        .succeed(&["convert", model, "again.prm", "--format", "csv"])
        .out;
    assert_eq!(fact(&converted, "tensors"), ["20"]);
    assert_eq!(fact(&converted, "left out").len(), 2, "{converted}");
    let read = |name: &str| std::fs::read(place.path(name)).expect("a model");
    assert!(read("again.prm") == read("out/model.prm"));

    // A copy that was lost is made again from the record.
    std::fs::remove_file(place.path("out/model.prm")).expect("removed");
    let again = place.succeed(&["run", "e.toml"]);
    assert!(
        again.err.contains("complete") || again.out.contains("complete"),
        "{}",
        again.out
    );
    assert!(read("again.prm") == read("out/model.prm"));
}

#[test]
fn velocities_go_into_the_file_for_neon_when_asked_for() {
    let place = Place::new();
    let top = "save_path = \"model.prm\"\nsave_optimizer_state = true";
    place.write("e.toml", format!("{top}\n{TINY}"));
    place.succeed(&["run", "e.toml"]);
    let back = [
        "convert",
        "model.prm",
        "back.safetensors",
        "--format",
        "csv",
    ];
    let converted = place.succeed(&back).out;
    assert_eq!(fact(&converted, "tensors"), ["20"]);
    assert_eq!(fact(&converted, "optimizer states"), ["20"]);
    assert!(tensors(&place, "back.safetensors") == tensors(&place, "results/e/model.safetensors"));
    let velocities = tensors(&place, "back.safetensors");
    let mut velocities = velocities
        .iter()
        .filter(|tensor| tensor.0.starts_with("optimizer."));
    assert!(velocities.all(|(_, _, _, bytes)| bytes.iter().any(|&byte| byte != 0)));

    // They belong to no layer, and can be left out.
    let inspected = place
        .succeed(&["inspect", "back.safetensors", "--format", "csv"])
        .out;
    assert_eq!(fact(&inspected, "tensors"), ["20"]);
    let without = [
        "convert",
        "model.prm",
        "without.prm",
        "--drop_states",
        "--format",
        "csv",
    ];
    let converted = place.succeed(&without).out;
    assert_eq!(fact(&converted, "optimizer states"), ["0"]);
    assert_eq!(
        fact(&converted, "left out"),
        ["\"20 optimizer states, as asked\""]
    );
}

#[test]
fn a_file_that_is_there_is_not_overwritten_unasked() {
    let place = Place::new();
    place.copy_data("neon/source_vgg_tiny.p");
    let arguments = ["convert", "neon/source_vgg_tiny.p", "model.safetensors"];
    place.write("model.safetensors", "precious");
    let refused = place.fail(&arguments);
    assert!(
        refused.err.contains("model.safetensors: is there already"),
        "{}",
        refused.err
    );
    assert!(refused.err.contains("--force"), "{}", refused.err);
    assert_eq!(place.read("model.safetensors"), "precious");
    let forced = place
        .succeed(&[&arguments[..], &["--force", "--format", "csv"]].concat())
        .out;
    assert_eq!(fact(&forced, "… format"), ["neon pickle", "safetensors"]);
    assert_eq!(fact(&forced, "… sha256").len(), 2);
    assert_eq!(fact(&forced, "parameters"), ["\"22,600\""]);
}

#[test]
fn a_model_that_neon_cannot_hold_is_refused_before_it_is_trained() {
    let place = Place::new();
    place.write("ending.toml", format!("save_path = \"model.onnx\"\n{TINY}"));
    let refused = place.fail(&["run", "ending.toml"]);
    let message = "save_path: model.onnx: the ending says no format";
    assert!(refused.err.contains(message), "{}", refused.err);

    // Windows of 3 do not fill 32 pixels: neon's mode that scales dropout in training would round up.
    let layers = r#"
save_path = "model.prm"
epochs = 1
data.builtin = "drawn_smiles"
[[model.layers]]
name = "pool"
type = "max_pooling"
kernel = 3
stride = 2
[[model.layers]]
name = "drop"
type = "dropout"
rate = 0.5
[[model.layers]]
name = "fc"
type = "linear"
[[model.layers]]
name = "softmax"
type = "softmax"
"#;
    place.write("layer.toml", layers);
    let refused = place.fail(&["run", "layer.toml"]);
    let message = "save_path: layer `drop`: neon does this in its mode `caffe`";
    assert!(refused.err.contains(message), "{}", refused.err);
    assert!(!place.path("results/layer/record.json").exists());
    place.write("layer.toml", layers.replace(".prm", ".safetensors"));
    place.succeed(&["run", "layer.toml"]);
    let refused = place.fail(&["convert", "model.safetensors", "model.prm"]);
    let message = "model.safetensors: layer `drop`: neon does this in its mode `caffe`";
    assert!(refused.err.contains(message), "{}", refused.err);
}

#[test]
fn a_network_of_other_activations_trains_in_f64_and_comes_back_from_neons_format() {
    let place = Place::new();
    place.write(
        "e.toml",
        r#"
epochs = 2
dtype = "f64"
save_path = "model.prm"
data.builtin = "drawn_smiles"
model.initializer = "kaiming"
preprocessing.scale = 0.015625
[[model.layers]]
name = "conv1"
type = "convolution"
channels = 4
kernel = 3
stride = 2
bias = true
[[model.layers]]
name = "elu1"
type = "elu"
alpha = 0.5
[[model.layers]]
name = "pool1"
type = "max_pooling"
kernel = 3
[[model.layers]]
name = "fc1"
type = "linear"
features = 8
bias = true
[[model.layers]]
name = "tanh1"
type = "tanh"
[[model.layers]]
name = "cls"
type = "linear"
bias = true
[[model.layers]]
name = "softmax"
type = "softmax"
"#,
    );
    place.succeed(&["run", "e.toml"]);
    let metrics = place.read("results/e/metrics.csv");
    let costs = metrics.lines().skip(1).map(|line| {
        let cost = line.split(',').nth(1).and_then(|cost| cost.parse().ok());
        cost.expect("a training cost")
    });
    let costs: Vec<f64> = costs.collect();
    assert!(costs[1] < costs[0], "{metrics}");

    let inspected = place
        .succeed(&["inspect", "model.prm", "--format", "csv"])
        .out;
    assert_eq!(fact(&inspected, "tensors"), ["6"]);
    let pickle = std::fs::read(place.path("model.prm")).expect("a model");
    for class in ["Explin", "Tanh"] {
        let class = format!("neon.transforms.activation.{class}");
        let mut places = pickle.windows(class.len());
        assert!(places.any(|bytes| bytes == class.as_bytes()), "{class}");
    }
    place.succeed(&["convert", "model.prm", "back.safetensors"]);
    let back = tensors(&place, "back.safetensors");
    assert!(
        back.iter()
            .all(|tensor| tensor.1 == safetensors::Dtype::F64)
    );
    assert!(back == tensors(&place, "results/e/model.safetensors"));
}

#[test]
fn what_a_file_for_neon_has_no_place_for_is_said() {
    let place = Place::new();
    let entry = "[[optimizer.layer]]\nname = \"cls_smile\"\nalgorithm = \"lion\"\n";
    let experiment = format!("save_path = \"model.prm\"\n{TINY}{entry}");
    place.write("e.toml", &experiment);
    let printed = place.succeed(&["run", "e.toml"]).err;
    for lacking in [
        "`graft.input`: neon's files have no place for it",
        "the optimizer of `cls_smile`: neon has no `lion`, and would take the default one",
    ] {
        let note = format!("e: not in model.prm: {lacking}");
        assert!(printed.contains(&note), "{printed}");
    }
    // `convert` says it too.
    let model = "results/e/model.safetensors";
    let converted = place.succeed(&["convert", model, "again.prm", "--format", "csv"]);
    let left_out = fact(&converted.out, "left out").join("\n");
    assert!(left_out.contains("neon has no `lion`"), "{left_out}");

    let default = "[optimizer]\nalgorithm = \"adamw\"\n";
    place.write(
        "all.toml",
        format!("save_path = \"all.prm\"\n{TINY}{default}"),
    );
    let printed = place.succeed(&["run", "all.toml"]).err;
    let note = "not in all.prm: the optimizers: neon has no `adamw`, which is the default here";
    assert!(printed.contains(note), "{printed}");
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let place = Place::new();
    place.copy_data("neon/target_init.p");
    let error = place.fail(&["convert", "neon/target_init.p", "none/a.safetensors"]);
    let message = "none/a.safetensors: there is no directory none";
    assert!(error.err.contains(message), "{}", error.err);
}
