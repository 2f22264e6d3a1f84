//! `compatibility` chooses defaults, and nothing that a key of its own does not choose as well.

use super::{LEAST, beside_least, loaded};
use crate::config::experiment::{
    DropoutScaling, Gradient, InitialDraws, Initializer, LastBatch, LossName, Mean, PoolingSize,
};

/// What `compatibility = "neon"` stands for, key by key.
const NEON: &str = r#"
batch_size = 128
data.shuffle = false
data.last_batch = "wrap"
preprocessing.preset = "neon"
preprocessing.mean = "own"
loss.name = "binary_cross_entropy"
loss.gradient = "shortcut"
model.linear_initializer = "glorot_uniform"
model.initial_draws = "neon"
model.pooling = "floor"
model.dropout_scaling = "inference"
"#;

fn compatible(with: &str, more: &str) -> String {
    format!("compatibility = \"{with}\"\n{LEAST}{more}")
}

#[test]
fn the_switch_is_the_sum_of_its_keys() {
    let by_hand = format!("{NEON}{LEAST}");
    assert_eq!(loaded(&compatible("neon", "")), loaded(&by_hand));
    assert_ne!(loaded(&compatible("neon", "")), loaded(LEAST));
}

#[test]
fn none_is_the_default() {
    assert_eq!(loaded(&compatible("none", "")), loaded(LEAST));
}

#[test]
fn caffes_way_differs_in_pooling_and_dropout_alone() {
    let mut caffe = loaded(&compatible("caffe", ""));
    assert_eq!(caffe.model.pooling, Some(PoolingSize::Ceil));
    assert_eq!(caffe.model.dropout_scaling, DropoutScaling::Training);
    caffe.model.pooling = Some(PoolingSize::Floor);
    caffe.model.dropout_scaling = DropoutScaling::Inference;
    assert_eq!(caffe, loaded(&compatible("neon", "")));
}

#[test]
fn each_part_of_the_switch_can_be_taken_back() {
    let experiment = loaded(&compatible(
        "neon",
        "data.shuffle = true\npreprocessing.mean = \"train\"\n\
         loss = { name = \"cross_entropy\", gradient = \"exact\" }\n\
         model.initial_draws = \"by_name\"\nmodel.pooling = \"ceil\"\n\
         model.dropout_scaling = \"training\"\n",
    ));
    assert!(experiment.data.shuffle);
    assert_eq!(experiment.data.last_batch, LastBatch::Smaller);
    assert_eq!(experiment.preprocessing.mean, Some(Mean::Train));
    assert_eq!(experiment.loss.name, LossName::CrossEntropy);
    assert_eq!(experiment.loss.gradient, Gradient::Exact);
    assert_eq!(experiment.model.initial_draws, InitialDraws::ByName);
    assert_eq!(experiment.model.pooling, Some(PoolingSize::Ceil));
    assert_eq!(experiment.model.dropout_scaling, DropoutScaling::Training);
}

#[test]
fn a_wrapped_batch_needs_the_order_of_the_file() {
    assert_eq!(
        beside_least("data.last_batch = \"wrap\"\n"),
        "a.toml:3:19: `last_batch = \"wrap\"` goes through the file in its order\n    |\n  3 | \
         data.last_batch = \"wrap\"\n    |                   ^^^^^^\n  help: set `shuffle = false`, \
         or leave `last_batch` away"
    );
}

#[test]
fn a_seed_that_neons_generator_does_not_take() {
    assert_eq!(
        beside_least("seed = 4294967296\ncompatibility = \"neon\"\n"),
        r#"a.toml:3:8: the seed 4294967296 is too large to draw weights as neon does
    |
  3 | seed = 4294967296
    |        ^^^^^^^^^^
  help: the largest is 4294967295; or give `model.initial_draws = "by_name"`"#
    );
    let by_name = "seed = 4294967296\nmodel.initial_draws = \"by_name\"\n";
    assert_eq!(loaded(&compatible("neon", "")).seeds, [42]);
    let experiment = loaded(&format!("compatibility = \"neon\"\n{LEAST}{by_name}"));
    assert_eq!(experiment.seeds, [4_294_967_296]);
}

#[test]
fn linear_layers_begin_as_convolutions_do_where_an_initializer_is_given() {
    for switch in ["none", "neon"] {
        let model = loaded(&compatible(switch, "model.initializer = \"kaiming\"\n")).model;
        assert_eq!(model.linear_initializer, Initializer::Kaiming);
        assert_eq!(model.initializer, Initializer::Kaiming);
    }
}
