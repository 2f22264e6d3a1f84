//! Where in a checkpoint the weights are, and what else it says.
//!
//! Training scripts wrap the `state_dict` as they like; optimizers' states are never taken for it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::super::layers::{LONGEST_NAME, fact};
use super::super::numpy::{self, Scalar};
use super::super::pickle::{Global, Node, NodeId, Pickle};
use super::storage::is_tensor;
use crate::error::{Error, Result};

/// The tensors of a model by name.
#[derive(Debug)]
pub struct Weights {
    /// Where they were, if not at the top.
    pub key: Option<String>,
    pub tensors: Vec<(String, NodeId)>,
}

/// Finds them: under one of the usual keys, at the top, or in the one dictionary that has any.
///
/// # Errors
/// There are none, or several sets of them.
pub fn weights(pickle: &Pickle) -> Result<Weights> {
    let mut at = pickle.root();
    let mut keys: Vec<&str> = Vec::new();
    for _ in 0..DEEPEST {
        let own = tensors(pickle, at)?;
        let inner = inside(pickle, at);
        let usual = KEYS
            .iter()
            .find_map(|key| inner.iter().find(|found| found.0 == *key));
        let only = match (own.is_empty(), inner.as_slice()) {
            (true, [only]) => Some(only),
            _ => None,
        };
        match usual.or(only) {
            Some(&(key, next)) => {
                keys.push(key);
                at = next;
            }
            None if own.is_empty() => return Err(nothing(pickle, &inner)),
            None => {
                return Ok(Weights {
                    key: (!keys.is_empty()).then(|| keys.join(".")),
                    tensors: own,
                });
            }
        }
    }
    Err(nothing(pickle, &[]))
}

/// What a person may want to know of the checkpoint: epochs, accuracies, classes.
pub fn facts(pickle: &Pickle) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    for (key, value) in named(pickle, pickle.root()) {
        if let Some(words) = words(pickle, value) {
            facts.insert(key.to_string(), words);
        } else if key == "meta" {
            let inner = named(pickle, value).take(MOST_FACTS);
            let words = inner.filter_map(|(key, value)| Some((key, words(pickle, value)?)));
            facts.extend(words.map(|(key, words)| (format!("meta.{key}"), words)));
        }
        if facts.len() > MOST_FACTS {
            break;
        }
    }
    facts
}

/// Keys under which scripts keep a model's weights, the usual ones first.
const KEYS: [&str; 14] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "params",
    "weights",
    "module",
    "state",
    "params_ema",
    "state_dict_ema",
    "model_ema",
    "ema",
];

/// How deep the weights may lie.
const DEEPEST: usize = 4;

const MOST_FACTS: usize = 30;

/// Longest list that is a fact.
const MOST_WORDS: usize = 10;

/// Most tensors of a model.
const MOST_TENSORS: usize = 100_000;

/// The dictionaries and modules in the dictionary `id` that hold tensors, somewhere.
fn inside(pickle: &Pickle, id: NodeId) -> Vec<(&str, NodeId)> {
    let mut known = HashMap::new();
    let own = named(pickle, id).filter(|(key, _)| !is_aside(key));
    own.filter(|&(_, value)| holds_tensors(pickle, value, DEEPEST, &mut known))
        .collect()
}

/// Whether a key is of something that is not the model.
fn is_aside(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let words = [
        "optim",
        "sched",
        "scaler",
        "amp",
        "meta",
        "loss",
        "criterion",
    ];
    words.iter().any(|word| key.starts_with(word)) || key.ends_with("optimizer")
}

/// `known` are the answers so far, by dictionary and depth: a file may hold one dictionary many times.
fn holds_tensors(
    pickle: &Pickle,
    id: NodeId,
    depth: usize,
    known: &mut HashMap<(NodeId, usize), bool>,
) -> bool {
    if let Some(&answer) = known.get(&(id, depth)) {
        return answer;
    }
    let answer = if module_state(pickle, id).is_some() {
        true
    } else if pickle.get(id, "param_groups").is_some() {
        // What an optimizer saved.
        false
    } else {
        let mut own = named(pickle, id);
        let mut below = named(pickle, id).take(MOST_WORDS);
        own.any(|(_, value)| is_tensor(pickle, value))
            || depth > 1 && below.any(|(_, value)| holds_tensors(pickle, value, depth - 1, known))
    };
    known.insert((id, depth), answer);
    answer
}

/// The tensors in a dictionary, or those of a pickled module.
fn tensors(pickle: &Pickle, id: NodeId) -> Result<Vec<(String, NodeId)>> {
    if module_state(pickle, id).is_some() {
        return module(pickle, id);
    }
    // Of equal keys the last counts, in the place of the first.
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut found: Vec<(String, NodeId)> = Vec::new();
    for (key, value) in named(pickle, id).filter(|&(_, value)| is_tensor(pickle, value)) {
        match places.get(key) {
            Some(&place) => found[place].1 = value,
            None => {
                places.insert(key, found.len());
                found.push((key.to_string(), value));
            }
        }
    }
    Ok(found)
}

/// The attributes of a pickled `torch.nn.Module`.
fn module_state(pickle: &Pickle, id: NodeId) -> Option<NodeId> {
    let &Node::Call {
        callable: Global::Other(_) | Global::Builtin,
        state: Some(state),
        ..
    } = pickle.node(id)
    else {
        return None;
    };
    pickle.get(state, "_modules").map(|_| state)
}

/// The parameters and buffers of a module and of those in it, by the names that `state_dict()`
/// gives them.
fn module(pickle: &Pickle, id: NodeId) -> Result<Vec<(String, NodeId)>> {
    let mut found = Vec::new();
    let (mut seen, mut parts) = (HashSet::new(), HashSet::new());
    // The next module is the last one.
    let mut pending = vec![(String::new(), id)];
    while let Some((prefix, id)) = pending.pop() {
        let Some(state) = module_state(pickle, id) else {
            continue;
        };
        if !seen.insert(id) || found.len() > MOST_TENSORS || prefix.len() > LONGEST_NAME {
            return Err(
                Error::new("is a module that contains itself or too many others")
                    .help("save `model.state_dict()` instead"),
            );
        }
        let part = |part: &str| pickle.get(state, part).into_iter();
        for part in ["_parameters", "_buffers"].into_iter().flat_map(part) {
            // Modules may share parameters, but not the dictionary that holds them.
            if !named(pickle, part).take(1).all(|_| parts.insert(part)) {
                return Err(Error::new("holds modules that are parts of one another")
                    .help("save `model.state_dict()` instead"));
            }
            let tensors = named(pickle, part).filter(|&(_, value)| is_tensor(pickle, value));
            found.extend(tensors.map(|(name, value)| (format!("{prefix}{name}"), value)));
        }
        let inner = part("_modules").filter(|&modules| parts.insert(modules));
        let modules = inner.flat_map(|modules| named(pickle, modules));
        let first = pending.len();
        pending.extend(modules.map(|(name, id)| (format!("{prefix}{name}."), id)));
        pending[first..].reverse();
    }
    Ok(found)
}

/// The entries of a dictionary whose keys may be names.
fn named(pickle: &Pickle, id: NodeId) -> impl Iterator<Item = (&str, NodeId)> {
    let entries = match pickle.node(id) {
        Node::Dict(entries) => entries.as_slice(),
        _ => &[],
    };
    let key = |&(key, value): &(NodeId, NodeId)| Some((pickle.text(key)?, value));
    entries.iter().filter_map(key)
}

/// A number, a short text or a few of them.
fn words(pickle: &Pickle, id: NodeId) -> Option<String> {
    let word = |id| match *pickle.node(id) {
        Node::Bool(value) => Some(value.to_string()),
        Node::Int(value) => Some(value.to_string()),
        Node::Float(value) => Some(value.to_string()),
        _ => match numpy::scalar(pickle, id) {
            Some(Scalar::Int(value)) => Some(value.to_string()),
            Some(Scalar::Float(value)) => Some(value.to_string()),
            None => pickle.text(id).and_then(fact),
        },
    };
    match pickle.items(id) {
        Some(items) if items.is_empty() || items.len() > MOST_WORDS => None,
        Some(items) => {
            let words: Option<Vec<_>> = items.iter().map(|&item| word(item)).collect();
            words.map(|words| words.join(", "))
        }
        None => word(id),
    }
}

fn nothing(pickle: &Pickle, inner: &[(&str, NodeId)]) -> Error {
    let quoted = |key: &str| format!("`{}`", key.escape_debug());
    if inner.len() > 1 {
        let keys: Vec<_> = inner.iter().take(5).map(|&(key, _)| quoted(key)).collect();
        let problem = format!("holds several sets of weights: {}", keys.join(", "));
        return Error::new(problem)
            .help("load it in Python and save the `state_dict()` of one model");
    }
    let keys = named(pickle, pickle.root())
        .take(5)
        .map(|(key, _)| quoted(key));
    let keys: Vec<_> = keys.collect();
    let found = match (keys.is_empty(), pickle.node(pickle.root())) {
        (false, _) => format!("it holds {}", keys.join(", ")),
        (_, Node::Call { callable, .. }) => {
            format!("it is an object of `{}`", pickle.global_name(*callable))
        }
        _ => "it holds no named values".to_string(),
    };
    Error::new(format!("holds no weights of a model: {found}"))
        .help("load it in Python and save `model.state_dict()`")
}
