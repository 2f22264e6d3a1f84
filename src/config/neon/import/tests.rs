//! The course's commands, and what experiments they become.

use std::fs;

use super::super::words::parse;
use super::*;
use crate::config::experiment::{Backend, Experiment, Mean};
use crate::config::{Environment, Overrides, load_with};
use crate::error::Error;

fn no_file(path: &Path) -> Result<String> {
    Err(Error::new("there is no file").at(path.display()))
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
const COURSE: [&str; 8] = [
    "python main_transfer.py -b gpu -e 10 -z 32 --data_root data_wiki --source_model VGG_D.p \
     --save_path fine_tuned.prm --serizalize 1 -r 42",
    "./main.py -b cpu -e 5",
    "python -u main.py --epochs=10 --batch_size=64 -eval 1 --no_progress_bar",
    "CUDA_VISIBLE_DEVICES=1 python main.py -b gpu -i 0 -z 16 -s scratch.prm",
    "nohup python main.py -b gpu -i 1 -v -d f64 --caffe > log.txt 2>&1 &",
    "python2.7 main_transfer.py \\\n    -b mkl \\\n    --source_model 'models/VGG D.p' \\\n    \
     --data_root \"data wiki\" --serialize",
    "python main.py --model_file init.p --caffe -w cache",
    "python main.py",
];

#[test]
fn the_courses_commands_become_experiments_that_load_and_equal_graft_run_with_the_same_options() {
    let base = import_line("python main.py").toml;
    for line in COURSE {
        let imported = import_line(line);
        let script = shell::script_in(line).unwrap();
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
    assert_eq!(experiment.preprocessing.mean, Some(Mean::Own));
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
