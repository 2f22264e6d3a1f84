//! A run that is stopped or killed leaves a checkpoint, no half record, and goes on from there.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::{Place, TINY};

/// The model of a record.
pub fn model(place: &Place, record: &str) -> Vec<u8> {
    std::fs::read(place.path(&format!("results/{record}/model.safetensors"))).expect("a model")
}

/// The model of a record and the cost of every minibatch.
fn outcome(place: &Place, record: &str) -> (Vec<u8>, String) {
    let batches = place.read(&format!("results/{record}/batches.csv"));
    (model(place, record), batches)
}

/// Twelve epochs, a checkpoint after each.
fn long() -> String {
    TINY.replace("epochs = 1", "epochs = 12\ncheckpoint.every = 1")
}

/// Starts the run `long` and waits until it has left a checkpoint.
pub fn start(place: &Place) -> std::process::Child {
    let mut command = place.command(&["run", "experiments/long.toml"]);
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("graft starts");
    let checkpoint = place.path("results/long.partial/checkpoint.safetensors");
    let patience = Instant::now() + Duration::from_secs(120);
    while !checkpoint.exists() {
        assert!(Instant::now() < patience, "no checkpoint");
        sleep(Duration::from_millis(5));
    }
    child
}

fn uninterrupted(place: &Place) -> (Vec<u8>, String) {
    place.write("experiments/whole.toml", long());
    place.succeed(&["run", "experiments/whole.toml"]);
    outcome(place, "whole")
}

#[test]
fn a_killed_run_leaves_no_record_and_resumes_to_the_same_weights() {
    let place = Place::new();
    place.write("experiments/long.toml", long());
    let whole = uninterrupted(&place);
    let mut child = start(&place);
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert!(!place.path("results/long").exists(), "a half record");
    let printed = place.succeed(&["run", "experiments/long.toml"]);
    assert!(
        printed.err.contains("goes on from epoch"),
        "{}",
        printed.err
    );
    assert_eq!(outcome(&place, "long"), whole);
    assert!(!place.path("results/long.partial").exists());
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_a_checkpoint_within_an_epoch_and_resumes_to_the_same_weights() {
    let place = Place::new();
    place.write("experiments/long.toml", long());
    let whole = uninterrupted(&place);
    let mut child = start(&place);
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill");
    assert!(interrupted.success());
    let ended = child.wait().expect("ended");
    assert_eq!(ended.code(), Some(130));
    assert!(!place.path("results/long").exists(), "a half record");
    let printed = place.succeed(&["run", "experiments/long.toml"]);
    assert!(
        printed.err.contains("goes on from epoch"),
        "{}",
        printed.err
    );
    assert_eq!(outcome(&place, "long"), whole);
}
