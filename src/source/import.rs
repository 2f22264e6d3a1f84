//! Importing by layer name: from a source model's tensors to values for the target, with a receipt.
//!
//! Matching needs names and shapes alone, so that a plan can show it before the source model is
//! trained. A layer without parameters is never imported, a tensor of another shape neither, and
//! nothing but parameters is taken over. This module knows no file format and no device.

use std::collections::HashSet;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::advice;
use super::layout::Conversion;
use super::matching::{Found, Pair, Pairs, pair};
use super::names::Renames;
use super::origin;
use super::receipt::{Entry, Origin, Outcome, Receipt, SourceFile, Totals, Unused};
use super::{SourceLayer, SourceModel, SourceTensor};
use crate::config::experiment::Source as Contract;
use crate::error::{Error, Result};
use crate::files::hexadecimal;
use crate::model::spec::{LayerSpec, NetworkSpec, Role};
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

/// What an import of `source` into `target` would take over, under the names that `renames` gives
/// the source's layers. Needs no values.
///
/// # Errors
/// An entry of `renames` that matches no layer of the source, or is at odds with another one.
pub fn matches(source: &SourceModel, target: &NetworkSpec, renames: &Renames) -> Result<Receipt> {
    let pairs = pair(source, target, renames)?;
    let outcomes = pairs.pairs.iter().map(|pair| pair.outcome(None)).collect();
    Ok(receipt(source, target, &pairs, outcomes))
}

/// Checks that what a receipt imports is enough: something at all, every layer with parameters
/// that one of the `require` patterns matches, the share of the parameters that `coverage` says.
///
/// # Errors
/// Nothing is imported; a pattern matches no layer of `target`, or one that is not imported; less
/// than the share. The error names each, and what the source has that comes close.
pub fn check(receipt: &Receipt, target: &NetworkSpec, contract: &Contract) -> Result<()> {
    if receipt.totals.tensors == 0 {
        return Err(advice::nothing_imported(receipt, target).at(&receipt.source.path));
    }
    check_required(receipt, target, &contract.require)?;
    let share = receipt.totals.share_of_parameters();
    if share >= contract.coverage {
        return Ok(());
    }
    let problem = format!(
        "{:.4} of the model's parameters are imported, and {} are expected",
        share, contract.coverage
    );
    Err(Error::new(problem)
        .at("source.coverage")
        .help(advice::uncovered(receipt)))
}

/// Advice where less than half of the work is done by imported layers, from a model that somebody else
/// trained; none where that is not so.
pub fn little(receipt: &Receipt) -> Option<String> {
    let totals = receipt.totals;
    // Nothing at all is imported only where a control wants it so.
    let is_little =
        totals.tensors > 0 && receipt.source.is_foreign && totals.share_of_multiply_adds() < 0.5;
    is_little.then(|| {
        format!(
            "only {} of {} tensors were imported; {}",
            totals.tensors,
            totals.of_tensors,
            advice::required(receipt)
        )
    })
}

fn check_required(receipt: &Receipt, target: &NetworkSpec, require: &[String]) -> Result<()> {
    let (mut problems, mut missing) = (Vec::new(), Vec::new());
    for pattern in require {
        let layers = target.layers.iter();
        let matching: Vec<_> = layers
            .filter(|layer| pattern::matches(pattern, &layer.name))
            .collect();
        if matching.is_empty() {
            let names = target.layers.iter().map(|layer| layer.name.as_str());
            let meant = pattern::closest(pattern, names);
            let meant = meant.map_or(String::new(), |name| format!(" (did you mean `{name}`?)"));
            problems.push(format!("`{pattern}` matches no layer of the model{meant}"));
        }
        for layer in matching {
            missing.extend(missing_from(receipt, &layer.name));
        }
    }
    // Patterns may overlap.
    let mut seen = HashSet::new();
    missing.retain(|tensor| seen.insert(tensor.clone()));
    problems.extend(advice::shortened(missing, "tensors"));
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(problems.join("; "))
        .at("source.require")
        .help(advice::required(receipt)))
}

/// Converts the tensors of `source` that fit a layer of `target` by name and shape. Takes them out
/// of the source one by one, so that nothing is in memory twice.
///
/// # Errors
/// As [`matches()`] and [`check`]; and a value to be imported that is not finite.
pub fn import(
    mut source: SourceModel,
    target: &NetworkSpec,
    contract: &Contract,
) -> Result<(Vec<ImportedTensor>, Receipt)> {
    let planned = matches(&source, target, &contract.rename)?;
    check(&planned, target, contract)?;
    let mut receipt = planned;
    let mut taken = Vec::new();
    for (found, entry) in found(&source, target, contract)?
        .into_iter()
        .zip(&mut receipt.tensors)
    {
        if let (Some(found), true) = (found, entry.is_imported()) {
            let tensor = &mut source.layers[found.layer].tensors[found.tensor];
            let values = match found.last {
                true => std::mem::take(&mut tensor.values),
                false => tensor.values.clone(),
            };
            taken.push((found, tensor.shape.clone(), values, entry));
        }
    }
    let taken = taken.into_par_iter();
    let tensors = taken.map(|(found, shape, values, entry)| {
        let values = converted(values, found.conversion, &shape, &mut entry.outcome);
        ImportedTensor {
            layer: entry.layer.clone(),
            role: found.role,
            values,
        }
    });
    Ok((tensors.collect(), receipt))
}

/// The values in the target's layout; notes their checksums before and after.
fn converted(
    values: Numbers,
    conversion: Conversion,
    shape: &[usize],
    outcome: &mut Outcome,
) -> Numbers {
    let before = checksum(&values);
    let (values, after) = match conversion.keeps_order() {
        true => (values, before.clone()),
        false => {
            let values = conversion.apply(values, shape);
            let after = checksum(&values);
            (values, after)
        }
    };
    if let Outcome::Imported {
        from,
        sha256,
        dtype,
        ..
    } = outcome
    {
        *dtype = Some(values.dtype());
        from.sha256 = Some(before);
        *sha256 = Some(after);
    }
    values
}

/// Where the values of a tensor of the target are in the source.
struct Place {
    layer: usize,
    tensor: usize,
    role: Role,
    conversion: Conversion,
    /// No tensor behind this one needs the same values.
    last: bool,
}

/// For every tensor of `target`, in its order.
fn found(
    source: &SourceModel,
    target: &NetworkSpec,
    contract: &Contract,
) -> Result<Vec<Option<Place>>> {
    let pairs = pair(source, target, &contract.rename)?.pairs;
    let mut needed = HashSet::new();
    let mut places = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let Ok(found) = &pair.found else {
            places.push(None);
            continue;
        };
        check_values(found).map_err(|e| e.at(source.path.display()))?;
        let (layer, tensor) = found.place;
        places.push(Some(Place {
            layer,
            tensor,
            role: pair.parameter.role,
            conversion: found.conversion,
            last: needed.insert(found.place),
        }));
    }
    places.reverse();
    Ok(places)
}

impl Pair<'_> {
    fn outcome(&self, sha256: Option<String>) -> Outcome {
        match &self.found {
            Ok(found) => Outcome::Imported {
                from: origin(found.layer, found.tensor),
                transform: found.conversion.words().to_string(),
                sha256,
                dtype: None,
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
        path: tensor.path.clone(),
        shape: tensor.shape.clone(),
        sha256: None,
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
    if values.is_finite() {
        return Ok(());
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
    hexadecimal(&values.sha256())
}

fn receipt(
    source: &SourceModel,
    target: &NetworkSpec,
    pairs: &Pairs,
    outcomes: Vec<Outcome>,
) -> Receipt {
    let entries: Vec<_> = pairs
        .pairs
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
            origin: source.origin.map(|origin| origin.to_string()),
            is_foreign: origin::is_foreign(source),
            sha256: source.sha256.clone(),
            prefix: pairs.prefix.clone(),
        },
        preprocessing: None,
        totals: Totals {
            tensors: imported().count(),
            of_tensors: entries.len(),
            parameters: imported().map(|entry| entry.parameters).sum(),
            of_parameters: target.parameter_count(),
            multiply_adds: multiply_adds(&pairs.pairs),
            of_multiply_adds: target.multiply_adds(),
        },
        unused: unused(source, target, &pairs.pairs),
        tensors: entries,
    }
}

/// Those of the layers whose weights are imported.
fn multiply_adds(pairs: &[Pair]) -> u64 {
    let weights = pairs
        .iter()
        .filter(|pair| pair.parameter.role == Role::Weight && pair.found.is_ok());
    weights
        .map(|pair| LayerSpec::multiply_adds(pair.layer))
        .sum()
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
        Outcome::Imported { .. } | Outcome::Withheld { .. } => None,
        Outcome::NotImported { reason, .. } => Some(format!("{entry} was not imported: {reason}")),
    };
    of_layer.filter_map(reason).collect()
}

#[cfg(test)]
mod tests;
