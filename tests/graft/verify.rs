//! `check` and `verify`: an honest record passes, an altered one is named for what it is.

use graft::files::FileStamp;
use graft::results::record::Record;

use crate::common::{Place, Printed, TINY};

/// Three epochs, with the state after each but the last.
fn experiment() -> String {
    TINY.replace("epochs = 1", "epochs = 3\ncheckpoint.keep = 1")
}

fn record() -> Place {
    let place = Place::new();
    place.write("experiments/e.toml", experiment());
    place.succeed(&["run", "experiments/e.toml"]);
    place
}

/// Replaces a text in a file of the record, once.
fn edit(place: &Place, file: &str, from: &str, to: &str) {
    let name = format!("results/e/{file}");
    let text = place.read(&name);
    assert!(text.contains(from), "{from:?} is not in {file}");
    place.write(&name, text.replacen(from, to, 1));
}

/// Runs graft, which must find something, and returns what it printed.
fn finds(place: &Place, arguments: &[&str]) -> String {
    let Printed { code, out, err } = place.graft(arguments);
    assert_eq!(code, Some(1), "{arguments:?}\n{out}{err}");
    out
}

#[test]
fn an_honest_record_is_consistent_and_comes_out_bit_for_bit() {
    let place = record();
    let out = place.succeed(&["check", "results"]).out;
    assert_eq!(out, "results/e: consistent\n");
    let before = place.read("results/e/record.json");
    let mut command = place.command(&["verify", "results/e"]);
    let output = command.env("RAYON_NUM_THREADS", "3").output();
    let printed = Printed::from(output.expect("graft starts"));
    assert!(
        printed.out.starts_with("results/e: bit-identical\n"),
        "{}{}",
        printed.out,
        printed.err
    );
    assert_eq!(place.read("results/e/record.json"), before);
    assert!(!place.path("results/results.csv.lock").exists());
    let replayed = place
        .succeed(&["verify", "results/e", "--samples", "1"])
        .out;
    assert!(replayed.contains("1 of 3 stretches replayed"), "{replayed}");
    assert!(replayed.contains("50 %: 0.67"), "{replayed}");
}

#[test]
fn other_arithmetic_is_within_tolerance_and_the_verdict_says_so() {
    let place = record();
    // Epoch by epoch, from the states that the record holds; without them, as a whole.
    place.write("experiments/bare.toml", TINY);
    place.succeed(&["run", "experiments/bare.toml"]);
    let whole = place.succeed(&["verify", "results/bare", "--exact"]).out;
    assert!(whole.contains("confidences by at most"), "{whole}");
    let sampled = place
        .succeed(&["verify", "results/bare", "--samples", "1"])
        .out;
    assert!(
        sampled.contains("not checked: stretches by themselves"),
        "{sampled}"
    );
    let out = place.succeed(&["verify", "results/e", "--exact"]).out;
    assert!(
        out.starts_with("results/e: equal within tolerance\n  other arithmetic computed the two"),
        "{out}"
    );
    let none = finds(
        &place,
        &["verify", "results/e", "--exact", "--tolerance", "0"],
    );
    assert!(
        none.starts_with("results/e: drifts apart\n  metrics.csv says a training cost"),
        "{none}"
    );
}

#[test]
fn every_file_is_held_against_its_checksum_and_against_the_others() {
    for (file, from, to, finding) in [
        (
            "metrics.csv",
            "\n2,0.",
            "\n2,1.",
            "metrics: metrics.csv says a training cost",
        ),
        (
            "outputs.csv",
            "\n7,",
            "\n8,",
            "outputs: outputs.csv has sample 8 where 7 should be",
        ),
        (
            "inference.txt",
            "[0.",
            "[1.",
            "outputs: inference.txt does not say what",
        ),
        (
            "experiment.toml",
            "seeds = [42]",
            "seeds = [43]",
            "seed: record.json says seed 42",
        ),
        (
            "experiment.toml",
            "epochs = 3",
            "epochs = 2",
            "epochs: record.json says epochs 3",
        ),
        (
            "experiment.toml",
            "momentum = 0.9",
            "momentum = 0.8",
            "experiment: the identity",
        ),
        (
            "record.json",
            "\"seconds\": ",
            "\"seconds\": 1",
            "record: record.json was changed",
        ),
    ] {
        let place = record();
        edit(&place, file, from, to);
        let out = finds(&place, &["check", "results/e"]);
        assert!(out.contains(finding), "{file}\n{out}");
        let listed = format!("files: {file} was changed");
        assert!(file == "record.json" || out.contains(&listed), "{out}");
    }
}

#[test]
fn the_model_of_another_run_is_not_the_end_of_this_one() {
    let place = record();
    place.write("experiments/other.toml", experiment());
    place.succeed(&["run", "experiments/other.toml", "--set", "seed=5"]);
    let other = std::fs::read(place.path("results/other/model.safetensors")).expect("a model");
    place.write("results/e/model.safetensors", other);
    let out = finds(&place, &["check", "results/e"]);
    assert!(
        out.contains("model: the model is not the one that this training left"),
        "{out}"
    );
    // Its batches are in the order of its own seed.
    let batches = place.read("results/other/batches.csv");
    place.write("results/e/batches.csv", batches);
    let out = finds(&place, &["check", "results/e"]);
    assert!(
        out.contains("seed: the samples of batch 1 of epoch 1 are not those of seed 42: they are those of seed 5"),
        "{out}"
    );
}

#[test]
fn what_a_record_was_made_from_must_be_there_to_verify_it() {
    let place = record();
    std::fs::remove_dir_all(place.path("data")).expect("removed");
    let toml = "extends = \"/etc/passwd\"\n";
    let whole = place.read("results/e/experiment.toml");
    // The built-in task is drawn again, to the same bytes.
    place.succeed(&["verify", "results/e"]);
    let other = whole.replace("draw_seed = 2018", "draw_seed = 7");
    place.write("results/e/experiment.toml", other);
    let out = finds(&place, &["verify", "results/e"]);
    assert!(
        out.starts_with("results/e: cannot be verified\n  the training data here are not"),
        "{out}"
    );
    place.write("results/e/experiment.toml", format!("{toml}{whole}"));
    let out = finds(&place, &["check", "results/e"]);
    assert!(out.contains("extends another file"), "{out}");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn what_a_lesser_processor_would_compute_is_within_tolerance() {
    let place = record();
    for set in ["avx2", "portable"] {
        let mut command = place.command(&["verify", "results/e"]);
        let output = command.env("GRAFT_INSTRUCTION_SET", set).output();
        let printed = Printed::from(output.expect("graft starts"));
        if printed.err.contains("this processor has no") {
            eprintln!("not tried: {}", printed.err);
            continue;
        }
        let close = "results/e: equal within tolerance\n";
        let same = "results/e: bit-identical\n";
        assert!(
            printed.out.starts_with(close) || printed.out.starts_with(same),
            "{set}\n{}{}",
            printed.out,
            printed.err
        );
    }
    let mut command = place.command(&["verify", "results/e"]);
    let output = command.env("GRAFT_INSTRUCTION_SET", "mmx").output();
    let printed = Printed::from(output.expect("graft starts"));
    assert!(
        printed.err.contains("this processor has no mmx"),
        "{}",
        printed.err
    );
}

/// Writes a number or a word into `record.json`, and the checksum that then belongs to it.
fn set(place: &Place, pointer: &str, value: serde_json::Value) {
    let text = place.read("results/e/record.json");
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    *json.pointer_mut(pointer).expect("a key") = value;
    place.write("results/e/record.json", json.to_string());
    let dir = place.path("results/e");
    let checksum = Record::read(&dir)
        .expect("a record")
        .own_checksum()
        .expect("a checksum");
    json["checksum"] = checksum.into();
    place.write("results/e/record.json", json.to_string());
}

#[test]
fn who_claims_another_processor_cannot_hand_in_another_model_for_it() {
    let place = record();
    place.write("experiments/other.toml", experiment());
    place.succeed(&["run", "experiments/other.toml", "--set", "seed=5"]);
    // The model, its outputs, and the digest in the last line of the batches.
    let files = ["model.safetensors", "outputs.csv", "inference.txt"];
    for file in files {
        let other = place.path(&format!("results/other/{file}"));
        std::fs::copy(other, place.path(&format!("results/e/{file}"))).expect("copied");
    }
    let last = |record: &str| {
        let batches = place.read(&format!("results/{record}/batches.csv"));
        let last = batches.trim_end().rsplit(',').next().expect("a digest");
        last.to_owned()
    };
    edit(&place, "batches.csv", &last("e"), &last("other"));
    for file in [
        "model.safetensors",
        "outputs.csv",
        "inference.txt",
        "batches.csv",
    ] {
        let stamp = FileStamp::of(&place.path(&format!("results/e/{file}"))).expect("a file");
        let stamp = serde_json::to_value(stamp).expect("JSON");
        set(&place, &format!("/files/{file}"), stamp);
    }
    let metrics = Record::read(&place.path("results/other"))
        .expect("a record")
        .metrics;
    for (key, value) in [
        ("accuracy", metrics.accuracy),
        ("test_cost", metrics.test_cost),
    ] {
        set(&place, &format!("/metrics/{key}"), value.into());
    }
    set(&place, "/build/arithmetic", "another processor".into());
    place.succeed(&["check", "results/e"]);
    let out = finds(&place, &["verify", "results/e"]);
    assert!(
        out.starts_with("results/e: drifts apart\n  the weights after epoch 3 are not those"),
        "{out}"
    );
    for state in ["state-1.safetensors", "state-2.safetensors"] {
        let pointer = "/files";
        let text = place.read("results/e/record.json");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let mut files = json["files"].clone();
        files.as_object_mut().expect("files").remove(state);
        set(&place, pointer, files);
    }
    // As a whole, without states.
    let out = finds(&place, &["verify", "results/e"]);
    assert!(!out.contains("equal within tolerance"), "{out}");
}

#[test]
fn a_record_of_impossible_sizes_is_a_finding_and_no_panic() {
    for samples in [0u64, u64::MAX] {
        let place = record();
        set(&place, "/data/train/samples", samples.into());
        let out = finds(&place, &["check", "results/e"]);
        assert!(
            out.contains("costs and batches were not looked at"),
            "{out}"
        );
    }
    let place = record();
    let outputs = place.read("results/e/outputs.csv");
    let cut = |line: &str| line.splitn(4, ',').take(3).collect::<Vec<_>>().join(",") + "\n";
    place.write(
        "results/e/outputs.csv",
        outputs.lines().map(cut).collect::<String>(),
    );
    let out = finds(&place, &["check", "results/e"]);
    assert!(out.contains("outputs.csv has no confidences"), "{out}");
}
