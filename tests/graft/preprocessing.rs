//! Preprocessing, end to end: presets, resizing, and that both travel with the model.

use serde_json::Value;

use crate::common::{Place, TINY};

/// A network that takes images of any size, and learns a bit of them in one epoch.
fn experiment(classifier: &str, preprocessing: &str) -> String {
    format!(
        "epochs = 1\nbatch_size = 50\n[data]\nbuiltin = \"drawn_smiles\"\n\
         [preprocessing]\n{preprocessing}\n[model]\ninitializer = \"kaiming\"\nlayers = [\n\
         {{ name = \"conv1\", type = \"convolution\", channels = 4, kernel = 5, stride = 4, bias = true }},\n\
         {{ name = \"relu1\", type = \"relu\" }},\n\
         {{ name = \"fc1\", type = \"linear\", features = 8, bias = true }},\n\
         {{ name = \"{classifier}\", type = \"linear\", bias = true }},\n\
         {{ name = \"softmax\", type = \"softmax\" }} ]\n"
    )
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// What the model of a record says about its input.
fn input(place: &Place, record: &str) -> Value {
    let bytes = std::fs::read(place.path(&format!("results/{record}/model.safetensors")));
    let bytes = bytes.expect("a model");
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).expect("safetensors");
    let metadata = header.metadata().clone().expect("metadata");
    json(&metadata["graft.input"])
}

/// Numbers of the `row`th line below the header of a table, from a column on.
fn numbers(table: &str, row: usize, from: usize) -> Vec<f64> {
    let line = table.lines().nth(1 + row).expect("a row");
    let fields = line.split(',').skip(from);
    fields
        .map(|field| field.parse().expect("a number"))
        .collect()
}

/// Compares what `graft predict` says of the first test images with the record's outputs.
fn predictions_are_those_of_the_record(place: &Place, record: &str) {
    const FILE: &str = "data/drawn_smiles-v1-2018/test.h5";
    place.succeed(&["inspect", FILE, "--picture", "sheet.png"]);
    let sheet = image::open(place.path("sheet.png")).expect("a picture");
    // 12 in a row, each pixel repeated.
    let side = sheet.width() / 12;
    let outputs = place.read(&format!("results/{record}/outputs.csv"));
    for index in 0..6 {
        let picture = sheet.crop_imm(index * side, 0, side, side);
        let picture = picture.resize_exact(32, 32, image::imageops::FilterType::Nearest);
        picture.save(place.path("picture.png")).expect("a picture");
        let record = format!("results/{record}");
        let said = place.succeed(&["predict", &record, "picture.png", "--format", "csv"]);
        let said = numbers(&said.out, 0, 2);
        let expected = numbers(&outputs, index as usize, 3);
        assert_eq!(said.len(), expected.len());
        for (said, expected) in said.iter().zip(&expected) {
            // `predict` shows 4 decimals.
            assert!(
                (said - expected).abs() < 1e-4,
                "{record} {index}: {said} {expected}"
            );
        }
    }
}

#[test]
fn a_preset_and_a_size_are_in_the_record_and_in_its_predictions() {
    let place = Place::new();
    for (name, preprocessing) in [
        ("plain", "scale = 0.015625"),
        ("torchvision", "preset = \"torchvision\"\nsize = 45"),
        ("caffe", "preset = \"caffe\"\nscale = 0.015625\nsize = 20"),
        ("keras", "preset = \"keras-tf\""),
    ] {
        let file = format!("{name}.toml");
        place.write(&file, experiment("cls", preprocessing));
        place.succeed(&["run", &file]);
        let written = place.read(&format!("results/{name}/experiment.toml"));
        assert!(
            written.contains(&format!("[preprocessing]\n{preprocessing}\n")),
            "{written}"
        );
        predictions_are_those_of_the_record(&place, name);
    }
    let log = place.read("results/torchvision/log.txt");
    assert!(
        log.starts_with(
            "pixels (preset \"torchvision\"): resized to 45x45, less [123.675, 116.28, 103.53], \
             divided by [58.395, 57.12, 57.375]\n"
        ),
        "{log}"
    );
    let identity =
        |name: &str| json(&place.read(&format!("results/{name}/record.json")))["identity"].clone();
    assert_ne!(identity("plain"), identity("keras"));
    // What a model of before says, and nothing else.
    let plain = input(&place, "plain");
    let keys: Vec<&String> = plain.as_object().expect("a table").keys().collect();
    assert_eq!(keys, ["mean", "scale", "shape"]);
    let caffe = input(&place, "caffe");
    assert_eq!(caffe["shape"], json("[3, 20, 20]"));
    assert_eq!(caffe["images"], json("[3, 32, 32]"));
    assert_eq!(caffe["channel_order"], "bgr");
    assert_eq!(caffe["preset"], "caffe");
}

#[test]
fn preprocessing_travels_with_the_source_model() {
    let place = Place::new();
    let source = "source_model = \"results/source/model.safetensors\"\n";
    place.write(
        "experiments/source.toml",
        experiment("cls_source", "preset = \"torchvision\"\nsize = 40"),
    );
    place.write(
        "experiments/silent.toml",
        source.to_owned() + &experiment("cls", ""),
    );
    place.write(
        "experiments/contrary.toml",
        source.to_owned() + &experiment("cls", "preset = \"caffe\"\nsize = 32"),
    );

    // The same before the source model is there and after.
    let told = "pixels (preset \"torchvision\", chosen by the source model): resized to 40x40, less \
                [123.675, 116.28, 103.53], divided by [58.395, 57.12, 57.375]\n";
    let note = "images of (3, 32, 32) are resized to 40x40, so that the source's `fc1` fits";
    let warning = "warning: [preprocessing] (preset \"caffe\") contradicts the source model (preset \
                   \"torchvision\"): mean [103.939, 116.779, 123.68], not [123.675, 116.28, 103.53]";
    let planned = place.succeed(&["plan", "experiments"]);
    place.succeed(&["run", "experiments"]);
    for text in [planned.out, place.succeed(&["plan", "experiments"]).out] {
        for expected in [told, note, warning] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    }
    let log = place.read("results/silent/log.txt");
    assert!(log.contains(told) && log.contains(note), "{log}");
    assert!(place.read("results/contrary/log.txt").contains(warning));

    let receipt = |name: &str| json(&place.read(&format!("results/{name}/receipt.json")));
    let silent = receipt("silent");
    assert_eq!(silent["preprocessing"]["preset"], "torchvision");
    assert_eq!(silent["preprocessing"]["automatic"], true);
    assert_eq!(silent["preprocessing"]["size"], 40);
    assert_eq!(silent["totals"]["tensors"], 4);
    let contrary = receipt("contrary");
    assert_eq!(contrary["preprocessing"]["automatic"], false);
    assert_eq!(contrary["preprocessing"]["channel_order"], "bgr");
    predictions_are_those_of_the_record(&place, "silent");

    // Nothing of it is done again.
    let again = place.succeed(&["plan", "experiments"]);
    assert_eq!(
        again.out.matches("complete, would be skipped").count(),
        3,
        "{}",
        again.out
    );
}

#[test]
fn what_says_nothing_of_the_new_keys_is_as_before() {
    let place = Place::new();
    place.write("tiny.toml", TINY);
    let planned = place.succeed(&["plan", "tiny.toml"]).out;
    let told = "pixels (preset \"neon\"): less the mean of the training data, times 0.015625\n";
    assert!(planned.contains(told), "{planned}");
}
