//! Graphs, blocks and architectures that cannot be: the message for each.

use super::*;

#[test]
fn padding_that_is_neither_a_number_nor_same() {
    assert_eq!(
        message(
            "data.builtin = \"smiles\"\nmodel.layers = [\n  { name = \"a\", type = \"convolution\", kernel = 3, padding = \"valid\" },\n]\n"
        ),
        r#"a.toml:3:61: `model.layers.padding` must be a number of pixels, or "same", not "valid"
    |
  3 |   { name = "a", type = "convolution", kernel = 3, padding = "valid" },
    |                                                             ^^^^^^^
  help: for example `padding = 1`"#
    );
}

#[test]
fn padding_same_in_a_pooling() {
    assert_eq!(
        message(
            "data.builtin = \"smiles\"\nmodel.layers = [\n  { name = \"a\", type = \"max_pooling\", kernel = 3, padding = \"same\" },\n]\n"
        ),
        r#"a.toml:3:61: `padding = "same"` is for convolutions; a pooling takes a number
    |
  3 |   { name = "a", type = "max_pooling", kernel = 3, padding = "same" },
    |                                                             ^^^^^^
  help: for example `padding = 1`"#
    );
}

#[test]
fn a_sum_of_one_layer() {
    assert_eq!(
        message("data.builtin = \"smiles\"\n[[model.layers]]\nname = \"sum\"\ntype = \"add\"\n"),
        r#"a.toml:2:1: `with` is missing in this layer: what is joined with its input?
    |
  2 | [[model.layers]]
    | ^^^^^^^^^^^^^^^^
  help: for example `with = ["conv1_relu"]`"#
    );
}

#[test]
fn a_key_that_a_block_does_not_take() {
    assert_eq!(
        message(
            "data.builtin = \"smiles\"\n[[model.layers]]\nname = \"fire2\"\ntype = \"fire\"\nsqueeze = 16\nexpand = 64\nstride = 2\n"
        ),
        r"a.toml:7:10: `stride` does nothing in a layer of type fire
    |
  7 | stride = 2
    |          ^
  help: fire takes squeeze, expand"
    );
}

#[test]
fn a_limit_beside_a_slope() {
    assert_eq!(
        message(
            "data.builtin = \"smiles\"\n[[model.layers]]\nname = \"a\"\ntype = \"relu\"\nslope = 0.1\nlimit = 6\n"
        ),
        r"a.toml:6:9: `limit` beside `slope`: one ReLU has one of them
    |
  6 | limit = 6
    |         ^
  help: remove one of them"
    );
}

#[test]
fn a_convolution_in_the_middle_without_its_channels() {
    assert_eq!(
        message(
            "data.builtin = \"smiles\"\n[[model.layers]]\nname = \"conv1\"\ntype = \"convolution\"\nkernel = 3\n[[model.layers]]\nname = \"fire2\"\ntype = \"fire\"\nsqueeze = 1\nexpand = 1\n"
        ),
        r"a.toml:2:1: `channels` is missing; only the last layer with weights has as many as there are classes
    |
  2 | [[model.layers]]
    | ^^^^^^^^^^^^^^^^
  help: for example `channels = 64`"
    );
}

#[test]
fn widths_of_an_architecture_that_has_one_size() {
    assert_eq!(
        message(
            "data.builtin = \"smiles\"\nmodel.architecture = \"resnet18\"\nmodel.width = 0.5\nmodel.widths = [1, 2, 3, 4, 5]\n"
        ),
        r"a.toml:3:15: `width` does nothing in resnet18
    |
  3 | model.width = 0.5
    |               ^^^
  help: remove it: only vgg and mobilenet take it

a.toml:4:16: `widths` does nothing in resnet18
    |
  4 | model.widths = [1, 2, 3, 4, 5]
    |                ^^^^^^^^^^^^^^^
  help: remove it: only vgg takes it"
    );
}

#[test]
fn a_head_on_a_classifier_of_convolutions() {
    assert_eq!(
        message(
            "data.builtin = \"smiles\"\nmodel.architecture = \"squeezenet1_1\"\nmodel.head = [64]\n"
        ),
        r"a.toml:3:14: `head` does nothing in squeezenet1_1, whose classifier is a convolution
    |
  3 | model.head = [64]
    |              ^^^^
  help: remove `head`"
    );
}

#[test]
fn settings_of_batch_norm_where_there_is_none() {
    assert_eq!(
        beside_least("[batch_norm]\nstatistics = \"keep\"\nepsilon = 1e-3\n"),
        r"a.toml:5:11: `epsilon` in [batch_norm] does nothing: no architecture and no block here has any
    |
  5 | epsilon = 1e-3
    |           ^^^^
  help: remove it; a layer of type batch_norm has its own"
    );
}

#[test]
fn statistics_that_are_neither_kept_nor_trained() {
    assert_eq!(
        beside_least("batch_norm.statistics = \"freeze\"\n"),
        r#"a.toml:3:25: `batch_norm.statistics` must be "train" or "keep", not "freeze"
    |
  3 | batch_norm.statistics = "freeze"
    |                         ^^^^^^^^
  help: for example `statistics = "keep"`"#
    );
}
