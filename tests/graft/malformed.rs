//! Bad input: every error names the file and the thing, and nothing panics.

use std::path::Path;

use graft::data::hdf5::{Attribute, Rows, Writer};

use crate::common::{Place, TINY};

/// What is wrong with an experiment file, and what the message must name.
const EXPERIMENTS: [(&str, &str, &[&str]); 22] = [
    ("no TOML", "epochs = = 3", &["e.toml:1"]),
    (
        "an unknown key",
        "epoch = 3",
        &["e.toml:1", "did you mean `epochs`"],
    ),
    (
        "an unknown table",
        "[optimiser]\nlearning_rate = 1.0",
        &["e.toml:1", "optimizer"],
    ),
    (
        "a key of another table",
        "momentum = 0.9",
        &["e.toml:1", "[optimizer]"],
    ),
    (
        "a wrong type",
        "epochs = \"three\"",
        &["e.toml:1", "epochs"],
    ),
    ("no epochs", "epochs = 0", &["e.toml:1", "epochs"]),
    (
        "a negative rate",
        "optimizer.learning_rate = -1.0",
        &["e.toml:1", "learning_rate"],
    ),
    (
        "a rate that is no number",
        "optimizer.learning_rate = nan",
        &["e.toml:1", "learning_rate"],
    ),
    (
        "a negative multiplier",
        "learning_rate_multiplier = -0.1",
        &["e.toml:1", "learning_rate_multiplier"],
    ),
    (
        "an unknown optimizer",
        "optimizer.algorithm = \"momentun\"",
        &["e.toml:1", "momentum"],
    ),
    (
        "an unknown backend",
        "backend = \"tpu\"",
        &["e.toml:1", "tpu"],
    ),
    ("no seeds", "seeds = []", &["e.toml:1", "seeds"]),
    ("a seed twice", "seeds = [1, 1]", &["e.toml:1", "seeds"]),
    (
        "a base that is not there",
        "extends = \"nobody.toml\"",
        &["e.toml:1", "nobody.toml"],
    ),
    ("itself as its base", "extends = \"e.toml\"", &["e.toml"]),
    (
        "a bad name",
        "name = \"../escape\"",
        &["e.toml:1", "../escape"],
    ),
    (
        "both a task and files",
        "data.builtin = \"drawn_smiles\"\ndata.train = \"a.h5\"",
        &["e.toml", "builtin"],
    ),
    (
        "an unknown task",
        "data.builtin = \"drawn_cats\"\nmodel.architecture = \"vgg11\"",
        &["drawn_cats", "drawn_smiles"],
    ),
    (
        "an unknown architecture",
        "model.architecture = \"vgg17\"",
        &["e.toml:1", "vgg16"],
    ),
    (
        "too much dropout",
        "model.dropout = 1.0",
        &["e.toml:1", "dropout"],
    ),
    (
        "too many poolings",
        "data.builtin = \"drawn_smiles\"\nmodel.layers = [{name='p', type='max_pooling', kernel=64}, {name='softmax', type='softmax'}]",
        &["`p`", "64"],
    ),
    (
        "a pattern without layers",
        "data.builtin = \"drawn_smiles\"\nmodel.architecture = \"vgg11\"\nmodel.width = 0.1\nlearning_rate_multiplier = { \"konv*\" = 0.0 }",
        &["konv*"],
    ),
];

/// What the error says, for `cargo test --release malformed -- --nocapture`.
fn show(what: &str, error: &str) {
    println!("{what}:\n{error}");
}

#[test]
fn malformed_experiments_are_refused_by_file_line_and_key() {
    for (what, content, names) in EXPERIMENTS {
        let place = Place::new();
        place.write("e.toml", content);
        for verb in ["run", "plan"] {
            let printed = place.fail(&[verb, "e.toml"]);
            show(what, &printed.err);
            for name in names {
                assert!(
                    printed.err.contains(name),
                    "{what}: {name} in\n{}",
                    printed.err
                );
            }
        }
        assert!(!place.path("results").exists(), "{what} left results");
    }
}

#[test]
fn errors_of_environment_and_command_line_name_the_variable_and_the_argument() {
    let place = Place::new();
    place.write("e.toml", TINY);
    let printed = place.fail(&["run", "e.toml", "--set", "epohcs=3"]);
    assert!(
        printed.err.contains("--set epohcs=3") && printed.err.contains("epochs"),
        "{}",
        printed.err
    );
    let output = place
        .command(&["plan", "e.toml"])
        .env("GRAFT_EPOCHS", "many")
        .output();
    let error = String::from_utf8_lossy(&output.expect("graft starts").stderr).into_owned();
    assert!(error.contains("GRAFT_EPOCHS"), "{error}");
}

/// Two samples of 3x32x32 with whatever is wrong with them.
struct Data {
    input: Vec<f32>,
    columns: usize,
    lshape: [i64; 3],
    labels: Vec<i32>,
    classes: i64,
}

impl Data {
    fn sound() -> Self {
        Self {
            input: vec![1.0; 2 * 3072],
            columns: 3072,
            lshape: [3, 32, 32],
            labels: vec![0, 1],
            classes: 2,
        }
    }

    fn write(&self, path: &Path) -> graft::error::Result<()> {
        let file = Writer::create(path)?;
        let mut input = file.table::<f32>(
            "input",
            Rows::Known(self.input.len() / self.columns),
            self.columns,
        )?;
        input.append(&self.input)?;
        input.attribute("lshape", &Attribute::Integers(self.lshape.to_vec()))?;
        input.finish()?;
        let mut output = file.table::<i32>("output", Rows::Known(self.labels.len()), 1)?;
        output.append(&self.labels)?;
        output.attribute("nclass", &Attribute::Integers(vec![self.classes]))?;
        output.finish()?;
        file.finish()
    }
}

const ON_FILES: &str = "epochs = 1\nbatch_size = 2\n[data]\ntrain = \"train.h5\"\ntest = \"test.h5\"\n\
    [model]\narchitecture = \"vgg11\"\nwidths = [2, 2, 2, 2, 2]\nhead = [4]\n";

fn refused(what: &str, train: impl FnOnce(&Path), names: &[&str]) {
    let place = Place::new();
    place.write("e.toml", ON_FILES);
    Data::sound()
        .write(&place.path("test.h5"))
        .expect("a sound file");
    train(&place.path("train.h5"));
    let printed = place.fail(&["run", "e.toml"]);
    show(what, &printed.err);
    for name in names {
        assert!(
            printed.err.contains(name),
            "{what}: {name} in\n{}",
            printed.err
        );
    }
    assert!(!place.path("results/e").exists(), "{what} left a record");
}

#[test]
fn malformed_data_files_are_refused_by_file() {
    let write = |data: Data| move |path: &Path| data.write(path).expect("written");
    let sound = Data::sound;
    refused("missing", |_| {}, &["train.h5"]);
    refused(
        "empty",
        |path| std::fs::write(path, b"").expect("written"),
        &["train.h5"],
    );
    refused(
        "no HDF5",
        |path| std::fs::write(path, b"GIF89a, rather").expect("written"),
        &["train.h5"],
    );
    refused(
        "truncated",
        |path| {
            sound().write(path).expect("written");
            let bytes = std::fs::read(path).expect("read");
            std::fs::write(path, &bytes[..bytes.len() - 100]).expect("written");
        },
        &["train.h5", "truncated"],
    );
    refused(
        "label out of range",
        write(Data {
            labels: vec![0, 2],
            ..sound()
        }),
        &["train.h5", "2"],
    );
    refused(
        "negative label",
        write(Data {
            labels: vec![0, -1],
            ..sound()
        }),
        &["train.h5", "-1"],
    );
    refused(
        "wrong lshape",
        write(Data {
            lshape: [3, 32, 31],
            ..sound()
        }),
        &["train.h5", "lshape"],
    );
    refused(
        "labels missing",
        write(Data {
            labels: vec![0],
            ..sound()
        }),
        &["train.h5"],
    );
    let mut not_a_number = sound();
    not_a_number.input[3072 + 7] = f32::NAN;
    refused("NaN", write(not_a_number), &["train.h5", "sample 1"]);
    refused(
        "other size than the test file",
        write(Data {
            input: vec![1.0; 2 * 768],
            columns: 768,
            lshape: [3, 16, 16],
            ..sound()
        }),
        &["test.h5", "(3, 32, 32)"],
    );
    refused(
        "other classes than the test file",
        write(Data {
            classes: 3,
            ..sound()
        }),
        &["test.h5", "classes"],
    );
}

#[test]
fn malformed_source_models_are_refused_by_file() {
    let place = Place::new();
    place.copy_data("neon/source_vgg_tiny.p");
    let sound = std::fs::read(place.path("neon/source_vgg_tiny.p")).expect("read");
    let hostile = b"\x80\x02cos\nsystem\nU\x0dtouch hackedqU\x85R.".to_vec();
    let deep = [b"\x80\x02".to_vec(), vec![b']'; 100_000], b".".to_vec()].concat();
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("truncated", sound[..sound.len() / 2].to_vec(), "source.p"),
        ("empty", Vec::new(), "empty"),
        ("a command", hostile, "os.system"),
        ("deeply nested", deep, "source.p"),
        ("text", b"weights".to_vec(), "source.p"),
        (
            "half a safetensors header",
            b"\xff\x00\x00\x00\x00\x00\x00\x00{\"a\":".to_vec(),
            "source.p",
        ),
    ];
    for (what, bytes, name) in cases {
        place.write("source.p", bytes);
        place.write("e.toml", format!("source_model = \"source.p\"\n{TINY}"));
        for arguments in [["run", "e.toml"], ["inspect", "source.p"]] {
            let printed = place.fail(&arguments);
            show(what, &printed.err);
            assert!(printed.err.contains(name), "{what}: {}", printed.err);
        }
    }
    assert!(!place.path("hacked").exists());
    assert!(!place.path("results/e").exists());
}

#[test]
fn malformed_models_of_other_programs_are_refused_by_file() {
    let place = Place::new();
    let sound = |name: &str| {
        place.copy_data(&format!("foreign/{name}"));
        std::fs::read(place.path(&format!("foreign/{name}"))).expect("read")
    };
    let half = |name: &str| {
        let bytes = sound(name);
        bytes[..bytes.len() / 2].to_vec()
    };
    let cases: [(&str, Vec<u8>, &str); 9] = [
        (
            "a command in a zip archive",
            sound("command.pt"),
            "posix.system",
        ),
        (
            "a command in the legacy layout",
            sound("command_legacy.pt"),
            "posix.system",
        ),
        ("half a zip archive", half("nested.pth"), "zip archive"),
        ("half a legacy file", half("nested_legacy.th"), "truncated"),
        ("half an npz", half("stored.npz"), "zip archive"),
        ("half an ONNX file", half("telling.onnx"), "damaged ONNX"),
        ("half a Keras file", half("keras2_whole.h5"), "truncated"),
        (
            "an npz that unpacks to a thousand times its size",
            sound("bomb.npz"),
            "more values",
        ),
        (
            "a Keras file that claims terabytes",
            sound("bomb.h5"),
            "more values",
        ),
    ];
    for (what, bytes, name) in cases {
        place.write("source.pt", bytes);
        let printed = place.fail(&["inspect", "source.pt"]);
        show(what, &printed.err);
        assert!(
            printed.err.contains("source.pt: "),
            "{what}: {}",
            printed.err
        );
        assert!(printed.err.contains(name), "{what}: {}", printed.err);
    }
    assert!(!place.path("hacked").exists());
}
