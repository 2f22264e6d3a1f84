//! From what an experiment and its source model say to the steps that a sample goes through.

use std::path::Path;

use super::*;
use crate::config::{self, Environment, Overrides};
use crate::data::hdf5::Rows;
use crate::data::writer::DatasetWriter;
use crate::runner::identity::{self, Contents};
use crate::runner::setup::{Outline, outline};
use crate::source::receipt::Receipt;

/// An experiment with a tiny VGG and these lines, under `directory`.
fn experiment(directory: &Path, lines: &str) -> Experiment {
    let path = directory.join("a.toml");
    let text = format!(
        "data.builtin = \"drawn_smiles\"\n{lines}\n[model]\narchitecture = \"vgg11\"\n\
         widths = [2, 2, 2, 2, 2]\nhead = [4]\nhead_names = [\"fc6\"]\n"
    );
    std::fs::write(&path, text).expect("a file");
    config::load_with(&path, &Overrides::default(), &Environment::none()).expect("an experiment")
}

fn of(lines: &str) -> Experiment {
    let directory = tempfile::tempdir().expect("a directory");
    experiment(directory.path(), lines)
}

fn outlined(lines: &str, shape: [usize; 3], source: Option<&SourceModel>) -> Result<Outline> {
    outline(&of(lines), shape, 2, source, None)
}

/// The model that an experiment with these lines leaves, on samples of this shape.
fn model(lines: &str, shape: [usize; 3]) -> SourceModel {
    let outline = outlined(lines, shape, None).expect("an outline");
    model_file::outline_of(Path::new("m.safetensors"), &outline, shape).expect("a model")
}

/// A model whose file says this of its input.
fn saying(input: &str) -> SourceModel {
    let mut model = model("", [3, 32, 32]);
    model.metadata.insert("graft.input".into(), input.into());
    model
}

#[test]
fn a_head_over_maps_of_another_size_asks_for_larger_images() -> Result<()> {
    let source = model("", [3, 64, 64]);
    let size = |experiment: &Experiment, side, candidates: &[usize]| {
        let shape = [3, side, side];
        size_for_head(experiment, &source, shape, 2, candidates)
    };
    let target = of("");
    let fitting = Fitting {
        size: 64,
        layer: "fc6".into(),
    };
    assert_eq!(size(&target, 32, &[48, 16, 64, 224])?, Some(fitting));
    assert_eq!(size(&target, 32, &[48, 224])?, None);
    assert_eq!(size(&target, 32, &[])?, None);
    assert_eq!(size(&target, 64, &[224])?, None);
    let mut renamed = target.clone();
    if let Body::Architecture { head_names, .. } = &mut renamed.model.body {
        *head_names = vec!["fc6_new".into()];
    }
    assert_eq!(size(&renamed, 32, &[64])?, None);
    Ok(())
}

#[test]
fn images_are_resized_to_the_input_of_the_source_unless_a_size_is_said() -> Result<()> {
    let source = model("", [3, 64, 64]);
    let found = outlined("", [3, 32, 32], Some(&source))?;
    assert_eq!(found.spec.input, [3, 64, 64]);
    assert_eq!(found.preprocessing.pixels.size, Some(64));
    assert_eq!(
        found.preprocessing.note.as_deref(),
        Some(
            "images of (3, 32, 32) are resized to 64x64, so that the source's `fc6` fits; \
             preprocessing.size says another size"
        )
    );
    let imported = |found: &Outline| found.receipt.as_ref().map(|r| r.is_imported("fc6"));
    assert_eq!(imported(&found), Some(true));

    let said = outlined("preprocessing.size = 32", [3, 32, 32], Some(&source))?;
    assert_eq!(
        (said.spec.input, said.preprocessing.note.as_deref()),
        ([3, 32, 32], None)
    );
    assert_eq!(imported(&said), Some(false));
    Ok(())
}

#[test]
fn the_size_of_an_architecture_is_tried_where_the_source_does_not_tell_its_own() -> Result<()> {
    let mut source = model("", [3, 224, 224]);
    source.metadata.clear();
    let found = outlined("", [3, 40, 48], Some(&source))?;
    assert_eq!(found.spec.input, [3, 224, 224]);
    Ok(())
}

#[test]
fn a_size_is_that_of_the_network() -> Result<()> {
    let found = outlined("preprocessing.size = 96", [3, 40, 30], None)?;
    assert_eq!(found.spec.input, [3, 96, 96]);
    Ok(())
}

#[test]
fn scale_and_order_of_grafts_own_models_are_taken_over_and_the_mean_of_their_data_is_not()
-> Result<()> {
    let source = model(
        "preprocessing = { scale = 0.5, deviation = [2] }",
        [3, 32, 32],
    );
    let (pixels, warning) = settle(&of(""), Some(&source))?;
    assert_eq!(pixels.mean, Mean::Train);
    assert_eq!((pixels.scale, &pixels.deviation[..]), (0.5, &[2.0][..]));
    assert!(pixels.automatic && warning.is_none());

    let (pixels, warning) = settle(&of("preprocessing.scale = 1"), Some(&source))?;
    assert_eq!((pixels.scale, &pixels.deviation[..]), (1.0, &[2.0][..]));
    assert_eq!(
        warning.as_deref(),
        Some(
            "[preprocessing] contradicts the source model (preset \"neon\"): scale 1, not 0.5; \
             remove scale from it to prepare images as for the source model"
        )
    );
    Ok(())
}

#[test]
fn a_preset_is_inherited_from_model_to_model() -> Result<()> {
    for preset in ["caffe", "torchvision", "keras-tf", "none"] {
        let first = format!("preprocessing.preset = \"{preset}\"");
        let (expected, _) = settle(&of(&first), None)?;
        let (second, _) = settle(&of(""), Some(&model(&first, [3, 32, 32])))?;
        assert_eq!(
            second,
            Pixels {
                automatic: true,
                ..expected
            }
        );
        // And what the receipt says.
        let source = model(&first, [3, 32, 32]);
        let receipt: Option<Receipt> = outlined("", [3, 32, 32], Some(&source))?.receipt;
        assert_eq!(
            receipt.and_then(|receipt| receipt.preprocessing),
            Some(second)
        );
    }
    Ok(())
}

#[test]
fn files_of_before_are_read_as_they_were_meant() -> Result<()> {
    let old = saying(r#"{"shape":[3,2,2],"mean":[1.0,2.0,3.0],"scale":0.5}"#);
    let (pixels, _) = settle(&of(""), Some(&old))?;
    let expected = Pixels {
        scale: 0.5,
        automatic: true,
        ..Preset::Neon.pixels()
    };
    assert_eq!(pixels, expected);
    let transform = model_file::transform_of(&old, Dtype::F64)?;
    let expected = Steps {
        mean: vec![1.0, 2.0, 3.0],
        scale: 0.5,
        ..Steps::none([3, 2, 2], Dtype::F64)
    };
    assert_eq!(*transform.steps(), expected);
    Ok(())
}

#[test]
fn damaged_words_about_the_input_are_an_error() {
    let source = saying("{\"shape\":[3,2]}");
    let error = settle(&of(""), Some(&source))
        .expect_err("damaged")
        .to_string();
    assert!(
        error.starts_with("m.safetensors: its graft.input is damaged: "),
        "{error}"
    );
    for hostile in [
        r#"{"shape":[0,0,0],"mean":[],"scale":1}"#,
        r#"{"shape":[18446744073709551615,3,3],"mean":[1,2],"scale":1}"#,
        r#"{"shape":[3,2,2],"mean":[1,2],"scale":1}"#,
        r#"{"shape":[3,2,2],"mean":null,"scale":1,"deviation":[1,2]}"#,
        r#"{"shape":[3,2,4],"images":[3,5,5],"mean":null,"scale":1}"#,
    ] {
        let error = model_file::transform_of(&saying(hostile), Dtype::F32);
        assert!(error.is_err(), "{hostile}");
    }
}

#[test]
fn lists_need_a_value_for_each_channel() -> Result<()> {
    let message = |lines: &str| {
        let (pixels, _) = settle(&of(lines), None).expect("pixels");
        check(&pixels, 1).map_err(|error| error.to_string())
    };
    for preset in ["neon", "keras-tf", "none"] {
        assert_eq!(
            message(&format!("preprocessing.preset = \"{preset}\"")),
            Ok(())
        );
    }
    for preset in ["caffe", "torchvision"] {
        assert_eq!(
            message(&format!("preprocessing.preset = \"{preset}\"")),
            Err(format!(
                "preprocessing.mean: 3 values for 1-channel images (preset \"{preset}\")\n  \
                 help: the presets \"neon\", \"keras-tf\" and \"none\" take any number of channels"
            ))
        );
    }
    assert_eq!(
        message("preprocessing.deviation = [1, 2]"),
        Err(
            "preprocessing.deviation: 2 values for 1-channel images (preset \"neon\")\n  \
             help: give one value for each channel, or one for all"
                .into()
        )
    );
    assert_eq!(
        message("preprocessing.channel_order = \"bgr\""),
        Err(
            "preprocessing.channel_order: \"bgr\" for 1-channel images\n  \
             help: only images of red, green and blue can be turned"
                .into()
        )
    );
    Ok(())
}

/// A file of one sample whose 3 channels of 1x2 pixels are these.
fn dataset(directory: &Path, name: &str, pixels: [u8; 6]) -> Result<Dataset> {
    let path = directory.join(name);
    let classes = ["a", "b"].map(str::to_owned);
    let mut writer = DatasetWriter::create(&path, [3, 1, 2], &classes, Rows::Known(1))?;
    writer.push(&pixels, 0)?;
    let mean = writer.channel_mean();
    writer.finish(&mean)?;
    Dataset::open(&path)
}

#[test]
fn the_mean_of_the_data_is_turned_with_the_channels() -> Result<()> {
    let directory = tempfile::tempdir().expect("a directory");
    let train = dataset(directory.path(), "train.h5", [1, 3, 20, 40, 100, 200])?;
    let test = dataset(directory.path(), "test.h5", [5, 5, 50, 50, 250, 250])?;
    let prepared = |lines: &str| -> Result<Vec<f64>> {
        let (pixels, _) = settle(&of(lines), None)?;
        let [_, transform] = transforms(&pixels, &train, &test, Dtype::F64)?;
        let mut sample = Vec::new();
        test.read(&[0], &mut sample)?;
        Ok(transform.of(sample)?.to_f64())
    };
    assert_eq!(prepared("")?, [3.0, 3.0, 20.0, 20.0, 100.0, 100.0]);
    let bgr = "preprocessing.channel_order = \"bgr\"\npreprocessing.";
    assert_eq!(
        prepared(&format!("{bgr}scale = 2"))?,
        [200.0, 200.0, 40.0, 40.0, 6.0, 6.0]
    );
    assert_eq!(prepared(&format!("{bgr}mean = \"own\""))?, [0.0; 6]);
    assert_eq!(
        prepared(&format!("{bgr}mean = [50, 40, 4]"))?,
        [200.0, 200.0, 10.0, 10.0, 1.0, 1.0]
    );
    assert_eq!(
        prepared(&format!("{bgr}mean = \"none\""))?,
        [250.0, 250.0, 50.0, 50.0, 5.0, 5.0]
    );
    Ok(())
}

#[test]
fn the_identity_is_of_what_is_done_and_not_of_how_it_was_said() -> Result<()> {
    let contents = Contents {
        train: "1".into(),
        test: "2".into(),
        source: Some("3".into()),
        initial: None,
    };
    let identity = |lines: &str, origin: Option<Preset>| {
        let experiment = of(lines);
        let origin = origin.map(Preset::pixels);
        let (pixels, _) = experiment.preprocessing.settle(origin.as_ref());
        identity::setup(&experiment, &pixels, &contents)
    };
    let neon = identity("", None)?;
    let caffe = identity("preprocessing.preset = \"caffe\"", None)?;
    assert_eq!(
        neon,
        identity("preprocessing = { mean = \"train\", scale = 1 }", None)?
    );
    assert_eq!(
        neon,
        identity("preprocessing.preset = \"neon\"", Some(Preset::Caffe))?
    );
    assert_eq!(caffe, identity("", Some(Preset::Caffe))?);
    let words = "preprocessing = { mean = [103.939, 116.779, 123.68], channel_order = \"bgr\" }";
    assert_eq!(caffe, identity(words, None)?);
    let mut all = vec![neon, caffe];
    for lines in [
        "preprocessing.preset = \"torchvision\"",
        "preprocessing.preset = \"keras-tf\"",
        "preprocessing.preset = \"none\"",
        "preprocessing.mean = \"own\"",
        "preprocessing.mean = [1]",
        "preprocessing.deviation = [2]",
        "preprocessing.channel_order = \"bgr\"",
        "preprocessing.size = 64",
    ] {
        all.push(identity(lines, None)?);
    }
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count);
    Ok(())
}
