//! `graft export`: what other tools find in the files, with Python where it is there.

mod made;
mod onnx;

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write, stderr};
use std::path::Path;
use std::process::Command;

use graft::data::dataset::Dataset;
use graft::files::FileStamp;
use graft::source;

use crate::common::{Place, TINY};
use onnx::Onnx;

/// Batch norm, windows that do not fit, padded averages, a bias on its own.
const DECLARED: &str = r#"
epochs = 2
[data]
builtin = "drawn_smiles"
[model]
initializer = "kaiming"
pooling = "ceil"
layers = [
    { name = "conv1", type = "convolution", channels = 4, kernel = 3, stride = 2, padding = 1 },
    { name = "norm1", type = "batch_norm" },
    { name = "leaky1", type = "relu", slope = 0.1 },
    { name = "pool1", type = "average_pooling", kernel = 3, stride = 2, padding = 1 },
    { name = "conv2", type = "convolution", channels = 6, kernel = 2, bias = true },
    { name = "elu2", type = "elu", alpha = 0.7 },
    { name = "pool2", type = "max_pooling", kernel = 3, stride = 2, padding = 1 },
    { name = "fc1", type = "linear", features = 7, bias = true },
    { name = "norm2", type = "batch_norm" },
    { name = "tanh2", type = "tanh" },
    { name = "drop2", type = "dropout", rate = 0.25 },
    { name = "more", type = "bias" },
    { name = "sigmoid2", type = "sigmoid" },
    { name = "classifier", type = "linear", bias = true },
    { name = "softmax", type = "softmax" },
]
[preprocessing]
scale = 0.015625
"#;

/// Records of a small VGG-11 and of the declared network.
fn trained() -> Place {
    let place = Place::new();
    place.write("vgg.toml", TINY);
    place.write("declared.toml", DECLARED);
    place.succeed(&["run", "vgg.toml", "declared.toml"]);
    place
}

/// Exports and returns the file's bytes.
fn exported(place: &Place, record: &str, to: &str, out: &str) -> Vec<u8> {
    let arguments = [
        "export", record, "--to", to, "--out", out, "--format", "csv",
    ];
    let printed = place.succeed(&arguments).out;
    let stamp = FileStamp::of(&place.path(out)).expect("a file");
    assert!(printed.contains(&stamp.sha256), "{printed}");
    let bytes = std::fs::read(place.path(out)).expect("a file");
    let again = format!("again-{out}");
    place.succeed(&["export", record, "--to", to, "--out", &again]);
    let again = std::fs::read(place.path(&again)).expect("a file");
    assert!(bytes == again, "the same model gives the same {to} file");
    bytes
}

/// Shape and bytes of every tensor, by name.
fn tensors(bytes: &[u8]) -> BTreeMap<String, (Vec<usize>, Vec<u8>)> {
    let file = safetensors::SafeTensors::deserialize(bytes).expect("safetensors");
    let tensors = file.tensors().into_iter();
    tensors
        .map(|(name, view)| (name, (view.shape().to_vec(), view.data().to_vec())))
        .collect()
}

fn model(place: &Place, record: &str) -> BTreeMap<String, (Vec<usize>, Vec<u8>)> {
    let path = place.path(record).join("model.safetensors");
    tensors(&std::fs::read(path).expect("a model"))
}

/// Name, content and its place in the archive of every file in it, none of them compressed.
fn files(bytes: &[u8]) -> Vec<(String, Vec<u8>, u64)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).expect("an archive");
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).expect("a file");
        assert_eq!(file.compression(), zip::CompressionMethod::Stored);
        let mut content = Vec::new();
        file.read_to_end(&mut content).expect("its content");
        let start = file.data_start().expect("a place");
        let name = file.name().expect("a name").into_owned();
        files.push((name, content, start));
    }
    files
}

#[test]
fn graft_s_own_format_is_a_copy_and_neon_s_holds_the_same_values() {
    let place = trained();
    let model_bytes = std::fs::read(place.path("results/vgg/model.safetensors")).expect("a model");
    assert!(exported(&place, "results/vgg", "safetensors", "copy.safetensors") == model_bytes);
    exported(&place, "results/vgg", "neon", "vgg.prm");
    place.succeed(&["convert", "vgg.prm", "back.safetensors"]);
    let back = std::fs::read(place.path("back.safetensors")).expect("a model");
    assert!(tensors(&back) == tensors(&model_bytes));
    // In half the precision.
    let arguments = ["export", "results/vgg", "--to", "npz", "--dtype", "f16"];
    place.succeed(&arguments);
    let half = std::fs::read(place.path("vgg.npz")).expect("an archive");
    let (name, content, _) = &files(&half)[0];
    assert_eq!(name, "conv1_1.weight.npy");
    assert!(String::from_utf8_lossy(content).contains("'descr': '<f2'"));
}

#[test]
fn numpy_s_archive_has_an_array_for_each_tensor_and_says_what_the_layers_are() {
    let place = trained();
    let model = model(&place, "results/declared");
    let files = files(&exported(&place, "results/declared", "npz", "declared.npz"));
    assert_eq!(files.len(), model.len() + 1);
    for (name, content, start) in &files {
        assert!(content.starts_with(b"\x93NUMPY\x01\0"), "{name}");
        assert_eq!(start % 64, 0, "{name}");
        let length = usize::from(u16::from_le_bytes([content[8], content[9]]));
        let header = String::from_utf8_lossy(&content[10..10 + length]).into_owned();
        let name = name.strip_suffix(".npy").expect("an array");
        let Some((shape, bytes)) = model.get(name) else {
            assert_eq!(name, "__graft__");
            let text = content[10 + length..].chunks_exact(4).map(|c| c[0] as char);
            let about: serde_json::Value =
                serde_json::from_str(&text.collect::<String>()).expect("JSON");
            assert_eq!(about["classes"][1], "smiling");
            assert_eq!(about["network"]["layers"][0]["name"], "conv1");
            assert_eq!(about["metadata"]["graft.input"]["scale"], 0.015625);
            continue;
        };
        let sizes = format!("{shape:?}").replace('[', "(").replace(']', "");
        assert!(header.contains("'descr': '<f4'"), "{header}");
        assert!(header.contains(&sizes), "{header}");
        assert!(content[10 + length..] == *bytes, "{name}");
    }
}

#[test]
fn a_state_dict_has_pytorch_s_names_as_safetensors_and_as_an_archive() {
    let place = trained();
    let model = model(&place, "results/declared");
    let record = "results/declared";
    let state = exported(&place, record, "pytorch-names", "d.pytorch.safetensors");
    let state = tensors(&state);
    let same = [
        ("conv1.weight", "conv1.weight"),
        ("norm1.weight", "norm1.scale"),
        ("norm1.bias", "norm1.shift"),
        ("norm1.running_mean", "norm1.mean"),
        ("norm1.running_var", "norm1.variance"),
        ("conv2.bias", "conv2_bias.bias"),
        ("fc1.bias", "fc1_bias.bias"),
        ("more.bias", "more.bias"),
        ("classifier.bias", "classifier_bias.bias"),
    ];
    for (theirs, ours) in same {
        assert!(state[theirs] == model[ours], "{theirs}");
    }
    let counter = (vec![], 0i64.to_le_bytes().to_vec());
    assert!(state["norm1.num_batches_tracked"] == counter);
    // graft's own tensors, and a counter for each of the two batch norms.
    assert_eq!(state.len(), model.len() + 2);

    let archive = files(&exported(&place, record, "pytorch-names", "d.pt"));
    assert_eq!(archive[0].0, "archive/data.pkl");
    let pickle = String::from_utf8_lossy(&archive[0].1).into_owned();
    assert!(pickle.contains("_rebuild_tensor_v2") && pickle.contains("norm2.running_var"));
    assert!(archive.iter().all(|(_, _, start)| start % 64 == 0));
    let content = |name: &str| &archive.iter().find(|file| file.0 == name).expect(name).1;
    assert_eq!(content("archive/version"), b"3\n");
    assert!(content("archive/data/0") == &state["conv1.weight"].1);
    assert!(content("archive/data/5") == &0i64.to_le_bytes());

    // graft reads what it wrote.
    let back = source::read(&place.path("d.pytorch.safetensors")).expect("a model");
    assert!(back.layers.iter().any(|layer| layer.name == "norm1"));
}

#[test]
fn onnx_is_the_whole_computation() {
    let place = trained();
    let model = model(&place, "results/declared");
    let file = Onnx::read(&exported(&place, "results/declared", "onnx", "d.onnx"));
    assert_eq!((file.ir_version, file.opset), (8, 17));
    assert_eq!(file.producer, "graft");
    assert_eq!(file.properties["classes"], r#"["frowning","smiling"]"#);
    assert_eq!(file.input, ("pixels".to_string(), vec![0, 3, 32, 32]));
    assert_eq!(file.output, ("confidences".to_string(), vec![0, 2]));
    let expected = [
        "Sub",
        "Mul",
        "Conv",
        "BatchNormalization",
        "LeakyRelu",
        "AveragePool",
        "Conv",
        "Elu",
        "MaxPool",
        "Flatten",
        "Gemm",
        "BatchNormalization",
        "Tanh",
        "Add",
        "Sigmoid",
        "Gemm",
        "Softmax",
    ];
    assert_eq!(file.kinds(), expected);
    for (name, (shape, bytes)) in &model {
        let constant = &file.constants[name];
        assert!(
            &constant.bytes == bytes && &constant.shape == shape,
            "{name}"
        );
    }
    assert_eq!(file.constants["mean"].shape, [3, 1, 1]);
    assert_eq!(file.constants["scale"].bytes, 0.015625f32.to_le_bytes());
    let pool = file.layer("pool1");
    // Nine windows of 3 cover 19 of the 16 values and the ring around them.
    assert_eq!(pool.ints["pads"], [1, 1, 2, 2]);
    assert_eq!(pool.ints["count_include_pad"], [0]);
    assert_eq!(file.layer("norm1").floats["epsilon"], 1e-5);
    // The bias is the third input of its convolution.
    assert_eq!(
        file.layer("conv2").inputs[1..],
        ["conv2.weight", "conv2_bias.bias"]
    );
    assert_eq!(file.nodes.last().expect("a node").output, "confidences");
}

#[test]
fn onnx_has_branches_groups_uneven_padding_and_windows_beyond_the_image() {
    let place = Place::new();
    made::write(&place, "made.safetensors");
    let file = Onnx::read(&exported(&place, "made.safetensors", "onnx", "m.onnx"));
    assert_eq!(file.layer("stem").ints["pads"], [1, 0, 1, 1]);
    assert_eq!(file.layer("depthwise").ints["group"], [4]);
    assert_eq!(file.layer("add").inputs.len(), 3);
    // A fourth window would begin behind 5 x 4 pixels and the ring around them.
    assert_eq!(file.layer("max").ints["pads"], [1, 1, 1, 1]);
    assert_eq!(file.layer("narrow").inputs.len(), 2);
    assert_eq!(file.layer("narrow_bias").kind, "Add");
    assert_eq!(file.constants["narrow_bias.bias"].shape, [2, 1, 1]);
    assert_eq!(file.constants["drop.factor"].bytes, 0.75f32.to_le_bytes());
    // A mean for each pixel.
    assert_eq!(file.constants["mean"].shape, [2, 9, 8]);
    let state = exported(
        &place,
        "made.safetensors",
        "pytorch-names",
        "m.pytorch.safetensors",
    );
    let state = tensors(&state);
    assert!(state.contains_key("features.0.weight") && state.contains_key("features.0.bias"));
    python(&place, "made.safetensors", &[]);
}

#[test]
fn python_computes_what_the_run_did() {
    let place = trained();
    let data = Dataset::open(place.path("data/drawn_smiles-v1-2018/test.h5")).expect("data");
    let samples: Vec<usize> = (0..100).collect();
    let mut pixels: Vec<f32> = Vec::new();
    data.read(&samples, &mut pixels).expect("pixels");
    let start = "{'descr': '<f4', 'fortran_order': False, 'shape': (100, 3, 32, 32), }";
    let mut array = b"\x93NUMPY\x01\0\x76\0".to_vec();
    array.extend(format!("{start:<117}\n").as_bytes());
    array.extend(pixels.iter().flat_map(|value| value.to_le_bytes()));
    place.write("pixels.npy", array);
    for record in ["results/vgg", "results/declared"] {
        python(&place, record, &["--pixels", "pixels.npy"]);
    }
}

/// Lets `tests/check_exports.py` look at the record, if Python is there, and shows what it says.
fn python(place: &Place, record: &str, more: &[&str]) {
    let program = std::env::var("GRAFT_PYTHON").unwrap_or("python3".to_string());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check_exports.py");
    let mut command = Command::new(&program);
    command.arg(script).arg(record).args(more);
    command.args(["--graft", env!("CARGO_BIN_EXE_graft")]);
    match command.current_dir(place.path("")).output() {
        // Past the test harness, which keeps what a passing test prints to itself.
        Err(error) => drop(writeln!(stderr(), "skipped: no {program}: {error}")),
        Ok(output) => {
            let [out, err] = [output.stdout, output.stderr].map(String::from_utf8);
            let text = format!("{}{}", out.expect("text"), err.expect("text"));
            for skipped in text.lines().filter(|line| line.starts_with("skipped")) {
                let _ = writeln!(stderr(), "{record} in {program}: {skipped}");
            }
            println!("{record} in {program}:\n{text}");
            assert!(output.status.success(), "{text}");
        }
    }
}

#[test]
fn what_cannot_be_exported_is_said() {
    let place = trained();
    let refused = |arguments: &[&str], message: &str| {
        let error = place.fail(&[&["export"], arguments].concat()).err;
        assert!(error.contains(message), "{error}");
    };
    let record = "results/vgg";
    refused(
        &[record, "--to", "keras"],
        "there are safetensors, pytorch-names, neon, onnx, npz",
    );
    refused(
        &["none", "--to", "npz"],
        "none: there is no such record or model",
    );
    refused(&["data", "--to", "npz"], "data: no record here or below");
    refused(
        &["results", "--to", "npz"],
        "results: there are several records here",
    );
    let there_is_none = "none/a.npz: there is no directory none";
    refused(
        &[record, "--to", "npz", "--out", "none/a.npz"],
        there_is_none,
    );
    refused(
        &[record, "--to", "onnx", "--dtype", "f64"],
        "ONNX models are written in f32",
    );

    place.succeed(&["export", record, "--to", "npz"]);
    refused(
        &[record, "--to", "npz"],
        "vgg.npz: is there already\n  help: --force replaces it",
    );
    place.succeed(&["export", record, "--to", "npz", "--force"]);
    let own = "results/vgg/model.safetensors";
    let itself = [record, "--to", "safetensors", "--force", "--out", own];
    refused(
        &itself,
        "model.safetensors: is the model that is to be exported",
    );

    // A model without a description, as older versions of graft wrote them.
    let before = std::fs::read(place.path(own)).expect("a model");
    let file = safetensors::SafeTensors::deserialize(&before).expect("safetensors");
    let bare = safetensors::serialize(file.tensors(), None).expect("a file");
    place.write("old.safetensors", &bare);
    for format in ["pytorch-names", "neon", "onnx", "npz"] {
        let message = "old.safetensors: does not say what its layers are";
        refused(&["old.safetensors", "--to", format], message);
    }
    place.succeed(&[
        "export",
        "old.safetensors",
        "--to",
        "safetensors",
        "--out",
        "o.safetensors",
    ]);

    place.write(own, &bare);
    refused(
        &[record, "--to", "onnx"],
        "model.safetensors: changed since the run wrote it",
    );
    std::fs::remove_file(place.path(own)).expect("removed");
    refused(
        &[record, "--to", "onnx"],
        "model.safetensors: the record has no model",
    );
    let [complete, partial] = ["results/vgg", "results/vgg.partial"].map(|name| place.path(name));
    std::fs::rename(complete, partial).expect("renamed");
    std::fs::remove_file(place.path("results/vgg.partial/record.json")).expect("removed");
    refused(
        &["results/vgg.partial", "--to", "onnx"],
        "vgg.partial: not a finished record",
    );
}
