//! Several optimizers in one experiment, end to end.

use crate::common::{Place, TINY};
use crate::resume::{model, start};

/// Twelve epochs of four rules; the head has none of its own.
fn four_rules() -> String {
    let entries = r#"
[[optimizer.layer]]
name = "conv1_*"
algorithm = "adam"
[[optimizer.layer]]
class = "bias"
algorithm = "rmsprop"
learning_rate = 0.0005
schedule = { name = "cosine", warm_up = 0.5 }
[[optimizer.layer]]
name = "cls_smile"
nesterov = true
clip_gradient_norm = 2
"#;
    let epochs = "epochs = 12\ncheckpoint.every = 1";
    format!("{}{entries}", TINY.replace("epochs = 1", epochs))
}

#[test]
fn an_experiment_of_several_optimizers_resumes_to_the_same_bytes_and_says_all_about_them() {
    let place = Place::new();
    place.write("experiments/whole.toml", four_rules());
    place.succeed(&["run", "experiments/whole.toml"]);
    place.write("experiments/long.toml", four_rules());
    let mut child = start(&place);
    child.kill().expect("killed");
    child.wait().expect("ended");
    let printed = place.succeed(&["run", "experiments/long.toml"]);
    assert!(
        printed.err.contains("goes on from epoch"),
        "{}",
        printed.err
    );
    assert_eq!(model(&place, "long"), model(&place, "whole"));

    let metrics = place.read("results/long/metrics.csv");
    for group in ["x1=", "conv1_*:x1=", "class:bias:x1=", "cls_smile:x1="] {
        assert!(metrics.contains(group), "{group}\n{metrics}");
    }

    let resolved = place.read("results/long/experiment.toml");
    place.write("experiments/again.toml", &resolved);
    let plan = place.succeed(&["plan", "experiments/again.toml"]).out;
    assert!(plan.contains("complete, would be skipped"), "{plan}");
    for algorithm in ["momentum", "adam", "rmsprop"] {
        assert!(plan.contains(algorithm), "{plan}");
    }
}

#[test]
fn an_entry_for_no_layer_stops_the_run_and_names_the_closest() {
    let place = Place::new();
    let entry = "[[optimizer.layer]]\nname = \"cls_smyle\"\n";
    place.write("experiments/a.toml", format!("{TINY}{entry}"));
    let printed = place.fail(&["run", "experiments/a.toml"]);
    assert!(
        printed.err.contains("did you mean `cls_smile`?"),
        "{}",
        printed.err
    );
}
