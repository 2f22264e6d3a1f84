//! Where a source model comes from: which published architecture its layers' names and shapes are
//! those of, and whose variant of it.
//!
//! What follows for the target is the caller's: how its pixels are prepared, its padding, the
//! constants of its batch norms. Values are never looked at.

use std::fmt;

use super::import;
use super::names::Renames;
use super::{Format, SourceModel};
use crate::config::experiment::{Architecture, Convention, Family};
use crate::model::architecture;
use crate::model::spec::NetworkSpec;

/// The architecture that a file was recognized as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Origin {
    pub architecture: Architecture,
    pub convention: Convention,
    /// Factor on its channels.
    pub width: f64,
    /// Tensors of the architecture that the file has, of all that it has.
    pub tensors: usize,
    pub of_tensors: usize,
}

/// Tensors that the file and the architecture share, as a part of all that either has, from which a
/// file is taken for one of the architecture. A model without its head, or with another one, is
/// well above it; models of another architecture are below a half.
const LIKE_ENOUGH: f64 = 0.6;

/// The origin of `source`; none if it is no published architecture's, and for models of graft and of
/// neon, which say themselves what they are.
pub fn recognize(source: &SourceModel) -> Option<Origin> {
    if !is_foreign(source) {
        return None;
    }
    let candidates = Architecture::ALL.into_iter().flat_map(variants);
    let mut best: Option<(f64, Origin)> = None;
    for (architecture, convention, width) in candidates {
        let Ok(spec) = architecture::standard(architecture, convention, width) else {
            continue;
        };
        let Some((likeness, tensors)) = likeness(source, spec.clone(), convention) else {
            continue;
        };
        let origin = Origin {
            architecture,
            convention,
            width,
            tensors,
            of_tensors: tensors_of(&spec),
        };
        if likeness >= LIKE_ENOUGH && best.is_none_or(|(most, _)| likeness > most) {
            best = Some((likeness, origin));
        }
    }
    best.map(|(_, origin)| origin)
}

/// Whether a tool other than graft and neon wrote the model.
pub fn is_foreign(source: &SourceModel) -> bool {
    let neons = matches!(
        source.format,
        Format::Neon | Format::NeonFused | Format::NeonObsolete
    );
    let grafts = source.metadata.keys().any(|key| key.starts_with("graft."));
    !neons && !grafts
}

/// The variants of an architecture that are published.
fn variants(architecture: Architecture) -> Vec<(Architecture, Convention, f64)> {
    let widths: &[f64] = match architecture.facts().family {
        Family::MobilenetV1 => &[1.0, 0.75, 0.5, 0.25],
        Family::MobilenetV2 => &[1.0, 1.4, 1.3, 0.75, 0.5, 0.35],
        _ => &[1.0],
    };
    let conventions = [Convention::Torchvision, Convention::Keras];
    let of = |convention| {
        widths
            .iter()
            .map(move |&width| (architecture, convention, width))
    };
    conventions.into_iter().flat_map(of).collect()
}

/// How much of `source` and of `spec` is the other, 0 to 1, and the tensors that both have; none if
/// `convention` has no names for the architecture.
fn likeness(
    source: &SourceModel,
    mut spec: NetworkSpec,
    convention: Convention,
) -> Option<(f64, usize)> {
    let mut named = false;
    for layer in &mut spec.layers {
        layer.names.retain(|name| name.convention == convention);
        named |= !layer.names.is_empty();
        // graft's own names say nothing of who else's they are.
        hide(&mut layer.name);
        layer.inputs.iter_mut().for_each(hide);
    }
    let receipt = import::matches(source, &spec, &Renames::new()).ok()?;
    let of_source: usize = source.layers.iter().map(|layer| layer.tensors.len()).sum();
    let shared = receipt.totals.tensors;
    let either = (of_source + tensors_of(&spec)).checked_sub(shared)?;
    (named && either > 0).then(|| (shared as f64 / either as f64, shared))
}

/// Makes a name that no file has.
fn hide(name: &mut String) {
    name.insert(0, '\0');
}

fn tensors_of(spec: &NetworkSpec) -> usize {
    spec.layers.iter().map(|layer| layer.parameters.len()).sum()
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match self.convention {
            Convention::Torchvision => "torchvision",
            Convention::Keras => "Keras",
        };
        write!(f, "{} of {whose}", self.architecture.name())?;
        if self.width != 1.0 {
            write!(f, ", width {}", self.width)?;
        }
        write!(f, " ({} of its {} tensors)", self.tensors, self.of_tensors)
    }
}

#[cfg(test)]
mod tests;
