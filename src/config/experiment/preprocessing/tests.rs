use super::*;

fn said(preset: Preset) -> Preprocessing {
    Preprocessing {
        preset: Some(preset),
        ..Default::default()
    }
}

fn settled(said: &Preprocessing, origin: Preset) -> Pixels {
    said.settle(Some(&origin.pixels())).0
}

fn warning(said: &Preprocessing, origin: &Pixels) -> Option<String> {
    said.settle(Some(origin)).1
}

const ALL: [Preset; 5] = [
    Preset::Neon,
    Preset::Caffe,
    Preset::Torchvision,
    Preset::KerasTf,
    Preset::None,
];

#[test]
fn nothing_said_is_as_in_neon_or_as_the_source_model_wants() {
    let nothing = Preprocessing::default();
    assert_eq!(nothing.settle(None), (Preset::Neon.pixels(), None));
    for origin in ALL {
        let expected = Pixels {
            automatic: true,
            ..origin.pixels()
        };
        assert_eq!(settled(&nothing, origin), expected);
        assert_eq!(warning(&nothing, &origin.pixels()), None);
    }
}

#[test]
fn a_preset_that_is_said_is_taken_and_warned_of_where_it_contradicts() {
    for preset in ALL {
        assert_eq!(said(preset).settle(None), (preset.pixels(), None));
        for origin in ALL {
            let (pixels, warning) = said(preset).settle(Some(&origin.pixels()));
            assert_eq!(pixels, preset.pixels());
            assert_eq!(warning.is_some(), preset != origin, "{preset} {origin}");
        }
    }
}

#[test]
fn a_key_replaces_its_part_of_the_preset() {
    let said = Preprocessing {
        mean: Some(Mean::Own),
        size: Some(96),
        ..said(Preset::Caffe)
    };
    let expected = Pixels {
        mean: Mean::Own,
        size: Some(96),
        ..Preset::Caffe.pixels()
    };
    assert_eq!(said.settle(None), (expected, None));
    let scale = Preprocessing {
        scale: Some(0.5),
        ..Default::default()
    };
    let expected = Pixels {
        scale: 0.5,
        automatic: true,
        ..Preset::Torchvision.pixels()
    };
    assert_eq!(settled(&scale, Preset::Torchvision), expected);
}

#[test]
fn a_warning_names_both_and_the_way_back() {
    assert_eq!(
        warning(&said(Preset::Torchvision), &Preset::Caffe.pixels()).as_deref(),
        Some(
            "[preprocessing] (preset \"torchvision\") contradicts the source model (preset \"caffe\"): \
             mean [123.675, 116.28, 103.53], not [103.939, 116.779, 123.68]; deviation [58.395, \
             57.12, 57.375], not none; channel_order \"rgb\", not \"bgr\"; remove preset from it to \
             prepare images as for the source model"
        )
    );
    let keys = Preprocessing {
        mean: Some(Mean::Train),
        scale: Some(0.015625),
        ..Default::default()
    };
    assert_eq!(
        warning(&keys, &Preset::KerasTf.pixels()).as_deref(),
        Some(
            "[preprocessing] contradicts the source model (preset \"keras-tf\"): mean \"train\", not \
             [127.5]; scale 0.015625, not 1; remove mean, scale from it to prepare images as for the \
             source model"
        )
    );
}

#[test]
fn the_same_in_other_words_is_no_contradiction() {
    let keras = Preprocessing {
        mean: Some(Mean::Given(vec![127.5; 3])),
        scale: Some(1.0 / 127.5),
        deviation: Some(vec![1.0; 3]),
        ..Default::default()
    };
    assert_eq!(warning(&keras, &Preset::KerasTf.pixels()), None);
    let own = Preprocessing {
        mean: Some(Mean::Own),
        ..Default::default()
    };
    assert_eq!(warning(&own, &Preset::Neon.pixels()), None);
    let size = Preprocessing {
        size: Some(64),
        ..Default::default()
    };
    assert_eq!(warning(&size, &Preset::Caffe.pixels()), None);
}

#[test]
fn pixels_survive_json_and_say_themselves_in_a_line() -> Result<(), serde_json::Error> {
    for preset in ALL {
        let mut pixels = preset.pixels();
        pixels.size = (preset == Preset::Caffe).then_some(224);
        let json = serde_json::to_string(&pixels)?;
        assert_eq!(serde_json::from_str::<Pixels>(&json)?, pixels, "{json}");
    }
    let caffe = Pixels {
        size: Some(224),
        automatic: true,
        ..Preset::Caffe.pixels()
    };
    assert_eq!(
        caffe.summary(),
        "pixels (preset \"caffe\", chosen by the source model): resized to 224x224, BGR, less \
         [103.939, 116.779, 123.68]"
    );
    assert_eq!(
        Preset::None.pixels().summary(),
        "pixels (preset \"none\"): as they are"
    );
    Ok(())
}
