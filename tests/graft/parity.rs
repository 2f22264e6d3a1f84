//! The reference runs of the real neon 2.6, reproduced batch by batch, in f32 and in f64.
//!
//! `reference.json` holds what neon computed: the cost and the outputs of every minibatch, the
//! evaluation after each epoch, the final outputs. Each case is run twice here: by the binary,
//! whose record is compared, and by the library, for what no record holds.

use std::collections::BTreeMap;
use std::path::Path;

use graft::config;
use graft::config::experiment::Source;
use graft::model::backend;
use graft::model::network::NamedTensor;
use graft::numbers::Dtype;
use graft::results::rows::{MetricsRow, Timing};
use graft::runner::setup;
use graft::source::{self, import};
use graft::train::{Observer, Step, Trainer};
use serde_json::Value;

use crate::common::{Place, data};

/// Name in the reference, base learning rate, multiplier of imported layers (none: from scratch).
const CASES: [(&str, f64, Option<f64>); 3] = [
    ("finetune_lr0.1", 0.1, Some(0.001)),
    ("features_lr0.1", 0.1, Some(0.0)),
    ("scratch_lr0.001", 0.001, None),
];

/// The course's experiment, as a student would write it for graft.
fn experiment(dtype: Dtype, learning_rate: f64, multiplier: Option<f64>) -> String {
    let source = multiplier.map_or(String::new(), |multiplier| {
        let path = data("neon/source_vgg_tiny.p");
        format!("source_model = {path:?}\nlearning_rate_multiplier = {multiplier:?}\n")
    });
    format!(
        r#"
compatibility = "neon"
dtype = "{dtype}"
epochs = 3
batch_size = 16
{source}
[data]
root = {:?}
train = "train.h5"
test = "test.h5"
[model]
architecture = "vgg16"
widths = [4, 8, 16, 16, 16]
head = [32, 32]
classifier = "cls_imdb_wiki_face"
dropout = 0.0
initial_weights = {:?}
[optimizer]
learning_rate = {learning_rate:?}
momentum = 0.9
weight_decay = 0.0005
[evaluation]
every = 1
[record]
batches = true
"#,
        data("neon"),
        data("neon/target_init.p"),
    )
}

#[test]
fn every_reference_run_is_reproduced_in_f32() {
    reproduce(Dtype::F32, 2e-6);
}

#[test]
fn every_reference_run_is_reproduced_in_f64() {
    reproduce(Dtype::F64, 1e-10);
}

/// Runs every case and checks each figure to `tolerance`.
fn reproduce(dtype: Dtype, tolerance: f64) {
    let reference = std::fs::read(data("neon/reference.json")).expect("the reference");
    let reference: Value = serde_json::from_slice(&reference).expect("JSON");
    let mut failures = Vec::new();
    for (name, learning_rate, multiplier) in CASES {
        let place = Place::new();
        place.write("case.toml", experiment(dtype, learning_rate, multiplier));
        let neon = &reference[dtype.to_string()][name];
        let mut deviations = BTreeMap::new();
        in_record(&place, name, neon, &mut deviations);
        in_memory(&place, name, neon, &mut deviations);
        for (figure, deviation) in deviations {
            let tolerance = match IN_F32.contains(&figure) {
                true => tolerance.max(2e-6),
                false => tolerance,
            };
            println!("{dtype} {name}: {figure}: {deviation:.1e}");
            if deviation.is_nan() || deviation > tolerance {
                failures.push(format!(
                    "{name}: {figure}: {deviation:.1e} > {tolerance:.0e}"
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What neon keeps in f32 even in an f64 run: the figures of its callbacks; and its inference file,
/// which is that of the f32 run.
const IN_F32: [&str; 3] = [
    "evaluation after each epoch: cost",
    "evaluation after each epoch: accuracy",
    "inference file",
];

type Deviations = BTreeMap<&'static str, f64>;

/// What the binary's record says, beside neon's figures.
fn in_record(place: &Place, name: &str, neon: &Value, deviations: &mut Deviations) {
    place.succeed(&["run", "case.toml"]);
    let columns =
        |file: &str, columns: &[&str]| csv_columns(&place.path("results/case").join(file), columns);
    deviations.insert(
        "minibatch costs",
        largest(&columns("batches.csv", &["cost"]), &neon["minibatch_cost"]),
    );
    deviations.insert(
        "evaluation after each epoch: cost",
        largest(
            &columns("metrics.csv", &["test_cost"]),
            &neon["callback_eval_cost_per_epoch"],
        ),
    );
    deviations.insert(
        "evaluation after each epoch: accuracy",
        largest(
            &columns("metrics.csv", &["accuracy"]),
            &neon["callback_eval_accuracy_per_epoch"],
        ),
    );
    deviations.insert(
        "final outputs",
        largest(
            &columns("outputs.csv", &["confidence_0", "confidence_1"]),
            &neon["final_outputs_test"],
        ),
    );
    deviations.insert(
        "labels",
        largest(&columns("outputs.csv", &["label"]), &neon["test_labels"]),
    );
    // neon's script wrote f32.
    let neons = std::fs::read_to_string(data(&format!("neon/inference_{name}.txt")));
    let deviation = difference(
        &numbers(&place.read("results/case/inference.txt")),
        &numbers(&neons.expect("neon's inference file")),
    );
    deviations.insert("inference file", deviation);
}

/// What the training loop tells its observer, beside neon's figures.
fn in_memory(place: &Place, name: &str, neon: &Value, deviations: &mut Deviations) {
    let experiment = config::load(&place.path("case.toml"), &config::Overrides::default())
        .expect("an experiment");
    let (train, test) = setup::files(&experiment.data).expect("files");
    let files = setup::open(&train, &test).expect("data");
    let source = setup::source(&experiment).expect("a source model");
    let start = setup::start(&experiment, &files, source).expect("a start");
    let setup::Start {
        outline,
        weights,
        inputs,
    } = start;
    let device = backend::device(experiment.backend, experiment.dtype).expect("a device");
    let seed = experiment.seeds[0];
    let trainer = Trainer::new(
        &experiment,
        &outline.spec,
        &outline.rates,
        weights,
        seed,
        device,
    );
    let mut trainer = trainer.expect("a trainer");
    let initial = trainer.evaluate(&inputs.test).expect("an evaluation");
    let before = trainer.tensors();
    let mut outputs = Outputs::default();
    trainer
        .train(&inputs.train, None, &mut outputs)
        .expect("a training");
    deviations.insert(
        "initial outputs",
        largest(&initial.confidences, &neon["initial_outputs_test"]),
    );
    deviations.insert(
        "minibatch outputs",
        largest(&outputs.confidences, &neon["minibatch_outputs"]),
    );
    let after = trainer.tensors();
    let moved = before.iter().zip(&after).map(|(old, new)| {
        let squares = old.values.to_f64().into_iter().zip(new.values.to_f64());
        let norm: f64 = squares.map(|(old, new)| (new - old).powi(2)).sum();
        let neons = neon["param_delta_l2"][&new.layer].as_f64();
        (norm.sqrt() - neons.expect("a norm")).abs()
    });
    deviations.insert("norm of each tensor's change", largest_of(moved));
    if experiment.dtype == Dtype::F32 {
        // neon's files hold f32.
        let neons = source::read(&data(&format!("neon/target_final_{name}.p")));
        let whole = Source {
            require: vec!["*".to_owned()],
            ..Source::default()
        };
        let neons = import::import(neons.expect("a model"), &outline.spec, &whole);
        let (neons, _) = neons.expect("all tensors of the model");
        let neons = neons.iter().flat_map(|tensor| tensor.values.to_f64());
        let ours = after.iter().flat_map(|tensor| tensor.values.to_f64());
        let deviation = difference(&ours.collect::<Vec<_>>(), &neons.collect::<Vec<_>>());
        deviations.insert("final weights", deviation);
    }
    for rate in outline.rates.iter().filter(|rate| rate.frozen) {
        let of = |tensors: &[NamedTensor]| {
            let of_layer = tensors.iter().filter(|tensor| tensor.layer == rate.layer);
            of_layer.cloned().collect::<Vec<_>>()
        };
        assert_eq!(of(&before), of(&after), "{} has changed", rate.layer);
    }
    let frozen = outline.rates.iter().filter(|rate| rate.frozen);
    let frozen = frozen.filter(|rate| rate.imported).count();
    assert_eq!(frozen, if name.starts_with("features") { 26 } else { 0 });
}

/// Confidences of all minibatches, one after another.
#[derive(Default)]
struct Outputs {
    confidences: Vec<f64>,
}

impl Observer for Outputs {
    fn batch(&mut self, step: &Step<'_>) {
        self.confidences.extend(step.confidences);
    }

    fn epoch(&mut self, _: &MetricsRow, _: &Timing) {}

    fn state(&mut self, _: &Trainer<'_>, _: usize) -> graft::error::Result<()> {
        Ok(())
    }

    fn checkpoint(&mut self, _: &Trainer<'_>) -> graft::error::Result<()> {
        Ok(())
    }

    fn stop_requested(&self) -> bool {
        false
    }
}

fn csv_columns(path: &Path, columns: &[&str]) -> Vec<f64> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let places = columns.iter().map(|column| {
        let place = header.iter().position(|name| name == column);
        place.unwrap_or_else(|| panic!("no column {column} in {header:?}"))
    });
    let places: Vec<usize> = places.collect();
    let rows = lines.map(|line| line.split(',').collect::<Vec<_>>());
    rows.flat_map(|row| {
        let number = |&place: &usize| row[place].parse::<f64>().expect("a number");
        places.iter().map(number).collect::<Vec<_>>()
    })
    .collect()
}

/// All numbers of an inference file.
fn numbers(text: &str) -> Vec<f64> {
    let words = text.split(|c: char| "[], \n".contains(c));
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Largest deviation from neon's numbers, however they nest.
fn largest(ours: &[f64], neons: &Value) -> f64 {
    fn flatten(value: &Value, into: &mut Vec<f64>) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| flatten(value, into)),
            value => into.push(value.as_f64().expect("a number")),
        }
    }
    let mut expected = Vec::new();
    flatten(neons, &mut expected);
    difference(ours, &expected)
}

fn difference(ours: &[f64], neons: &[f64]) -> f64 {
    assert_eq!(ours.len(), neons.len());
    assert!(!ours.is_empty());
    let differences = ours.iter().zip(neons).map(|(a, b)| (a - b).abs());
    largest_of(differences)
}

/// Not by f64::max, which forgets what is not a number.
fn largest_of(differences: impl Iterator<Item = f64>) -> f64 {
    differences.fold(0.0, |largest, d| if d <= largest { largest } else { d })
}
