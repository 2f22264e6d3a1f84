//! `graft compare` on records of real runs: what it claims, and what it does not.

use crate::common::Place;
use serde_json::Value;

/// A network that learns something of the drawn faces in a tenth of a second.
const SMALL: &str = r#"
epochs = 4
[data]
builtin = "drawn_smiles"
[model]
initializer = "kaiming"
layers = [
    { name = "pool1", type = "average_pooling", kernel = 2 },
    { name = "conv1", type = "convolution", channels = 8, kernel = 3, bias = true },
    { name = "relu1", type = "relu" },
    { name = "pool2", type = "max_pooling", kernel = 2 },
    { name = "fc3", type = "linear", bias = true },
    { name = "softmax", type = "softmax" },
]
[preprocessing]
scale = 0.015625
[optimizer]
algorithm = "adam"
learning_rate = 0.005
"#;

/// Trains an experiment by these seeds; `set` has keys of its own.
fn train(place: &Place, name: &str, seeds: &str, set: &[&str]) {
    place.write("experiments/small.toml", SMALL);
    let name = format!("name={name}");
    let seeds = format!("seeds={seeds}");
    let mut arguments = vec![
        "run",
        "experiments/small.toml",
        "--set",
        &name,
        "--set",
        &seeds,
    ];
    for key in set {
        arguments.extend(["--set", *key]);
    }
    place.succeed(&arguments);
}

/// The comparison of all records with one another, which must be one.
fn only_comparison(place: &Place) -> Value {
    let json = place.succeed(&["compare", "--format", "json"]).out;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let comparisons = json["comparisons"].as_array().expect("comparisons");
    assert_eq!(comparisons.len(), 1, "{json}");
    comparisons[0].clone()
}

#[test]
fn an_experiment_that_learns_is_better_than_one_that_does_not_whatever_their_seeds() {
    let place = Place::new();
    train(
        &place,
        "idle",
        "[1,2,3]",
        &["optimizer.learning_rate=1e-12"],
    );
    train(&place, "learns", "[1,2,3]", &["epochs=8"]);
    let paired = only_comparison(&place);
    assert_eq!(
        (&paired["verdict"], &paired["test"]),
        (&"better".into(), &"paired_by_seed".into()),
        "{paired}"
    );
    assert!(paired["low"].as_f64() > Some(0.0), "{paired}");
    let text = place.succeed(&["compare"]).out;
    assert!(text.contains("learns is better than idle: +"), "{text}");
}

#[test]
fn the_same_experiment_under_two_names_cannot_be_told_apart() {
    let place = Place::new();
    train(&place, "one", "[1,2,3]", &[]);
    train(&place, "other", "[4,5,6]", &[]);
    let comparison = only_comparison(&place);
    assert_eq!(
        comparison["verdict"], "cannot_be_told_apart",
        "{comparison}"
    );
    assert_eq!(comparison["test"], "unpaired");
    let csv = place.succeed(&["compare", "--format", "csv"]).out;
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    for row in lines {
        let number = |name: &str| -> f64 {
            let column = header.iter().position(|other| *other == name).expect(name);
            row[column].parse().expect(name)
        };
        let [low, mean, high] = ["accuracy_low", "accuracy_mean", "accuracy_high"].map(number);
        assert!(low < mean && mean < high, "{csv}");
    }
}

#[test]
fn a_single_run_each_claims_nothing_of_the_experiments() {
    let place = Place::new();
    train(&place, "idle", "[1]", &["optimizer.learning_rate=1e-12"]);
    train(&place, "learns", "[1]", &["epochs=8"]);
    let comparison = only_comparison(&place);
    assert_eq!(
        comparison["verdict"], "cannot_be_told_apart",
        "{comparison}"
    );
    assert_eq!(comparison["test"], "mcnemar");
    let text = comparison["text"].as_str().expect("text");
    assert!(
        text.contains("cannot be told apart by a single run each"),
        "{text}"
    );
}

#[test]
fn outputs_that_are_missing_or_edited_are_named_and_nothing_is_claimed() {
    let place = Place::new();
    train(&place, "idle", "[1,2]", &["optimizer.learning_rate=1e-12"]);
    train(&place, "learns", "[1,2]", &["epochs=8"]);
    let name = "results/learns/seed-2/outputs.csv";
    let outputs = place.read(name);
    let edited: String = outputs
        .lines()
        .map(|line| line.replacen(",1,0,", ",1,1,", 1) + "\n")
        .collect();
    for content in [edited.as_str(), "index,label\n", ""] {
        place.write(name, content);
        let printed = place.succeed(&["compare"]);
        assert!(
            printed.out.contains(&format!("warning: {name}: ")),
            "{}",
            printed.out
        );
        assert_eq!(only_comparison(&place)["verdict"], "not_tested");
    }
    std::fs::remove_file(place.path(name)).expect("removed");
    assert_eq!(only_comparison(&place)["verdict"], "not_tested");
}
