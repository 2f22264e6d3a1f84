//! Keys that do not exist and values of a wrong type: the message for each.

use super::*;

#[test]
fn a_misspelt_key_gets_the_right_one() {
    assert_eq!(
        beside_least("epoch = 3\n"),
        r"a.toml:3:1: unknown key `epoch`
    |
  3 | epoch = 3
    | ^^^^^
  help: did you mean `epochs`?"
    );
}

#[test]
fn a_misspelt_key_of_a_table_gets_the_right_one() {
    assert_eq!(
        beside_least("[optimizer]\nlearning_rte = 0.1\n"),
        r"a.toml:4:1: unknown key `learning_rte` in [optimizer]
    |
  4 | learning_rte = 0.1
    | ^^^^^^^^^^^^
  help: did you mean `learning_rate`?"
    );
}

#[test]
fn a_misspelt_table_is_reported_once() {
    assert_eq!(
        beside_least("[optimiser]\nalgorithm = \"sgd\"\nlearning_rate = 3\n"),
        r"a.toml:3:2: unknown key `optimiser`
    |
  3 | [optimiser]
    |  ^^^^^^^^^
  help: did you mean `[optimizer]`?"
    );
}

#[test]
fn a_key_of_a_table_at_the_top_level_is_sent_there() {
    assert_eq!(
        beside_least("beta1 = 0.9\n"),
        r"a.toml:3:1: unknown key `beta1`
    |
  3 | beta1 = 0.9
    | ^^^^^
  help: `beta1` belongs to [optimizer]"
    );
}

#[test]
fn a_key_of_the_top_level_in_a_table_is_sent_there() {
    assert_eq!(
        beside_least("[optimizer]\nepochs = 3\n"),
        r"a.toml:4:1: unknown key `epochs` in [optimizer]
    |
  4 | epochs = 3
    | ^^^^^^
  help: `epochs` belongs to the top level, above the first [table]"
    );
}

#[test]
fn a_key_like_no_other_gets_the_list() {
    assert_eq!(
        beside_least("[checkpoint]\n\"a.b\" = 3\n"),
        r#"a.toml:4:1: unknown key `a.b` in [checkpoint]
    |
  4 | "a.b" = 3
    | ^^^^^
  help: the keys here are `every`, `keep`"#
    );
}

#[test]
fn a_misspelt_key_of_a_layer_gets_the_right_one() {
    assert_eq!(
        message("data.builtin = \"smiles\"\n[[model.layers]]\nname = \"fc\"\ntyp = \"linear\"\n"),
        r#"a.toml:4:1: unknown key `typ` in [[model.layers]]
    |
  4 | typ = "linear"
    | ^^^
  help: did you mean `type`?"#
    );
}

#[test]
fn text_where_a_number_should_be() {
    assert_eq!(
        beside_least("epochs = \"ten\"\n"),
        r#"a.toml:3:10: `epochs` must be a whole number, at least 0, not "ten"
    |
  3 | epochs = "ten"
    |          ^^^^^
  help: for example `epochs = 10`"#
    );
}

#[test]
fn a_fraction_where_a_whole_number_should_be() {
    assert_eq!(
        beside_least("epochs = 2.5\n"),
        r"a.toml:3:10: `epochs` must be a whole number, at least 0, not 2.5
    |
  3 | epochs = 2.5
    |          ^^^
  help: for example `epochs = 10`"
    );
}

#[test]
fn a_negative_count() {
    assert_eq!(
        beside_least("checkpoint.every = -1\n"),
        r"a.toml:3:20: `checkpoint.every` must be a whole number, at least 0, not -1
    |
  3 | checkpoint.every = -1
    |                    ^^
  help: for example `every = 5`"
    );
}

#[test]
fn a_number_where_text_should_be() {
    assert_eq!(
        beside_least("name = 3\n"),
        r#"a.toml:3:8: `name` must be text in quotes, not 3
    |
  3 | name = 3
    |        ^
  help: for example `name = "faces/fine_tuning"`"#
    );
}

#[test]
fn a_value_where_a_table_should_be() {
    assert_eq!(
        beside_least("optimizer = [\"sgd\"]\n"),
        r#"a.toml:3:13: `optimizer` must be a table, not a list
    |
  3 | optimizer = ["sgd"]
    |             ^^^^^^^
  help: its keys follow a line `[optimizer]`"#
    );
}

#[test]
fn text_where_a_list_should_be() {
    assert_eq!(
        beside_least("source.require = \"conv*\"\n"),
        r#"a.toml:3:18: `source.require` must be a list, not "conv*"
    |
  3 | source.require = "conv*"
    |                  ^^^^^^^
  help: for example `require = ["conv*"]`"#
    );
}

#[test]
fn a_list_with_an_odd_entry() {
    assert_eq!(
        beside_least("seeds = [1, -2]\n"),
        r"a.toml:3:13: an entry of `seeds` must be a whole number, at least 0, not -2
    |
  3 | seeds = [1, -2]
    |             ^^
  help: for example `seeds = 5`"
    );
}

#[test]
fn a_number_where_a_flag_should_be() {
    assert_eq!(
        message("data = { builtin = \"smiles\", shuffle = 1 }\nmodel.architecture = \"vgg16\"\n"),
        r#"a.toml:1:40: `data.shuffle` must be true or false, not 1
    |
  1 | data = { builtin = "smiles", shuffle = 1 }
    |                                        ^
  help: for example `shuffle = true`"#
    );
}

#[test]
fn a_word_that_is_not_one_of_the_choices() {
    assert_eq!(
        beside_least("[optimizer]\nalgorithm = \"adm\"\n"),
        r#"a.toml:4:13: `optimizer.algorithm` must be "momentum", "sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamw", "shift_ada_max" or "lion", not "adm"
    |
  4 | algorithm = "adm"
    |             ^^^^^
  help: did you mean "adam"?"#
    );
}

#[test]
fn a_number_is_not_the_position_of_a_choice() {
    assert_eq!(
        beside_least("preprocessing.preset = 1\n"),
        r#"a.toml:3:24: `preprocessing.preset` must be text in quotes, not 1
    |
  3 | preprocessing.preset = 1
    |                        ^
  help: for example `preset = "torchvision"`"#
    );
}

#[test]
fn a_backend_that_there_is_not() {
    assert_eq!(
        beside_least("backend = \"tpu\"\n"),
        r#"a.toml:3:11: there is no backend "tpu", but cpu, ndarray, wgpu, cuda and cuda:1
    |
  3 | backend = "tpu"
    |           ^^^^^
  help: for example `backend = "cuda"`"#
    );
}

#[test]
fn text_without_its_quotation_mark() {
    assert_eq!(
        beside_least("name = \"x\nepochs = 4\n"),
        r#"a.toml:3:10: not valid TOML: invalid basic string, expected `"`
    |
  3 | name = "x
    |          ^
  help: TOML has one `key = value` a line, text in quotes, and each key once"#
    );
}

#[test]
fn a_key_given_twice() {
    assert_eq!(
        beside_least("epochs = 3\nepochs = 4\n"),
        r"a.toml:4:1: not valid TOML: duplicate key
    |
  4 | epochs = 4
    | ^^^^^^
  help: TOML has one `key = value` a line, text in quotes, and each key once"
    );
}
