//! Which file, variable or argument a message names.

use super::*;

#[test]
fn a_value_from_the_base_is_reported_at_the_bases_line() {
    assert_eq!(
        Bench::new(&[
            (
                "base.toml",
                &format!("{LEAST}{}", "# the base\nepochs = 0\n")
            ),
            ("faces/a.toml", "extends = \"../base.toml\"\nseed = 3\n")
        ])
        .error("faces/a.toml"),
        r"faces/../base.toml:4:10: `epochs` must be at least 1, not 0
    |
  4 | epochs = 0
    |          ^
  help: for example `epochs = 10`"
    );
}

#[test]
fn an_unknown_key_in_the_base_is_an_error_even_where_nothing_uses_it() {
    assert_eq!(
        Bench::new(&[
            ("base.toml", &format!("{LEAST}{}", "epoch = 0\n")),
            ("a.toml", "extends = \"base.toml\"\n")
        ])
        .error("a.toml"),
        r"base.toml:3:1: unknown key `epoch`
    |
  3 | epoch = 0
    | ^^^^^
  help: did you mean `epochs`?"
    );
}

#[test]
fn a_base_that_there_is_not() {
    assert_eq!(
        Bench::new(&[("a.toml", &format!("{LEAST}{}", "extends = \"bse.toml\"\n"))])
            .error("a.toml"),
        r#"a.toml:3:11: there is no file bse.toml
    |
  3 | extends = "bse.toml"
    |           ^^^^^^^^^^
  help: `extends` is relative to the directory of the file that names it"#
    );
}

#[test]
fn bases_that_go_round_in_a_circle() {
    assert_eq!(
        Bench::new(&[
            ("a.toml", "extends = \"b.toml\"\n"),
            ("b.toml", "extends = \"a.toml\"\n")
        ])
        .error("a.toml"),
        r#"b.toml:1:11: `extends` goes round in a circle: a.toml → b.toml → a.toml
    |
  1 | extends = "a.toml"
    |           ^^^^^^^^
  help: a base must not extend what extends it"#
    );
}

#[test]
fn a_key_that_does_not_go_with_the_choice_of_the_base() {
    assert_eq!(
        Bench::new(&[
            (
                "base.toml",
                &format!("{LEAST}{}", "optimizer.algorithm = \"sgd\"\n")
            ),
            (
                "a.toml",
                "extends = \"base.toml\"\noptimizer.momentum = 0.5\n"
            )
        ])
        .error("a.toml"),
        r#"a.toml:2:22: `momentum` does nothing with "sgd"
    |
  2 | optimizer.momentum = 0.5
    |                      ^^^
  help: remove it: "sgd" takes no such key"#
    );
}

#[test]
fn a_value_from_the_environment_is_reported_by_its_variable() {
    assert_eq!(
        Bench::new(&[("a.toml", LEAST)])
            .environment(&[
                ("GRAFT_EPOCHS", "0"),
                ("GRAFT_OPTIMIZER__LEARNING_RATE", "high")
            ])
            .error("a.toml"),
        r#"environment variable GRAFT_OPTIMIZER__LEARNING_RATE: `optimizer.learning_rate` must be a number, not "high"
  help: for example `GRAFT_OPTIMIZER__LEARNING_RATE=0.001`"#
    );
}

#[test]
fn a_variable_that_is_no_key() {
    assert_eq!(
        Bench::new(&[("a.toml", LEAST)])
            .environment(&[("GRAFT_EPOCH", "3"), ("GRAFT_MOMENTUM", "0.5")])
            .error("a.toml"),
        r"environment variable GRAFT_EPOCH: unknown key `epoch`
  help: did you mean `GRAFT_EPOCHS`?

environment variable GRAFT_MOMENTUM: unknown key `momentum`
  help: did you mean `GRAFT_MODEL__LAYERS`, `GRAFT_BATCH_NORM__MOMENTUM` or `GRAFT_OPTIMIZER__MOMENTUM`?"
    );
}

#[test]
fn a_value_from_the_command_line_is_reported_by_its_argument() {
    assert_eq!(
        Bench::new(&[("a.toml", LEAST)])
            .set(&["epochs=0"])
            .error("a.toml"),
        r"command line: --set epochs=0: `epochs` must be at least 1, not 0
  help: for example `--set 'epochs=10'`"
    );
}

#[test]
fn an_argument_that_is_no_key() {
    assert_eq!(
        Bench::new(&[("a.toml", LEAST)])
            .set(&["optimizer.learning_rat=0.1"])
            .error("a.toml"),
        r"command line: --set optimizer.learning_rat=0.1: unknown key `learning_rat` in [optimizer]
  help: did you mean `--set optimizer.learning_rate=…`?"
    );
}

#[test]
fn an_argument_without_a_value() {
    assert_eq!(
        Bench::new(&[("a.toml", LEAST)])
            .set(&["epochs"])
            .error("a.toml"),
        r"command line: --set epochs: there is no `=`
  help: for example `--set optimizer.learning_rate=0.01`"
    );
}

#[test]
fn a_base_chosen_on_the_command_line() {
    assert_eq!(
        Bench::new(&[("a.toml", LEAST)])
            .set(&["extends=base.toml"])
            .error("a.toml"),
        r"command line: --set extends=base.toml: `extends` can only stand in a file
  help: write it at the top of the experiment file; from outside, override single keys"
    );
}
