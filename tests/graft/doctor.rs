//! `graft doctor`: what matters for reproducing here, and what would keep experiments from running.

use std::fs;

use crate::common::{Place, TINY};

/// What the command says for programs.
fn doctor(place: &Place, arguments: &[&str]) -> serde_json::Value {
    let printed = place.graft(&[&["doctor", "--format", "json"], arguments].concat());
    serde_json::from_str(&printed.out).unwrap_or_else(|e| panic!("{e}: {}", printed.out))
}

#[test]
fn the_machine_and_the_build_are_described_without_any_experiment() {
    let place = Place::new();
    let printed = place.succeed(&["doctor"]);
    for said in [
        "processor",
        "kernels",
        "threads",
        "backend cpu      works",
        "sha256",
        "burn",
        "no experiments were looked at",
    ] {
        assert!(printed.out.contains(said), "{said}: {}", printed.out);
    }
    let found = doctor(&place, &[]);
    assert_eq!(found["machine"]["architecture"], std::env::consts::ARCH);
    assert_eq!(found["build"]["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(found["problems"].as_array().map(Vec::len), Some(0));
}

#[test]
fn the_environment_that_changes_runs_is_named() {
    let place = Place::new();
    let mut command = place.command(&["doctor"]);
    command.env("RAYON_NUM_THREADS", "1");
    command.env("GRAFT_OPTIMIZER__LEARNING_RATE", "0.5");
    let printed = String::from_utf8(command.output().expect("graft starts").stdout);
    let printed = printed.expect("text");
    assert!(printed.contains("threads          1 of"), "{printed}");
    let said = "0.5 (overrides `optimizer.learning_rate` of every experiment file)";
    assert!(printed.contains(said), "{printed}");
}

#[test]
fn files_are_held_against_the_records_that_are_there() {
    let place = Place::new();
    place.write("experiments/tiny.toml", TINY);
    let printed = place.succeed(&["doctor"]);
    assert!(printed.out.contains("graft draws it"), "{}", printed.out);
    assert!(!place.path("data").exists(), "it looks, and writes nothing");
    place.succeed(&["run", "experiments"]);
    let printed = place.succeed(&["doctor"]);
    assert!(
        printed.out.contains("as the records say"),
        "{}",
        printed.out
    );
    let mut lesser = place.command(&["doctor"]);
    let lesser = lesser.env("GRAFT_INSTRUCTION_SET", "portable").output();
    let lesser = String::from_utf8(lesser.expect("graft starts").stdout).expect("text");
    assert!(
        lesser.contains("1 of 1 records were computed by other arithmetic"),
        "{lesser}"
    );

    // Data that change behind the records' back.
    let files = "train = \"own/train.h5\"\ntest = \"own/test.h5\"";
    let own = TINY.replace("builtin = \"drawn_smiles\"", files);
    place.write("own.toml", own);
    for name in ["train.h5", "test.h5"] {
        let drawn = place.path(&format!("data/drawn_smiles-v1-2018/{name}"));
        place.write(&format!("own/{name}"), fs::read(drawn).expect("data"));
    }
    place.succeed(&["run", "own.toml"]);
    fs::copy(place.path("own/test.h5"), place.path("own/train.h5")).expect("copied");
    let printed = place.succeed(&["doctor", "own.toml"]);
    let said = "own/train.h5 is not the one that 1 of 1 records were made of";
    assert!(printed.out.contains(said), "{}", printed.out);
}

#[test]
fn what_would_keep_an_experiment_from_running_is_an_error_that_names_it() {
    let place = Place::new();
    let missing = TINY.replace(
        "builtin = \"drawn_smiles\"",
        "train = \"a.h5\"\ntest = \"b.h5\"",
    );
    place.write("experiments/no_data.toml", missing);
    let source = format!("source_model = \"no/such.safetensors\"\n{TINY}");
    place.write("experiments/no_source.toml", source);
    place.write("experiments/typo.toml", TINY.replace("epochs", "epoch"));
    let printed = place.fail(&["doctor"]);
    for said in ["a.h5", "no/such.safetensors", "typo.toml", "`epoch`"] {
        assert!(printed.err.contains(said), "{said}: {}", printed.err);
    }
    assert_eq!(printed.code, Some(1));
    let found = doctor(&place, &[]);
    assert!(
        found["problems"]
            .as_array()
            .is_some_and(|all| all.len() >= 3)
    );
}

#[test]
fn a_backend_that_is_asked_for_and_not_there_is_an_error_and_no_panic() {
    if cfg!(feature = "cuda") {
        return;
    }
    let place = Place::new();
    place.write("cuda.toml", format!("backend = \"cuda:7\"\n{TINY}"));
    let printed = place.graft(&["doctor", "cuda.toml"]);
    assert_eq!(printed.code, Some(1), "{}", printed.out);
    assert!(printed.err.contains("--features cuda"), "{}", printed.err);
    assert!(!printed.err.contains("panicked"), "{}", printed.err);
}

#[test]
fn results_that_cannot_be_written_are_an_error() {
    let place = Place::new();
    // A file: for the superuser, whom tests may run as, no directory is read-only.
    place.write("results", "mine");
    let printed = place.graft(&["doctor"]);
    assert_eq!(printed.code, Some(1), "{}", printed.out);
    let said = "results: records cannot be written there";
    assert!(printed.err.contains(said), "{}", printed.err);
}
