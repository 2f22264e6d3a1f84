//! `[preprocessing]`: what may be said, and the message for what may not.

use super::Bench;
use super::{LEAST, beside_least, loaded, message};
use crate::config::experiment::{ChannelOrder, Mean, Preprocessing, Preset};
use crate::config::tests::round_trip::assert_round_trip;

fn said(text: &str) -> Preprocessing {
    loaded(&format!("{LEAST}[preprocessing]\n{text}")).preprocessing
}

#[test]
fn nothing_said_stays_unsaid_and_unwritten() {
    assert_eq!(loaded(LEAST).preprocessing, Preprocessing::default());
    assert!(!assert_round_trip(LEAST).contains("preprocessing"));
}

#[test]
fn what_is_said_is_kept_and_written_and_nothing_else() {
    let presets = [
        ("neon", Preset::Neon),
        ("caffe", Preset::Caffe),
        ("torchvision", Preset::Torchvision),
        ("keras-tf", Preset::KerasTf),
        ("none", Preset::None),
    ];
    for (word, preset) in presets {
        let text = format!("preset = \"{word}\"\n");
        let expected = Preprocessing {
            preset: Some(preset),
            ..Default::default()
        };
        assert_eq!(said(&text), expected);
        let written = assert_round_trip(&format!("{LEAST}[preprocessing]\n{text}"));
        assert!(
            written.contains(&format!("\n[preprocessing]\n{text}\n[")),
            "{written}"
        );
    }
    assert_eq!(
        said("mean = [1, 2.5, 3]\nchannel_order = \"bgr\"\nsize = 64\ndeviation = [4]\n"),
        Preprocessing {
            mean: Some(Mean::Given(vec![1.0, 2.5, 3.0])),
            deviation: Some(vec![4.0]),
            channel_order: Some(ChannelOrder::Bgr),
            size: Some(64),
            ..Default::default()
        }
    );
}

#[test]
fn a_preset_takes_the_place_of_what_a_base_says_of_values_but_not_of_size() {
    let base = "[preprocessing]\nmean = \"own\"\nscale = 0.5\nsize = 64\n";
    let bench = Bench::new(&[
        ("base.toml", &format!("{LEAST}{base}")),
        (
            "a.toml",
            "extends = \"base.toml\"\npreprocessing.preset = \"caffe\"\n",
        ),
        (
            "b.toml",
            "extends = \"a.toml\"\npreprocessing.scale = 0.25\n",
        ),
    ]);
    let expected = Preprocessing {
        preset: Some(Preset::Caffe),
        size: Some(64),
        ..Default::default()
    };
    assert_eq!(bench.load("a.toml").preprocessing, expected);
    let expected = Preprocessing {
        scale: Some(0.25),
        ..expected
    };
    assert_eq!(bench.load("b.toml").preprocessing, expected);
}

#[test]
fn a_preset_beside_the_switch_wins() {
    let text = format!("compatibility = \"neon\"\n{LEAST}preprocessing.preset = \"caffe\"\n");
    let expected = Preprocessing {
        preset: Some(Preset::Caffe),
        ..Default::default()
    };
    assert_eq!(loaded(&text).preprocessing, expected);
}

#[test]
fn a_preset_that_there_is_not() {
    assert_eq!(
        beside_least("preprocessing.preset = \"keras\"\n"),
        r#"a.toml:3:24: `preprocessing.preset` must be "neon", "caffe", "torchvision", "keras-tf" or "none", not "keras"
    |
  3 | preprocessing.preset = "keras"
    |                        ^^^^^^^
  help: did you mean "keras-tf"?"#
    );
}

#[test]
fn a_mean_that_is_neither_word_nor_list() {
    assert_eq!(
        beside_least("preprocessing.mean = 104\n"),
        r#"a.toml:3:22: `preprocessing.mean` must be a word in quotes or a list of numbers, not 104
    |
  3 | preprocessing.mean = 104
    |                      ^^^
  help: for example `mean = "train"`"#
    );
    assert_eq!(
        beside_least("preprocessing.mean = \"imagenet\"\n"),
        r#"a.toml:3:22: `preprocessing.mean` must be "train", "own" or "none", not "imagenet"
    |
  3 | preprocessing.mean = "imagenet"
    |                      ^^^^^^^^^^
  help: for example `mean = "train"`"#
    );
    assert_eq!(
        beside_least("preprocessing.mean = [104, \"117\"]\n"),
        r#"a.toml:3:28: an entry of `preprocessing.mean` must be a number, not "117"
    |
  3 | preprocessing.mean = [104, "117"]
    |                            ^^^^^
  help: for example `mean = "train"`"#
    );
}

#[test]
fn lists_of_numbers_that_are_none() {
    assert_eq!(
        beside_least("preprocessing.mean = [1, nan, 3]\npreprocessing.deviation = [1, 0, 1]\n"),
        r#"a.toml:3:26: `preprocessing.mean` must be finite, not NaN
    |
  3 | preprocessing.mean = [1, nan, 3]
    |                          ^^^
  help: for example `mean = "train"`

a.toml:4:31: `preprocessing.deviation` must be finite and greater than 0, not 0
    |
  4 | preprocessing.deviation = [1, 0, 1]
    |                               ^
  help: for example `deviation = [58.395, 57.12, 57.375]`"#
    );
    assert_eq!(
        beside_least("preprocessing.deviation = []\n"),
        r#"a.toml:3:27: `preprocessing.deviation` is empty: it needs one number a channel
    |
  3 | preprocessing.deviation = []
    |                           ^^
  help: for example `deviation = [58.395, 57.12, 57.375]`"#
    );
}

#[test]
fn a_size_that_cannot_be() {
    assert_eq!(
        beside_least("preprocessing.size = 0\n"),
        r"a.toml:3:22: `preprocessing.size` must be at least 1, not 0
    |
  3 | preprocessing.size = 0
    |                      ^
  help: for example `size = 224`"
    );
    assert_eq!(
        beside_least("preprocessing.size = 16385\n"),
        r"a.toml:3:22: `preprocessing.size` must be at most 16384, not 16385
    |
  3 | preprocessing.size = 16385
    |                      ^^^^^
  help: for example `size = 224`"
    );
}

#[test]
fn an_order_of_channels_that_there_is_not() {
    assert_eq!(
        message(&format!("{LEAST}preprocessing.channel_order = \"BGR\"\n")),
        r#"a.toml:3:31: `preprocessing.channel_order` must be "rgb" or "bgr", not "BGR"
    |
  3 | preprocessing.channel_order = "BGR"
    |                               ^^^^^
  help: for example `channel_order = "bgr"`"#
    );
}
