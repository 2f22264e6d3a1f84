//! Every option of neon's: the key that it gives, what is noted, or why it is refused.

use std::path::Path;

use super::super::words::parse;
use super::*;
use crate::error::Error;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn try_options(line: &str) -> Result<Translation> {
    translate(&parse(&words(line))?.given)
}

fn options(line: &str) -> Translation {
    try_options(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// `key = value` of each setting.
fn keys_of(line: &str) -> Vec<String> {
    let settings = options(line).settings;
    let text = |setting: &Setting| match &setting.value {
        Plain::Text(text) => format!("{} = {text:?}", setting.key),
        Plain::Whole(number) => format!("{} = {number}", setting.key),
    };
    settings.iter().map(text).collect()
}

fn refusal(line: &str) -> String {
    try_options(line).expect_err(line).to_string()
}

#[test]
fn every_option_that_says_something_about_an_experiment_gives_its_key() {
    for (line, key) in [
        ("-b cpu", r#"backend = "cpu""#),
        ("-b mkl", r#"backend = "cpu""#),
        ("--backend gpu", r#"backend = "cuda""#),
        ("-b gpu -i 1", r#"backend = "cuda:1""#),
        ("--device_id 2 -b gpu", r#"backend = "cuda:2""#),
        ("-b cuda:1 -i 1", r#"backend = "cuda:1""#),
        ("-b wgpu", r#"backend = "wgpu""#),
        ("-e 3", "epochs = 3"),
        ("--epochs 3", "epochs = 3"),
        ("-z 64", "batch_size = 64"),
        ("--batch_size 64", "batch_size = 64"),
        ("-r 0", "seed = 0"),
        ("--rng_seed 7", "seed = 7"),
        ("--data_root data_wiki", r#"data.root = "data_wiki""#),
        ("-w cache", r#"data.root = "cache""#),
        (
            "--data_dir cache --data_root data_wiki",
            r#"data.root = "data_wiki""#,
        ),
        ("--source_model VGG_D.p", r#"source_model = "VGG_D.p""#),
        ("-s out.prm", r#"save_path = "out.prm""#),
        ("--save_path out.prm", r#"save_path = "out.prm""#),
        ("--serialize", "checkpoint.every = 1"),
        ("--serialize 5", "checkpoint.every = 5"),
        ("--serizalize 1", "checkpoint.every = 1"),
        ("--model_file init.p", r#"model.initial_weights = "init.p""#),
        ("-eval 2", "evaluation.every = 2"),
        ("--eval_freq 1", "evaluation.every = 1"),
        ("-d f64", r#"dtype = "f64""#),
        ("--datatype bf16", r#"dtype = "bf16""#),
        ("--caffe", r#"compatibility = "caffe""#),
    ] {
        assert_eq!(keys_of(line), [key], "{line}");
    }
}

#[test]
fn options_that_only_change_what_is_shown_give_no_key() {
    let show = |line: &str| {
        let Translation {
            settings,
            show,
            notes,
        } = options(line);
        assert!(settings.is_empty() && notes.is_empty(), "{line}");
        show
    };
    assert!(show("--no_progress_bar").no_bar);
    assert!(show("-v").epochs && show("-vv --verbose").epochs);
    assert_eq!(show("-l log.txt").log, Some("log.txt".into()));
    assert_eq!(show("--log log.txt").log, Some("log.txt".into()));
    assert_eq!(show("-H 1"), Show::default());
}

#[test]
fn options_that_do_nothing_are_accepted_and_say_so() {
    for (line, note) in [
        (
            "--deterministic",
            "`--deterministic`: does nothing: a run on the CPU repeats exactly anyway, and on a GPU \
             Burn chooses the kernels",
        ),
        (
            "-m 4",
            "`-m 4`: does nothing: it goes with neon's mgpu only; graft trains a run on one device",
        ),
        (
            "-l",
            "`-l`: every record has its log.txt; `-l FILE` names another one",
        ),
        ("-b cpu -i 1", "`-i 1`: does nothing with the backend cpu"),
    ] {
        assert_eq!(options(line).notes, [note], "{line}");
    }
}

#[test]
fn what_graft_refuses_has_a_reason_and_graft_s_way() {
    let benchmark = "graft has no benchmark of its layers\n  help: metrics.csv in each record has \
                     the seconds and the images a second of every epoch";
    let manifest = "graft does not read aeon's manifests\n  help: `graft prepare images` makes \
                    data files of folders of pictures; [data] names them";
    let rounding = "graft does not round stochastically\n  help: choose a precision: `-d f16` or \
                    `dtype = \"bf16\"`";
    let history = "graft keeps one checkpoint, from which a run goes on exactly\n  help: leave it \
                   out; save_path has a copy of the trained model";
    let metrics = "graft writes no HDF5 file of metrics\n  help: each record has metrics.csv, with \
                   a row for every epoch; `graft compare` makes tables of them";
    for (line, message) in [
        ("--profile", benchmark),
        ("--profiling_method nvprof", benchmark),
        ("--profile_inference", benchmark),
        ("--profile_iterations 5", benchmark),
        ("--profile_iter_skip 5", benchmark),
        ("-o metrics.h5", metrics),
        ("--output_file metrics.h5", metrics),
        ("--manifest train:x.csv", manifest),
        ("--manifest_root x", manifest),
        ("-u", rounding),
        ("-u 8", rounding),
        ("--rounding", rounding),
        ("-H 2", history),
        ("--history 0", history),
        (
            "--log_token x",
            "graft sends its log to no service\n  help: each record has log.txt and metrics.csv; \
             `-l FILE` writes a log as it goes",
        ),
        (
            "-b mgpu",
            "graft trains a run on one GPU\n  help: `-b gpu -i 1` chooses which; a GPU each for \
             several commands",
        ),
        (
            "-i 1",
            "without `-b` it is not said that there is a GPU to choose\n  help: write `-b gpu -i 1`",
        ),
        (
            "-b tpu",
            "there is no backend \"tpu\", but cpu, ndarray, wgpu, cuda and cuda:1",
        ),
        (
            "-d f8",
            "it must be f32, f64, f16 or bf16, not `f8`\n  help: for example `--datatype f32`",
        ),
        (
            "-e x",
            "it must be a whole number from 1, not `x`\n  help: for example `--epochs 10`",
        ),
        (
            "-e 0",
            "it must be a whole number from 1, not `0`\n  help: for example `--epochs 10`",
        ),
        (
            "-r -1",
            "it must be a whole number from 0, not `-1`\n  help: for example `--rng_seed 10`",
        ),
    ] {
        assert_eq!(refusal(line), format!("command line: {line}: {message}"));
    }
    let other = refusal("-b cuda:2 -i 1");
    assert_eq!(
        other,
        "command line: -b cuda:2: `-i 1` names another GPU\n  help: keep one of them"
    );
}

#[test]
fn all_refusals_come_at_once_and_the_later_of_two_values_counts() {
    let errors = refusal("-u 8 -e 3 -o x -e 0");
    assert_eq!(errors.matches("command line: ").count(), 3, "{errors}");
    assert_eq!(keys_of("-e 0 -z 8 -e 3"), ["batch_size = 8", "epochs = 3"]);
}

#[test]
fn a_file_of_options_is_weaker_than_the_command_line() {
    let read = |path: &Path| {
        assert_eq!(path, Path::new("neon.cfg"));
        Ok("epochs = 3\nbatch_size: 16\n".to_owned())
    };
    let parsed = parse(&words("-e 5 -c neon.cfg")).unwrap();
    let settings = translate(&parsed.with_file(read).unwrap().given)
        .unwrap()
        .settings;
    let given: Vec<_> = settings
        .iter()
        .map(|it| (it.spelt.as_str(), it.value.clone()))
        .collect();
    assert_eq!(
        given,
        [
            ("-c neon.cfg: batch_size: 16", Plain::Whole(16)),
            ("-e 5", Plain::Whole(5)),
        ]
    );
    let gone = parse(&words("-c gone.cfg")).unwrap();
    let error = gone.with_file(|_| Err(Error::new("gone"))).unwrap_err();
    assert_eq!(error.to_string(), "gone");
    let parsed = parse(&words("-c a.cfg")).unwrap();
    let error = parsed
        .with_file(|_| Ok("config = b.cfg".to_owned()))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "command line: -c a.cfg: config = b.cfg: a file of options cannot name another one"
    );
}
