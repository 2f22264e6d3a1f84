//! neon's command line: its options on `graft run`, and commands turned into experiment files.

use crate::common::{Place, TINY};

fn place() -> Place {
    let place = Place::new();
    place.write("e.toml", TINY);
    place
}

#[test]
fn neons_options_override_the_experiment() {
    let place = place();
    place.succeed(&[
        "run",
        "e.toml",
        "-b",
        "mkl",
        "--epoch",
        "2",
        "-z16",
        "-r",
        "7",
        "--serizalize",
        "2",
        "-d",
        "f32",
        "-eval",
        "2",
        "--no_progress_bar",
        "--deterministic",
        "-H",
        "1",
        "-w",
        "cache",
    ]);
    let resolved = place.read("results/e/experiment.toml");
    for line in [
        "backend = \"cpu\"",
        "dtype = \"f32\"",
        "seeds = [7]",
        "epochs = 2",
        "batch_size = 16",
        "root = \"cache\"",
        "[evaluation]\nevery = 2",
        "[checkpoint]\nevery = 2",
    ] {
        assert!(resolved.contains(line), "{line}\n{resolved}");
    }
    let metrics = place.read("results/e/metrics.csv");
    let evaluated: Vec<bool> = metrics
        .lines()
        .skip(1)
        .map(|row| row.split(',').nth(3) != Some(""))
        .collect();
    assert_eq!(evaluated, [false, true], "{metrics}");
}

#[test]
fn a_misspelt_option_and_one_that_does_nothing_are_told_of() {
    let printed = place().succeed(&["plan", "e.toml", "--serizalize", "1", "--deterministic"]);
    assert!(
        printed
            .err
            .contains("warning: `--serizalize` is misspelt and read as `--serialize`"),
        "{}",
        printed.err
    );
    assert!(
        printed
            .err
            .contains("note: `--deterministic`: does nothing"),
        "{}",
        printed.err
    );
}

#[test]
fn a_refused_option_ends_the_command_before_anything_runs() {
    let place = place();
    for (option, reason) in [
        ("-o=metrics.h5", "graft writes no HDF5 file of metrics"),
        ("--rounding=8", "graft does not round stochastically"),
        ("--profile", "graft has no benchmark of its layers"),
        ("--manifest=train:x", "graft does not read aeon's manifests"),
        ("-H2", "graft keeps one checkpoint"),
        ("-bmgpu", "graft trains a run on one GPU"),
        ("-dfloat32", "it must be f32, f64, f16 or bf16"),
        ("-e-1", "it must be a whole number from 1, not `-1`"),
    ] {
        let printed = place.fail(&["run", "e.toml", option]);
        assert!(printed.err.contains(reason), "{option}: {}", printed.err);
        assert!(
            printed.err.contains("error: command line: --"),
            "{}",
            printed.err
        );
        assert!(!place.path("results").exists(), "{option}");
    }
    let ambiguous = place.fail(&["run", "e.toml", "--data", "x"]);
    assert!(ambiguous.err.contains("--data"), "{}", ambiguous.err);
    let unknown = place.fail(&["run", "e.toml", "--bach_size", "3"]);
    assert!(unknown.err.contains("--batch_size"), "{}", unknown.err);
}

#[test]
fn a_file_of_neons_options_is_read_below_the_command_line() {
    let place = place();
    place.write("neon.cfg", "# the course's\nepochs = 2\nbatch_size: 16\n");
    place.succeed(&["run", "e.toml", "-c", "neon.cfg", "-e", "1"]);
    let resolved = place.read("results/e/experiment.toml");
    assert!(
        resolved.contains("epochs = 1\nbatch_size = 16"),
        "{resolved}"
    );
    place.write("neon.cfg", "epoks = 2\n");
    let printed = place.fail(&["run", "e.toml", "-c", "neon.cfg"]);
    assert!(
        printed.err.contains("neon.cfg:1: --epoks=2"),
        "{}",
        printed.err
    );
    let printed = place.fail(&["run", "e.toml", "-c", "gone.cfg"]);
    assert!(printed.err.contains("gone.cfg"), "{}", printed.err);
}

#[test]
fn what_is_said_goes_to_a_log_on_request_and_every_epoch_with_it() {
    let place = place();
    let printed = place.succeed(&["run", "e.toml", "-l", "all.log"]);
    assert!(
        !printed.err.contains("epoch 1: training cost"),
        "{}",
        printed.err
    );
    let log = place.read("all.log");
    assert!(log.contains("[1/1] e: epoch 1: training cost"), "{log}");
    assert!(log.contains("[1/1] e: accuracy"), "{log}");
    let printed = place.succeed(&["run", "e.toml", "--force", "-v"]);
    assert!(
        printed.err.contains("[1/1] e: epoch 1: training cost"),
        "{}",
        printed.err
    );
}

#[test]
fn help_lists_neons_options_apart_and_leaves_out_what_is_refused() {
    let help = Place::new().succeed(&["run", "--help"]).out;
    let (own, neons) = help.split_once("neon's options:").expect("a heading");
    assert!(
        own.contains("--batch_size <N>") && own.contains("--serialize [<N>]"),
        "{own}"
    );
    assert!(neons.contains("--datatype <TYPE>"), "{neons}");
    assert!(
        !help.contains("--manifest") && !help.contains("--profile"),
        "{help}"
    );
}

#[test]
fn a_command_of_the_course_becomes_an_experiment_that_plans() {
    let place = Place::new();
    place.copy_data("neon/train.h5");
    place.copy_data("neon/test.h5");
    let line = "python main_transfer.py -b cpu -e 3 -z 16 --data_root neon --serizalize 1";
    let imported = place.succeed(&["import-command", line]);
    assert!(
        imported.err.contains("warning: `--serizalize`"),
        "{}",
        imported.err
    );
    place.write("course.toml", &imported.out);
    let plan = place.succeed(&[
        "plan",
        "course.toml",
        "--set",
        "model.widths=[4, 4, 4, 4, 4]",
    ]);
    assert!(
        plan.out
            .contains("course (3 epochs, batch 16, backend cpu)"),
        "{}",
        plan.out
    );

    let mut words = vec!["import-command", "--"];
    words.extend(line.split(' '));
    assert_eq!(place.succeed(&words).out, imported.out);
}

#[test]
fn a_command_that_cannot_be_imported_is_an_error() {
    let place = Place::new();
    for (line, reason) in [
        ("python main.py --epoks 3", "did you mean `--epochs`?"),
        (
            "python main.py -o metrics.h5",
            "each record has metrics.csv",
        ),
        ("ls -l", "there is no Python script in it"),
        ("python main.py -c gone.cfg", "gone.cfg"),
    ] {
        let printed = place.fail(&["import-command", line]);
        assert!(printed.err.contains(reason), "{line}: {}", printed.err);
        assert!(printed.out.is_empty(), "{}", printed.out);
    }
}
