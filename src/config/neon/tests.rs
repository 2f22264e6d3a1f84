//! Every option of neon's, and the course's commands.

use std::fs;
use std::path::Path;

use super::words::{parse, parse_file};
use super::*;
use crate::config::experiment::{Backend, Experiment, Mean};
use crate::config::{Environment, Overrides, load_with};
use crate::error::{Error, Result};

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn no_file(path: &Path) -> Result<String> {
    Err(Error::new("there is no file").at(path.display()))
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
    let missing = parse(&words("-c gone.cfg")).unwrap().with_file(no_file);
    assert_eq!(
        missing.unwrap_err().to_string(),
        "gone.cfg: there is no file"
    );
    let again = parse_file("a.cfg", "config = b.cfg").unwrap();
    let parsed = parse(&words("-c a.cfg")).unwrap();
    assert_eq!(again.given[0].value, "b.cfg");
    let error = parsed
        .with_file(|_| Ok("config = b.cfg".to_owned()))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "command line: -c a.cfg: config = b.cfg: a file of options cannot name another one"
    );
}

fn import_line(line: &str) -> Imported {
    import(&[line.to_owned()], no_file).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn loaded(toml: &str, overrides: &Overrides) -> Experiment {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("e.toml");
    fs::write(&path, toml).unwrap();
    load_with(&path, overrides, &Environment::none()).unwrap_or_else(|e| panic!("{e}\n{toml}"))
}

/// Commands as the course writes them.
const COURSE: [&str; 7] = [
    "python main_transfer.py -b gpu -e 10 -z 32 --data_root data_wiki --source_model VGG_D.p \
     --save_path fine_tuned.prm --serizalize 1 -r 42",
    "./main.py -b cpu -e 5",
    "python -u main.py --epochs=10 --batch_size=64 -eval 1 --no_progress_bar",
    "CUDA_VISIBLE_DEVICES=1 python main.py -b gpu -i 0 -z 16 -s scratch.prm",
    "nohup python main.py -b gpu -i 1 -v -d f64 --caffe > log.txt 2>&1 &",
    "python2.7 main_transfer.py \\\n    -b mkl \\\n    --source_model 'models/VGG D.p' \\\n    \
     --data_root \"data wiki\" --serialize",
    "python main.py",
];

#[test]
fn the_courses_commands_become_experiments_that_load_and_equal_graft_run_with_the_same_options() {
    let base = import_line("python main.py").toml;
    for line in COURSE {
        let imported = import_line(line);
        let script = super::shell::script_in(line).unwrap();
        let options = translate(&parse(&script.words).unwrap().given).unwrap();
        let overrides = Overrides {
            options: options.settings,
            ..Overrides::default()
        };
        let here = loaded(&imported.toml, &Overrides::default());
        assert_eq!(here, loaded(&base, &overrides), "{line}\n{}", imported.toml);
        // Once more over itself, they change nothing.
        assert_eq!(here, loaded(&imported.toml, &overrides), "{line}");
    }
}

#[test]
fn every_key_of_an_imported_command_names_its_option() {
    let imported = import_line(COURSE[0]);
    assert_eq!(
        imported.toml,
        r##"# python main_transfer.py -b gpu -e 10 -z 32 --data_root data_wiki --source_model VGG_D.p --save_path fine_tuned.prm --serizalize 1 -r 42
#
# Each key names the option that gives it. "assumed": no option does, and this is what the
# course's script has; compare it with yours.

compatibility = "neon"            # neon's defaults for every key that is not here
backend       = "cuda"            # -b gpu
seed          = 42                # -r 42
epochs        = 10                # -e 10
batch_size    = 32                # -z 32
source_model  = "VGG_D.p"         # --source_model VGG_D.p
save_path     = "fine_tuned.prm"  # --save_path fine_tuned.prm
# How fast the imported layers learn is not said on the command line but in the script.
# As it stands, they learn like the new ones. To train them on slowly, or not at all:
# learning_rate_multiplier = 0.001
# learning_rate_multiplier = 0

[data]
root  = "data_wiki"  # --data_root data_wiki
train = "train.h5"   # assumed
test  = "test.h5"    # assumed

[model]
architecture = "vgg16"                 # assumed
head         = [4096, 4096]            # assumed
head_names   = ["fc6_new", "fc7_new"]  # assumed
classifier   = "cls_imdb_wiki_face"    # assumed
dropout      = 0.5                     # assumed
classes      = 2                       # assumed

[loss]
name = "binary_cross_entropy"  # assumed

[optimizer]
algorithm     = "momentum"  # assumed
learning_rate = 0.001       # assumed
momentum      = 0.9         # assumed
weight_decay  = 0.0005      # assumed

[checkpoint]
every = 1  # --serizalize 1
"##
    );
    assert_eq!(
        imported.warnings,
        ["`--serizalize` is misspelt and read as `--serialize`"]
    );
    assert!(imported.notes.is_empty(), "{:?}", imported.notes);
}

#[test]
fn neons_defaults_hold_where_the_command_is_silent() {
    let experiment = loaded(&import_line("python main.py").toml, &Overrides::default());
    assert_eq!((experiment.epochs, experiment.batch_size), (10, 128));
    assert_eq!(experiment.backend, Backend::Cpu);
    assert_eq!(experiment.source_model, None);
    assert_eq!(experiment.preprocessing.mean, Mean::Own);
    assert!(!experiment.data.shuffle);
    assert_eq!(experiment.evaluation.every, 0);
}

#[test]
fn a_save_path_alone_means_a_save_after_every_epoch() {
    let toml = import_line("python main.py -s out.prm").toml;
    assert!(
        toml.contains("every = 1  # -s alone: neon saves after every epoch\n"),
        "{toml}"
    );
    let toml = import_line("python main.py -s out.prm --serialize 3").toml;
    assert!(toml.contains("every = 3  # --serialize 3\n"), "{toml}");
}

#[test]
fn a_model_to_start_from_becomes_a_key_of_the_model() {
    let toml = import_line("python main.py --model_file init.p").toml;
    assert!(toml.contains("initial_weights = \"init.p\""), "{toml}");
    assert!(toml.contains("# --model_file init.p\n"), "{toml}");
}

#[test]
fn what_no_key_says_becomes_a_note() {
    let notes = import_line(
        "CUDA_VISIBLE_DEVICES=1 python main.py -b gpu --serialize 2 -v -l log.txt --no_progress_bar",
    )
    .notes;
    assert_eq!(
        notes,
        [
            "`CUDA_VISIBLE_DEVICES=1` is no option: set it in front of `graft run` if it is to \
             count there",
            "no keys of an experiment: say `--no_progress_bar -v -l log.txt` to `graft run`",
            "neon would save to neon_model.pkl; graft keeps the model in the record, and a copy \
             where `save_path` says",
        ]
    );
}

#[test]
fn a_command_is_read_from_its_words_too_and_names_may_hold_anything() {
    let command = [
        "python",
        "main.py",
        "--data_root",
        "my \"data\"\n#x",
        "-e",
        "3",
    ];
    let imported = import(&command.map(str::to_owned), no_file).unwrap();
    let experiment = loaded(&imported.toml, &Overrides::default());
    assert_eq!(experiment.data.root, Path::new("my \"data\"\n#x"));
    assert_eq!(experiment.epochs, 3);
}

#[test]
fn what_is_no_command_is_an_error() {
    let message = |line: &str| import(&[line.to_owned()], no_file).unwrap_err().to_string();
    assert!(message("graft run e.toml").starts_with("command line: there is no Python script"));
    assert!(message("python main.py -w $X").starts_with("command line: what the shell would put"));
    assert!(message("python main.py --epoks 3").contains("did you mean `--epochs`?"));
    assert!(message("python main.py -u").contains("does not round stochastically"));
}
