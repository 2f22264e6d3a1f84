//! Which layer has the last word, and what a choice takes away from the layers below it.

use super::super::experiment::*;
use super::super::neon::{Plain, Setting};
use super::*;

#[test]
fn built_in_defaults_fill_in_what_nobody_says() {
    let experiment = loaded(LEAST);
    assert_eq!(experiment.name, "a");
    assert_eq!(experiment.backend, Backend::Cpu);
    assert_eq!(experiment.seeds, [42]);
    assert_eq!((experiment.epochs, experiment.batch_size), (10, 32));
    assert_eq!(experiment.source_model, None);
    let multipliers = experiment.learning_rate_multiplier;
    assert_eq!((multipliers.default, multipliers.imported), (1.0, 1.0));
    assert_eq!(experiment.data.root, PathBuf::from("data"));
    assert_eq!(
        experiment.data.files,
        DataFiles::Drawn {
            builtin: "smiles".to_owned(),
            draw_seed: 2018
        }
    );
    assert_eq!(experiment.optimizer.rule.learning_rate, 0.001);
    assert_eq!(experiment.optimizer.rule.weight_decay, 0.0005);
    let momentum = Algorithm::Momentum {
        momentum: 0.9,
        nesterov: false,
    };
    assert_eq!(experiment.optimizer.rule.algorithm, momentum);
    assert_eq!(experiment.schedule.course, Course::Constant);
    assert_eq!(experiment.evaluation.every, 0);
    assert!(experiment.record.batches);
    assert_eq!(experiment.checkpoint.every, 1);
}

#[test]
fn base_then_file_then_environment_then_command_line_have_the_say() {
    let base = format!("{LEAST}epochs = 1\nbatch_size = 1\nseed = 1\nbackend = \"ndarray\"\n");
    let file = "extends = \"base.toml\"\nepochs = 2\nbatch_size = 2\nseed = 2\n";
    let bench = Bench::new(&[("base.toml", &base), ("a.toml", file)])
        .environment(&[("GRAFT_EPOCHS", "3"), ("GRAFT_BATCH_SIZE", "3")])
        .set(&["epochs=4"]);
    let experiment = bench.load("a.toml");
    assert_eq!(experiment.epochs, 4);
    assert_eq!(experiment.batch_size, 3);
    assert_eq!(experiment.seeds, [2]);
    assert_eq!(experiment.backend, Backend::Ndarray);
}

#[test]
fn tables_merge_key_by_key_and_lists_are_replaced() {
    let base = format!("{LEAST}[optimizer]\nlearning_rate = 0.1\nmomentum = 0.5\n");
    let middle = "extends = \"base.toml\"\n[optimizer]\nmomentum = 0.6\n[source]\n\
                  require = [\"conv1_*\", \"conv2_*\"]\n";
    let file = "extends = \"bases/middle.toml\"\nsource_model = \"s.p\"\n\
                source.require = [\"conv3_*\"]\n";
    let bench = Bench::new(&[
        ("bases/base.toml", &base),
        ("bases/middle.toml", middle),
        ("a.toml", file),
    ]);
    let experiment = bench.load("a.toml");
    assert_eq!(experiment.optimizer.rule.learning_rate, 0.1);
    let momentum = Algorithm::Momentum {
        momentum: 0.6,
        nesterov: false,
    };
    assert_eq!(experiment.optimizer.rule.algorithm, momentum);
    assert_eq!(experiment.source.require, ["conv3_*"]);
}

#[test]
fn a_base_keeps_its_name_to_itself() {
    let base = format!("{LEAST}name = \"the/base\"\n");
    let bench = Bench::new(&[("base.toml", &base), ("a.toml", "extends = \"base.toml\"")]);
    assert_eq!(bench.load("base.toml").name, "the/base");
    assert_eq!(bench.load("a.toml").name, "a");
}

#[test]
fn environment_variables_reach_into_tables_and_may_be_bare_text() {
    let bench = Bench::new(&[("a.toml", LEAST)]).environment(&[
        ("GRAFT_OPTIMIZER__LEARNING_RATE", "0.1"),
        ("GRAFT_SOURCE_MODEL", "models/VGG_D.p"),
        ("GRAFT_BACKEND", "cuda:1"),
        ("GRAFT_MODEL__HEAD", "[64]"),
        ("GRAFT_LOG", "debug"),
        ("PATH", "/bin"),
    ]);
    let experiment = bench.load("a.toml");
    assert_eq!(experiment.optimizer.rule.learning_rate, 0.1);
    assert_eq!(experiment.source_model, Some("models/VGG_D.p".into()));
    assert_eq!(experiment.backend, Backend::Cuda(1));
    assert!(matches!(
        experiment.model.body,
        Body::Architecture { head, head_names, .. } if head == [64] && head_names == ["fc6_new"]
    ));
}

#[test]
fn neons_options_override_the_file_and_the_environment() {
    let text = format!("{LEAST}seeds = [1, 2]\n");
    let mut bench = Bench::new(&[("a.toml", &text)]).environment(&[("GRAFT_EPOCHS", "9")]);
    let setting = |spelt: &str, key, value| Setting {
        spelt: spelt.to_owned(),
        key,
        value,
    };
    let text = |text: &str| Plain::Text(text.to_owned());
    bench.overrides.options = vec![
        setting("-b gpu", "backend", text("cuda")),
        setting("-e 3", "epochs", Plain::Whole(3)),
        setting("-r 7", "seed", Plain::Whole(7)),
        setting("--source_model 12", "source_model", text("12")),
        setting("--serialize 5", "checkpoint.every", Plain::Whole(5)),
        setting("-eval 2", "evaluation.every", Plain::Whole(2)),
    ];
    let experiment = bench.load("a.toml");
    assert_eq!(experiment.backend, Backend::Cuda(0));
    assert_eq!(experiment.epochs, 3);
    assert_eq!(experiment.seeds, [7]);
    assert_eq!(experiment.source_model, Some("12".into()));
    assert_eq!(experiment.checkpoint.every, 5);
    assert_eq!(experiment.evaluation.every, 2);
    bench.overrides.options[1].value = Plain::Text("many".to_owned());
    let error = bench.error("a.toml");
    assert!(
        error.starts_with("command line: -e 3: `epochs` must be"),
        "{error}"
    );
}

#[test]
fn seeds_are_counted_from_seed_or_listed() {
    let seeds = |text: &str| loaded(&format!("{LEAST}{text}")).seeds;
    assert_eq!(seeds("seed = 7"), [7]);
    assert_eq!(seeds("seeds = 3"), [42, 43, 44]);
    assert_eq!(seeds("seed = 7\nseeds = 3"), [7, 8, 9]);
    assert_eq!(seeds("seeds = [5, 3]"), [5, 3]);
}

#[test]
fn a_seed_means_one_run_whatever_seeds_a_weaker_layer_asks_for() {
    let over = |file: &str, set: &[&str]| {
        let text = format!("{LEAST}{file}");
        Bench::new(&[("a.toml", &text)])
            .set(set)
            .load("a.toml")
            .seeds
    };
    assert_eq!(over("seeds = [1, 2]", &["seed=7"]), [7]);
    assert_eq!(over("seeds = 5", &["seed=7"]), [7]);
    assert_eq!(over("seed = 7", &["seeds=2"]), [7, 8]);
    assert_eq!(over("seed = 7", &["seeds=[1, 2]"]), [1, 2]);
    assert_eq!(over("seeds = 5", &["seed=7", "seeds=2"]), [7, 8]);
}

#[test]
fn a_choice_takes_away_what_excludes_it_in_weaker_layers() {
    let base = "[data]\ntrain = \"a.h5\"\ntest = \"b.h5\"\n\
                [model]\narchitecture = \"vgg16\"\nwidths = [1, 2, 3, 4, 5]\ndropout = 0.1\n\
                [optimizer]\nalgorithm = \"momentum\"\nmomentum = 0.5\nlearning_rate = 0.3\n\
                [schedule]\nname = \"step\"\nevery = 3\n";
    let over = |file: &str| {
        let text = format!("extends = \"base.toml\"\n{file}");
        Bench::new(&[("base.toml", base), ("a.toml", &text)]).load("a.toml")
    };
    let drawn = over("data.builtin = \"smiles\"").data.files;
    assert!(matches!(drawn, DataFiles::Drawn { .. }));
    let wide = over("model.width = 0.01").model.body;
    assert!(matches!(wide, Body::Architecture { widths, .. } if widths == [1, 1, 3, 5, 5]));
    let layers = over("[[model.layers]]\nname = \"fc\"\ntype = \"linear\"")
        .model
        .body;
    assert!(matches!(layers, Body::Layers { .. }));
    let sgd = over("optimizer.algorithm = \"sgd\"").optimizer.rule;
    assert_eq!((sgd.algorithm, sgd.learning_rate), (Algorithm::Sgd, 0.3));
    let momentum = over("optimizer.algorithm = \"momentum\"")
        .optimizer
        .rule
        .algorithm;
    assert_eq!(
        momentum,
        Algorithm::Momentum {
            momentum: 0.5,
            nesterov: false
        }
    );
    let cosine = over("schedule.name = \"cosine\"").schedule;
    assert!(matches!(cosine.course, Course::Cosine { .. }));
    // What says when the rate changes excludes what else said so.
    let listed = over("schedule.at = [1]").schedule.course;
    assert!(matches!(
        listed,
        Course::Step(Changes::At { factor: 0.1, .. })
    ));
}

#[test]
fn a_number_is_the_multiplier_of_imported_layers() {
    let multipliers = |text: &str| {
        loaded(&format!("{LEAST}learning_rate_multiplier = {text}")).learning_rate_multiplier
    };
    let number = multipliers("0.001");
    assert_eq!((number.imported, number.default), (0.001, 1.0));
    let table = multipliers("{ default = 0.5, \"conv1_*\" = 0 }");
    assert_eq!((table.imported, table.default), (0.5, 0.5));
    assert_eq!(table.of("conv1_2", true), 0.0);
}

#[test]
fn a_multiplier_table_adds_to_a_weaker_number_and_a_number_replaces_a_table() {
    let base = format!("{LEAST}learning_rate_multiplier = {{ default = 0.5, conv1_1 = 0.1 }}");
    let middle = "extends = \"base.toml\"\nlearning_rate_multiplier = 0.001";
    let file = "extends = \"middle.toml\"\n[learning_rate_multiplier]\n\"conv2_*\" = 0.2\n";
    let files = [
        ("base.toml", base.as_str()),
        ("middle.toml", middle),
        ("a.toml", file),
    ];
    let bench = Bench::new(&files).set(&["learning_rate_multiplier.\"fc?\"=2"]);
    let multipliers = bench.load("a.toml").learning_rate_multiplier;
    assert_eq!((multipliers.default, multipliers.imported), (1.0, 0.001));
    let layers = [("conv2_*".to_owned(), 0.2), ("fc?".to_owned(), 2.0)];
    assert_eq!(multipliers.layers, layers.into());
}

#[test]
fn the_weight_decay_depends_on_the_algorithm_unless_it_is_given() {
    let decay = |text: &str| {
        loaded(&format!("{LEAST}[optimizer]\n{text}"))
            .optimizer
            .rule
            .weight_decay
    };
    assert_eq!(decay("algorithm = \"sgd\""), 0.0);
    assert_eq!(decay("algorithm = \"adam\""), 0.0);
    assert_eq!(decay("algorithm = \"adamw\""), 0.01);
    assert_eq!(decay("algorithm = \"adamw\"\nweight_decay = 0.1"), 0.1);
}

#[test]
fn width_scales_vggs_channels_and_the_head_is_numbered_from_fc6() {
    let text = format!("{LEAST}model.width = 0.25\nmodel.head = [512, 256, 128]\n");
    let Body::Architecture {
        widths,
        head_names,
        classifier,
        dropout,
        ..
    } = loaded(&text).model.body
    else {
        panic!("an architecture");
    };
    assert_eq!(widths, [16, 32, 64, 128, 128]);
    assert_eq!(head_names, ["fc6_new", "fc7_new", "fc8_new"]);
    assert_eq!((classifier.as_str(), dropout), ("classifier", 0.5));
}

#[test]
fn layers_get_their_defaults_and_a_bias_layer_of_their_own() {
    let text = "data.builtin = \"smiles\"\nmodel.layers = [\n\
        { name = \"conv\", type = \"convolution\", channels = 8, kernel = 3, bias = true },\n\
        { name = \"pool\", type = \"max_pooling\", kernel = 2 },\n\
        { name = \"out\", type = \"linear\", initializer = \"kaiming\" },\n]\n";
    let Body::Layers { layers } = loaded(text).model.body else {
        panic!("layers");
    };
    let names: Vec<_> = layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["conv", "conv_bias", "pool", "out"]);
    let convolution = LayerKind::Convolution {
        channels: Some(8),
        kernel: 3,
        stride: 1,
        padding: PaddingSize::Pixels(0),
        groups: 1,
        initializer: None,
    };
    let pooling = LayerKind::MaxPooling {
        kernel: 2,
        stride: 2,
        padding: 0,
    };
    let linear = LayerKind::Linear {
        features: None,
        initializer: Some(Initializer::Kaiming),
    };
    assert_eq!(layers[0].kind, convolution);
    assert_eq!(layers[1].kind, LayerKind::Bias { initializer: None });
    assert_eq!(layers[2].kind, pooling);
    assert_eq!(layers[3].kind, linear);
}
