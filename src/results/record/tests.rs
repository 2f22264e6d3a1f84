use super::*;

/// A finished fine-tuning run with invented figures.
pub(crate) fn example(experiment: &str, seed: u64, accuracy: f64) -> Record {
    let file = |path: &str, samples| DataFile {
        path: path.into(),
        sha256: format!("{samples:0<64}"),
        samples,
        classes: 2,
    };
    Record {
        format: FORMAT,
        experiment: experiment.to_owned(),
        seed,
        control: None,
        identity: format!("{experiment}, seed {seed}"),
        setup: experiment.to_owned(),
        state: State::Complete,
        graft: "0.1.0".to_owned(),
        build: None,
        backend: "cpu".to_owned(),
        device: "x86-64 CPU".to_owned(),
        threads: 2,
        started: "2026-11-23T20:37:05Z".to_owned(),
        seconds: 83.25,
        epochs: 10,
        parameters: Parameters {
            total: 1_234_567,
            imported: 800_000,
            trained: 1_234_567,
            frozen: 0,
        },
        data: Data {
            train: file("data/train.h5", 300),
            test: file("data/test.h5", 2000),
        },
        source: Some(Source {
            path: "models/source.safetensors".into(),
            format: "safetensors".to_owned(),
            sha256: "5".repeat(64),
            imported_tensors: 26,
            target_tensors: 32,
            imported_parameters: 800_000,
            coverage: Some(Coverage {
                parameters: 0.648,
                multiply_adds: 0.95,
            }),
            multipliers: vec![0.001],
        }),
        initial_weights: None,
        features: None,
        classes: vec!["frowning".to_owned(), "smiling".to_owned()],
        metrics: Metrics {
            training_cost: 0.1 + 0.2,
            test_cost: 0.4,
            accuracy,
            majority_baseline: 0.5,
            samples: 2000,
        },
        files: BTreeMap::new(),
        checksum: String::new(),
    }
}

/// The same run without a source model.
pub(crate) fn example_from_scratch(experiment: &str, seed: u64, accuracy: f64) -> Record {
    let mut record = example(experiment, seed, accuracy);
    record.parameters.imported = 0;
    record.source = None;
    record
}

fn read_text(text: &str) -> Result<Record> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(RECORD), text).unwrap();
    Record::read(directory.path())
}

#[test]
fn a_record_reads_back_bit_for_bit() {
    let mut record = example("faces/fine_tuning", 42, 0.8525000000000001);
    record.metrics.test_cost = 3.141592653589793e-7;
    // Needs serde_json's `float_roundtrip`: without it some floats come back one bit off.
    record.seconds = 90.42225290942383;
    assert_eq!(read_text(&record.to_json().unwrap()).unwrap(), record);
}

#[test]
fn costs_of_a_diverged_run_read_back() {
    let mut record = example("diverged", 1, 0.5);
    record.metrics.training_cost = f64::NAN;
    record.metrics.test_cost = f64::INFINITY;
    let read = read_text(&record.to_json().unwrap()).unwrap();
    assert!(read.metrics.training_cost.is_nan());
    assert_eq!(read.metrics.test_cost, f64::INFINITY);
}

#[test]
fn missing_damaged_and_newer_records_are_told_apart() {
    let missing = Record::read(Path::new("no/such")).unwrap_err().to_string();
    assert!(missing.contains("record.json: no record here"), "{missing}");
    let damaged = read_text("{\"format\": 1, \"exper")
        .unwrap_err()
        .to_string();
    assert!(damaged.contains("damaged record"), "{damaged}");
    let lacking = read_text("{\"format\": 1}").unwrap_err().to_string();
    assert!(lacking.contains("missing field `experiment`"), "{lacking}");
    let newer = read_text("{\"format\": 2}").unwrap_err().to_string();
    assert!(newer.contains("written by a newer graft"), "{newer}");
}

#[test]
fn the_regime_follows_from_the_source_and_its_multipliers() {
    let regime = |multipliers: &[f64]| {
        let mut record = example("any", 1, 0.5);
        record.source.as_mut().unwrap().multipliers = multipliers.to_vec();
        record.regime()
    };
    assert_eq!(
        example_from_scratch("any", 1, 0.5).regime(),
        Regime::FromScratch
    );
    assert_eq!(regime(&[0.0]), Regime::FeatureExtraction);
    assert_eq!(regime(&[0.0, 0.001]), Regime::FineTuning);
}
