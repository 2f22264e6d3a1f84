//! Resolves `[schedule]`, and the `schedule` of an entry of `[[optimizer.layer]]`.

use super::checks::{BELOW_ONE, Checks, NOT_NEGATIVE, POSITIVE, Range, word};
use crate::config::experiment::{Changes, Course, Per, Schedule};
use crate::config::file::{ScheduleName, ScheduleTable};

/// A share, all of it included.
const UP_TO_ONE: Range = ("at least 0 and at most 1", |x| (0.0..=1.0).contains(&x));

/// `path` is the table's, for errors; `epochs` are the experiment's.
pub fn schedule(checks: &mut Checks, path: &str, table: ScheduleTable, epochs: usize) -> Schedule {
    let name = word(table.name, ScheduleName::Constant);
    only_taken(checks, path, name, &table);
    let warm_up = format!("{path}.warm_up");
    Schedule {
        warm_up: checks.number(NOT_NEGATIVE, &warm_up, table.warm_up, 0.0),
        course: course(checks, path, name, &table, epochs),
    }
}

fn course(
    checks: &mut Checks,
    path: &str,
    name: ScheduleName,
    table: &ScheduleTable,
    epochs: usize,
) -> Course {
    let at = |key: &str| format!("{path}.{key}");
    let neon = checks.compatibility.is_neon();
    let per = word(table.per, if neon { Per::Epoch } else { Per::Step });
    let total_epochs = match table.total_epochs {
        Some(given) => checks.at_least(1, &at("total_epochs"), given),
        None => epochs,
    };
    match name {
        ScheduleName::Constant => Course::Constant,
        ScheduleName::Step => Course::Step(changes(checks, path, table)),
        ScheduleName::Exponential => Course::Exponential {
            factor: needed(checks, POSITIVE, &at("factor"), table.factor),
            per,
        },
        ScheduleName::InverseTime => Course::InverseTime {
            decay: needed(checks, NOT_NEGATIVE, &at("decay"), table.decay),
            per,
        },
        ScheduleName::Polynomial => Course::Polynomial {
            power: checks.number(POSITIVE, &at("power"), table.power, 1.0),
            end: checks.number(UP_TO_ONE, &at("end"), table.end, 0.0),
            integer_division: integer_division(checks, path, table, total_epochs, epochs),
            total_epochs,
            per,
        },
        ScheduleName::Shift => Course::Shift {
            every: every(checks, path, table),
            bits: checks.at_least(1, &at("bits"), table.bits.unwrap_or(1)),
        },
        ScheduleName::Cosine => Course::Cosine {
            end: checks.number(UP_TO_ONE, &at("end"), table.end, 0.0),
            total_epochs,
            per,
        },
        ScheduleName::OneCycle => Course::OneCycle {
            rise: checks.number(BELOW_ONE, &at("rise"), table.rise, 0.3),
            start: checks.number(UP_TO_ONE, &at("start"), table.start, 0.04),
            end: checks.number(UP_TO_ONE, &at("end"), table.end, 4e-6),
            total_epochs,
        },
    }
}

/// The changes of a step schedule: every few epochs, or at the start of those listed.
fn changes(checks: &mut Checks, path: &str, table: &ScheduleTable) -> Changes {
    let factor = |checks: &mut Checks| {
        checks.number(NOT_NEGATIVE, &format!("{path}.factor"), table.factor, 0.1)
    };
    let Some(at) = &table.at else {
        if table.rates.is_some() {
            let problem = "`rates` without `at`: from which epochs on?";
            checks.refuse_with_example(&format!("{path}.rates"), problem);
        }
        return Changes::Every {
            every: every(checks, path, table),
            factor: factor(checks),
        };
    };
    let key = format!("{path}.at");
    if table.every.is_some() {
        let problem = "`at` beside `every`: both say when the rate changes";
        checks.refuse(&key, problem, "keep one of them");
    }
    if at.is_empty() || !at.is_sorted_by(|one, next| one < next) {
        let problem = format!("`at` must list epochs in ascending order, not {at:?}");
        checks.refuse_with_example(&key, problem);
    }
    let Some(rates) = &table.rates else {
        return Changes::At {
            at: at.clone(),
            factor: factor(checks),
        };
    };
    let key = format!("{path}.rates");
    if table.factor.is_some() {
        let problem = "`rates` beside `factor`: both say what the rate becomes";
        checks.refuse(&key, problem, "keep one of them");
    }
    if rates.len() != at.len() {
        let (rates, epochs) = (rates.len(), at.len());
        let problem = format!("`rates` and `at` differ in length: {rates} and {epochs}");
        checks.refuse(&key, problem, "give each epoch of `at` one rate");
    }
    for rate in rates {
        checks.number(NOT_NEGATIVE, &key, Some(*rate), 0.0);
    }
    Changes::Rates {
        at: at.clone(),
        rates: rates.clone(),
    }
}

fn every(checks: &mut Checks, path: &str, table: &ScheduleTable) -> usize {
    let key = format!("{path}.every");
    if table.every.is_none() {
        let problem = "`every` is missing: after how many epochs does the rate change?";
        checks.refuse_with_example(&key, problem);
    }
    checks.at_least(1, &key, table.every.unwrap_or(1))
}

/// neon's integer division falls below 0 after twice its epochs, where only some powers are numbers.
fn integer_division(
    checks: &mut Checks,
    path: &str,
    table: &ScheduleTable,
    total_epochs: usize,
    epochs: usize,
) -> bool {
    let asked = table.integer_division;
    let chosen = asked.unwrap_or(checks.compatibility.is_neon());
    let is_whole = table.power.is_none_or(|power| power.fract() == 0.0);
    if chosen && !is_whole && epochs > total_epochs.saturating_mul(2) {
        let problem = format!(
            "with `integer_division` the rate is no number from epoch {} on",
            total_epochs.saturating_mul(2) + 1
        );
        let help = "give a whole `power`, more `total_epochs`, or `integer_division = false`";
        checks.refuse(&format!("{path}.integer_division"), problem, help);
    }
    chosen
}

fn needed(checks: &mut Checks, range: Range, key: &str, value: Option<f64>) -> f64 {
    if value.is_none() {
        let name = key.rsplit('.').next().unwrap_or(key);
        checks.refuse_with_example(
            key,
            format!("`{name}` is missing: how fast does the rate fall?"),
        );
    }
    checks.number(range, key, value, 1.0)
}

fn only_taken(checks: &mut Checks, path: &str, name: ScheduleName, table: &ScheduleTable) {
    let called = match name {
        ScheduleName::Constant => "constant",
        ScheduleName::Step => "step",
        ScheduleName::Exponential => "exponential",
        ScheduleName::InverseTime => "inverse_time",
        ScheduleName::Polynomial => "polynomial",
        ScheduleName::Shift => "shift",
        ScheduleName::Cosine => "cosine",
        ScheduleName::OneCycle => "one_cycle",
    };
    let given = [
        ("every", table.every.is_some()),
        ("at", table.at.is_some()),
        ("factor", table.factor.is_some()),
        ("rates", table.rates.is_some()),
        ("decay", table.decay.is_some()),
        ("power", table.power.is_some()),
        ("bits", table.bits.is_some()),
        ("rise", table.rise.is_some()),
        ("start", table.start.is_some()),
        ("end", table.end.is_some()),
        ("total_epochs", table.total_epochs.is_some()),
        ("per", table.per.is_some()),
        ("integer_division", table.integer_division.is_some()),
    ];
    checks.only_taken(path, called, &given);
}
