//! What to say where little or nothing of a source model fits: which of its layers come close to
//! which of the target, and the line of `[source.rename]` that would make them one.
//!
//! From a receipt alone: names and shapes of what was not imported, and of what was not used.

use std::collections::HashSet;

use super::receipt::{Entry, Origin, Outcome, Receipt};
use crate::error::Error;
use crate::model::spec::{NetworkSpec, Role, shape_text};

/// Lines of advice; more would bury the error.
const SHOWN: usize = 3;

/// Nothing was imported at all.
pub fn nothing_imported(receipt: &Receipt, target: &NetworkSpec) -> Error {
    let error = Error::new("nothing of the source model fits the target model");
    if target.parameter_count() == 0 {
        return error.help("the target model has no parameters");
    }
    if let Some(warning) = receipt.warnings().first() {
        return error.help(warning.as_str());
    }
    let close = close(receipt);
    if !close.is_empty() {
        return error.help(format!("layers are matched by name: {}", in_words(&close)));
    }
    let names = |layers: Vec<&str>| {
        let mut names: Vec<_> = layers.iter().map(|name| format!("`{name}`")).collect();
        names.dedup();
        names.truncate(SHOWN);
        names.join(", ")
    };
    let ours = receipt.tensors.iter().map(|entry| entry.layer.as_str());
    let theirs = receipt.unused.iter().map(|u| u.origin.layer.as_str());
    error.help(format!(
        "layers are matched by name: the source has {}, the target {}",
        names(theirs.collect()),
        names(ours.collect())
    ))
}

/// Too small a share of the parameters was imported.
pub fn uncovered(receipt: &Receipt) -> String {
    let mut missing: Vec<&Entry> = receipt
        .tensors
        .iter()
        .filter(|entry| !entry.is_imported())
        .collect();
    missing.sort_by_key(|entry| std::cmp::Reverse(entry.parameters));
    let missing = missing.iter().take(SHOWN).filter_map(|entry| {
        let Outcome::NotImported { reason, .. } = &entry.outcome else {
            return None;
        };
        Some(format!(
            "{entry} ({} parameters): {reason}",
            entry.parameters
        ))
    });
    let missing: Vec<String> = missing.collect();
    let missing = format!("not imported: {}", missing.join("; "));
    match close(receipt).as_slice() {
        [] => missing,
        close => format!("{missing}; {}", in_words(close)),
    }
}

/// A layer that is required was not imported.
pub fn required(receipt: &Receipt) -> String {
    match close(receipt).as_slice() {
        [] => "`graft inspect` lists the layers of the source model, `graft plan` those of the \
               experiment"
            .to_string(),
        close => in_words(close),
    }
}

/// The first of `lines`, and how many more there are, of what `things` are called.
pub fn shortened(mut lines: Vec<String>, things: &str) -> Vec<String> {
    // One line more says no less than that there is one more.
    if lines.len() > SHOWN + 1 {
        let more = lines.len() - SHOWN;
        lines.truncate(SHOWN);
        lines.push(format!("and {more} more {things}"));
    }
    lines
}

/// A layer of the target that was not imported, and an unused one of the source that may be the same.
struct Close<'a> {
    ours: &'a Entry,
    theirs: &'a Origin,
}

/// Names of tensors that hold weights, in all formats.
const WEIGHTS: [&str; 4] = ["weight", "W", "kernel", "depthwise_kernel"];

/// For each weight that was not imported, in order, the most alike of the unused ones that hold as
/// many values: by name or, where that says nothing, by place.
fn close(receipt: &Receipt) -> Vec<Close<'_>> {
    let weight = Role::Weight.name();
    let ours = receipt.tensors.iter().filter(|entry| {
        entry.role == weight && matches!(entry.outcome, Outcome::NotImported { rejected: None, .. })
    });
    let theirs = receipt.unused.iter().map(|unused| &unused.origin);
    let theirs: Vec<&Origin> = theirs
        .filter(|origin| WEIGHTS.contains(&origin.tensor.as_str()))
        .collect();
    let mut taken = HashSet::new();
    let mut close = Vec::new();
    for ours in ours {
        let free = theirs.iter().enumerate().filter(|(place, theirs)| {
            !taken.contains(place) && may_fit(&theirs.shape, &ours.shape)
        });
        let alike = |name: &str| strsim::jaro_winkler(name, &ours.layer);
        // The first of those that are equally alike.
        let best = free.rev().max_by(|(_, a), (_, b)| {
            let (a, b) = (alike(&a.layer), alike(&b.layer));
            a.total_cmp(&b)
        });
        if let Some((place, theirs)) = best {
            taken.insert(place);
            close.push(Close { ours, theirs });
        }
    }
    close
}

/// Whether a tensor of shape `theirs` may be one of shape `ours` in some layout: the same sizes in
/// another order, or neon's matrix of them.
fn may_fit(theirs: &[usize], ours: &[usize]) -> bool {
    let sorted = |shape: &[usize]| {
        let mut sizes: Vec<_> = shape.iter().copied().filter(|&size| size != 1).collect();
        sizes.sort_unstable();
        sizes
    };
    let is_neons = match (theirs, ours) {
        (&[rows, filters], &[k, c, r, s]) => filters == k && Some(rows) == product(&[c, r, s]),
        _ => false,
    };
    sorted(theirs) == sorted(ours) || is_neons
}

fn product(sizes: &[usize]) -> Option<usize> {
    sizes
        .iter()
        .try_fold(1usize, |n, &size| n.checked_mul(size))
}

fn in_words(close: &[Close]) -> String {
    let pairs: Vec<String> = close
        .iter()
        .take(SHOWN)
        .map(|Close { ours, theirs }| {
            let (here, there) = (shape_text(&ours.shape), shape_text(&theirs.shape));
            let (layer, ours) = (&theirs.layer, &ours.layer);
            format!("the source's `{layer}` {there} for `{ours}` {here}")
        })
        .collect();
    let renames: Vec<String> = match common_rename(close) {
        Some((pattern, new)) => vec![format!("\"{pattern}\" = \"{new}\"")],
        None => close
            .iter()
            .take(SHOWN)
            .map(|Close { ours, theirs }| format!("\"{}\" = \"{}\"", theirs.layer, ours.layer))
            .collect(),
    };
    format!(
        "closest are {}; if they are the same, say so in [source.rename]: {}",
        pairs.join(", "),
        renames.join(", ")
    )
}

/// The one pattern that renames all of these, where one name is the other with something before it.
fn common_rename(close: &[Close]) -> Option<(String, String)> {
    let first = close.first()?;
    let (ours, theirs) = (first.ours.layer.as_str(), first.theirs.layer.as_str());
    let all = |pattern: &str, new: &str| {
        let mut renamed = close.iter().map(|Close { ours, theirs }| {
            let name = crate::pattern::replace(pattern, new, &theirs.layer);
            name.as_deref() == Some(&ours.layer)
        });
        close.len() > 1 && renamed.all(|is_same| is_same)
    };
    let longer = theirs
        .strip_suffix(ours)
        .map(|prefix| (format!("{prefix}*"), "*".to_string()));
    let shorter = ours
        .strip_suffix(theirs)
        .map(|prefix| ("*".to_string(), format!("{prefix}*")));
    longer
        .or(shorter)
        .filter(|(pattern, new)| all(pattern, new))
}
