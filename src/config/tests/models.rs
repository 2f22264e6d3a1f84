//! Models that cannot be: the message for each.

use super::*;

#[test]
fn an_architecture_beside_layers() {
    assert_eq!(
        beside_least("[[model.layers]]\nname = \"fc\"\ntype = \"linear\"\n"),
        r#"a.toml:2:22: `architecture` beside [[model.layers]], which say all about the model
    |
  2 | model.architecture = "vgg16"
    |                      ^^^^^^^
  help: remove `architecture`, or the layers"#
    );
}

#[test]
fn layers_of_one_name() {
    assert_eq!(
        message(
            "data.builtin = \"smiles\"\n[[model.layers]]\nname = \"fc\"\ntype = \"linear\"\nfeatures = 9\nbias = true\n[[model.layers]]\nname = \"fc_bias\"\ntype = \"bias\"\n"
        ),
        r#"a.toml:8:8: a second layer is called "fc_bias"
    |
  8 | name = "fc_bias"
    |        ^^^^^^^^^
  help: layers are matched by name: give each its own"#
    );
}

#[test]
fn a_layer_called_like_a_reserved_word_or_a_pattern() {
    assert_eq!(
        message(
            "data.builtin = \"smiles\"\nmodel.layers = [\n  { name = \"imported\", type = \"relu\" },\n  { name = \"conv*\", type = \"relu\" },\n]\n"
        ),
        r#"a.toml:3:12: "imported" cannot be the name of a layer
    |
  3 |   { name = "imported", type = "relu" },
    |            ^^^^^^^^^^
  help: it is a reserved word of `learning_rate_multiplier`

a.toml:4:12: "conv*" cannot be the name of a layer
    |
  4 |   { name = "conv*", type = "relu" },
    |            ^^^^^^^
  help: use letters, digits, `_` and `-`"#
    );
}

#[test]
fn a_convolution_without_its_kernel() {
    assert_eq!(
        message(
            "data.builtin = \"smiles\"\n[[model.layers]]\nname = \"conv1\"\ntype = \"convolution\"\nchannels = 8\n"
        ),
        r"a.toml:2:1: `kernel` is missing in this layer
    |
  2 | [[model.layers]]
    | ^^^^^^^^^^^^^^^^
  help: for example `kernel = 3`"
    );
}

#[test]
fn a_key_that_the_type_of_a_layer_does_not_take() {
    assert_eq!(
        message(
            "data.builtin = \"smiles\"\n[[model.layers]]\nname = \"relu1\"\ntype = \"relu\"\nkernel = 3\n"
        ),
        r"a.toml:5:10: `kernel` does nothing in a layer of type relu
    |
  5 | kernel = 3
    |          ^
  help: relu takes slope, limit"
    );
}

#[test]
fn a_slope_in_an_activation_that_has_none() {
    assert_eq!(
        message(
            "data.builtin = \"smiles\"\n[[model.layers]]\nname = \"a\"\ntype = \"tanh\"\nslope = 0.1\n"
        ),
        r"a.toml:5:9: `slope` does nothing in a layer of type tanh
    |
  5 | slope = 0.1
    |         ^^^
  help: tanh takes only `name`, `type` and `from`"
    );
}

#[test]
fn a_slope_or_an_alpha_below_0() {
    assert_eq!(
        message(
            "data.builtin = \"smiles\"\nmodel.layers = [\n  { name = \"a\", type = \"elu\", alpha = -1 },\n  { name = \"b\", type = \"relu\", slope = -0.5 },\n]\n"
        ),
        r#"a.toml:3:39: `model.layers.alpha` must be finite and at least 0, not -1
    |
  3 |   { name = "a", type = "elu", alpha = -1 },
    |                                       ^^
  help: for example `alpha = 1`

a.toml:4:40: `model.layers.slope` must be finite and at least 0, not -0.5
    |
  4 |   { name = "b", type = "relu", slope = -0.5 },
    |                                        ^^^^
  help: for example `slope = 0.1`"#
    );
}

#[test]
fn softmax_before_the_end() {
    assert_eq!(
        message(
            "data.builtin = \"smiles\"\n[[model.layers]]\nname = \"softmax\"\ntype = \"softmax\"\n[[model.layers]]\nname = \"fc\"\ntype = \"linear\"\n"
        ),
        r#"a.toml:4:8: `softmax` before the end of the model
    |
  4 | type = "softmax"
    |        ^^^^^^^^^
  help: make it the last layer"#
    );
}

#[test]
fn a_hidden_linear_layer_without_its_width() {
    assert_eq!(
        message(
            "data.builtin = \"smiles\"\n[[model.layers]]\nname = \"fc1\"\ntype = \"linear\"\n[[model.layers]]\nname = \"fc2\"\ntype = \"linear\"\n"
        ),
        r"a.toml:2:1: `features` is missing; only the last linear layer is as wide as there are classes
    |
  2 | [[model.layers]]
    | ^^^^^^^^^^^^^^^^
  help: for example `features = 128`"
    );
}

#[test]
fn a_gaussian_without_its_deviation() {
    assert_eq!(
        beside_least("model.initializer = \"gaussian\"\n"),
        r#"a.toml:3:21: the initializer "gaussian" needs a `deviation`
    |
  3 | model.initializer = "gaussian"
    |                     ^^^^^^^^^^
  help: for example `{ name = "gaussian", deviation = 0.01 }`"#
    );
}

#[test]
fn a_key_that_the_initializer_does_not_take() {
    assert_eq!(
        beside_least("model.initializer = { name = \"kaiming\", local = true }\n"),
        r#"a.toml:3:49: `local` does nothing with "kaiming"
    |
  3 | model.initializer = { name = "kaiming", local = true }
    |                                                 ^^^^
  help: remove it: "kaiming" takes no such key"#
    );
}

#[test]
fn an_orthonormal_matrix_of_no_size() {
    assert_eq!(
        beside_least("model.initializer = { name = \"orthonormal\", scale = 0 }\n"),
        r#"a.toml:3:53: `model.initializer.scale` must be finite and greater than 0, not 0
    |
  3 | model.initializer = { name = "orthonormal", scale = 0 }
    |                                                     ^
  help: for example `initializer = "kaiming"`"#
    );
}

#[test]
fn a_way_of_pooling_that_does_not_exist() {
    assert_eq!(
        beside_least("model.pooling = \"round\"\n"),
        r#"a.toml:3:17: `model.pooling` must be "floor" or "ceil", not "round"
    |
  3 | model.pooling = "round"
    |                 ^^^^^^^
  help: for example `pooling = "ceil"`"#
    );
}
