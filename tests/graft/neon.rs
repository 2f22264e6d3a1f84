//! Files of the real neon 2.6: what is in them, what is imported from them, and training on them.

use crate::common::{Place, data};

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

/// The target network of neon's reference runs, which shuffle nothing and subtract each file's own
/// mean.
fn reference(source: &str, epochs: usize, learning_rate: &str) -> String {
    TARGET
        .replace("SOURCE", source)
        .replace("epochs = 1", &format!("epochs = {epochs}"))
        .replace("learning_rate_multiplier = 0\n", "")
        .replace("[data]", "[data]\nshuffle = false")
        + &format!(
            "[preprocessing]\nmean = \"own\"\n[optimizer]\nlearning_rate = {learning_rate}\n"
        )
}

/// Numbers of each line of an inference file.
fn numbers(text: &str) -> Vec<Vec<f64>> {
    let of_line = |line: &str| {
        let words = line.split(|c: char| "[], ".contains(c));
        words.filter_map(|word| word.parse().ok()).collect()
    };
    text.lines().map(of_line).collect()
}

fn largest_difference(ours: &str, neons: &str) -> f64 {
    let (ours, neons) = (numbers(ours), numbers(neons));
    assert_eq!(ours.len(), neons.len());
    let lines = ours.iter().zip(&neons);
    let differences = lines.flat_map(|(a, b)| a.iter().zip(b).map(|(a, b)| (a - b).abs()));
    differences.fold(0.0, f64::max)
}

#[test]
fn a_model_that_neon_trained_gives_neons_own_confidences() {
    let place = place();
    place.copy_data("neon/target_final_finetune_lr0.1.p");
    // A rate too small to change any weight: the evaluation is that of the imported model.
    place.write(
        "e.toml",
        reference("target_final_finetune_lr0.1.p", 1, "1e-30"),
    );
    place.succeed(&["run", "e.toml"]);
    let neons = std::fs::read_to_string(data("neon/inference_finetune_lr0.1.txt"));
    let difference = largest_difference(
        &place.read("results/e/inference.txt"),
        &neons.expect("neon's inference file"),
    );
    assert!(difference < 2e-6, "{difference}");
}

/// The same from scratch, with neon's initial weights.
fn from_scratch(initial_weights: &str, epochs: usize, learning_rate: &str) -> String {
    reference("", epochs, learning_rate)
        .replace("source_model = \"neon/\"\n", "")
        .replace(
            "[model]",
            &format!("[model]\ninitial_weights = \"{initial_weights}\""),
        )
}

#[test]
fn three_epochs_from_neons_initial_weights_give_neons_confidences() {
    let place = place();
    place.copy_data("neon/target_init.p");
    place.write("e.toml", from_scratch("neon/target_init.p", 3, "0.001"));
    let planned = place.succeed(&["plan", "e.toml"]);
    let said = "initial weights from neon/target_init.p (neon pickle)";
    assert!(planned.out.contains(said), "{}", planned.out);
    assert!(!planned.out.contains(" yes "), "{}", planned.out);
    place.succeed(&["run", "e.toml"]);
    let neons = std::fs::read_to_string(data("neon/inference_scratch_lr0.001.txt"));
    let difference = largest_difference(
        &place.read("results/e/inference.txt"),
        &neons.expect("neon's inference file"),
    );
    assert!(difference < 2e-6, "{difference}");
    let record = place.read("results/e/record.json");
    assert!(record.contains("\"initial_weights\": {"), "{record}");
    assert!(!record.contains("\"source\": {"), "{record}");
    assert!(place.read("results/e/log.txt").contains(said));
    assert!(place.succeed(&["plan", "e.toml"]).out.contains("complete"));
}

#[test]
fn initial_weights_are_those_of_the_whole_model_or_an_error() {
    let place = place();
    place.write("e.toml", from_scratch("neon/source_vgg_tiny.p", 1, "0.001"));
    for verb in ["plan", "run"] {
        let error = place.fail(&[verb, "e.toml"]).err;
        for part in [
            "`fc6_new.weight` is missing",
            "source's `fc8`, (4, 32) is left over",
            "use `source_model`",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }
    place.write("e.toml", from_scratch("neon/none.p", 1, "0.001"));
    let error = place.fail(&["run", "e.toml"]).err;
    let expected = "neon/none.p: there is no such file of initial weights";
    assert!(error.contains(expected), "{error}");
    assert!(!place.path("results/e").exists());
}

#[test]
fn a_model_of_grafts_own_gives_the_initial_weights_of_another_run() {
    let place = place();
    place.copy_data("neon/target_init.p");
    // A rate too small to change any weight: what is saved is what was loaded.
    place.write("a.toml", from_scratch("neon/target_init.p", 1, "1e-30"));
    place.succeed(&["run", "a.toml"]);
    let saved = "results/a/model.safetensors";
    place.write("b.toml", from_scratch("neon/target_init.p", 1, "0.001"));
    place.write("c.toml", from_scratch(saved, 1, "0.001"));
    place.succeed(&["run", "b.toml", "c.toml"]);
    let outputs = |name: &str| place.read(&format!("results/{name}/outputs.csv"));
    assert_eq!(outputs("b"), outputs("c"));
    assert_ne!(outputs("a"), outputs("c"));
}

#[test]
fn a_run_comes_after_the_one_that_makes_its_initial_weights() {
    let place = place();
    place.copy_data("neon/target_init.p");
    let saved = "results/maker/model.safetensors";
    place.write("a.toml", from_scratch(saved, 1, "0.001"));
    place.write("maker.toml", from_scratch("neon/target_init.p", 1, "0.001"));
    let planned = place.succeed(&["plan", "a.toml", "maker.toml"]).out;
    let after = format!("after maker, which makes {saved}");
    assert!(planned.contains(&after), "{planned}");
    // The experiment beside it is run too, and first.
    place.succeed(&["run", "a.toml"]);
    assert!(place.path("results/maker/record.json").exists());
    assert!(place.path("results/a/record.json").exists());
}

#[test]
fn other_modes_of_pooling_dropout_and_drawing_are_planned_and_trained() {
    let place = place();
    let modes = "pooling = \"ceil\"\ndropout_scaling = \"inference\"\ninitial_draws = \"neon\"";
    let model = TARGET
        .replace(
            "source_model = \"neon/SOURCE\"\nlearning_rate_multiplier = 0\n",
            "",
        )
        .replace("dropout = 0.0", &format!("dropout = 0.5\n{modes}"));
    place.write("e.toml", model);
    let planned = place.succeed(&["plan", "e.toml"]);
    for part in ["max_pooling, ceil", "dropout, scaled at inference"] {
        assert!(planned.out.contains(part), "{}", planned.out);
    }
    place.succeed(&["run", "e.toml"]);
    assert_eq!(place.read("results/e/inference.txt").lines().count(), 24);
}

#[test]
fn from_the_seed_alone_the_run_begins_with_neons_weights_and_ends_with_its_confidences() {
    let place = place();
    // The seed that neon's file of initial weights names.
    let model = TARGET
        .replace(
            "source_model = \"neon/SOURCE\"\nlearning_rate_multiplier = 0\n",
            "",
        )
        .replace(
            "epochs = 1",
            "epochs = 3\nseed = 7\ncompatibility = \"neon\"",
        );
    place.write("e.toml", model);
    place.succeed(&["run", "e.toml"]);
    let neons = std::fs::read_to_string(data("neon/inference_scratch_lr0.001.txt"));
    let difference = largest_difference(
        &place.read("results/e/inference.txt"),
        &neons.expect("neon's inference file"),
    );
    assert!(difference < 2e-6, "{difference}");
}
