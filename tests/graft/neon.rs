//! Files of the real neon 2.6: what is in them, what is imported from them, and training on them.

use crate::common::Place;

/// The course's structure at the widths of the reference files.
const TARGET: &str = r#"
epochs = 1
batch_size = 16
source_model = "neon/SOURCE"
learning_rate_multiplier = 0
[data]
train = "neon/train.h5"
test = "neon/test.h5"
[model]
architecture = "vgg16"
widths = [4, 8, 16, 16, 16]
head = [32, 32]
classifier = "cls_imdb_wiki_face"
dropout = 0.0
"#;

const SOURCES: [&str; 4] = [
    "source_vgg_tiny.p",
    "source_vgg_tiny_py3.p",
    "source_vgg_tiny_fused.p",
    "source_old_format.p",
];

fn place() -> Place {
    let place = Place::new();
    for name in SOURCES
        .iter()
        .chain(&["train.h5", "test.h5", "test_float_chunked.h5"])
    {
        place.copy_data(&format!("neon/{name}"));
    }
    place
}

#[test]
fn every_layout_that_neon_wrote_is_inspected() {
    let place = place();
    for name in SOURCES {
        let printed = place.succeed(&["inspect", &format!("neon/{name}")]);
        assert!(printed.out.contains("neon pickle"), "{}", printed.out);
        assert!(printed.out.contains("conv5_3"), "{}", printed.out);
        assert!(printed.out.contains("22,600"), "{name}: {}", printed.out);
    }
    for name in ["train.h5", "test.h5", "test_float_chunked.h5"] {
        let printed = place.succeed(&["inspect", &format!("neon/{name}")]);
        assert!(printed.out.contains("(3, 32, 32)"), "{}", printed.out);
    }
}

#[test]
fn every_layout_imports_all_convolutions_and_biases_and_the_plan_says_so() {
    let place = place();
    for source in SOURCES {
        place.write("e.toml", TARGET.replace("SOURCE", source));
        let printed = place.succeed(&["plan", "e.toml"]);
        assert!(
            printed.out.contains("26 of 32 tensors"),
            "{source}: {}",
            printed.out
        );
        let frozen = |line: &&str| line.starts_with("conv") && line.trim_end().ends_with("yes");
        assert_eq!(
            printed.out.lines().filter(frozen).count(),
            26,
            "{}",
            printed.out
        );
        let new = printed
            .out
            .lines()
            .find(|line| line.starts_with("fc6_new "));
        assert!(new.is_some_and(|line| line.contains(" no ") && line.contains("0.001")));
        assert!(
            !place.path("results").exists(),
            "plan has written something"
        );
    }
}

#[test]
fn all_layouts_train_to_the_same_weights_and_keep_the_imported_ones() {
    let place = place();
    let mut models = Vec::new();
    for source in SOURCES {
        let name = source.trim_end_matches(".p");
        place.write(&format!("{name}.toml"), TARGET.replace("SOURCE", source));
        place.succeed(&["run", &format!("{name}.toml")]);
        let model = std::fs::read(place.path(&format!("results/{name}/model.safetensors")));
        models.push(model.expect("a model"));
    }
    assert!(models.iter().all(|model| *model == models[0]));
    let inference = place.read("results/source_vgg_tiny/inference.txt");
    assert_eq!(inference.lines().count(), 24);
    assert!(
        inference
            .lines()
            .all(|line| line.starts_with('[') && line.contains("], "))
    );
}

#[test]
fn what_is_required_but_not_imported_stops_the_run_before_training() {
    let place = place();
    let toml = TARGET.replace("SOURCE", SOURCES[0]);
    place.write(
        "e.toml",
        format!("{toml}\n[source]\nrequire = [\"conv*\", \"fc6_new\"]\n"),
    );
    let printed = place.fail(&["run", "e.toml"]);
    assert!(printed.err.contains("fc6_new"), "{}", printed.err);
    place.write(
        "e.toml",
        toml.replace(
            "architecture = \"vgg16\"",
            "layers = [\n\
        { name = \"first\", type = \"linear\" }, { name = \"softmax\", type = \"softmax\" }]",
        )
        .lines()
        .filter(|l| {
            !["widths", "head", "classifier", "dropout"]
                .iter()
                .any(|k| l.starts_with(k))
        })
        .collect::<Vec<_>>()
        .join("\n"),
    );
    let printed = place.fail(&["run", "e.toml"]);
    assert!(
        printed.err.contains("nothing") || printed.err.contains("no layer"),
        "{}",
        printed.err
    );
}
