//! A small, restricted reader of Python pickles, protocols 0 to 5; [`emit`] writes them.
//!
//! A pickle is a program for a stack machine that may call anything in Python. This machine runs
//! the same program but calls nothing: it records that a call was written. Its values are nodes in
//! an arena that refer to one another by index, so that nothing here recurses. It refuses every
//! global that numpy's arrays do not need, and programs too long for a model, which bounds time and
//! memory on hostile input: each step makes at most one node.
//!
//! It does not know what an array or a layer is; `numpy` and `neon` read the nodes. Opcodes:
//! CPython's `Lib/pickletools.py`.

pub mod emit;
mod input;
mod machine;
mod opcode;
pub mod state_dict;
pub mod value;

use std::borrow::Cow;

use crate::error::Result;
use machine::Machine;

/// A parsed pickle. Its byte strings and texts borrow from the file's bytes.
#[derive(Debug)]
pub struct Pickle<'a> {
    nodes: Vec<Node<'a>>,
    root: NodeId,
}

/// A node's place in its [`Pickle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

/// One Python value. Containers may contain themselves: readers must not follow them blindly.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number outside of 64 bits; nothing here needs its value.
    HugeInt,
    Float(f64),
    /// Python 3's `bytes` or Python 2's `str`.
    Bytes(Cow<'a, [u8]>),
    /// `str`, in UTF-8 except that lone surrogates may occur.
    Text(Cow<'a, [u8]>),
    Tuple(Vec<NodeId>),
    /// A list, or a set in the order in which it was written.
    List(Vec<NodeId>),
    /// Keys and values as written; of equal keys the last counts.
    Dict(Vec<(NodeId, NodeId)>),
    Global(Global),
    /// `callable(*arguments)`, with the argument of `__setstate__` if there was one. Never called.
    Call {
        callable: Global,
        /// A tuple.
        arguments: NodeId,
        state: Option<NodeId>,
    },
}

/// The globals that may stand in a pickle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    /// `numpy.core.multiarray._reconstruct`: an array; its content is the state.
    Reconstruct,
    /// `numpy.core.multiarray.scalar`
    Scalar,
    /// `numpy.core.numeric._frombuffer`: an array of protocol 5.
    FromBuffer,
    /// `numpy.ndarray`
    Ndarray,
    /// `numpy.dtype`
    Dtype,
    /// `_codecs.encode`: byte strings that Python 3 writes for Python 2.
    Encode,
    /// `collections.OrderedDict`
    OrderedDict,
    /// The built-in `bytes` or `bytearray`.
    Bytes,
    /// A built-in type without meaning here: `set`, `frozenset`, `object`, `slice`, `complex`.
    Builtin,
}

/// Parses `bytes` up to the end of the first pickle; what follows it is ignored, as Python does.
///
/// # Errors
/// Anything that is not a complete pickle, a global outside of [`Global`], a program that is too
/// long. Each names the byte.
pub fn parse(bytes: &[u8]) -> Result<Pickle<'_>> {
    Machine::new(bytes).run()
}

impl<'a> Pickle<'a> {
    /// The pickled value.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// The value at `id`, which must come from this pickle.
    pub fn node(&self, id: NodeId) -> &Node<'a> {
        &self.nodes[id.0 as usize]
    }

    /// A `str` of Python 2 or 3, if it is valid UTF-8.
    pub fn text(&self, id: NodeId) -> Option<&str> {
        match self.node(id) {
            Node::Bytes(bytes) | Node::Text(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The elements of a tuple or list.
    pub fn items(&self, id: NodeId) -> Option<&[NodeId]> {
        match self.node(id) {
            Node::Tuple(items) | Node::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value of `key` in the dictionary `id`. Takes time proportional to its size.
    pub fn get(&self, id: NodeId, key: &str) -> Option<NodeId> {
        let Node::Dict(entries) = self.node(id) else {
            return None;
        };
        // Compared as bytes: a key may be a long text, which to decode takes time.
        let has_key = |entry: &&(NodeId, NodeId)| match self.node(entry.0) {
            Node::Bytes(bytes) | Node::Text(bytes) => **bytes == *key.as_bytes(),
            _ => false,
        };
        entries.iter().rev().find(has_key).map(|entry| entry.1)
    }
}

#[cfg(test)]
pub(super) mod tests;
