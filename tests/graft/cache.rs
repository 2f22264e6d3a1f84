//! The outputs of frozen layers are computed once, and nothing else changes for it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::{Place, Printed, TINY};

/// Frozen convolutions behind which a head trains, four epochs in batches that do not divide the 300
/// samples, evaluated every second one.
fn frozen(more: &str) -> String {
    let keys = format!(
        "epochs = 4\nbatch_size = 28\nevaluation.every = 2\nrecord.batches = true\n\
         learning_rate_multiplier = {{ \"conv*\" = 0.0 }}\n{more}\n"
    );
    TINY.replace("epochs = 1", &keys)
}

/// The same with all but the last layer frozen: two linear ones, and dropout behind them.
fn frozen_head() -> String {
    frozen("").replace(
        "{ \"conv*\" = 0.0 }",
        "{ default = 0.0, \"cls_smile*\" = 1.0 }",
    )
}

/// All of a record that does not depend on the clock: the model, what it says of the test samples, the
/// cost of every minibatch, and costs and accuracies of every epoch.
fn outcome(place: &Place, record: &str) -> (Vec<u8>, [String; 3]) {
    let path = |name: &str| format!("results/{record}/{name}");
    let model = fs::read(place.path(&path("model.safetensors"))).expect("a model");
    let metrics = place.read(&path("metrics.csv"));
    let texts = ["outputs.csv", "batches.csv"].map(|name| place.read(&path(name)));
    let [outputs, batches] = texts;
    (model, [metrics, outputs, batches])
}

/// Runs the experiment, under this name, and returns what came of it and what was said.
fn run(place: &Place, name: &str, more: &[&str]) -> ((Vec<u8>, [String; 3]), Printed) {
    let name_key = format!("name={name}");
    let arguments = [&["run", "frozen.toml", "--set", &name_key], more].concat();
    let printed = place.succeed(&arguments);
    (outcome(place, name), printed)
}

/// The files of the cache with this ending.
fn files(place: &Place, ending: &str) -> Vec<PathBuf> {
    let Ok(directory) = fs::read_dir(place.path("data/features")) else {
        return Vec::new();
    };
    let paths = directory.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|other| other == ending))
        .collect();
    paths.sort();
    paths
}

fn bytes(place: &Place) -> u64 {
    let lengths = files(place, "features");
    let lengths = lengths
        .iter()
        .map(|path| fs::metadata(path).expect("a file").len());
    lengths.sum()
}

const COMPUTED: &str = "outputs computed for 2300 samples, found for 0";
const FOUND: &str = "outputs computed for 0 samples, found for 2300";

#[test]
fn a_run_comes_to_the_same_bits_with_the_cache_and_without_it() {
    for experiment in [frozen(""), frozen_head()] {
        let place = Place::new();
        place.write("frozen.toml", experiment);
        let (without, printed) = run(&place, "without", &["--set", "cache=false"]);
        assert!(!printed.err.contains("outputs"), "{}", printed.err);
        assert!(files(&place, "features").is_empty());
        let (with, printed) = run(&place, "with", &[]);
        assert!(printed.err.contains(COMPUTED), "{}", printed.err);
        assert!(with == without);
        let (again, printed) = run(&place, "again", &["--set", "checkpoint.every=0"]);
        assert!(printed.err.contains(FOUND), "{}", printed.err);
        assert!(again == without);
        assert_eq!(files(&place, "features").len(), 2);
        let record = place.read("results/with/record.json");
        assert!(record.contains("\"is_exact\": true"), "{record}");
        assert!(
            !place
                .read("results/without/record.json")
                .contains("is_exact")
        );
    }
}

#[test]
fn the_batch_size_with_which_features_were_computed_does_not_matter() {
    let place = Place::new();
    place.write("frozen.toml", frozen_head());
    run(&place, "large", &["-z", "300", "-e", "1"]);
    let (with, printed) = run(&place, "with", &[]);
    assert!(printed.err.contains(FOUND), "{}", printed.err);
    let (without, _) = run(&place, "without", &["--set", "cache=false"]);
    assert!(with == without);
}

#[test]
fn turning_the_cache_off_is_no_other_run_and_rounding_is() {
    let place = Place::new();
    place.write("frozen.toml", frozen(""));
    let (exact, _) = run(&place, "frozen", &[]);
    let (_, printed) = run(&place, "frozen", &["--set", "cache=false"]);
    assert!(printed.err.contains("skipped"), "{}", printed.err);
    let rounded = ["--set", "cache_dtype=bf16"];
    let (kept, printed) = run(&place, "frozen", &rounded);
    assert!(printed.err.contains("not exactly"), "{}", printed.err);
    let record = place.read("results/frozen/record.json");
    assert!(record.contains("\"is_exact\": false"), "{record}");
    assert!(kept != exact);
    // Where nothing can be kept, the same is rounded.
    let nowhere = [&rounded[..], &["--set", "cache_limit=0", "--force"]].concat();
    let (computed, _) = run(&place, "frozen", &nowhere);
    assert!(computed == kept);
}

#[test]
fn a_damaged_file_is_reported_and_made_anew() {
    let place = Place::new();
    place.write("frozen.toml", frozen(""));
    let (whole, _) = run(&place, "whole", &[]);
    let kept = files(&place, "features");
    let contents: Vec<_> = kept
        .iter()
        .map(|path| fs::read(path).expect("a file"))
        .collect();
    for (path, content) in kept.iter().zip(&contents) {
        let mut damaged = content.clone();
        damaged[content.len() / 2] ^= 4;
        fs::write(path, damaged).expect("damaged");
    }
    let (again, printed) = run(&place, "again", &[]);
    assert!(
        printed.err.contains("is damaged: it is made anew"),
        "{}",
        printed.err
    );
    assert!(printed.err.contains(COMPUTED), "{}", printed.err);
    assert!(again == whole);
    for (path, content) in kept.iter().zip(&contents) {
        assert!(fs::read(path).expect("a file") == *content);
        fs::write(path, &content[..content.len() - 1]).expect("cut");
    }
    let (again, printed) = run(&place, "cut", &[]);
    assert!(printed.err.contains("it is made anew"), "{}", printed.err);
    assert!(again == whole);
}

#[test]
fn other_seeds_weights_data_and_pixels_have_their_own_and_other_heads_share() {
    let place = Place::new();
    place.write("frozen.toml", frozen(""));
    run(&place, "first", &["-e", "1"]);
    let shared = [
        "--set",
        "optimizer.learning_rate=0.02",
        "--set",
        "model.head=[16]",
        "-e",
        "1",
    ];
    let (_, printed) = run(&place, "head", &shared);
    assert!(printed.err.contains(FOUND), "{}", printed.err);
    for own in [
        "seed=7",
        "preprocessing.scale=0.02",
        "dtype=f64",
        "data.draw_seed=3",
    ] {
        let (_, printed) = run(&place, "other", &["-e", "1", "--set", own]);
        assert!(printed.err.contains(COMPUTED), "{own}: {}", printed.err);
    }
}

#[test]
fn the_directory_stays_below_its_limit() {
    let place = Place::new();
    place.write("frozen.toml", frozen(""));
    run(&place, "first", &["-e", "1"]);
    let all = bytes(&place);
    let kept = files(&place, "features");
    let limit = format!("cache_limit={}", all as f64 * 1.5e-9);
    run(
        &place,
        "second",
        &["-e", "1", "--set", &limit, "--set", "seed=7"],
    );
    assert!(bytes(&place) <= all * 3 / 2);
    assert!(!kept.iter().all(|path| path.exists()), "the oldest went");
    // Too little for anything: what is small is kept in memory.
    let (_, printed) = run(
        &place,
        "third",
        &["-e", "1", "--set", "cache_limit=1e-9", "--set", "seed=8"],
    );
    assert!(printed.err.contains(COMPUTED), "{}", printed.err);
}

#[test]
fn a_directory_that_cannot_be_written_ends_no_run() {
    let place = Place::new();
    place.write("frozen.toml", frozen(""));
    place.write("file", "in its place");
    let (_, printed) = run(&place, "with", &["--set", "cache_directory=file/features"]);
    assert!(
        printed.err.contains("warning: the cache cannot be used"),
        "{}",
        printed.err
    );
    assert!(printed.err.contains(COMPUTED), "in memory: {}", printed.err);
}

/// Enough to compute that it can be interrupted.
fn slow() -> String {
    frozen("").replace("[4, 4, 8, 8, 8]", "[48, 48, 64, 64, 64]")
}

fn start(place: &Place, name: &str) -> Child {
    let name = format!("name={name}");
    let mut command = place.command(&["run", "frozen.toml", "--set", &name]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    child.expect("graft starts")
}

fn wait_for_partial(place: &Place) {
    let patience = Instant::now() + Duration::from_secs(120);
    while files(place, "partial").is_empty() {
        assert!(Instant::now() < patience, "nothing is computed");
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn two_processes_compute_the_same_once() {
    let place = Place::new();
    place.write("frozen.toml", slow());
    let (whole, _) = run(&place, "drawn", &["--set", "cache=false", "-e", "1"]);
    drop(whole);
    let mut children = ["one", "two"].map(|name| start(&place, name));
    for child in &mut children {
        assert!(child.wait().expect("it ends").success());
    }
    assert_eq!(files(&place, "features").len(), 2);
    assert!(files(&place, "partial").is_empty() && files(&place, "lock").is_empty());
    let log = |name: &str| place.read(&format!("results/{name}/log.txt"));
    let logs = [log("one"), log("two")];
    let computed = |log: &&String| !log.contains(FOUND);
    assert!(logs.iter().filter(computed).count() >= 1, "{logs:?}");
    assert!(outcome(&place, "one") == outcome(&place, "two"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_while_outputs_are_computed_ends_the_run_and_what_is_computed_stays() {
    let place = Place::new();
    place.write("frozen.toml", slow());
    let (whole, _) = run(&place, "whole", &["--set", "cache=false"]);
    let mut child = start(&place, "stopped");
    wait_for_partial(&place);
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.expect("kill").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(!place.path("results/stopped").exists());
    assert!(files(&place, "features").len() < 2, "it was over before");
    let (resumed, _) = run(&place, "stopped", &[]);
    assert!(resumed == whole);
    assert!(files(&place, "partial").is_empty());
}

#[test]
fn a_killed_run_resumes_from_its_checkpoint_to_the_same_bits() {
    let place = Place::new();
    let long = frozen("").replace("epochs = 4", "epochs = 40");
    place.write("frozen.toml", long);
    let (whole, _) = run(&place, "whole", &["--set", "cache=false"]);
    let mut child = start(&place, "killed");
    let checkpoint = place.path("results/killed.partial/checkpoint.safetensors");
    let patience = Instant::now() + Duration::from_secs(120);
    while !checkpoint.exists() {
        assert!(Instant::now() < patience, "no checkpoint");
        sleep(Duration::from_millis(1));
    }
    child.kill().expect("killed");
    child.wait().expect("it ends");
    assert!(!place.path("results/killed").exists(), "it was over before");
    let (resumed, printed) = run(&place, "killed", &[]);
    assert!(
        printed.err.contains("goes on from epoch"),
        "{}",
        printed.err
    );
    assert!(printed.err.contains(FOUND), "{}", printed.err);
    assert!(resumed == whole);
}

/// A source model, and two experiments that import its convolutions, frozen, over three seeds.
fn heads() -> Place {
    let place = Place::new();
    place.write("source.toml", TINY);
    let imported = "source_model = \"results/source/model.safetensors\"\nseeds = [1, 2, 3]";
    place.write("a.toml", frozen(imported));
    let other = format!("{imported}\noptimizer.learning_rate = 0.01");
    place.write("b.toml", frozen(&other));
    place.succeed(&["run", "source.toml"]);
    place
}

const SEEDS: [u64; 3] = [1, 2, 3];

#[test]
fn runs_that_share_features_train_side_by_side_each_to_the_bits_of_its_solo_run() {
    let place = heads();
    let solo: Vec<_> = ["a", "b"]
        .iter()
        .flat_map(|name| SEEDS.map(|seed| (name, seed)))
        .map(|(name, seed)| {
            let file = format!("{name}.toml");
            let (key, seeds) = (format!("name=solo/{name}{seed}"), format!("seeds=[{seed}]"));
            place.succeed(&[
                "run",
                &file,
                "--set",
                &key,
                "--set",
                &seeds,
                "--set",
                "cache=false",
            ]);
            outcome(&place, &format!("solo/{name}{seed}"))
        })
        .collect();
    let plan = place.succeed(&["plan", "a.toml", "b.toml"]).out;
    assert!(
        plan.contains("their outputs, 1 kB a sample, are computed once and kept"),
        "{plan}"
    );
    assert!(
        plan.contains("6 runs read the same kept outputs and train side by side"),
        "{plan}"
    );
    let printed = place.succeed(&["run", "a.toml", "b.toml"]);
    assert_eq!(
        printed
            .err
            .matches("outputs computed for 2300 samples")
            .count(),
        1,
        "{}",
        printed.err
    );
    assert_eq!(printed.err.matches(FOUND).count(), 5, "{}", printed.err);
    let together = ["a", "b"]
        .iter()
        .flat_map(|name| SEEDS.map(|seed| outcome(&place, &format!("{name}/seed-{seed}"))));
    assert!(together.eq(solo));
    let plan = place.succeed(&["plan", "a.toml", "b.toml"]).out;
    assert!(!plan.contains("side by side"), "all is done: {plan}");
}

#[test]
fn one_that_fails_beside_others_is_named_and_the_others_go_on() {
    let place = heads();
    place.write("results/a/seed-2", "a file in the place of the record");
    let printed = place.fail(&["run", "a.toml"]);
    assert!(printed.err.contains("failed: a, seed 2"), "{}", printed.err);
    for seed in [1, 3] {
        outcome(&place, &format!("a/seed-{seed}"));
    }
    fs::remove_file(place.path("results/a/seed-2")).expect("the file");
    let printed = place.succeed(&["run", "a.toml"]);
    assert_eq!(printed.err.matches("skipped").count(), 2, "{}", printed.err);
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_runs_side_by_side_and_each_resumes_to_the_same_bits() {
    let place = heads();
    let longer = ["--set", "epochs=60", "--set", "seeds=[1, 2]"];
    let arguments = |name: &str| {
        let name = format!("name={name}");
        let words = [&["run", "a.toml", "--set", &name], &longer[..]].concat();
        words
            .iter()
            .map(|word| word.to_string())
            .collect::<Vec<_>>()
    };
    let words = arguments("whole");
    place.succeed(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let words = arguments("stopped");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = place.command(&words);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = child.expect("graft starts");
    let checkpoint = |seed| {
        place.path(&format!(
            "results/stopped/seed-{seed}.partial/checkpoint.safetensors"
        ))
    };
    let patience = Instant::now() + Duration::from_secs(120);
    while !checkpoint(1).exists() {
        assert!(Instant::now() < patience, "no checkpoint");
        sleep(Duration::from_millis(1));
    }
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.expect("kill").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(
        !place.path("results/stopped/seed-1").exists(),
        "it was over before"
    );
    let printed = place.succeed(&words);
    assert!(
        printed.err.contains("goes on from epoch"),
        "{}",
        printed.err
    );
    for seed in [1, 2] {
        let [stopped, whole] = ["stopped", "whole"].map(|name| format!("{name}/seed-{seed}"));
        assert!(outcome(&place, &stopped) == outcome(&place, &whole));
    }
}
