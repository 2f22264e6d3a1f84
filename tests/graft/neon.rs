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

#[test]
fn three_epochs_from_neons_initial_weights_give_neons_confidences() {
    let place = place();
    place.copy_data("neon/target_init.p");
    place.write("e.toml", reference("target_init.p", 3, "0.001"));
    place.succeed(&["run", "e.toml"]);
    let neons = std::fs::read_to_string(data("neon/inference_scratch_lr0.001.txt"));
    let difference = largest_difference(
        &place.read("results/e/inference.txt"),
        &neons.expect("neon's inference file"),
    );
    assert!(difference < 2e-6, "{difference}");
}
