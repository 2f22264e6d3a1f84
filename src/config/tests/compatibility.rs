//! `compatibility` chooses defaults, and nothing that a key of its own does not choose as well.

use super::{LEAST, beside_least, loaded};
use crate::config::experiment::{Gradient, LastBatch, LossName, Mean};

/// What `compatibility = "neon"` stands for, key by key.
const NEON: &str = r#"
data.shuffle = false
data.last_batch = "wrap"
preprocessing.mean = "own"
loss.name = "binary_cross_entropy"
loss.gradient = "shortcut"
"#;

fn compatible(with: &str, more: &str) -> String {
    format!("compatibility = \"{with}\"\n{LEAST}{more}")
}

#[test]
fn the_switch_is_the_sum_of_its_keys() {
    let by_hand = format!("{LEAST}{NEON}");
    assert_eq!(loaded(&compatible("neon", "")), loaded(&by_hand));
    assert_ne!(loaded(&compatible("neon", "")), loaded(LEAST));
}

#[test]
fn none_is_the_default() {
    assert_eq!(loaded(&compatible("none", "")), loaded(LEAST));
}

#[test]
fn each_part_of_the_switch_can_be_taken_back() {
    let experiment = loaded(&compatible(
        "neon",
        "data.shuffle = true\npreprocessing.mean = \"train\"\n\
         loss = { name = \"cross_entropy\", gradient = \"exact\" }\n",
    ));
    assert!(experiment.data.shuffle);
    assert_eq!(experiment.data.last_batch, LastBatch::Smaller);
    assert_eq!(experiment.preprocessing.mean, Mean::Train);
    assert_eq!(experiment.loss.name, LossName::CrossEntropy);
    assert_eq!(experiment.loss.gradient, Gradient::Exact);
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
