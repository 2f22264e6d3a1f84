//! Resolves `[preprocessing]`: what was said stays what was said.
//!
//! What follows from it is for `Preprocessing::settle` to say, once the source model is known, and
//! whether lists have a value for each channel shows once the data are.

use super::checks::{Checks, FINITE, POSITIVE, Range};
use crate::config::experiment::{Mean, Preprocessing, Preset};
use crate::config::file::PreprocessingTable;

/// Longest side of a resized image, in pixels.
const LONGEST_SIDE: usize = 16_384;

pub fn preprocessing(checks: &mut Checks, table: PreprocessingTable) -> Preprocessing {
    let mut preset = table.preset.map(|word| word.0);
    let mut mean = table.mean.map(|mean| mean.0);
    if checks.compatibility.is_neon() && preset.is_none() {
        preset = Some(Preset::Neon);
        mean = mean.or(Some(Mean::Own));
    }
    if let Some(Mean::Given(values)) = &mean {
        list(checks, FINITE, "preprocessing.mean", values);
    }
    if let Some(values) = &table.deviation {
        list(checks, POSITIVE, "preprocessing.deviation", values);
    }
    if let Some(scale) = table.scale {
        checks.number(POSITIVE, "preprocessing.scale", Some(scale), scale);
    }
    if let Some(size) = table.size {
        checks.at_least(1, "preprocessing.size", size);
        if size > LONGEST_SIDE {
            let problem =
                format!("`preprocessing.size` must be at most {LONGEST_SIDE}, not {size}");
            checks.refuse_with_example("preprocessing.size", problem);
        }
    }
    Preprocessing {
        preset,
        mean,
        scale: table.scale,
        deviation: table.deviation,
        channel_order: table.channel_order.map(|word| word.0),
        size: table.size,
    }
}

fn list(checks: &mut Checks, range: Range, key: &str, values: &[f64]) {
    if values.is_empty() {
        let problem = format!("`{key}` is empty: it needs one number a channel");
        checks.refuse_with_example(key, problem);
    }
    for (index, &value) in values.iter().enumerate() {
        checks.number(range, &format!("{key}.{index}"), Some(value), value);
    }
}
