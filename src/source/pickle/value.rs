//! Python values as plain data: what a pickle says, kept as JSON or written as a pickle again.
//!
//! Arrays are not among them: a tensor's name stands where its array belongs. It does not know
//! what the values mean.

use serde::{Deserialize, Serialize};

/// A Python value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// Finite: JSON has no other numbers.
    Float(f64),
    Text(String),
    Tuple(Vec<Value>),
    List(Vec<Value>),
    /// In this order; no key twice.
    Dict(Vec<(String, Value)>),
    /// The array of the tensor of this name.
    Tensor(String),
}

impl Value {
    pub fn text(text: impl Into<String>) -> Self {
        Value::Text(text.into())
    }

    /// A dictionary.
    pub fn dict<const N: usize>(entries: [(&str, Value); N]) -> Self {
        Value::Dict(entries.map(|(key, value)| (key.to_string(), value)).into())
    }

    /// The value of `key`, if this is a dictionary that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Dict(entries) => entries.iter().find(|e| e.0 == key).map(|e| &e.1),
            _ => None,
        }
    }

    /// As [`get`](Self::get), to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        match self {
            Value::Dict(entries) => entries.iter_mut().find(|e| e.0 == key).map(|e| &mut e.1),
            _ => None,
        }
    }

    /// Takes `key` out of a dictionary.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let Value::Dict(entries) = self else {
            return None;
        };
        let place = entries.iter().position(|entry| entry.0 == key)?;
        Some(entries.remove(place).1)
    }

    /// Adds `key` to a dictionary that does not have it.
    pub fn insert(&mut self, key: &str, value: Value) {
        if let Value::Dict(entries) = self {
            entries.push((key.to_string(), value));
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of a tuple or list; of anything else, none.
    pub fn items(&self) -> &[Value] {
        match self {
            Value::Tuple(items) | Value::List(items) => items,
            _ => &[],
        }
    }

    /// The names of the tensors in it, in order.
    pub fn tensors(&self) -> Vec<&str> {
        match self {
            Value::Tensor(name) => vec![name],
            Value::Tuple(items) | Value::List(items) => {
                items.iter().flat_map(Value::tensors).collect()
            }
            Value::Dict(entries) => entries.iter().flat_map(|e| e.1.tensors()).collect(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_json() -> Result<(), serde_json::Error> {
        let value = Value::dict([
            ("none", Value::None),
            ("rate", Value::Float(0.1)),
            ("whole", Value::Float(1.0)),
            ("shape", Value::Tuple(vec![Value::Int(3), Value::Int(-1)])),
            ("flags", Value::List(vec![Value::Bool(true)])),
            ("W", Value::Tensor("conv1_1.weight".into())),
        ]);
        let json = serde_json::to_string(&value)?;
        assert_eq!(serde_json::from_str::<Value>(&json)?, value);
        assert_eq!(value.tensors(), ["conv1_1.weight"]);
        Ok(())
    }
}
