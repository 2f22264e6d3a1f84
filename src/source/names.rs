//! By which names a layer of the source is found: its own, changed by `[source.rename]`; without a
//! prefix that most layers share; those that the checkpoints of an architecture usually have; and
//! whatever separates the parts of a name.
//!
//! Names alone: it looks at no shape and no value.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::SourceModel;
use crate::error::{Error, Result};
use crate::model::spec::{LayerSpec, NetworkSpec, Operation};
use crate::pattern;

/// What `[source.rename]` says: patterns of names in the source, and the names that the target has
/// for them, where each `*` stands for what that of the pattern did.
pub type Renames = BTreeMap<String, String>;

/// The layers of a source model by the names that a target looks for. Layers are numbers: their
/// places in the model.
#[derive(Debug)]
pub struct Catalogue {
    /// What all names are read without, e.g. `module.`; mostly empty.
    pub prefix: String,
    exact: HashMap<String, Vec<usize>>,
    /// By names whose separators are all the same.
    loose: HashMap<String, Vec<usize>>,
}

impl Catalogue {
    /// Of `source`, for `target`.
    ///
    /// # Errors
    /// A pattern of `renames` that matches no layer of the source, or two that give a layer
    /// different names.
    pub fn new(source: &SourceModel, target: &NetworkSpec, renames: &Renames) -> Result<Self> {
        let names = source.layers.iter().map(|layer| layer.name.as_str());
        let names: Vec<&str> = names.collect();
        let renamed = rename_all(&names, renames)?;
        let kept = |index: &usize| renamed[*index].is_none();
        let free: Vec<&str> = (0..names.len()).filter(kept).map(|i| names[i]).collect();
        let prefix = prefix(&free, target);
        let mut catalogue = Self {
            prefix,
            exact: HashMap::new(),
            loose: HashMap::new(),
        };
        for (place, name) in names.iter().enumerate() {
            let stripped = name.strip_prefix(&catalogue.prefix).unwrap_or(name);
            let name = renamed[place].as_deref().unwrap_or(stripped);
            catalogue.add(name, place);
        }
        Ok(catalogue)
    }

    /// The layers of the source that `layer` of the target may be, by its best name that any has. A
    /// bias has its own name alone: what checkpoints call it is the layer it belongs to.
    pub fn find(&self, layer: &LayerSpec) -> &[usize] {
        match layer.operation {
            Operation::Bias => self.find_name(&[&layer.name]),
            _ => self.find_name(&wanted(layer)),
        }
    }

    /// The layers of the source that may hold the bias that is a layer `bias` of its own here: those
    /// that its convolution or product may be.
    pub fn find_owner(&self, bias: &LayerSpec) -> &[usize] {
        let owner = bias.name.strip_suffix("_bias");
        let names: Vec<&str> = owner.into_iter().chain(foreign(bias)).collect();
        self.find_name(&names)
    }

    fn find_name(&self, names: &[&str]) -> &[usize] {
        let exact = names.iter().find_map(|name| self.exact.get(*name));
        let loose = || names.iter().find_map(|name| self.loose.get(&loose(name)));
        exact.or_else(loose).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, name: &str, place: usize) {
        self.exact.entry(name.to_string()).or_default().push(place);
        self.loose.entry(loose(name)).or_default().push(place);
    }
}

/// The names that `layer` may have in a source: its own first.
fn wanted(layer: &LayerSpec) -> Vec<&str> {
    let own = std::iter::once(layer.name.as_str());
    own.chain(foreign(layer)).collect()
}

/// What the usual checkpoints call `layer`, unless the experiment gave it a name of its own.
fn foreign(layer: &LayerSpec) -> impl Iterator<Item = &str> {
    let names = layer.names.iter().filter(|_| !layer.renamed);
    names.map(|foreign| foreign.name.as_str())
}

/// `layer1.0.conv1`, `layer1/0/conv1` and `layer1_0_conv1` are one name.
fn loose(name: &str) -> String {
    name.replace(['.', '/', '-'], "_")
}

/// The part that names are read without: what at least half of them begin with, if more layers of
/// the target are found without it.
fn prefix(names: &[&str], target: &NetworkSpec) -> String {
    let with_parameters = target.layers.iter().filter(|l| !l.parameters.is_empty());
    let wanted: BTreeSet<String> = with_parameters.flat_map(wanted).map(loose).collect();
    let found = |prefix: &str| {
        let rest = names.iter().filter_map(|name| name.strip_prefix(prefix));
        rest.filter(|rest| wanted.contains(&loose(rest))).count()
    };
    let mut best = (found(""), "");
    for prefix in common_prefixes(names) {
        let count = found(prefix);
        if count > best.0 {
            best = (count, prefix);
        }
    }
    best.1.to_string()
}

/// Parts of a name that may be a prefix.
const DEEPEST: usize = 4;

/// Beginnings that end in a separator and that at least half of the names have, shortest first.
fn common_prefixes<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        for (end, _) in name.match_indices(['.', '/']).take(DEEPEST) {
            *counts.entry(&name[..=end]).or_default() += 1;
        }
    }
    let most = |count: usize| 2 * count >= names.len();
    let mut common: Vec<_> = counts.into_iter().filter(|&(_, n)| most(n)).collect();
    common.sort_by_key(|(prefix, _)| prefix.len());
    common.into_iter().map(|(prefix, _)| prefix).collect()
}

/// How specific an entry is: an exact name most, then patterns by their literal characters.
fn rank(pattern: &str) -> usize {
    match pattern::is_pattern(pattern) {
        true => pattern::literals(pattern),
        false => usize::MAX,
    }
}

/// The new name of each layer that an entry matches: that of the most specific one.
fn rename_all(names: &[&str], renames: &Renames) -> Result<Vec<Option<String>>> {
    let mut renamed: Vec<Option<(&str, String)>> = vec![None; names.len()];
    let mut entries: Vec<_> = renames.iter().collect();
    entries.sort_by_key(|(pattern, _)| Reverse(rank(pattern)));
    for (pattern, replacement) in entries {
        let mut matched = false;
        for (name, renamed) in names.iter().zip(&mut renamed) {
            let Some(new) = pattern::replace(pattern, replacement, name) else {
                continue;
            };
            matched = true;
            match renamed {
                None => *renamed = Some((pattern, new)),
                Some((other, old)) if rank(other) == rank(pattern) && *old != new => {
                    let problem = format!("`{other}` and `{pattern}` both rename `{name}`");
                    let remedy = format!("give `{name}` an entry of its own");
                    return Err(Error::new(problem).at("source.rename").help(remedy));
                }
                // A more specific entry has named it.
                Some(_) => {}
            }
        }
        if !matched {
            return Err(matches_nothing(pattern, names));
        }
    }
    let mut taken: HashMap<&str, &str> = HashMap::new();
    for (name, renamed) in names.iter().zip(&renamed) {
        if let Some((_, new)) = renamed
            && let Some(other) = taken.insert(new, name)
        {
            let problem = format!("`{other}` and `{name}` are both renamed to `{new}`");
            let remedy = "two layers cannot be one: give each its own name";
            return Err(Error::new(problem).at("source.rename").help(remedy));
        }
    }
    let new = renamed.into_iter().map(|renamed| Some(renamed?.1));
    Ok(new.collect())
}

fn matches_nothing(pattern: &str, names: &[&str]) -> Error {
    let problem = format!("`{pattern}` matches no layer of the source model");
    let error = Error::new(problem).at("source.rename");
    match pattern::closest(pattern, names.iter().copied()) {
        Some(name) => error.help(format!("did you mean `{name}`?")),
        None => error.help("`graft inspect` lists the layers of a source model"),
    }
}

#[cfg(test)]
mod tests;
