//! A neon file as a whole, for `convert`: its dictionary as it is, with the names of tensors in the
//! place of arrays.
//!
//! Parameters of layers whose class graft knows get graft's names and layouts, and so do the
//! states that an optimizer keeps of them; those of other classes keep neon's.

use std::collections::{HashMap, HashSet};

use super::{LONGEST_NAME, Reader, filter, get, layouts, nameless, not_a_model, text};
use crate::error::{Error, Result};
use crate::source::Format;
use crate::source::document::{
    Described, Document, Tensor, check_states, is_state, state_name, unknown_role,
};
use crate::source::layout::Conversion;
use crate::source::numpy::{self, Scalar};
use crate::source::pickle::value::Value;
use crate::source::pickle::{self, Dialect, Node, NodeId, Pickle};
use crate::source::pieces::Pieces;

/// Reads the pickle in `pieces`.
///
/// # Errors
/// A pickle that is malformed, refused or not a model of neon's, or that holds more than a model
/// does; two layers of one name, parameters that are no dictionary of arrays.
pub(in crate::source) fn document(pieces: &Pieces) -> Result<Document> {
    let pickle = pickle::parse(pieces, 0, Dialect::Numpy)?;
    let root = pickle.root();
    let has = |key| get(&pickle, root, key).map(|value| value.is_some());
    if !has("layer_params_states")? && !has("model")? {
        return Err(not_a_model(&pickle));
    }
    let mut walk = Walk {
        pickle: &pickle,
        reader: Reader::new(&pickle, pieces.len() as usize),
        names: HashSet::new(),
        tensors: Vec::new(),
        left_out: Vec::new(),
        steps_left: MOST_VALUES,
        text_left: SHARED_TEXT.saturating_add(pieces.len() as usize),
        depth: 0,
    };
    let description = walk.value(root, "")?;
    check_states(walk.tensors.iter().map(|tensor| tensor.name.as_str()))?;
    Ok(Document {
        format: description.as_ref().map_or(Format::Neon, layouts::format),
        sha256: String::new(),
        described: description.map(Described::Neon),
        tensors: walk.tensors,
        metadata: Default::default(),
        left_out: walk.left_out,
    })
}

/// Limits that no model of neon's comes near: a hostile file of a few bytes may refer to the same
/// value again and again, or nest it.
const MOST_VALUES: usize = 1 << 20;
const DEEPEST: usize = 100;
/// Bytes of text besides those of the file, in which a name may be written once and referred to by
/// each layer.
const SHARED_TEXT: usize = 1 << 24;

struct Walk<'a> {
    pickle: &'a Pickle,
    /// Reads arrays, and counts what they hold.
    reader: Reader<'a>,
    /// Of all tensors.
    names: HashSet<String>,
    tensors: Vec<Tensor>,
    left_out: Vec<String>,
    steps_left: usize,
    /// Bytes of text that may still be kept.
    text_left: usize,
    depth: usize,
}

impl<'a> Walk<'a> {
    /// The value at `id`; `None` if it cannot be kept, which is then noted.
    fn value(&mut self, id: NodeId, place: &str) -> Result<Option<Value>> {
        self.take_steps(1)?;
        if self.depth == DEEPEST {
            return Err(Error::new("holds values nested too deeply for a model"));
        }
        self.depth += 1;
        let value = match self.pickle.node(id) {
            Node::Tuple(items) => self.items(items, place)?.map(Value::Tuple),
            Node::List(items) => self.items(items, place)?.map(Value::List),
            Node::Dict(entries) => Some(self.dictionary(id, entries, place)?),
            _ => self.leaf(id, place)?,
        };
        self.depth -= 1;
        Ok(value)
    }

    fn take_steps(&mut self, steps: usize) -> Result<()> {
        let too_many = || Error::new("holds too many values for a model");
        self.steps_left = self.steps_left.checked_sub(steps).ok_or_else(too_many)?;
        Ok(())
    }

    fn take_text(&mut self, bytes: usize) -> Result<()> {
        let too_much = || Error::new("holds too much text for a model");
        self.text_left = self.text_left.checked_sub(bytes).ok_or_else(too_much)?;
        Ok(())
    }

    fn leave_out(&mut self, place: &str, what: &str) -> Result<()> {
        let note = format!("`{place}` {what}");
        self.take_text(note.len())?;
        self.left_out.push(note);
        Ok(())
    }

    fn leaf(&mut self, id: NodeId, place: &str) -> Result<Option<Value>> {
        let value = match *self.pickle.node(id) {
            Node::None => Some(Value::None),
            Node::Bool(value) => Some(Value::Bool(value)),
            Node::Int(value) => Some(Value::Int(value)),
            Node::Float(value) => value.is_finite().then_some(Value::Float(value)),
            _ => match numpy::scalar(self.pickle, id) {
                Some(Scalar::Int(value)) => Some(Value::Int(value)),
                Some(Scalar::Float(value)) => value.is_finite().then_some(Value::Float(value)),
                None => self.text(id)?,
            },
        };
        if value.is_none() {
            let what = match numpy::is_array(self.pickle, id) {
                true => "holds an array that belongs to no layer",
                false => "holds something that is neither text nor a plain number",
            };
            self.leave_out(place, what)?;
        }
        Ok(value)
    }

    fn text(&mut self, id: NodeId) -> Result<Option<Value>> {
        let (Node::Bytes(bytes) | Node::Text(bytes)) = self.pickle.node(id) else {
            return Ok(None);
        };
        self.take_text(bytes.len() as usize)?;
        let text = String::from_utf8(self.pickle.copy(bytes)?);
        Ok(text.ok().map(Value::Text))
    }

    /// All of them, or, if one cannot be kept, none.
    fn items(&mut self, items: &[NodeId], place: &str) -> Result<Option<Vec<Value>>> {
        let mut kept = Vec::new();
        for &item in items {
            match self.value(item, place)? {
                Some(value) => kept.push(value),
                None => break,
            }
        }
        Ok((kept.len() == items.len()).then_some(kept))
    }

    fn dictionary(
        &mut self,
        id: NodeId,
        entries: &[(NodeId, NodeId)],
        place: &str,
    ) -> Result<Value> {
        self.take_steps(entries.len())?;
        let layer = Layer::of(self.pickle, id).map_err(|e| e.at(place))?;
        let keys = entries.iter().map(|&(key, _)| text(self.pickle, key));
        let last: HashMap<_, _> = keys.enumerate().map(|(place, key)| (key, place)).collect();
        let mut kept = Vec::new();
        for (index, &(key, value)) in entries.iter().enumerate() {
            let Some(key) = text(self.pickle, key) else {
                self.leave_out(place, "has a key that is no name")?;
                continue;
            };
            if last.get(&Some(key)) != Some(&index) {
                continue;
            }
            self.take_text(key.len())?;
            let inner = within(place, key);
            let value = match (&layer, key) {
                (Some(layer), "params") => self.parameters(value, layer, &inner)?,
                (Some(layer), "states") => self.states(value, layer)?,
                _ => self.value(value, &inner)?,
            };
            kept.extend(value.map(|value| (key.to_string(), value)));
        }
        Ok(Value::Dict(kept))
    }

    fn parameters(&mut self, id: NodeId, layer: &Layer, place: &str) -> Result<Option<Value>> {
        let Node::Dict(entries) = self.pickle.node(id) else {
            return Ok(None);
        };
        self.take_steps(entries.len())?;
        let mut kept = Vec::new();
        for &(key, value) in entries {
            let name = text(self.pickle, key);
            let name = name.ok_or_else(|| Error::new("a parameter has no name").at(place))?;
            self.take_text(name.len())?;
            let value = match numpy::is_array(self.pickle, value) {
                true => Some(self.tensor(value, layer, name, None)?),
                false => self.value(value, place)?,
            };
            kept.extend(value.map(|value| (name.to_string(), value)));
        }
        Ok(Some(Value::Dict(kept)))
    }

    /// A list of states, or a list of them for each parameter.
    fn states(&mut self, id: NodeId, layer: &Layer) -> Result<Option<Value>> {
        let of_parameter = layer.optimized();
        let named = |index: usize| match of_parameter.get(index) {
            Some(name) => name.to_string(),
            None => unknown_role(index),
        };
        let name = layer.name.unwrap_or_default();
        let damaged = || Error::new("its optimizer states are no arrays").at(name);
        let items = self.pickle.items(id).ok_or_else(damaged)?;
        self.take_steps(items.len())?;
        let mut kept = Vec::new();
        for (index, &item) in items.iter().enumerate() {
            if numpy::is_array(self.pickle, item) {
                kept.push(self.tensor(item, layer, &named(0), Some(index))?);
                continue;
            }
            let states = self.pickle.items(item).ok_or_else(damaged)?;
            self.take_steps(states.len())?;
            let states = states.iter().enumerate();
            let states = states.map(|(i, &id)| self.tensor(id, layer, &named(index), Some(i)));
            kept.push(Value::List(states.collect::<Result<_>>()?));
        }
        Ok(Some(Value::List(kept)))
    }

    /// Takes the array of `parameter`, or of a state of it.
    fn tensor(
        &mut self,
        id: NodeId,
        layer: &Layer,
        parameter: &str,
        state: Option<usize>,
    ) -> Result<Value> {
        let layer_name = layer.name.ok_or_else(nameless)?;
        let found = self.reader.tensor(parameter, id);
        let found = found.map_err(|e| e.at(parameter).at(layer_name))?;
        let Layout {
            role,
            shape,
            conversion,
        } = layer.layout(parameter, &found.shape);
        let name = match state {
            Some(index) => state_name(layer_name, role, index),
            None => format!("{layer_name}.{role}"),
        };
        if is_state(&name) != state.is_some() {
            return Err(Error::new(format!(
                "`{name}` would be taken for what an optimizer remembers"
            ))
            .at(layer_name)
            .help("load the model in neon, give the layer another name and save it again"));
        }
        self.take_text(name.len())?;
        if !self.names.insert(name.clone()) {
            return Err(
                Error::new(format!("two layers are called `{layer_name}`")).help(
                    "load the model in neon, give each layer a name of its own and save it again",
                ),
            );
        }
        self.tensors.push(Tensor {
            name: name.clone(),
            shape,
            values: conversion.apply(found.values, &found.shape),
        });
        Ok(Value::Tensor(name))
    }
}

/// The place of `key` in the dictionary at `place`, for messages: deep ones are cut short.
fn within(place: &str, key: &str) -> String {
    match place {
        "" => key.to_string(),
        deep if deep.len() > LONGEST_NAME => deep.to_string(),
        place => format!("{place}.{key}"),
    }
}

/// What tells how the parameters of a layer lie.
struct Layer<'a> {
    name: Option<&'a str>,
    class: Option<&'a str>,
    filter: Option<[usize; 2]>,
}

/// The place of a parameter in graft's terms.
struct Layout<'a> {
    role: &'a str,
    shape: Vec<usize>,
    conversion: Conversion,
}

impl<'a> Layer<'a> {
    /// Reads `{type, config, params}`, or the obsolete `{params: {name, …}}`; `None` if the
    /// dictionary has no parameters.
    fn of(pickle: &'a Pickle, id: NodeId) -> Result<Option<Self>> {
        let Some(params) = pickle.get(id, "params") else {
            return Ok(None);
        };
        if !matches!(pickle.node(params), Node::Dict(_)) {
            return Err(Error::new("its parameters are no dictionary")
                .help("neon 1.1 wrote them so: load the model in neon 2 and save it again"));
        }
        let config = pickle.get(id, "config");
        let name = config.unwrap_or(params);
        let name = pickle.get(name, "name").and_then(|id| text(pickle, id));
        let class = pickle.get(id, "type").and_then(|id| text(pickle, id));
        let filter = config.map(|config| filter(pickle, config)).transpose()?;
        Ok(Some(Self {
            name,
            class: class.and_then(|class| class.rsplit('.').next()),
            filter: filter.flatten(),
        }))
    }

    /// The parameters that an optimizer keeps states of, in neon's order.
    fn optimized(&self) -> &'static [&'static str] {
        match self.class {
            Some("Convolution_bias") => &["W", "weight_bias"],
            Some("BatchNorm") => &["beta", "gamma"],
            _ => &["W"],
        }
    }

    fn layout<'n>(&self, parameter: &'n str, shape: &[usize]) -> Layout<'n> {
        let class = self.class.unwrap_or_default();
        if let ("Convolution" | "Convolution_bias", "W") = (class, parameter)
            && let (Some([r, s]), &[rows, filters]) = (self.filter, shape)
            && let Some(places) = r.checked_mul(s)
            && let Some(channels) = rows.checked_div(places)
            && channels * places == rows
        {
            return Layout {
                role: "weight",
                shape: vec![filters, channels, r, s],
                conversion: Conversion::Transpose,
            };
        }
        let role = match (class, parameter) {
            ("Convolution_bias", "weight_bias") | ("Bias", "W") => "bias",
            ("BatchNorm", "gamma") => "scale",
            ("BatchNorm", "beta") => "shift",
            ("BatchNorm", "gmean") => "mean",
            ("BatchNorm", "gvar") => "variance",
            ("Linear", "W") => "weight",
            _ => parameter,
        };
        let (role, shape, conversion) = match (role, shape) {
            ("weight", &[_, _]) => (role, shape.to_vec(), Conversion::AsIs),
            (role, &[values, 1]) if role != parameter && role != "weight" => {
                (role, vec![values], Conversion::Flatten)
            }
            _ => (parameter, shape.to_vec(), Conversion::AsIs),
        };
        Layout {
            role,
            shape,
            conversion,
        }
    }
}
