//! The resolved experiment, written as TOML, loads to the same experiment.

use super::super::experiment::Architecture;
use super::*;

/// Loads the text, and again what it is written as, under the name of a record.
pub fn assert_round_trip(text: &str) -> String {
    let experiment = loaded(text);
    let written = experiment.to_toml().unwrap();
    let bench = Bench::new(&[("results/a/experiment.toml", &written)]);
    assert_eq!(
        bench.load("results/a/experiment.toml"),
        experiment,
        "{written}"
    );
    assert_eq!(toml_edit::de::from_str(&written), Ok(experiment.clone()));
    let json = serde_json::to_string(&experiment).unwrap();
    assert_eq!(
        serde_json::from_str::<Experiment>(&json).unwrap(),
        experiment
    );
    written
}

#[test]
fn every_default_is_written_out() {
    assert_eq!(
        assert_round_trip(LEAST),
        r#"name = "a"
backend = "cpu"
dtype = "f32"
seeds = [42]
epochs = 10
batch_size = 32
save_optimizer_state = false
cache = true
cache_dtype = "f32"
cache_limit = 20.0
cache_directory = "data/features"

[learning_rate_multiplier]
default = 1.0
imported = 1.0

[data]
root = "data"
builtin = "smiles"
draw_seed = 2018
shuffle = true
last_batch = "smaller"

[model]
architecture = "vgg16"
widths = [64, 128, 256, 512, 512]
head = [4096, 4096]
head_names = ["fc6_new", "fc7_new"]
classifier = "classifier"
dropout = 0.5
initializer = { name = "xavier_local" }
linear_initializer = { name = "xavier_local" }
bias_initializer = { name = "constant", value = 0.0 }
initial_draws = "by_name"
pooling = "floor"
dropout_scaling = "training"

[loss]
name = "cross_entropy"
gradient = "exact"

[optimizer]
learning_rate = 0.001
weight_decay = 0.0005
decay_biases = true
clip_gradient_norm = 0.0
clip_gradient_value = 0.0
clip_parameters = 0.0
algorithm = "momentum"
momentum = 0.9
nesterov = false

[schedule]
name = "constant"
warm_up = 0.0

[source]
require = []

[evaluation]
every = 0

[checkpoint]
every = 1
keep = 0

[record]
batches = true
weights_every = 0
"#
    );
}

#[test]
fn an_experiment_that_sets_everything_survives() {
    assert_round_trip(EVERYTHING);
}

#[test]
fn a_file_cut_off_anywhere_loads_or_is_an_error() {
    let bench = Bench::new(&[]);
    let ends = EVERYTHING.char_indices().map(|(end, _)| end);
    let loads = ends.step_by(7).filter(|end| {
        fs::write(bench.path("a.toml"), &EVERYTHING[..*end]).unwrap();
        bench.try_load("a.toml").is_ok()
    });
    // Only the last tables may be missing.
    assert!((1..30).contains(&loads.count()));
}

const EVERYTHING: &str = r#"
name = "faces/größe 2"
backend = "cuda:1"
exact = true
seeds = [3, 1, 2]
epochs = 3
batch_size = 7
source_model = "models/VGG \"D\".p"
save_path = 'out\fine.prm'
save_optimizer_state = true
cache = false
cache_dtype = "bf16"
cache_limit = 0.5
cache_directory = "/somewhere/features"
learning_rate_multiplier = { imported = 0.001, default = 0.9, "conv1_*" = 0, conv5_3 = 1e-7 }
data = { root = "/somewhere", train = "train.h5", test = "test.h5", shuffle = false }
preprocessing = { preset = "keras-tf", mean = [104, 116.779, 123.68], deviation = [58.4], scale = 0.00392156862745098, channel_order = "bgr", size = 224 }
loss.name = "binary_cross_entropy"
schedule = { name = "step", every = 2, factor = 0.3333333333333333 }
source.require = ["conv*"]
source.coverage = 0.5
source.rename = { "encoder.*" = "*", "features.0" = "conv1_1" }
evaluation.every = 3
checkpoint.every = 5

[model]
architecture = "vgg11"
width = 0.1
head = []
classifier = "cls"
classes = 5
dropout = 0
linear_initializer = { name = "orthonormal", scale = 1.1 }
initializer = { name = "gaussian", mean = 0.25, deviation = 0.05 }
bias_initializer = { name = "neon_xavier", local = false }
initial_draws = "neon"
initial_weights = "models/initial.p"
pooling = "ceil"
dropout_scaling = "inference"

[optimizer]
algorithm = "adamw"
learning_rate = 1e-5
beta1 = 0.8
epsilon = 1e-12
"#;

#[test]
fn every_type_of_layer_survives() {
    let written = assert_round_trip(
        r#"
data = { builtin = "smiles", draw_seed = 3 }
preprocessing.mean = "none"
optimizer.algorithm = "sgd"
schedule.name = "cosine"
[[model.layers]]
name = "conv1"
type = "convolution"
channels = 8
kernel = 3
padding = 1
bias = true
initializer = { name = "uniform", low = 0, high = 1 }
[[model.layers]]
name = "norm1"
type = "batch_norm"
[[model.layers]]
name = "relu1"
type = "relu"
[[model.layers]]
name = "relu2"
type = "relu"
slope = 0.1
[[model.layers]]
name = "elu"
type = "elu"
[[model.layers]]
name = "tanh"
type = "tanh"
[[model.layers]]
name = "sigmoid"
type = "sigmoid"
[[model.layers]]
name = "pool1"
type = "max_pooling"
kernel = 3
stride = 2
padding = 1
[[model.layers]]
name = "pool2"
type = "average_pooling"
kernel = 2
[[model.layers]]
name = "fc"
type = "linear"
features = 10
initializer = "glorot_uniform"
[[model.layers]]
name = "fc_shift"
type = "bias"
initializer = { name = "constant", value = 0.5 }
[[model.layers]]
name = "drop"
type = "dropout"
rate = 0.25
[[model.layers]]
name = "out"
type = "linear"
[[model.layers]]
name = "softmax"
type = "softmax"
"#,
    );
    assert!(written.contains(
        r#"
[[model.layers]]
name = "conv1"
type = "convolution"
channels = 8
kernel = 3
stride = 1
padding = 1
initializer = { name = "uniform", low = 0.0, high = 1.0 }

[[model.layers]]
name = "conv1_bias"
type = "bias"
"#
    ));
    // A plain ReLU is written as ever: records of before have the same identity.
    assert!(written.contains("name = \"relu1\"\ntype = \"relu\"\n\n"));
    assert!(written.contains("name = \"relu2\"\ntype = \"relu\"\nslope = 0.1\n"));
    assert!(written.contains("name = \"elu\"\ntype = \"elu\"\nalpha = 1.0\n"));
}

#[test]
fn adam_and_a_multiplier_by_number_survive() {
    let adam = "optimizer = { algorithm = \"adam\", beta2 = 0.95 }\n";
    assert_round_trip(&format!("{LEAST}{adam}learning_rate_multiplier = 0\n"));
}

#[test]
fn graphs_and_blocks_survive() {
    let written = assert_round_trip(
        r#"
data.builtin = "smiles"
model.convention = "keras"
batch_norm = { statistics = "keep", epsilon = 1e-4, momentum = 0.05 }
[[model.layers]]
name = "conv1"
type = "convolution"
channels = 8
kernel = 3
padding = "same"
groups = 1
[[model.layers]]
name = "relu1"
type = "relu"
limit = 6
[[model.layers]]
name = "grouped"
type = "convolution"
channels = 8
kernel = 3
padding = 1
groups = 4
[[model.layers]]
name = "sum"
type = "add"
with = ["relu1"]
[[model.layers]]
name = "all"
type = "concatenate"
from = "grouped"
with = ["sum", "relu1"]
[[model.layers]]
name = "half"
type = "subsample"
channels = 32
stride = 2
[[model.layers]]
name = "fire"
type = "fire"
squeeze = 2
expand = 4
[[model.layers]]
name = "basic"
type = "basic_block"
channels = 8
[[model.layers]]
name = "padded"
type = "basic_block"
channels = 16
stride = 2
shortcut = "pad"
[[model.layers]]
name = "bottleneck"
type = "bottleneck"
channels = 4
[[model.layers]]
name = "separable"
type = "depthwise_separable"
channels = 8
stride = 2
[[model.layers]]
name = "inverted"
type = "inverted_residual"
channels = 8
[[model.layers]]
name = "classifier"
type = "convolution"
kernel = 1
[[model.layers]]
name = "pool"
type = "global_average_pooling"
[[model.layers]]
name = "softmax"
type = "softmax"
"#,
    );
    for text in [
        "name = \"conv1\"\ntype = \"convolution\"\nchannels = 8\nkernel = 3\nstride = 1\npadding = \"same\"\n\n",
        "name = \"relu1\"\ntype = \"relu\"\nlimit = 6.0\n",
        "padding = 1\ngroups = 4\n",
        "name = \"all\"\nfrom = \"grouped\"\ntype = \"concatenate\"\nwith = [\"sum\", \"relu1\"]\n",
        "type = \"basic_block\"\nchannels = 8\nstride = 1\nshortcut = \"projection\"\n",
        "type = \"bottleneck\"\nchannels = 4\nstride = 1\nexpansion = 4\n",
        "type = \"inverted_residual\"\nchannels = 8\nstride = 1\nexpansion = 6\n",
        "name = \"classifier\"\ntype = \"convolution\"\nkernel = 1\nstride = 1\npadding = 0\n",
        "[batch_norm]\nstatistics = \"keep\"\nepsilon = 0.0001\nmomentum = 0.05\n",
    ] {
        assert!(written.contains(text), "{text} is not in {written}");
    }
}

#[test]
fn every_architecture_survives() {
    for architecture in Architecture::ALL {
        let name = architecture.name();
        let text = format!("data.builtin = \"smiles\"\nmodel.architecture = \"{name}\"\n");
        let written = assert_round_trip(&text);
        let of_vgg = name.starts_with("vgg");
        assert_eq!(written.contains("\nwidths = "), of_vgg, "{written}");
        // Of a squeezenet the convention decides.
        let pooling = written.contains("\npooling = \"floor\"\n");
        assert_eq!(pooling, !name.starts_with("squeezenet"), "{written}");
    }
    let narrow =
        "data.builtin = \"smiles\"\nmodel.architecture = \"mobilenet_v1\"\nmodel.width = 0.25\n";
    assert!(assert_round_trip(narrow).contains("\nwidth = 0.25\n"));
}
