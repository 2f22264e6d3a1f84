//! Whether the outputs of frozen layers are kept, and how.

use std::path::PathBuf;

use super::checks::{Checks, NOT_NEGATIVE, word};
use crate::config::experiment::Cache;
use crate::config::file::Word;
use crate::numbers::Dtype;

/// Where drawn and prepared data lie, too.
const DIRECTORY: &str = "data/features";

/// Gigabytes.
const LIMIT: f64 = 20.0;

/// The keys `cache`, `cache_dtype` and `cache_limit` as given, and `cache_directory`.
pub fn cache(
    checks: &mut Checks,
    (is_on, dtype, limit): (Option<bool>, Option<Word<Dtype>>, Option<f64>),
    directory: Option<PathBuf>,
) -> Cache {
    let own = checks.dtype;
    let dtype = word(dtype, own);
    if dtype != own && dtype != Dtype::Bf16 {
        let problem = format!("`cache_dtype` is {dtype}, and the run computes in {own}");
        let help = format!("leave it away: {own} is exact; or \"bf16\", rounded to half the size");
        checks.refuse("cache_dtype", problem, help);
    }
    let directory = checks.path("cache_directory", directory);
    Cache {
        is_on: is_on.unwrap_or(true),
        dtype,
        limit: checks.number(NOT_NEGATIVE, "cache_limit", limit, LIMIT),
        directory: directory.unwrap_or_else(|| DIRECTORY.into()),
    }
}
