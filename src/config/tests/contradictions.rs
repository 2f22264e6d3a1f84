//! Values out of range and keys that do not go together: the message for each.

use super::*;

#[test]
fn no_epochs_and_no_batch_are_reported_together() {
    assert_eq!(
        beside_least("epochs = 0\nbatch_size = 0\n"),
        r"a.toml:3:10: `epochs` must be at least 1, not 0
    |
  3 | epochs = 0
    |          ^
  help: for example `epochs = 10`

a.toml:4:14: `batch_size` must be at least 1, not 0
    |
  4 | batch_size = 0
    |              ^
  help: for example `batch_size = 32`"
    );
}

#[test]
fn a_negative_learning_rate() {
    assert_eq!(
        beside_least("[optimizer]\nlearning_rate = -0.1\n"),
        r"a.toml:4:17: `optimizer.learning_rate` must be finite and at least 0, not -0.1
    |
  4 | learning_rate = -0.1
    |                 ^^^^
  help: for example `learning_rate = 0.001`"
    );
}

#[test]
fn a_multiplier_that_is_no_number() {
    assert_eq!(
        beside_least("learning_rate_multiplier = { imported = 0.1, conv1_1 = nan }\n"),
        r"a.toml:3:56: the multiplier of `conv1_1` must be finite and at least 0, not NaN
    |
  3 | learning_rate_multiplier = { imported = 0.1, conv1_1 = nan }
    |                                                        ^^^
  help: 1 trains at the full rate, 0.001 fine-tunes, 0 freezes"
    );
}

#[test]
fn momentum_for_an_algorithm_without() {
    assert_eq!(
        beside_least("[optimizer]\nalgorithm = \"adam\"\nmomentum = 0.9\n"),
        r#"a.toml:5:12: `momentum` does nothing with "adam"
    |
  5 | momentum = 0.9
    |            ^^^
  help: "adam" takes beta1, beta2, epsilon, epsilon_hat, clip_norm_scales"#
    );
}

#[test]
fn a_step_schedule_without_its_step() {
    assert_eq!(
        beside_least("[schedule]\nname = \"step\"\n"),
        r"a.toml:3:2: `every` is missing: after how many epochs does the rate change?
    |
  3 | [schedule]
    |  ^^^^^^^^
  help: for example `every = 10`"
    );
}

#[test]
fn a_step_for_a_schedule_without() {
    assert_eq!(
        beside_least("schedule.every = 3\n"),
        r#"a.toml:3:18: `every` does nothing with "constant"
    |
  3 | schedule.every = 3
    |                  ^
  help: remove it: "constant" takes no such key"#
    );
}

#[test]
fn a_seed_beside_a_list_of_seeds() {
    assert_eq!(
        beside_least("seed = 1\nseeds = [1, 2]\n"),
        r"a.toml:3:8: `seed` beside a list of `seeds`
    |
  3 | seed = 1
    |        ^
  help: keep one of them: the list says it all"
    );
}

#[test]
fn a_seed_listed_twice() {
    assert_eq!(
        beside_least("seeds = [1, 2, 1]\n"),
        r"a.toml:3:9: `seeds` names 1 twice
    |
  3 | seeds = [1, 2, 1]
    |         ^^^^^^^^^
  help: the same seed gives the same run: name each once"
    );
}

#[test]
fn no_seeds() {
    assert_eq!(
        beside_least("seeds = []\n"),
        r"a.toml:3:9: `seeds` is empty: there would be no run
    |
  3 | seeds = []
    |         ^^
  help: for example `seeds = 5`"
    );
}

#[test]
fn required_layers_without_a_source_model() {
    assert_eq!(
        beside_least("source.require = [\"conv*\"]\n"),
        r#"a.toml:3:18: `source.require` without a `source_model`: nothing will be imported
    |
  3 | source.require = ["conv*"]
    |                  ^^^^^^^^^
  help: give a `source_model`, or remove `require`"#
    );
}

#[test]
fn a_name_that_leaves_the_results() {
    assert_eq!(
        beside_least("name = \"../x\"\n"),
        r#"a.toml:3:8: "../x" cannot be the name of an experiment
    |
  3 | name = "../x"
    |        ^^^^^^
  help: a name is a relative path below the results, such as faces/fine_tuning"#
    );
}

#[test]
fn an_empty_file() {
    assert_eq!(
        message(""),
        r"a.toml: there are no data to train on
  help: give `train` and `test` (HDF5 files), or `builtin`, in [data]

a.toml: there is no model to train
  help: give `architecture` in [model], or [[model.layers]] one by one"
    );
}

#[test]
fn a_training_file_without_a_test_file() {
    assert_eq!(
        message("model.architecture = \"vgg16\"\n[data]\ntrain = \"x.h5\"\n"),
        r#"a.toml:2:2: `test` is missing in [data]
    |
  2 | [data]
    |  ^^^^
  help: for example `test = "test.h5"`"#
    );
}

#[test]
fn a_drawn_task_beside_files() {
    assert_eq!(
        message("model.architecture = \"vgg16\"\n[data]\nbuiltin = \"smiles\"\ntrain = \"x.h5\"\n"),
        r#"a.toml:3:11: `builtin` draws both files; `train` and `test` name other ones
    |
  3 | builtin = "smiles"
    |           ^^^^^^^^
  help: keep `builtin`, or `train` and `test`"#
    );
}

#[test]
fn a_draw_seed_without_a_drawn_task() {
    assert_eq!(
        message(
            "model.architecture = \"vgg16\"\n[data]\ntrain = \"x.h5\"\ntest = \"y.h5\"\ndraw_seed = 3\n"
        ),
        r"a.toml:5:13: `draw_seed` without `builtin`: nothing is drawn
    |
  5 | draw_seed = 3
    |             ^
  help: remove it, or name a task by `builtin`"
    );
}

#[test]
fn a_width_beside_widths() {
    assert_eq!(
        beside_least("model.width = 0.5\nmodel.widths = [1, 2, 3, 4, 5]\n"),
        r"a.toml:3:15: `width` beside `widths`: both say how wide the blocks are
    |
  3 | model.width = 0.5
    |               ^^^
  help: keep one of them"
    );
}

#[test]
fn widths_for_too_few_blocks() {
    assert_eq!(
        beside_least("model.widths = [1, 2, 3]\n"),
        r"a.toml:3:16: `model.widths` must be five numbers, each at least 1: one for each block
    |
  3 | model.widths = [1, 2, 3]
    |                ^^^^^^^^^
  help: for example `widths = [64, 128, 256, 512, 512]`"
    );
}

#[test]
fn names_for_another_number_of_head_layers() {
    assert_eq!(
        beside_least("model.head_names = [\"fc6_new\"]\n"),
        r#"a.toml:3:20: `head_names` and `head` differ in length: 1 and 2
    |
  3 | model.head_names = ["fc6_new"]
    |                    ^^^^^^^^^^^
  help: give each layer of `head` one name"#
    );
}

#[test]
fn one_class_only() {
    assert_eq!(
        beside_least("model.classes = 1\n"),
        r"a.toml:3:17: `model.classes` must be at least 2, not 1
    |
  3 | model.classes = 1
    |                 ^
  help: for example `classes = 2`"
    );
}

#[test]
fn a_dropout_that_leaves_nothing() {
    assert_eq!(
        beside_least("model.dropout = 1.0\n"),
        r"a.toml:3:17: `model.dropout` must be at least 0 and less than 1, not 1
    |
  3 | model.dropout = 1.0
    |                 ^^^
  help: for example `dropout = 0.5`"
    );
}

#[test]
fn a_uniform_initializer_without_its_bounds() {
    assert_eq!(
        beside_least("model.initializer = \"uniform\"\n"),
        r#"a.toml:3:21: the initializer "uniform" needs a `low`
    |
  3 | model.initializer = "uniform"
    |                     ^^^^^^^^^
  help: for example `{ name = "uniform", low = -0.05, high = 0.05 }`

a.toml:3:21: the initializer "uniform" needs a `high`
    |
  3 | model.initializer = "uniform"
    |                     ^^^^^^^^^
  help: for example `{ name = "uniform", low = -0.05, high = 0.05 }`"#
    );
}

#[test]
fn numbers_of_16_bits_in_a_file_for_neon() {
    assert_eq!(
        beside_least("dtype = \"f16\"\nsave_path = \"fine.prm\"\n"),
        r#"a.toml:4:13: `save_path` is a file of neon's, which has no numbers of 16 bits
    |
  4 | save_path = "fine.prm"
    |             ^^^^^^^^^^
  help: save to .safetensors; `graft convert --dtype f32` makes a file for neon of it"#
    );
}

#[test]
fn a_batch_larger_than_any_memory() {
    let message = message(&format!("batch_size = 1000000000000\n{LEAST}"));
    let problem = "`batch_size` must be at most 1048576, not 1000000000000";
    assert!(message.contains(problem), "{message}");
}

#[test]
fn coverage_and_renames_without_a_source_model() {
    assert_eq!(
        beside_least("source.coverage = 0.9\nsource.rename = { a = \"b\" }\n"),
        r#"a.toml:3:19: `source.coverage` without a `source_model`: nothing will be imported
    |
  3 | source.coverage = 0.9
    |                   ^^^
  help: give a `source_model`, or remove `coverage`

a.toml:4:17: `source.rename` without a `source_model`: nothing will be imported
    |
  4 | source.rename = { a = "b" }
    |                 ^^^^^^^^^^^
  help: give a `source_model`, or remove `rename`"#
    );
}

#[test]
fn a_coverage_that_is_no_share_and_renames_that_cannot_be() {
    assert_eq!(
        beside_least(
            "source_model = \"m.pth\"\nsource.coverage = 90\nsource.rename = { \"a?\" = \"b\", \
             \"c.*\" = \"*.*\" }\n"
        ),
        r#"a.toml:4:19: `source.coverage` must be between 0 and 1, not 90
    |
  4 | source.coverage = 90
    |                   ^^
  help: for example `coverage = 0.9`

a.toml:5:17: `source.rename` knows no `?`, as in "a?" = "b"
    |
  5 | source.rename = { "a?" = "b", "c.*" = "*.*" }
    |                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: for example "encoder.*" = "*", or "features.0" = "conv1_1"

a.toml:5:17: "*.*" has more `*` than "c.*", whose parts they stand for
    |
  5 | source.rename = { "a?" = "b", "c.*" = "*.*" }
    |                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: for example "encoder.*" = "*", or "features.0" = "conv1_1""#
    );
}
