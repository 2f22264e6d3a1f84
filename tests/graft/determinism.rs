//! The same experiment gives the same bytes: killed and resumed, and by any number of threads.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use graft::files::FileStamp;
use graft::random::Stream;

use crate::common::{Place, TINY};

/// Dropout, a shuffled order, momentum, a state kept of every third epoch, and batches that do not
/// divide the 300 samples.
fn experiment(epochs: usize) -> String {
    TINY.replace(
        "epochs = 1",
        &format!(
            "epochs = {epochs}\nbatch_size = 28\nevaluation.every = 2\ncheckpoint.keep = 3\n\
             record.weights_every = 4"
        ),
    )
}

/// SHA-256 of every file of the record but those that tell times.
fn checksums(place: &Place, record: &str) -> BTreeMap<String, String> {
    let dir = place.path(&format!("results/{record}"));
    let names = std::fs::read_dir(&dir).expect("a record");
    let names = names.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.into_string().expect("UTF-8"));
    let told = ["record.json", "log.txt", "timings.csv", "experiment.toml"];
    names
        .filter(|name| !told.contains(&name.as_str()))
        .map(|name| {
            let stamp = FileStamp::of(&dir.join(&name)).expect("a file");
            (name, stamp.sha256)
        })
        .collect()
}

#[test]
fn a_run_that_is_killed_at_any_moment_ends_with_the_bytes_of_one_that_was_not() {
    const KILLS: u64 = 20;
    let place = Place::new();
    place.write("experiments/whole.toml", experiment(8));
    // The drawn data first, so that its time is not part of the run's.
    place.succeed(&["run", "experiments/whole.toml", "-e", "1"]);
    let begun = Instant::now();
    place.succeed(&["run", "experiments/whole.toml"]);
    let time = begun.elapsed();
    let whole = checksums(&place, "whole");
    assert!(whole.contains_key("state-6.safetensors"), "{whole:?}");

    let (mut resumed, mut killed) = (0, 0);
    for kill in 0..KILLS {
        let name = format!("killed_{kill}");
        place.write(&format!("experiments/{name}.toml"), experiment(8));
        let path = format!("experiments/{name}.toml");
        let mut command = place.command(&["run", &path]);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("graft starts");
        sleep(time.mul_f64(Stream::new(6, "moment of a kill", &[kill]).uniform()));
        child.kill().expect("killed");
        let ended = child.wait().expect("ended");
        killed += usize::from(!ended.success());
        let printed = place.succeed(&["run", &path]);
        resumed += usize::from(printed.err.contains("goes on from"));
        assert_eq!(checksums(&place, &name), whole, "{}", printed.err);
    }
    // Else it was not the killing that was tested.
    assert!(killed >= 15, "only {killed} of {KILLS} were still running");
    assert!(resumed >= 8, "only {resumed} of {KILLS} left a checkpoint");
}

#[test]
fn any_number_of_threads_comes_to_the_same_bytes() {
    let place = Place::new();
    let by = |threads: usize| {
        let name = format!("by_{threads}");
        place.write(&format!("experiments/{name}.toml"), experiment(3));
        let mut command = place.command(&["run", &format!("experiments/{name}.toml")]);
        let command = command.env("RAYON_NUM_THREADS", threads.to_string());
        let output = command.output().expect("graft starts");
        assert!(output.status.success(), "{output:?}");
        let record = place.read(&format!("results/{name}/record.json"));
        assert!(
            record.contains(&format!("\"threads\": {threads},")),
            "{record}"
        );
        checksums(&place, &name)
    };
    let alone = by(1);
    assert!(alone.len() >= 5, "{alone:?}");
    for threads in [2, 3, 8] {
        assert_eq!(by(threads), alone, "{threads} threads");
    }
}

#[test]
fn the_newest_checkpoint_that_is_whole_is_used_and_a_damaged_one_reported() {
    let place = Place::new();
    place.write("experiments/whole.toml", experiment(12));
    place.write("experiments/long.toml", experiment(12));
    place.succeed(&["run", "experiments/whole.toml"]);
    let whole = checksums(&place, "whole");
    let directory = place.path("results/long.partial");
    let names = ["checkpoint.safetensors", "checkpoint.previous.safetensors"];
    let [newest, previous] = names.map(|name| directory.join(name));
    let damage = |path: &std::path::Path| {
        let mut bytes = std::fs::read(path).expect("a checkpoint");
        // A bit of a weight: the file is still one of safetensors.
        let place = bytes.len() - 5;
        bytes[place] ^= 1;
        std::fs::write(path, bytes).expect("damaged");
    };
    let interrupt = || {
        let mut command = place.command(&["run", "experiments/long.toml"]);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("graft starts");
        let patience = Instant::now() + Duration::from_secs(60);
        while !(previous.exists() && newest.exists()) {
            assert!(Instant::now() < patience, "no two checkpoints");
            sleep(Duration::from_millis(2));
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
    };

    interrupt();
    damage(&newest);
    let printed = place.succeed(&["run", "experiments/long.toml"]);
    assert!(
        printed.err.contains("damaged checkpoint"),
        "{}",
        printed.err
    );
    assert!(printed.err.contains("goes on from"), "{}", printed.err);
    assert_eq!(checksums(&place, "long"), whole);

    std::fs::remove_dir_all(place.path("results/long")).expect("removed");
    interrupt();
    damage(&newest);
    damage(&previous);
    let printed = place.succeed(&["run", "experiments/long.toml"]);
    assert!(!printed.err.contains("goes on from"), "{}", printed.err);
    assert_eq!(checksums(&place, "long"), whole);
}
