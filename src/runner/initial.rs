//! `model.initial_weights`: a whole model from a file, in place of drawn weights.
//!
//! Only its tensors are taken: no state of an optimizer, no statistics of its training. The layers
//! do not count as imported, so that they train at the default rate.

use std::path::Path;

use crate::config::experiment::Source;
use crate::error::{Error, Result};
use crate::model::network::Weights;
use crate::model::spec::NetworkSpec;
use crate::results::record::InitialWeights;
use crate::source::import;
use crate::source::names::Renames;
use crate::source::receipt::{Outcome, Receipt, Unused};
use crate::source::{self, SourceModel};

/// Checksum of the file, in hexadecimal.
///
/// # Errors
/// It is missing or cannot be read.
pub fn sha256(path: &Path) -> Result<String> {
    check_presence(path)?;
    source::sha256(path)
}

/// Reads the file.
///
/// # Errors
/// It is missing or cannot be read.
pub fn read(path: &Path) -> Result<SourceModel> {
    check_presence(path)?;
    source::read(path)
}

/// Checks that `model`, or the outline of one that is yet to be trained, holds all of `target`.
///
/// # Errors
/// A tensor of `target` is missing or of another shape, or one is left over.
pub fn check(model: &SourceModel, target: &NetworkSpec) -> Result<InitialWeights> {
    let receipt = import::matches(model, target, &Renames::new())?;
    check_whole(&receipt)?;
    Ok(InitialWeights {
        path: model.path.clone(),
        format: receipt.source.format,
        sha256: receipt.source.sha256,
    })
}

/// The values of every tensor of `target`, from a model that passed [`check`].
///
/// # Errors
/// A value that is not finite.
pub fn weights(model: SourceModel, target: &NetworkSpec) -> Result<Weights> {
    let (tensors, _) = import::import(model, target, &Source::default())?;
    Ok(tensors
        .into_iter()
        .map(|tensor| ((tensor.layer, tensor.role), tensor.values))
        .collect())
}

/// What is said of them: `initial weights from a.p (neon pickle)`.
pub fn summary(file: &InitialWeights) -> String {
    let InitialWeights { path, format, .. } = file;
    format!("initial weights from {} ({format})", path.display())
}

fn check_presence(path: &Path) -> Result<()> {
    match path.exists() {
        true => Ok(()),
        false => Err(Error::new("there is no such file of initial weights")
            .at(path.display())
            .help(
                "`model.initial_weights` is relative to the directory in which graft runs; remove \
                 it to draw the weights",
            )),
    }
}

fn check_whole(receipt: &Receipt) -> Result<()> {
    let missing = receipt
        .tensors
        .iter()
        .filter_map(|entry| match &entry.outcome {
            Outcome::Imported { .. } => None,
            Outcome::NotImported { reason, .. } => Some(format!("{entry} is missing: {reason}")),
        });
    let left_over = receipt
        .unused
        .iter()
        .map(|Unused { origin, reason }| format!("{origin} is left over: {reason}"));
    let problems: Vec<String> = missing.chain(left_over).collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Error::new(problems.join("; "))
            .at(&receipt.source.path)
            .help(
                "initial weights are those of the whole model and of no other; to take over a \
                 part, use `source_model`",
            )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::receipt::{Entry, Origin, SourceFile, Totals};

    fn entry(layer: &str, outcome: Outcome) -> Entry {
        Entry {
            layer: layer.into(),
            role: "weight".into(),
            shape: vec![4, 1],
            parameters: 4,
            outcome,
        }
    }

    fn origin(layer: &str) -> Origin {
        Origin {
            layer: layer.into(),
            tensor: "W".into(),
            path: None,
            shape: vec![4, 1],
            sha256: None,
        }
    }

    fn receipt(tensors: Vec<Entry>, unused: Vec<Unused>) -> Receipt {
        Receipt {
            source: SourceFile {
                path: "init.p".into(),
                format: "neon pickle".into(),
                origin: None,
                is_foreign: false,
                sha256: "ff".into(),
                prefix: String::new(),
            },
            preprocessing: None,
            totals: Totals::default(),
            tensors,
            unused,
        }
    }

    fn found() -> Entry {
        let outcome = Outcome::Imported {
            from: origin("fc6"),
            transform: "as is".into(),
            sha256: None,
            dtype: None,
        };
        entry("fc6", outcome)
    }

    #[test]
    fn a_whole_model_passes() {
        assert!(check_whole(&receipt(vec![found()], vec![])).is_ok());
    }

    #[test]
    fn what_is_missing_and_what_is_left_over_is_listed() {
        let missing = Outcome::NotImported {
            reason: "the source has no layer `fc7`".into(),
            rejected: None,
        };
        let unused = Unused {
            origin: origin("fc8"),
            reason: "the target has no layer `fc8`".into(),
        };
        let receipt = receipt(vec![found(), entry("fc7", missing)], vec![unused]);
        let error = check_whole(&receipt).expect_err("it is not whole");
        assert_eq!(
            error.to_string(),
            "init.p: `fc7.weight` is missing: the source has no layer `fc7`; `W` of the source's \
             `fc8`, (4, 1) is left over: the target has no layer `fc8`\n  help: initial weights are \
             those of the whole model and of no other; to take over a part, use `source_model`"
        );
    }
}
