//! Importing by layer name: from a source model's tensors to values for the target, with a receipt.
//!
//! Matching needs names and shapes alone, so that a plan can show it before the source model is
//! trained. A layer without parameters is never imported, a tensor of another shape neither, and
//! nothing but parameters is taken over. This module knows no file format and no device.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::matching::{Found, Pair, pair};
use super::receipt::{Entry, Origin, Outcome, Receipt, SourceFile, Totals, Unused};
use super::{SourceLayer, SourceModel, SourceTensor};
use crate::error::{Error, Result};
use crate::files::hexadecimal;
use crate::model::spec::{NetworkSpec, Role};
use crate::numbers::Numbers;
use crate::pattern;

/// Values for one tensor of the target model, in its layout.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedTensor {
    pub layer: String,
    pub role: Role,
    /// In C order of the target's shape.
    pub values: Numbers,
}

/// What an import of `source` into `target` would take over. Needs no values.
pub fn matches(source: &SourceModel, target: &NetworkSpec) -> Receipt {
    let pairs = pair(source, target);
    let outcomes = pairs.iter().map(|pair| pair.outcome(None)).collect();
    receipt(source, target, &pairs, outcomes)
}

/// Checks that what a receipt imports is enough: something at all, and every layer with parameters
/// that one of the `require` patterns matches.
///
/// # Errors
/// Nothing is imported; a pattern matches no layer of `target`, or one that is not imported. The
/// error names each.
pub fn check(receipt: &Receipt, target: &NetworkSpec, require: &[String]) -> Result<()> {
    if receipt.totals.tensors == 0 {
        return Err(nothing_imported(receipt, target).at(&receipt.source.path));
    }
    let mut problems = Vec::new();
    for pattern in require {
        let matching = target
            .layers
            .iter()
            .filter(|l| pattern::matches(pattern, &l.name));
        let matching: Vec<_> = matching.collect();
        if matching.is_empty() {
            let names = target.layers.iter().map(|layer| layer.name.as_str());
            let meant = pattern::closest(pattern, names);
            let meant = meant.map_or(String::new(), |name| format!(" (did you mean `{name}`?)"));
            problems.push(format!("`{pattern}` matches no layer of the model{meant}"));
        }
        for layer in matching {
            problems.extend(missing_from(receipt, &layer.name));
        }
    }
    // Patterns may overlap.
    let mut seen = HashSet::new();
    problems.retain(|problem| seen.insert(problem.clone()));
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(problems.join("; "))
        .at("source.require")
        .help("`graft inspect` lists the layers of the source model, `graft plan` those of the experiment"))
}

/// Converts the tensors of `source` that fit a layer of `target` by name and shape.
///
/// # Errors
/// As [`check`]; and a value to be imported that is not finite.
pub fn import(
    source: &SourceModel,
    target: &NetworkSpec,
    require: &[String],
) -> Result<(Vec<ImportedTensor>, Receipt)> {
    check(&matches(source, target), target, require)?;
    let pairs = pair(source, target);
    let mut tensors = Vec::new();
    let mut outcomes = Vec::with_capacity(pairs.len());
    for pair in &pairs {
        let Ok(found) = &pair.found else {
            outcomes.push(pair.outcome(None));
            continue;
        };
        check_values(found).map_err(|e| e.at(source.path.display()))?;
        let values = found
            .conversion
            .apply(&found.tensor.values, &found.tensor.shape);
        outcomes.push(pair.outcome(Some(checksum(&values))));
        tensors.push(ImportedTensor {
            layer: pair.layer.name.clone(),
            role: pair.parameter.role,
            values,
        });
    }
    Ok((tensors, receipt(source, target, &pairs, outcomes)))
}

impl Pair<'_> {
    fn outcome(&self, sha256: Option<String>) -> Outcome {
        match &self.found {
            Ok(found) => Outcome::Imported {
                from: origin(found.layer, found.tensor),
                transform: found.conversion.words().to_string(),
                sha256,
            },
            Err(misfit) => Outcome::NotImported {
                reason: misfit.reason.clone(),
                rejected: misfit.rejected.map(|(layer, tensor)| origin(layer, tensor)),
            },
        }
    }
}

fn origin(layer: &SourceLayer, tensor: &SourceTensor) -> Origin {
    Origin {
        layer: layer.name.clone(),
        tensor: tensor.name.clone(),
        shape: tensor.shape.clone(),
    }
}

/// All values are there and finite.
fn check_values(found: &Found) -> Result<()> {
    let SourceTensor {
        name,
        shape,
        values,
        ..
    } = found.tensor;
    let place = format!("layer `{}`: {name}", found.layer.name);
    if values.len() != found.tensor.count() {
        return Err(Error::new("the source model has no values yet").at(place));
    }
    let Some((position, value)) = not_finite(values) else {
        return Ok(());
    };
    let mut rest = position;
    let mut index = vec![0; shape.len()];
    for (i, &size) in index.iter_mut().zip(shape).rev() {
        *i = rest % size;
        rest /= size;
    }
    let problem = format!("the value at {index:?} is {value}");
    Err(Error::new(problem)
        .at(place)
        .help("the source model has diverged or its file is damaged: take an earlier one"))
}

/// The first value that is not finite, and its place.
fn not_finite(values: &Numbers) -> Option<(usize, f64)> {
    fn first<T: Copy + Into<f64>>(values: &[T]) -> Option<(usize, f64)> {
        let values = values.iter().map(|&value| value.into());
        values
            .enumerate()
            .find(|(_, value): &(_, f64)| !value.is_finite())
    }
    match values {
        Numbers::F32(values) => first(values),
        Numbers::F64(values) => first(values),
        Numbers::F16(values) => first(values),
        Numbers::Bf16(values) => first(values),
    }
}

fn checksum(values: &Numbers) -> String {
    let mut hash = Sha256::new();
    values.le_bytes().for_each(|bytes| hash.update(&bytes));
    hexadecimal(&hash.finalize())
}

fn receipt(
    source: &SourceModel,
    target: &NetworkSpec,
    pairs: &[Pair],
    outcomes: Vec<Outcome>,
) -> Receipt {
    let entries: Vec<_> = pairs
        .iter()
        .zip(outcomes)
        .map(|(pair, outcome)| Entry {
            layer: pair.layer.name.clone(),
            role: pair.parameter.role.name().to_string(),
            shape: pair.parameter.shape.clone(),
            parameters: pair.parameter.count(),
            outcome,
        })
        .collect();
    let imported = || entries.iter().filter(|entry| entry.is_imported());
    Receipt {
        source: SourceFile {
            path: source.path.display().to_string(),
            format: source.format.to_string(),
            sha256: source.sha256.clone(),
        },
        preprocessing: None,
        totals: Totals {
            tensors: imported().count(),
            of_tensors: entries.len(),
            parameters: imported().map(|entry| entry.parameters).sum(),
            of_parameters: target.parameter_count(),
        },
        unused: unused(source, target, pairs),
        tensors: entries,
    }
}

fn unused(source: &SourceModel, target: &NetworkSpec, pairs: &[Pair]) -> Vec<Unused> {
    // By address: two source layers may have the same name.
    let used: HashSet<*const SourceTensor> = pairs
        .iter()
        .filter_map(|pair| pair.found.as_ref().ok())
        .map(|found| std::ptr::from_ref(found.tensor))
        .collect();
    let reason = |layer: &SourceLayer| {
        let name = &layer.name;
        match target.layers.iter().find(|l| l.name == *name) {
            None => format!("the target has no layer `{name}`"),
            Some(l) if l.parameters.is_empty() => "the target's layer has no parameters".into(),
            Some(_) => format!("it fits nothing in the target's `{name}`"),
        }
    };
    let layers = source.layers.iter();
    let tensors = layers.flat_map(|l| l.tensors.iter().map(move |t| (l, t)));
    tensors
        .filter(|(_, tensor)| !used.contains(&std::ptr::from_ref(*tensor)))
        .map(|(layer, tensor)| Unused {
            origin: origin(layer, tensor),
            reason: reason(layer),
        })
        .collect()
}

/// Why a target layer that is required was not imported.
fn missing_from(receipt: &Receipt, layer: &str) -> Vec<String> {
    let of_layer = receipt.tensors.iter().filter(|entry| entry.layer == layer);
    let reason = |entry: &Entry| match &entry.outcome {
        Outcome::Imported { .. } => None,
        Outcome::NotImported { reason, .. } => Some(format!("{entry} was not imported: {reason}")),
    };
    of_layer.filter_map(reason).collect()
}

fn nothing_imported(receipt: &Receipt, target: &NetworkSpec) -> Error {
    let error = Error::new("nothing of the source model fits the target model");
    if let Some(warning) = receipt.warnings().first() {
        return error.help(warning.as_str());
    }
    let names = |layers: Vec<&str>| {
        let mut names: Vec<_> = layers.iter().map(|name| format!("`{name}`")).collect();
        names.dedup();
        names.truncate(3);
        names.join(", ")
    };
    let ours = || receipt.tensors.iter().map(|entry| entry.layer.as_str());
    let theirs: Vec<_> = receipt
        .unused
        .iter()
        .map(|u| u.origin.layer.as_str())
        .collect();
    let close = theirs
        .iter()
        .find_map(|theirs| Some((theirs, pattern::closest(theirs, ours())?)));
    error.help(match (close, target.parameter_count()) {
        (_, 0) => "the target model has no parameters".to_string(),
        (Some((theirs, ours)), _) => {
            format!("layers are matched by name: is the source's `{theirs}` the target's `{ours}`?")
        }
        (None, _) => format!(
            "layers are matched by name: the source has {}, the target {}",
            names(theirs),
            names(ours().collect())
        ),
    })
}

#[cfg(test)]
mod tests;
