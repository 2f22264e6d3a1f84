//! Controls: the same experiment with shuffled labels, or with its backbone drawn at random.

use std::fs;

use crate::common::{Place, TINY};

/// A source model, and an experiment whose imported layers are frozen.
fn transfer() -> Place {
    let place = Place::new();
    let source = TINY.replace("cls_smile", "cls_source");
    place.write("experiments/source.toml", format!("seed = 7{source}"));
    let frozen = format!(
        "source_model = \"results/source/model.safetensors\"\n\
         learning_rate_multiplier = {{ \"conv*\" = 0.0 }}\n\
         source.require = [\"conv*\"]\n{TINY}"
    );
    place.write("experiments/frozen.toml", frozen);
    place
}

fn record(place: &Place, name: &str) -> serde_json::Value {
    let text = place.read(&format!("results/{name}/record.json"));
    serde_json::from_str(&text).expect("a record")
}

/// The values of a tensor of a record's model, as bytes.
fn tensor(place: &Place, name: &str, tensor: &str) -> Vec<u8> {
    let path = place.path(&format!("results/{name}/model.safetensors"));
    let bytes = fs::read(path).expect("a model");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    file.tensor(tensor).expect("the tensor").data().to_vec()
}

#[test]
fn controls_run_beside_every_experiment_and_are_marked_as_such() {
    let place = transfer();
    let printed = place.succeed(&["run", "experiments/frozen.toml", "--controls"]);
    let (shuffled, random) = ("frozen.shuffled_labels", "frozen.random_backbone");
    for name in [shuffled, random] {
        let mark = format!("{name} (control)");
        assert!(printed.out.contains(&mark), "{}", printed.out);
    }
    assert!(
        !place.path("results/source.shuffled_labels").exists(),
        "the source was not asked for"
    );
    assert!(record(&place, "frozen").get("control").is_none());
    assert_eq!(record(&place, shuffled)["control"], "shuffled_labels");
    assert_eq!(record(&place, random)["control"], "random_backbone");
    assert!(
        place
            .read(&format!("results/{random}/experiment.toml"))
            .contains("control = ")
    );

    // What is frozen: imported in the experiment and on shuffled labels, drawn in the other control.
    let first = "conv1_1.weight";
    let source = tensor(&place, "source", first);
    assert_eq!(tensor(&place, "frozen", first), source);
    assert_eq!(tensor(&place, shuffled, first), source);
    assert_ne!(tensor(&place, random, first), source);
    let of = |name: &str| record(&place, name)["parameters"].clone();
    assert_eq!(of(random)["frozen"], of("frozen")["frozen"]);
    assert_eq!(of(random)["imported"], 0);
    assert_eq!(
        record(&place, random)["source"]["multipliers"],
        record(&place, "frozen")["source"]["multipliers"]
    );
    let receipt = place.read(&format!("results/{random}/receipt.json"));
    assert!(receipt.contains("\"outcome\": \"withheld\""), "{receipt}");

    // Labels decide no feature; weights do.
    let log = |name: &str| place.read(&format!("results/{name}/log.txt"));
    assert!(
        log(random).contains("outputs computed for 2300"),
        "{}",
        log(random)
    );
    let kept = fs::read_dir(place.path("data/features")).expect("the cache");
    assert_eq!(kept.count(), 4, "two files by two backbones");

    // A control's record proves itself as any other does, and training again gives it again.
    let records = [shuffled, random].map(|name| format!("results/{name}"));
    place.succeed(&["check", &records[0], &records[1]]);
    let verified = place.succeed(&["verify", &records[0], &records[1]]).out;
    assert_eq!(verified.matches("identical").count(), 2, "{verified}");

    let again = place.succeed(&["run", "experiments/frozen.toml", "--controls"]);
    assert_eq!(again.err.matches("skipped").count(), 3, "{}", again.err);
}

#[test]
fn shuffled_labels_teach_other_weights_and_test_labels_stay() {
    let place = Place::new();
    place.write("experiments/tiny.toml", TINY);
    place.succeed(&["run", "experiments/tiny.toml"]);
    let control = [
        "run",
        "experiments/tiny.toml",
        "--set",
        "control=shuffled_labels",
    ];
    let printed = place.succeed(&control);
    assert!(
        printed.err.contains("training labels are shuffled"),
        "{}",
        printed.err
    );
    let name = "tiny.shuffled_labels";
    assert_eq!(record(&place, "tiny")["data"], record(&place, name)["data"]);
    assert_ne!(
        record(&place, "tiny")["setup"],
        record(&place, name)["setup"]
    );
    let last = "cls_smile.weight";
    assert_ne!(tensor(&place, "tiny", last), tensor(&place, name, last));
    let labels = |name: &str| -> Vec<String> {
        let outputs = place.read(&format!("results/{name}/outputs.csv"));
        let label = |line: &str| line.split(',').nth(1).map(str::to_owned);
        outputs.lines().filter_map(label).collect()
    };
    assert_eq!(labels("tiny"), labels(name));
    let compared = place.succeed(&["compare"]).out;
    assert!(
        compared.contains("learnt from shuffled labels"),
        "{compared}"
    );

    // The same seed shuffles alike, another one does not.
    let before = tensor(&place, name, last);
    place.succeed(&[&control[..], &["--force"]].concat());
    assert_eq!(tensor(&place, name, last), before);
    place.succeed(&[&control[..], &["-r", "5"]].concat());
    assert_ne!(tensor(&place, name, last), before);
}

#[test]
fn a_plan_shows_controls_and_what_would_be_drawn() {
    let place = transfer();
    let printed = place.succeed(&["plan", "experiments/frozen.toml", "--controls"]);
    for said in ["frozen.shuffled_labels", "frozen.random_backbone", "drawn"] {
        assert!(printed.out.contains(said), "{said}: {}", printed.out);
    }
}

#[test]
fn a_random_backbone_needs_one_and_a_wrong_word_is_told() {
    let place = Place::new();
    place.write("tiny.toml", TINY);
    let printed = place.fail(&["run", "tiny.toml", "--set", "control=random_backbone"]);
    assert!(
        printed.err.contains("without a `source_model`"),
        "{}",
        printed.err
    );
    let printed = place.fail(&["run", "tiny.toml", "--set", "control=shufled_labels"]);
    assert!(printed.err.contains("shuffled_labels"), "{}", printed.err);
}
