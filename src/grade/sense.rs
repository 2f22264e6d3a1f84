//! Whether a rubric makes sense: names that are there, ranges, points. Pure.

use super::rubric::{Limits, Points, Required, Rubric};
use crate::error::{Error, Result};
use crate::pattern;
use crate::results::record::Regime;

/// What a key alone cannot say.
///
/// # Errors
/// A contradiction, with its place.
pub fn checked(rubric: &Rubric) -> Result<()> {
    let data: Vec<&str> = rubric.data.iter().map(|data| data.name.as_str()).collect();
    unique("data", &data)?;
    let sources: Vec<&str> = rubric
        .source_model
        .iter()
        .map(|s| s.name.as_str())
        .collect();
    unique("source_model", &sources)?;
    rubric.data.iter().try_for_each(|data| {
        let given = (
            data.builtin.is_some(),
            data.train.is_some(),
            data.test.is_some(),
        );
        let place = format_args!("data `{}`", data.name);
        match given {
            (true, false, false) | (false, true, true) => Ok(()),
            _ => Err(Error::new("either `builtin`, or `train` and `test`").at(place)),
        }
    })?;
    for source in &rubric.source_model {
        let place = format!("source_model `{}`", source.name);
        match (&source.path, &source.trained_on) {
            (Some(_), None) => {}
            (None, Some(name)) => known("data", name, &data).map_err(|e| e.at(place))?,
            _ => return Err(Error::new("either `path` or `trained_on`").at(place)),
        }
    }
    for (number, required) in (1..).zip(&rubric.regime) {
        let place = format!("regime {number} ({})", required.regime.name());
        check_required(required, &data, &sources).map_err(|error| error.at(place))?;
    }
    for (number, comparison) in (1..).zip(&rubric.comparison) {
        let place = format!("comparison {number}");
        known("data", &comparison.data, &data).map_err(|error| error.at(&place))?;
        if comparison.between.len() < 2 {
            return Err(Error::new("`between` names fewer than two regimes").at(place));
        }
    }
    check_numbers(rubric)
}

fn check_numbers(rubric: &Rubric) -> Result<()> {
    let Points {
        experiments,
        regimes,
        consistency,
        verification,
        bounds,
        comparisons,
    } = rubric.points;
    let points = [
        experiments,
        regimes,
        consistency,
        verification,
        bounds,
        comparisons,
    ];
    if !points
        .iter()
        .all(|points| points.is_finite() && *points >= 0.0)
    {
        return Err(Error::new("points are no negative numbers").at("points"));
    }
    let Limits {
        max_minutes,
        max_memory,
        max_file_size,
        ..
    } = rubric.limits;
    let sizes = [max_minutes, max_memory, max_file_size];
    match sizes.iter().all(|size| size.is_finite() && *size > 0.0) {
        true => Ok(()),
        false => Err(Error::new("every limit is greater than 0").at("limits")),
    }
}

fn check_required(required: &Required, data: &[&str], sources: &[&str]) -> Result<()> {
    known("data", &required.data, data)?;
    if let Some(source) = &required.source_model {
        known("source_model", source, sources)?;
    }
    let imports =
        required.source_model.is_some() || required.multiplier.is_some() || required.coverage > 0.0;
    if required.regime == Regime::FromScratch && imports {
        let problem = "a run from scratch has no source model, multiplier or coverage";
        return Err(Error::new(problem));
    }
    let bounds = [required.multiplier, required.accuracy];
    if bounds.into_iter().flatten().any(|within| {
        let [least, most] = within.ends();
        least > most || least.is_nan() || most.is_nan()
    }) {
        return Err(Error::new("a range is [least, greatest]"));
    }
    if required.seeds == 0 {
        return Err(Error::new("`seeds` is at least 1"));
    }
    Ok(())
}

fn unique(what: &str, names: &[&str]) -> Result<()> {
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            return Err(Error::new(format!("the name `{name}` stands twice")).at(what));
        }
    }
    Ok(())
}

fn known(what: &str, name: &str, names: &[&str]) -> Result<()> {
    if names.contains(&name) {
        return Ok(());
    }
    let error = Error::new(format!("no [[{what}]] is called `{name}`"));
    Err(match pattern::closest(name, names.iter().copied()) {
        Some(close) => error.help(format!("did you mean `{close}`?")),
        None => error.help(format!("there are: {}", names.join(", "))),
    })
}
