use std::collections::BTreeMap;

use super::*;
use crate::config::{Environment, Overrides, load_with};

/// The schedule of an experiment of twelve epochs that says this.
fn schedule(settings: &str) -> Schedule {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.toml");
    let text = format!(
        "epochs = 12\ndata.builtin = \"smiles\"\nmodel.architecture = \"vgg11\"\n{settings}\n"
    );
    std::fs::write(&path, text).unwrap();
    let experiment = load_with(&path, &Overrides::default(), &Environment::none());
    experiment
        .unwrap_or_else(|error| panic!("{error}"))
        .schedule
}

fn neon(schedule_table: &str) -> Schedule {
    let table = format!("schedule = {{ {schedule_table} }}");
    schedule(&format!("compatibility = \"neon\"\n{table}"))
}

/// The rate at `step` of ten in `epoch`, on a base of 1.
fn at(schedule: &Schedule, epoch: usize, step: usize) -> f64 {
    let time = Time {
        epoch,
        step,
        steps: 10,
    };
    rate(schedule, 1.0, time)
}

fn close(got: f64, expected: f64) -> bool {
    (got - expected).abs() <= 1e-12
}

/// The tables of the real neon, by its call, on a base of 1: a rate an epoch.
fn tables() -> BTreeMap<String, Vec<f64>> {
    #[derive(serde::Deserialize)]
    struct Reference {
        schedules: BTreeMap<String, Vec<f64>>,
    }
    let text = include_str!("../../../tests/data/neon/optimizers.json");
    let reference: Reference = serde_json::from_str(text).unwrap();
    reference.schedules
}

/// Each call, and the `[schedule]` of an experiment with `compatibility = "neon"`.
const CALLS: &[(&str, &str)] = &[
    ("Schedule()", r#"name = "constant""#),
    (
        "Schedule(step_config=3, change=0.5)",
        r#"name = "step", every = 3, factor = 0.5"#,
    ),
    (
        "Schedule(step_config=[2, 6], change=0.5)",
        r#"name = "step", at = [2, 6], factor = 0.5"#,
    ),
    (
        "Schedule(step_config=[2, 6], change=[0.6, 0.4])",
        r#"name = "step", at = [2, 6], rates = [0.6, 0.4]"#,
    ),
    (
        "StepSchedule([2, 6], [0.6, 0.4])",
        r#"name = "step", at = [2, 6], rates = [0.6, 0.4]"#,
    ),
    (
        "PowerSchedule(2, 0.5)",
        r#"name = "step", every = 2, factor = 0.5"#,
    ),
    ("ExpSchedule(0.3)", r#"name = "inverse_time", decay = 0.3"#),
    (
        "PolySchedule(10, 0.7)",
        r#"name = "polynomial", total_epochs = 10, power = 0.7"#,
    ),
    (
        "PolySchedule(5, 2)",
        r#"name = "polynomial", total_epochs = 5, power = 2"#,
    ),
    ("ShiftSchedule(2)", r#"name = "shift", every = 2"#),
    (
        "ShiftSchedule(3, 2)",
        r#"name = "shift", every = 3, bits = 2"#,
    ),
];

/// The start of the name of a table whose first call was made in epoch 4, as after a resume.
const RESUMED: &str = " first called at epoch 4";

#[test]
fn every_table_of_neons_is_met() {
    let tables = tables();
    let whole = tables.iter().filter(|(call, _)| !call.ends_with(RESUMED));
    assert_eq!(whole.count(), CALLS.len(), "every table is tried");
    for (call, table) in CALLS {
        let schedule = neon(table);
        for (epoch, expected) in tables[*call].iter().enumerate() {
            for step in [0, 9] {
                let got = at(&schedule, epoch, step);
                assert!(close(got, *expected), "{call}, epoch {epoch}: {got}");
            }
        }
    }
}

#[test]
fn a_resumed_training_has_the_rates_of_an_uninterrupted_one() {
    let tables = tables();
    let steps = neon(r#"name = "step", at = [2, 6], rates = [0.6, 0.4]"#);
    let ours: Vec<f64> = (4..9).map(|epoch| at(&steps, epoch, 0)).collect();
    assert_eq!(ours, tables["StepSchedule([2, 6], [0.6, 0.4])"][4..9]);
    // neon has forgotten the change of epoch 2.
    let neons = &tables[&format!("StepSchedule([2, 6], [0.6, 0.4]){RESUMED}")];
    assert_eq!(neons, &[1.0, 1.0, 0.4, 0.4, 0.4]);
    let factor = neon(r#"name = "step", at = [2, 6], factor = 0.5"#);
    let ours: Vec<f64> = (4..9).map(|epoch| at(&factor, epoch, 0)).collect();
    assert_eq!(ours, tables[&format!("Schedule([2, 6], 0.5){RESUMED}")]);
}

#[test]
fn a_polynomial_falls_all_the_time_unless_it_is_neons() {
    let table = r#"name = "polynomial", total_epochs = 10, power = 2"#;
    let ours = schedule(&format!("schedule = {{ {table} }}"));
    assert_eq!(at(&ours, 0, 0), 1.0);
    assert!(close(at(&ours, 5, 0), 0.25));
    assert!(close(at(&ours, 5, 5), 0.45f64.powi(2)));
    assert_eq!(at(&ours, 10, 0), 0.0);
    assert_eq!(at(&ours, 11, 9), 0.0);
    assert_eq!(at(&neon(table), 9, 9), 1.0);
    let by_epoch = schedule(&format!(
        "schedule = {{ {table}, per = \"epoch\", end = 0.1 }}"
    ));
    assert!(close(at(&by_epoch, 5, 9), 0.1 + 0.9 * 0.25));
    assert_eq!(at(&by_epoch, 11, 0), 0.1);
}

#[test]
fn exponential_and_inverse_time_go_by_fractions_of_an_epoch() {
    let exponential = schedule(r#"schedule = { name = "exponential", factor = 0.9 }"#);
    assert!(close(at(&exponential, 2, 5), 0.9f64.powf(2.5)));
    let inverse = schedule(r#"schedule = { name = "inverse_time", decay = 2 }"#);
    assert!(close(at(&inverse, 1, 5), 0.25));
    let by_epoch = schedule(r#"schedule = { name = "exponential", factor = 0.9, per = "epoch" }"#);
    assert!(close(at(&by_epoch, 2, 5), 0.81));
}

#[test]
fn a_cosine_falls_from_one_to_its_end() {
    let cosine = schedule(r#"schedule = { name = "cosine" }"#);
    assert_eq!(at(&cosine, 0, 0), 1.0);
    assert!(close(at(&cosine, 6, 0), 0.5));
    assert!(at(&cosine, 11, 9) < 0.001);
    let raised = schedule(r#"schedule = { name = "cosine", end = 0.2, total_epochs = 6 }"#);
    assert!(close(at(&raised, 3, 0), 0.6));
    assert!(close(at(&raised, 6, 0), 0.2));
    assert!(close(at(&raised, 9, 0), 0.2));
}

#[test]
fn one_cycle_rises_to_the_base_rate_and_falls_below_its_start() {
    let table = r#"name = "one_cycle", rise = 0.25, start = 0.1, end = 0.01"#;
    let cycle = schedule(&format!("schedule = {{ {table} }}"));
    assert!(close(at(&cycle, 0, 0), 0.1));
    assert!(close(at(&cycle, 1, 5), 0.55));
    assert!(close(at(&cycle, 3, 0), 1.0));
    assert!(close(at(&cycle, 7, 5), 0.505));
    assert!(close(at(&cycle, 12, 0), 0.01));
    let falling = schedule(r#"schedule = { name = "one_cycle", rise = 0, end = 0 }"#);
    assert!(close(at(&falling, 6, 0), 0.5));
}

#[test]
fn a_warm_up_multiplies_whatever_comes_of_the_schedule() {
    let constant = schedule("schedule.warm_up = 0.5");
    let rates: Vec<f64> = (0..6).map(|step| at(&constant, 0, step)).collect();
    for (got, expected) in rates.iter().zip([0.2, 0.4, 0.6, 0.8, 1.0, 1.0]) {
        assert!(close(*got, expected), "{rates:?}");
    }
    let stepped = schedule(r#"schedule = { name = "step", at = [1], factor = 0.5, warm_up = 2 }"#);
    assert!(close(at(&stepped, 0, 4), 0.25));
    assert!(close(at(&stepped, 1, 4), 0.75 * 0.5));
    assert!(close(at(&stepped, 2, 0), 0.5));
    let longer = schedule(r#"schedule = { name = "cosine", warm_up = 3 }"#);
    assert!(close(
        at(&longer, 2, 9),
        0.5 * (1.0 + (PI * 29.0 / 120.0).cos())
    ));
}
