//! A small, restricted reader of Python pickles, protocols 0 to 5; [`emit`] writes them.
//!
//! A pickle is a program for a stack machine that may call anything in Python. This machine runs
//! the same program but calls nothing: it records that a call was written. Its values are nodes in
//! an arena that refer to one another by index, so that nothing here recurses. It refuses calls that
//! no model needs, and programs too long for a model, which bounds time and memory on hostile input:
//! each step makes at most one node.
//!
//! Long byte strings stay in the file: a node says where. It does not know what an array or a layer
//! is; `numpy`, `neon` and `pytorch` read the nodes. Opcodes: CPython's `Lib/pickletools.py`.

pub mod emit;
mod global;
mod input;
mod machine;
mod opcode;
pub mod state_dict;
pub mod value;

pub use global::{Dialect, Global};

use super::pieces::Pieces;
use crate::error::Result;
use machine::Machine;

/// A parsed pickle.
#[derive(Debug)]
pub struct Pickle {
    /// Where its long byte strings are.
    pieces: Pieces,
    nodes: Vec<Node>,
    /// Of the globals without meaning here.
    names: Vec<String>,
    root: NodeId,
    end: u64,
}

/// A node's place in its [`Pickle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

/// One Python value. Containers may contain themselves: readers must not follow them blindly.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number outside of 64 bits; nothing here needs its value.
    HugeInt,
    Float(f64),
    /// Python 3's `bytes` or Python 2's `str`.
    Bytes(Bytes),
    /// `str`, in UTF-8 except that lone surrogates may occur.
    Text(Bytes),
    Tuple(Vec<NodeId>),
    /// A list, or a set in the order in which it was written.
    List(Vec<NodeId>),
    /// Keys and values as written; of equal keys the last counts.
    Dict(Vec<(NodeId, NodeId)>),
    Global(Global),
    /// An object outside of the pickle, by what the pickle says of it: PyTorch's storages.
    Persistent(NodeId),
    /// `callable(*arguments)`, with the argument of `__setstate__` if there was one. Never called.
    Call {
        callable: Global,
        /// A tuple.
        arguments: NodeId,
        state: Option<NodeId>,
    },
}

/// A byte string.
#[derive(Debug, Clone, PartialEq)]
pub enum Bytes {
    Held(Vec<u8>),
    /// Longer than [`LONGEST_HELD`]: in the file.
    Stored {
        offset: u64,
        len: u64,
    },
}

/// Bytes of the longest byte string that is kept in memory; names are shorter.
const LONGEST_HELD: u64 = 1024;

/// Parses the pickle that begins at `offset`; what follows it is ignored, as Python does.
///
/// # Errors
/// Anything that is not a complete pickle, a global that `dialect` refuses, a program that is too
/// long. Each names the byte.
pub fn parse(pieces: &Pieces, offset: u64, dialect: Dialect) -> Result<Pickle> {
    Machine::new(pieces, offset, dialect).run()
}

impl Pickle {
    /// The pickled value.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// Where in the file the pickle ends.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The value at `id`, which must come from this pickle.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// All objects outside of the pickle that it names.
    pub fn persistent(&self) -> impl Iterator<Item = NodeId> {
        // Fits: a node's place is a u32.
        let nodes = self.nodes.iter().zip(0u32..);
        let persistent = |(node, id): (&Node, u32)| match node {
            Node::Persistent(_) => Some(NodeId(id)),
            _ => None,
        };
        nodes.filter_map(persistent)
    }

    /// Name of a global without meaning here; of others, nothing.
    pub fn global_name(&self, global: Global) -> &str {
        match global {
            Global::Other(name) => self.names.get(name as usize).map_or("", String::as_str),
            _ => "",
        }
    }

    /// A `str` of Python 2 or 3, if it is valid UTF-8 and not too long for a name.
    pub fn text(&self, id: NodeId) -> Option<&str> {
        match self.node(id) {
            Node::Bytes(Bytes::Held(bytes)) | Node::Text(Bytes::Held(bytes)) => {
                std::str::from_utf8(bytes).ok()
            }
            _ => None,
        }
    }

    /// A copy of a byte string or text, however long.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn copy(&self, bytes: &Bytes) -> Result<Vec<u8>> {
        match *bytes {
            Bytes::Held(ref bytes) => Ok(bytes.clone()),
            Bytes::Stored { offset, len } => self.pieces.read(offset, len),
        }
    }

    /// Hands over a byte string in blocks: [`Pieces::for_each_block`].
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn for_each_block(&self, bytes: &Bytes, take: &mut dyn FnMut(&[u8])) -> Result<()> {
        match *bytes {
            Bytes::Held(ref bytes) => {
                take(bytes);
                Ok(())
            }
            Bytes::Stored { offset, len } => self.pieces.for_each_block(offset, len, take),
        }
    }

    /// Fills `to`, which has its length, with a byte string.
    ///
    /// # Errors
    /// The file cannot be read.
    ///
    /// # Panics
    /// `to` has another length.
    pub fn fill(&self, bytes: &Bytes, to: &mut [u8]) -> Result<()> {
        assert_eq!(bytes.len(), to.len() as u64);
        match *bytes {
            Bytes::Held(ref bytes) => to.copy_from_slice(bytes),
            Bytes::Stored { offset, .. } => self.pieces.fill(offset, to)?,
        }
        Ok(())
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
        // Compared as bytes: to decode takes time.
        let has_key = |entry: &&(NodeId, NodeId)| match self.node(entry.0) {
            Node::Bytes(Bytes::Held(bytes)) | Node::Text(Bytes::Held(bytes)) => {
                **bytes == *key.as_bytes()
            }
            _ => false,
        };
        entries.iter().rev().find(has_key).map(|entry| entry.1)
    }
}

impl Bytes {
    /// Number of bytes.
    pub fn len(&self) -> u64 {
        match *self {
            Bytes::Held(ref bytes) => bytes.len() as u64,
            Bytes::Stored { len, .. } => len,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
