//! Faults: what becomes of a run when the disk is full or read-only, a checkpoint is damaged, its files
//! change behind its back, or two processes want the same record. Every time the error names the file
//! and the remedy, what was complete stays, and the next run ends as if nothing had happened.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::{Place, Printed, TINY};

/// All that a record says and an interruption must not change.
const OUTCOME: [&str; 4] = [
    "model.safetensors",
    "metrics.csv",
    "outputs.csv",
    "batches.csv",
];

/// Twelve epochs, a checkpoint after each.
fn long() -> String {
    TINY.replace("epochs = 1", "epochs = 12\ncheckpoint.every = 1")
}

fn outcome(place: &Place, record: &str) -> Vec<Vec<u8>> {
    let read = |name: &&str| {
        let path = place.path(&format!("results/{record}/{name}"));
        fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    OUTCOME.iter().map(read).collect()
}

/// What the run comes to when nothing happens to it; its record is then taken away.
fn undisturbed(place: &Place, name: &str) -> Vec<Vec<u8>> {
    place.succeed(&["run", &format!("experiments/{name}.toml")]);
    let outcome = outcome(place, name);
    fs::remove_dir_all(place.path(&format!("results/{name}"))).expect("removed");
    outcome
}

/// Starts the run and waits until it has written two checkpoints.
fn started(place: &Place, name: &str) -> Child {
    let mut command = place.command(&["run", &format!("experiments/{name}.toml")]);
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = quiet.spawn().expect("graft starts");
    wait_for(&partial(place, name).join("checkpoint.previous.safetensors"));
    child
}

/// What a run that is killed after its second checkpoint leaves: two of them.
fn killed(place: &Place, name: &str) -> PathBuf {
    let mut child = started(place, name);
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert!(!place.path(&format!("results/{name}")).exists(), "it ended");
    let partial = partial(place, name);
    let newest = partial.join("checkpoint.safetensors");
    if !newest.exists() {
        // Killed while it wrote the third: the second is the one before already.
        fs::copy(partial.join("checkpoint.previous.safetensors"), newest).expect("copied");
    }
    partial
}

fn partial(place: &Place, name: &str) -> PathBuf {
    place.path(&format!("results/{name}.partial"))
}

fn wait_for(path: &Path) {
    let patience = Instant::now() + Duration::from_secs(120);
    while !path.exists() {
        assert!(Instant::now() < patience, "no {}", path.display());
        sleep(Duration::from_millis(2));
    }
}

/// Changes one byte in the middle.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("a checkpoint");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(path, bytes).expect("damaged");
}

fn truncate(path: &Path) {
    let bytes = fs::read(path).expect("a checkpoint");
    fs::write(path, &bytes[..bytes.len() / 2]).expect("damaged");
}

#[test]
fn of_a_damaged_checkpoint_the_one_before_is_used_and_the_damage_reported() {
    for damage in [truncate, flip] {
        let place = Place::new();
        place.write("experiments/long.toml", long());
        let whole = undisturbed(&place, "long");
        damage(&killed(&place, "long").join("checkpoint.safetensors"));
        let printed = place.succeed(&["run", "experiments/long.toml"]);
        for said in ["/checkpoint.safetensors", "not used", "goes on from epoch"] {
            assert!(printed.err.contains(said), "{said}: {}", printed.err);
        }
        assert!(outcome(&place, "long") == whole);
    }
}

#[test]
fn with_every_checkpoint_damaged_the_run_begins_again_and_says_so() {
    let place = Place::new();
    place.write("experiments/long.toml", long());
    let whole = undisturbed(&place, "long");
    let partial = killed(&place, "long");
    truncate(&partial.join("checkpoint.safetensors"));
    flip(&partial.join("checkpoint.previous.safetensors"));
    let printed = place.succeed(&["run", "experiments/long.toml"]);
    assert_eq!(
        printed.err.matches("not used").count(),
        2,
        "{}",
        printed.err
    );
    assert!(!printed.err.contains("goes on from"), "{}", printed.err);
    assert!(outcome(&place, "long") == whole);
}

/// An experiment on files of its own, which may be changed.
fn on_own_files(place: &Place) {
    place.write("experiments/drawn.toml", TINY);
    place.succeed(&["run", "experiments/drawn.toml"]);
    let drawn = "data/drawn_smiles-v1-2018";
    for name in ["train.h5", "test.h5"] {
        let bytes = fs::read(place.path(&format!("{drawn}/{name}"))).expect("data");
        place.write(&format!("own/{name}"), bytes);
    }
    let files = "train = \"own/train.h5\"\ntest = \"own/test.h5\"";
    let own = long().replace("builtin = \"drawn_smiles\"", files);
    place.write("experiments/own.toml", own);
}

#[test]
fn data_that_change_between_start_and_resume_begin_another_run() {
    let place = Place::new();
    on_own_files(&place);
    killed(&place, "own");
    // Other data, and good ones.
    fs::copy(place.path("own/test.h5"), place.path("own/train.h5")).expect("copied");
    let printed = place.succeed(&["run", "experiments/own.toml", "-e", "1"]);
    assert!(!printed.err.contains("goes on from"), "{}", printed.err);
    let resumed = outcome(&place, "own");
    fs::remove_dir_all(place.path("results/own")).expect("removed");
    place.succeed(&["run", "experiments/own.toml", "-e", "1"]);
    assert!(outcome(&place, "own") == resumed);
}

#[test]
fn data_that_are_gone_at_the_resume_are_named_and_what_the_run_left_stays() {
    let place = Place::new();
    on_own_files(&place);
    let whole = undisturbed(&place, "own");
    killed(&place, "own");
    fs::rename(place.path("own/train.h5"), place.path("away.h5")).expect("moved");
    let printed = place.fail(&["run", "experiments/own.toml"]);
    assert!(printed.err.contains("own/train.h5"), "{}", printed.err);
    assert!(printed.err.contains("help: "), "{}", printed.err);
    fs::rename(place.path("away.h5"), place.path("own/train.h5")).expect("moved back");
    let printed = place.succeed(&["run", "experiments/own.toml"]);
    assert!(
        printed.err.contains("goes on from epoch"),
        "{}",
        printed.err
    );
    assert!(outcome(&place, "own") == whole);
}

#[test]
fn a_source_model_that_changes_between_start_and_resume_begins_another_run() {
    let place = Place::new();
    let source = TINY.replace("cls_smile", "cls_source");
    for seed in [7, 8] {
        let name = format!("experiments/source_{seed}.toml");
        place.write(&name, format!("seed = {seed}\n{source}"));
        place.succeed(&["run", &name]);
    }
    let use_source = |seed: u8| {
        let from = place.path(&format!("results/source_{seed}/model.safetensors"));
        fs::copy(from, place.path("source.safetensors")).expect("copied");
    };
    let keys = "source_model = \"source.safetensors\"\nlearning_rate_multiplier = 0.1\n";
    place.write("experiments/tuned.toml", format!("{keys}{}", long()));
    use_source(8);
    let whole = undisturbed(&place, "tuned");
    use_source(7);
    killed(&place, "tuned");
    use_source(8);
    let printed = place.succeed(&["run", "experiments/tuned.toml"]);
    assert!(!printed.err.contains("goes on from"), "{}", printed.err);
    assert!(outcome(&place, "tuned") == whole);
}

#[cfg(unix)]
#[test]
fn of_two_processes_on_one_record_the_second_is_refused_and_the_first_ends_well() {
    let place = Place::new();
    place.write("experiments/long.toml", long());
    let whole = undisturbed(&place, "long");
    let mut first = started(&place, "long");
    let signal = |name: &str| {
        let mut kill = Command::new("kill");
        let sent = kill.args([name, &first.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    };
    // It holds the record for as long as it takes.
    signal("-STOP");
    let printed = place.fail(&["run", "experiments/long.toml"]);
    signal("-CONT");
    for said in ["results/long", "another graft process", "help: "] {
        assert!(printed.err.contains(said), "{said}: {}", printed.err);
    }
    assert!(first.wait().expect("ended").success());
    assert!(outcome(&place, "long") == whole);
    let printed = place.succeed(&["run", "experiments/long.toml"]);
    assert!(printed.err.contains("skipped"), "{}", printed.err);
}

/// A small file system of its own, as long as it lasts.
struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Of a megabyte and a half; `None`, said aloud, where this user may not mount one.
    fn mounted(at: PathBuf) -> Option<Self> {
        fs::create_dir_all(&at).expect("a directory");
        let options = ["-t", "tmpfs", "-o", "size=1536k", "graft-test"];
        let mounted = Command::new("mount").args(options).arg(&at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self { at });
        }
        eprintln!("SKIPPED: a small file system cannot be mounted by this user");
        None
    }

    fn remount(&self, option: &str) {
        let options = format!("remount,{option}");
        let mut mount = Command::new("mount");
        let done = mount.args(["-o", &options]).arg(&self.at).status();
        assert!(done.expect("mount").success());
    }

    /// Fills the disk but for `left` bytes. Returns the file that does.
    fn fill(&self, left: u64) -> PathBuf {
        let path = self.at.join("filler");
        let mut file = fs::File::create(&path).expect("a file");
        while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
        let length = file.metadata().expect("its length").len();
        file.set_len(length.saturating_sub(left)).expect("shorter");
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What is still mounted then, the system unmounts at its end.
        let _ = Command::new("umount").arg(&self.at).status();
    }
}

/// Whether the error names a file of `record`, the `problem` and a remedy.
fn assert_told(printed: &Printed, record: &str, problem: &str) {
    for said in [record, problem, "help: "] {
        assert!(printed.err.contains(said), "{said}: {}", printed.err);
    }
}

#[test]
fn a_full_disk_ends_the_run_with_its_name_and_the_next_one_goes_on() {
    let place = Place::new();
    place.write("experiments/long.toml", long());
    place.write("experiments/first.toml", TINY);
    let whole = undisturbed(&place, "long");
    let Some(disk) = Disk::mounted(place.path("results")) else {
        return;
    };
    place.succeed(&["run", "experiments/first.toml"]);
    let first = outcome(&place, "first");
    // Room for no checkpoint; for checkpoints, but not for the outputs.
    for left in [8 << 10, 200 << 10] {
        let filler = disk.fill(left);
        let printed = place.fail(&["run", "experiments/long.toml"]);
        assert_told(&printed, "results/long", "No space left");
        assert!(!place.path("results/long").exists(), "a half record");
        assert!(outcome(&place, "first") == first);
        fs::remove_file(filler).expect("removed");
    }
    let printed = place.succeed(&["run", "experiments"]);
    assert!(
        printed.err.contains("goes on from epoch"),
        "{}",
        printed.err
    );
    assert!(printed.err.contains("skipped"), "{}", printed.err);
    assert!(outcome(&place, "long") == whole);
    drop(disk);
}

#[cfg(unix)]
#[test]
fn a_limit_on_the_size_of_files_is_told_like_a_full_disk() {
    let place = Place::new();
    place.write("experiments/long.toml", long());
    let whole = undisturbed(&place, "long");
    let binary = place.command(&[]).get_program().to_owned();
    let mut limited = Command::new("sh");
    // In units of 512 bytes: enough for checkpoints, not for two thousand outputs.
    let script = "trap '' XFSZ; ulimit -f 120 && exec \"$0\" run experiments/long.toml";
    limited.args(["-c", script]).arg(binary);
    let output = limited.current_dir(place.path(".")).output();
    let printed = Printed::from(output.expect("sh starts"));
    assert_eq!(printed.code, Some(1), "{}", printed.err);
    assert_told(&printed, "results/long", "File too large");
    assert!(!place.path("results/long").exists(), "a half record");
    let printed = place.succeed(&["run", "experiments/long.toml"]);
    assert!(
        printed.err.contains("goes on from epoch"),
        "{}",
        printed.err
    );
    assert!(outcome(&place, "long") == whole);
}

#[test]
fn results_on_a_read_only_disk_are_an_error_that_loses_nothing() {
    let place = Place::new();
    place.write("experiments/long.toml", long());
    place.write("experiments/first.toml", TINY);
    let whole = undisturbed(&place, "long");
    let Some(disk) = Disk::mounted(place.path("results")) else {
        return;
    };
    place.succeed(&["run", "experiments/first.toml"]);
    killed(&place, "long");
    disk.remount("ro");
    let printed = place.fail(&["run", "experiments"]);
    assert_told(&printed, "results/long", "Read-only file system");
    let looked = place.graft(&["doctor"]);
    assert_eq!(looked.code, Some(1), "{}", looked.out);
    place.succeed(&["compare"]);
    disk.remount("rw");
    let printed = place.succeed(&["run", "experiments"]);
    assert!(
        printed.err.contains("goes on from epoch"),
        "{}",
        printed.err
    );
    assert!(outcome(&place, "long") == whole);
    drop(disk);
}

#[test]
fn results_that_are_a_file_are_an_error_and_the_file_stays() {
    let place = Place::new();
    place.write("experiments/first.toml", TINY);
    place.write("results", "mine");
    let printed = place.fail(&["run", "experiments/first.toml"]);
    assert_told(&printed, "results", "");
    assert_eq!(place.read("results"), "mine");
    fs::remove_file(place.path("results")).expect("removed");
    place.succeed(&["run", "experiments/first.toml"]);
}
