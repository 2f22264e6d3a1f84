//! The other verbs: help, images to data files, predictions.

use std::path::Path;

use crate::common::{Place, TINY, data};

#[test]
fn every_verb_explains_itself_with_an_example() {
    let place = Place::new();
    for verb in [
        "run",
        "plan",
        "compare",
        "inspect",
        "convert",
        "predict",
        "import-command",
    ] {
        let printed = place.succeed(&[verb, "--help"]);
        assert!(printed.out.contains("Example"), "{verb}: {}", printed.out);
    }
    assert!(
        place
            .succeed(&["prepare", "images", "--help"])
            .out
            .contains("Example")
    );
}

/// Writes a square picture of one colour with a brighter corner.
fn picture(path: &Path, colour: [u8; 3], size: u32) {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).expect("a directory");
    }
    let pixel = |x: u32, y: u32| match x < size / 2 && y < size / 2 {
        true => image::Rgb([255, 255, 255]),
        false => image::Rgb(colour),
    };
    image::RgbImage::from_fn(size, size, pixel)
        .save(path)
        .expect("a picture");
}

/// Two classes of pictures, some greyscale and CMYK among them.
fn photos(place: &Place) {
    for index in 0..12u8 {
        let red = [200 + index, 20, 30];
        let blue = [10, 30, 180 + index];
        picture(
            &place.path(&format!("photos/red/{index}.png")),
            red,
            40 + u32::from(index),
        );
        picture(&place.path(&format!("photos/blue/{index}.jpg")), blue, 50);
    }
    std::fs::copy(data("images/grey.jpg"), place.path("photos/red/grey.jpg")).expect("copied");
    std::fs::copy(data("images/cmyk.jpg"), place.path("photos/blue/cmyk.jpg")).expect("copied");
}

#[test]
fn folders_of_pictures_become_data_files_that_train_and_predict() {
    let place = Place::new();
    photos(&place);
    let printed = place.succeed(&[
        "prepare",
        "images",
        "photos",
        "--out",
        "data/photos",
        "--size",
        "32",
    ]);
    assert!(
        printed.out.contains("blue") && printed.out.contains("red"),
        "{}",
        printed.out
    );
    let inspected = place.succeed(&["inspect", "data/photos/train.h5"]).out;
    assert!(
        inspected.contains("(3, 32, 32)") && inspected.contains("blue"),
        "{inspected}"
    );

    let experiment = TINY
        .replace(
            "builtin = \"drawn_smiles\"",
            "root = \"data/photos\"\ntrain = \"train.h5\"\ntest = \"test.h5\"",
        )
        .replace("epochs = 1", "epochs = 20\nbatch_size = 8");
    place.write("colours.toml", experiment);
    place.succeed(&["run", "colours.toml"]);
    let csv = place.succeed(&[
        "predict",
        "results/colours",
        "photos/red/3.png",
        "photos/blue/5.jpg",
        "--format",
        "csv",
    ]);
    let lines: Vec<&str> = csv.out.lines().collect();
    assert_eq!(lines[0], "image,class,blue,red");
    assert_eq!(lines.len(), 3, "{}", csv.out);
    for line in &lines[1..] {
        let sum: f64 = line
            .split(',')
            .skip(2)
            .filter_map(|v| v.parse::<f64>().ok())
            .sum();
        // Each is rounded to f32.
        assert!((sum - 1.0).abs() < 1e-6, "{line}");
    }
    let broken = place.fail(&["predict", "results/colours", "colours.toml"]);
    assert!(broken.err.contains("colours.toml"), "{}", broken.err);
}

#[test]
fn a_broken_picture_is_named_and_fatal_or_skipped_as_asked() {
    let place = Place::new();
    photos(&place);
    place.write(
        "photos/red/broken.jpg",
        &b"\xff\xd8\xff\xe0 not a picture"[..],
    );
    let arguments = [
        "prepare", "images", "photos", "--out", "data", "--size", "32",
    ];
    let failed = place.fail(&arguments);
    assert!(failed.err.contains("broken.jpg"), "{}", failed.err);
    assert!(!place.path("data/train.h5").exists(), "half a file");
    let skipped = place.succeed(&[&arguments[..], &["--on_error", "skip"]].concat());
    assert!(skipped.err.contains("broken.jpg"), "{}", skipped.err);
    let again = place.fail(&arguments);
    assert!(again.err.contains("--force"), "{}", again.err);
}

#[test]
fn a_backend_that_is_not_there_says_what_to_do() {
    let place = Place::new();
    place.write("e.toml", TINY);
    if cfg!(not(feature = "cuda")) {
        let printed = place.fail(&["run", "e.toml", "-b", "gpu"]);
        assert!(printed.err.contains("--features cuda"), "{}", printed.err);
    }
    let printed = place.fail(&["run", "e.toml", "-b", "tpu"]);
    assert!(printed.err.contains("tpu"), "{}", printed.err);
}

#[test]
fn a_record_shows_which_classes_were_taken_for_which() {
    let place = Place::new();
    place.write("e.toml", TINY);
    place.succeed(&["run", "e.toml"]);
    let csv = place
        .succeed(&["inspect", "results/e", "--format", "csv"])
        .out;
    let after = |header: &str| {
        let lines = csv.lines().skip_while(|line| *line != header).skip(1);
        let lines: Vec<Vec<&str>> = lines
            .take_while(|line| !line.is_empty())
            .map(|line| line.split(',').collect())
            .collect();
        lines
    };
    let number = |text: &str| text.parse::<f64>().expect("a number");
    let facts = after("fact,value");
    let fact = |name: &str| {
        let found = facts.iter().find(|line| line[0] == name);
        number(found.expect("the fact")[1])
    };

    let confusion = after("label \\ predicted,frowning,smiling");
    let count = |label: usize, predicted: usize| number(confusion[label][predicted + 1]);
    let all = count(0, 0) + count(0, 1) + count(1, 0) + count(1, 1);
    let accuracy = (count(0, 0) + count(1, 1)) / all;
    assert!((accuracy - fact("accuracy")).abs() < 1e-4, "{csv}");

    let classes = after("class,samples,predicted,precision,recall");
    assert_eq!(classes[1][0], "smiling");
    assert_eq!(number(classes[1][1]), count(1, 0) + count(1, 1));
    assert_eq!(number(classes[1][4]), count(1, 1) / number(classes[1][1]));

    let measures = after("measure,value");
    let names: Vec<&str> = measures.iter().map(|line| line[0]).collect();
    assert_eq!(names, ["mean precision", "mean recall", "log loss"]);
    // The cost of this run is the cross-entropy.
    assert!(
        (number(measures[2][1]) - fact("test cost")).abs() < 1e-4,
        "{csv}"
    );
}
