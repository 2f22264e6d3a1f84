//! `[optimizer]`, `[[optimizer.layer]]` and `[schedule]`: what is inherited, what is refused, and
//! that all of it is written out.

use super::super::experiment::*;
use super::round_trip::assert_round_trip;
use super::*;

#[test]
fn every_algorithm_survives() {
    for algorithm in [
        "\"momentum\"\nmomentum = 0.8\nnesterov = true\nclip_gradient_norm = 5",
        "\"sgd\"\ndecay_biases = false\nclip_gradient_value = 0.5\nclip_parameters = 2",
        "\"rmsprop\"\ndecay_rate = 0.9\nclip_norm_scales = \"update\"",
        "\"adagrad\"",
        "\"adadelta\"",
        "\"adam\"\nepsilon_hat = true\nbeta1 = 0.8",
        "\"adamw\"\nweight_decay = 0.3333333333333333",
        "\"shift_ada_max\"\nbias_correction = \"epoch\"\nclip_parameters = 0",
        "\"lion\"\nbeta2 = 0.95",
    ] {
        assert_round_trip(&format!("{LEAST}[optimizer]\nalgorithm = {algorithm}\n"));
    }
}

#[test]
fn every_schedule_survives() {
    for schedule in [
        "\"constant\"\nwarm_up = 1.5",
        "\"step\"\nevery = 3",
        "\"step\"\nat = [0, 3]\nfactor = 0.5",
        "\"step\"\nat = [2, 6]\nrates = [0.6, 0]",
        "\"exponential\"\nfactor = 0.9",
        "\"inverse_time\"\ndecay = 0.3\nper = \"epoch\"",
        "\"polynomial\"",
        "\"polynomial\"\npower = 0.7\nend = 0.01\ninteger_division = true",
        "\"shift\"\nevery = 2\nbits = 3",
        "\"cosine\"\nend = 0.1\ntotal_epochs = 4",
        "\"one_cycle\"\nrise = 0.5",
    ] {
        assert_round_trip(&format!("{LEAST}[schedule]\nname = {schedule}\n"));
    }
}

/// The text of three entries on top of momentum.
const ENTRIES: &str = r#"
[optimizer]
learning_rate = 0.02
momentum = 0.8
clip_gradient_norm = 3
[schedule]
name = "step"
every = 2
[[optimizer.layer]]
class = "bias"
weight_decay = 0
[[optimizer.layer]]
name = "conv1_*"
algorithm = "rmsprop"
schedule = { name = "cosine", warm_up = 0.5 }
[[optimizer.layer]]
name = "classifier"
algorithm = "adadelta"
"#;

#[test]
fn entries_are_written_out_with_all_that_they_inherit() {
    let written = assert_round_trip(&format!("{LEAST}{ENTRIES}"));
    let entry = r#"
[[optimizer.layer]]
class = "bias"
learning_rate = 0.02
weight_decay = 0.0
decay_biases = true
clip_gradient_norm = 3.0
clip_gradient_value = 0.0
clip_parameters = 0.0
algorithm = "momentum"
momentum = 0.8
nesterov = false

[optimizer.layer.schedule]
name = "step"
every = 2
factor = 0.1
warm_up = 0.0
"#;
    assert!(written.contains(entry), "{written}");
}

#[test]
fn an_entry_with_another_algorithm_inherits_the_rate_and_the_schedule_alone() {
    let experiment = loaded(&format!("{LEAST}{ENTRIES}"));
    let [_, rmsprop, adadelta] = &experiment.optimizer.layer[..] else {
        panic!("{:?}", experiment.optimizer.layer);
    };
    assert_eq!(rmsprop.which, Which::Name("conv1_*".to_owned()));
    assert_eq!(rmsprop.rule.learning_rate, 0.02);
    assert_eq!(rmsprop.rule.weight_decay, 0.0, "not momentum's 0.0005");
    assert_eq!(rmsprop.rule.clip_gradient_norm, 0.0);
    assert!(matches!(rmsprop.schedule.course, Course::Cosine { .. }));
    assert_eq!(rmsprop.schedule.warm_up, 0.5);
    assert_eq!(adadelta.schedule, experiment.schedule);
    assert_eq!(
        adadelta.rule.learning_rate, 1.0,
        "a factor on its own steps"
    );
}

#[test]
fn a_default_rate_is_inherited_like_a_written_one() {
    let entry = "[optimizer]\nalgorithm = \"lion\"\n\
                 [[optimizer.layer]]\nclass = \"bias\"\nalgorithm = \"adam\"\n";
    let layer = loaded(&format!("{LEAST}{entry}")).optimizer.layer;
    assert_eq!(layer[0].rule.learning_rate, 1e-4);
}

#[test]
fn the_keys_that_give_neons_rules_are_chosen_by_its_name() {
    for (settings, keys) in [
        (
            "[optimizer]\nalgorithm = \"adam\"\n",
            "epsilon_hat = true\nclip_norm_scales = \"update\"\n",
        ),
        (
            "[optimizer]\nalgorithm = \"shift_ada_max\"\n",
            "bias_correction = \"epoch\"\n",
        ),
        (
            "[schedule]\nname = \"polynomial\"\n",
            "per = \"epoch\"\ninteger_division = true\n",
        ),
        (
            "[schedule]\nname = \"inverse_time\"\ndecay = 0.3\n",
            "per = \"epoch\"\n",
        ),
    ] {
        let of = |text: String| {
            let experiment = loaded(&text);
            (experiment.optimizer, experiment.schedule)
        };
        let neon = of(format!("compatibility = \"neon\"\n{LEAST}{settings}"));
        assert_eq!(neon, of(format!("{LEAST}{settings}{keys}")));
        assert_ne!(neon, of(format!("{LEAST}{settings}")));
    }
}

#[test]
fn nesterov_without_momentum() {
    assert_eq!(
        beside_least("[optimizer]\nmomentum = 0\nnesterov = true\n"),
        r"a.toml:5:12: `nesterov` looks ahead along the momentum, which is 0
    |
  5 | nesterov = true
    |            ^^^^
  help: remove it, or give a `momentum` greater than 0"
    );
}

#[test]
fn a_limit_on_parameters_that_neon_ignores() {
    let settings = "[optimizer]\nmomentum = 0\nclip_parameters = 0.3\n";
    assert_eq!(
        beside_least(&format!("compatibility = \"neon\"\n{settings}")),
        r"a.toml:6:19: neon ignores the limit on parameters where there is no momentum
    |
  6 | clip_parameters = 0.3
    |                   ^^^
  help: remove `clip_parameters`, or set a `momentum`; graft heeds it where `compatibility` is not given"
    );
    let rule = loaded(&format!("{LEAST}{settings}")).optimizer.rule;
    assert_eq!(rule.clip_parameters, 0.3);
}

#[test]
fn an_entry_about_no_layer_and_one_about_two_sorts() {
    assert_eq!(
        beside_least(
            "[[optimizer.layer]]\nmomentum = 0\n\
             [[optimizer.layer]]\nname = \"fc6\"\nclass = \"bias\"\n"
        ),
        r#"a.toml:3:1: an optimizer for no layer
    |
  3 | [[optimizer.layer]]
    | ^^^^^^^^^^^^^^^^^^^
  help: give it the `name` of a layer, a pattern of names, or a `class` such as "bias"

a.toml:7:9: `class` beside `name`: both say which layers the entry is about
    |
  7 | class = "bias"
    |         ^^^^^^
  help: keep one of them"#
    );
}

#[test]
fn a_second_entry_for_the_same_layers() {
    assert_eq!(
        beside_least("[optimizer]\nlayer = [{ class = \"bias\" }, { class = \"bias\" }]\n"),
        r#"a.toml:4:30: a second entry for class `bias`
    |
  4 | layer = [{ class = "bias" }, { class = "bias" }]
    |                              ^^^^^^^^^^^^^^^^^^
  help: say all about these layers in one entry"#
    );
}

#[test]
fn a_class_without_parameters_and_a_mistyped_key_of_an_entry() {
    assert_eq!(
        beside_least("[[optimizer.layer]]\nclass = \"relu\"\n"),
        r#"a.toml:4:9: `optimizer.layer.class` must be "convolution", "linear", "bias" or "batch_norm", not "relu"
    |
  4 | class = "relu"
    |         ^^^^^^
  help: for example `class = "bias"`"#
    );
    assert_eq!(
        beside_least("[[optimizer.layer]]\nname = \"fc6\"\nmomentun = 0.5\n"),
        r"a.toml:5:1: unknown key `momentun` in [[optimizer.layer]]
    |
  5 | momentun = 0.5
    | ^^^^^^^^
  help: did you mean `momentum`?"
    );
}

#[test]
fn a_number_of_an_entry_out_of_range_and_a_key_that_its_algorithm_does_not_take() {
    assert_eq!(
        beside_least(
            "[[optimizer.layer]]\nname = \"fc6\"\nalgorithm = \"lion\"\nbeta1 = 1\nepsilon = 1\n"
        ),
        r#"a.toml:6:9: `optimizer.layer.beta1` must be at least 0 and less than 1, not 1
    |
  6 | beta1 = 1
    |         ^
  help: for example `beta1 = 0.9`

a.toml:7:11: `epsilon` does nothing with "lion"
    |
  7 | epsilon = 1
    |           ^
  help: "lion" takes beta1, beta2"#
    );
}

#[test]
fn an_inherited_number_is_reported_where_it_was_written() {
    assert_eq!(
        beside_least("[optimizer]\nmomentum = 2\n[[optimizer.layer]]\nclass = \"bias\"\n"),
        r"a.toml:4:12: `optimizer.momentum` must be at least 0 and less than 1, not 2
    |
  4 | momentum = 2
    |            ^
  help: for example `momentum = 0.9`"
    );
}

#[test]
fn a_schedule_that_says_twice_when_or_where_to() {
    assert_eq!(
        beside_least("schedule = { name = \"step\", every = 2, at = [1, 3] }\n"),
        r#"a.toml:3:45: `at` beside `every`: both say when the rate changes
    |
  3 | schedule = { name = "step", every = 2, at = [1, 3] }
    |                                             ^^^^^^
  help: keep one of them"#
    );
    assert_eq!(
        beside_least("schedule = { name = \"step\", at = [1, 3], rates = [1], factor = 0.5 }\n"),
        r#"a.toml:3:50: `rates` beside `factor`: both say what the rate becomes
    |
  3 | schedule = { name = "step", at = [1, 3], rates = [1], factor = 0.5 }
    |                                                  ^^^
  help: keep one of them

a.toml:3:50: `rates` and `at` differ in length: 1 and 2
    |
  3 | schedule = { name = "step", at = [1, 3], rates = [1], factor = 0.5 }
    |                                                  ^^^
  help: give each epoch of `at` one rate"#
    );
}

#[test]
fn epochs_of_a_step_out_of_order() {
    assert_eq!(
        beside_least("schedule = { name = \"step\", at = [3, 3] }\n"),
        r#"a.toml:3:34: `at` must list epochs in ascending order, not [3, 3]
    |
  3 | schedule = { name = "step", at = [3, 3] }
    |                                  ^^^^^^
  help: for example `at = [6, 9]`"#
    );
}

#[test]
fn a_decay_that_is_missing_in_the_schedule_of_an_entry() {
    assert_eq!(
        beside_least(
            "[[optimizer.layer]]\nname = \"fc6\"\nschedule = { name = \"inverse_time\" }\n"
        ),
        r#"a.toml:5:12: `decay` is missing: how fast does the rate fall?
    |
  5 | schedule = { name = "inverse_time" }
    |            ^^^^^^^^^^^^^^^^^^^^^^^^^
  help: for example `decay = 0.3`"#
    );
}

#[test]
fn neons_integer_division_beyond_the_numbers() {
    let schedule = "name = \"polynomial\", power = 0.5, total_epochs = 4";
    assert_eq!(
        beside_least(&format!(
            "schedule = {{ {schedule}, integer_division = true }}\n"
        )),
        r#"a.toml:3:85: with `integer_division` the rate is no number from epoch 9 on
    |
  3 | schedule = { name = "polynomial", power = 0.5, total_epochs = 4, integer_division = true }
    |                                                                                     ^^^^
  help: give a whole `power`, more `total_epochs`, or `integer_division = false`"#
    );
    loaded(&format!("{LEAST}schedule = {{ {schedule} }}\n"));
}

#[test]
fn an_epsilon_that_half_precision_rounds_to_nothing() {
    let text = "dtype = \"f16\"\noptimizer.algorithm = \"adam\"\n";
    let message = beside_least(text);
    assert!(
        message.contains("`epsilon` = 1e-8 is 0 in f16"),
        "{message}"
    );
    assert!(message.contains("help: give `epsilon = 1e-4`"), "{message}");
    loaded(&format!("{LEAST}{text}optimizer.epsilon = 1e-4\n"));
    loaded(&format!("{LEAST}{}", text.replace("\"f16", "\"bf16")));
}
