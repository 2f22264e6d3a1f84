//! The stack machine that runs a pickle and calls nothing.

use std::collections::HashMap;

use super::super::pieces::Pieces;
use super::global::{Dialect, Global, known, refusal, shown};
use super::input::Input;
use super::{Bytes, Node, NodeId, Pickle, opcode};
use crate::error::{Error, Result};

/// The machine while it runs. Elements are moved or paid for from the budget, never copied for
/// nothing: a program of a few bytes a step cannot multiply a container.
pub struct Machine<'a> {
    /// Steps left, and elements that may still be copied.
    budget: usize,
    dialect: Dialect,
    pieces: &'a Pieces,
    input: Input<'a>,
    nodes: Vec<Node>,
    /// Of globals without meaning.
    names: Vec<String>,
    stack: Vec<NodeId>,
    /// Heights of the stack at which a mark lies.
    marks: Vec<usize>,
    memo: HashMap<u64, NodeId>,
}

impl<'a> Machine<'a> {
    /// For the pickle at `offset`.
    pub fn new(pieces: &'a Pieces, offset: u64, dialect: Dialect) -> Self {
        Self {
            budget: LONGEST_PROGRAM,
            dialect,
            pieces,
            input: Input::new(pieces, offset),
            nodes: Vec::new(),
            names: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// Runs the program to its end.
    pub fn run(mut self) -> Result<Pickle> {
        loop {
            let place = self.input.position();
            let stopped = self.step().map_err(|e| e.at(format!("byte {place}")))?;
            if let Some(root) = stopped {
                return Ok(Pickle {
                    pieces: self.pieces.clone(),
                    nodes: self.nodes,
                    names: self.names,
                    root,
                    end: self.input.position(),
                });
            }
        }
    }

    fn spend(&mut self, steps: usize) -> Result<()> {
        let too_long = || Error::new("the pickle is too long a program for a model");
        self.budget = self.budget.checked_sub(steps).ok_or_else(too_long)?;
        Ok(())
    }

    /// Executes one opcode; the result of the program, if it was the last.
    fn step(&mut self) -> Result<Option<NodeId>> {
        self.spend(1)?;
        let opcode = self.input.byte()?;
        if let Some(literal) = self.input.literal(opcode)? {
            self.push(literal);
            return Ok(None);
        }
        match opcode {
            opcode::STOP => return self.pop().map(Some),
            opcode::PROTO => match self.input.byte()? {
                0..=5 => {}
                version => return Err(Error::new(format!("unknown pickle protocol {version}"))),
            },
            // Frames are for readers of streams.
            opcode::FRAME => drop(self.input.u64()?),
            opcode::PUT
            | opcode::BINPUT
            | opcode::LONG_BINPUT
            | opcode::MEMOIZE
            | opcode::GET
            | opcode::BINGET
            | opcode::LONG_BINGET => self.memory(opcode)?,
            opcode::GLOBAL
            | opcode::STACK_GLOBAL
            | opcode::REDUCE
            | opcode::NEWOBJ
            | opcode::BINPERSID
            | opcode::BUILD => self.object(opcode)?,
            _ => self.container(opcode)?,
        }
        Ok(None)
    }

    fn memory(&mut self, opcode: u8) -> Result<()> {
        let index = match opcode {
            opcode::PUT | opcode::GET => {
                let line = self.input.line()?;
                let malformed = |_| Error::new("a memo index is malformed");
                line.parse().map_err(malformed)?
            }
            opcode::BINPUT | opcode::BINGET => self.input.byte()?.into(),
            opcode::LONG_BINPUT | opcode::LONG_BINGET => self.input.u32()?.into(),
            _ => self.memo.len() as u64,
        };
        if matches!(opcode, opcode::GET | opcode::BINGET | opcode::LONG_BINGET) {
            let unknown = || Error::new(format!("memo {index} is read before it is written"));
            self.stack.push(*self.memo.get(&index).ok_or_else(unknown)?);
        } else {
            let top = self.top()?;
            self.memo.insert(index, top);
        }
        Ok(())
    }

    fn object(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            opcode::GLOBAL => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                let global = self.admit(&module, &name)?;
                self.push(Node::Global(global));
            }
            opcode::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (module, name) = (self.name(module)?, self.name(name)?);
                let global = self.admit(&module, &name)?;
                self.push(Node::Global(global));
            }
            opcode::BINPERSID if self.dialect == Dialect::PyTorch => {
                let id = self.pop()?;
                self.push(Node::Persistent(id));
            }
            opcode::BUILD => self.build()?,
            opcode::REDUCE | opcode::NEWOBJ => self.call(opcode)?,
            _ => return Err(unsupported(opcode)),
        }
        Ok(())
    }

    /// Records the state of an object. Of a dictionary only the items count.
    fn build(&mut self) -> Result<()> {
        let (content, object) = (self.pop()?, self.top()?);
        match self.node_mut(object) {
            Node::Call { state, .. } => *state = Some(content),
            Node::Dict(_) => {}
            _ => return Err(Error::new("the state of something that has none is set")),
        }
        Ok(())
    }

    fn call(&mut self, opcode: u8) -> Result<()> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let callable = match *self.node(callable) {
            Node::Global(callable) => Some(callable),
            // A class with its source, as PyTorch once wrote modules.
            Node::Persistent(_) if opcode == opcode::NEWOBJ => Some(Global::Builtin),
            _ => None,
        };
        let (Some(callable), Node::Tuple(_)) = (callable, self.node(arguments)) else {
            return Err(Error::new("something that is not a function is called"));
        };
        let call = match callable {
            Global::OrderedDict => self.ordered_dict(arguments)?,
            Global::DefaultDict => Node::Dict(Vec::new()),
            // A new object of a class does nothing yet; a function might do anything.
            Global::Other(name) if opcode == opcode::REDUCE => {
                let name = self.names.get(name as usize).map_or("", String::as_str);
                return Err(refusal(self.dialect, name));
            }
            _ => Node::Call {
                callable,
                arguments,
                state: None,
            },
        };
        self.push(call);
        Ok(())
    }

    fn admit(&mut self, module: &str, name: &str) -> Result<Global> {
        if let Some(global) = known(self.dialect, module, name) {
            return Ok(global);
        }
        let name = shown(module, name);
        if self.dialect == Dialect::Numpy {
            return Err(refusal(self.dialect, &name));
        }
        self.names.push(name);
        // Fits: there are at most LONGEST_PROGRAM.
        Ok(Global::Other(self.names.len() as u32 - 1))
    }

    /// `OrderedDict()` or `OrderedDict(pairs)` as a dictionary, since items may be set on it later.
    fn ordered_dict(&mut self, arguments: NodeId) -> Result<Node> {
        let list = match self.node(arguments) {
            Node::Tuple(items) => items.first().copied(),
            _ => None,
        };
        let Some(list) = list else {
            return Ok(Node::Dict(Vec::new()));
        };
        let unknown = || Error::new("an OrderedDict is made of something other than pairs");
        let Node::List(pairs) = self.node(list) else {
            return Err(unknown());
        };
        let pair = |&pair: &NodeId| match self.node(pair) {
            Node::Tuple(items) | Node::List(items) if items.len() == 2 => Ok((items[0], items[1])),
            _ => Err(unknown()),
        };
        let entries: Vec<_> = pairs.iter().map(pair).collect::<Result<_>>()?;
        self.spend(entries.len())?;
        Ok(Node::Dict(entries))
    }

    fn container(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            opcode::MARK => self.marks.push(self.stack.len()),
            opcode::POP if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
            opcode::POP => drop(self.pop()?),
            opcode::POP_MARK => drop(self.pop_to_mark()?),
            opcode::DUP => {
                let top = self.top()?;
                self.stack.push(top);
            }
            opcode::TUPLE1 => self.tuple(1)?,
            opcode::TUPLE2 => self.tuple(2)?,
            opcode::TUPLE3 => self.tuple(3)?,
            opcode::TUPLE => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items));
            }
            opcode::LIST | opcode::FROZENSET => {
                let items = self.pop_to_mark()?;
                self.push(Node::List(items));
            }
            opcode::DICT => {
                let entries = pairs(&self.pop_to_mark()?)?;
                self.push(Node::Dict(entries));
            }
            opcode::APPEND => {
                let item = self.pop()?;
                self.extend_list(&[item])?;
            }
            opcode::APPENDS | opcode::ADDITEMS => {
                let items = self.pop_to_mark()?;
                self.extend_list(&items)?;
            }
            opcode::SETITEM => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend_dict(&[(key, value)])?;
            }
            opcode::SETITEMS => {
                let entries = pairs(&self.pop_to_mark()?)?;
                self.extend_dict(&entries)?;
            }
            _ => return Err(unsupported(opcode)),
        }
        Ok(())
    }

    fn extend_list(&mut self, more: &[NodeId]) -> Result<()> {
        let list = self.top()?;
        match self.node_mut(list) {
            Node::List(items) => items.extend_from_slice(more),
            node if is_opaque(node) => {}
            _ => return Err(Error::new("something is appended to what is no list")),
        }
        Ok(())
    }

    fn extend_dict(&mut self, more: &[(NodeId, NodeId)]) -> Result<()> {
        let dict = self.top()?;
        match self.node_mut(dict) {
            Node::Dict(entries) => entries.extend_from_slice(more),
            node if is_opaque(node) => {}
            _ => return Err(Error::new("an item is set in what is no dictionary")),
        }
        Ok(())
    }

    fn tuple(&mut self, count: usize) -> Result<()> {
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Node::Tuple(items));
        Ok(())
    }

    fn name(&self, id: NodeId) -> Result<String> {
        let text = match self.node(id) {
            Node::Bytes(Bytes::Held(bytes)) | Node::Text(Bytes::Held(bytes)) => {
                std::str::from_utf8(bytes).ok()
            }
            _ => None,
        };
        let no_text = || Error::new("the name of a global is not text");
        text.map(str::to_string).ok_or_else(no_text)
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    fn push(&mut self, node: Node) {
        // Fits: there are at most LONGEST_PROGRAM nodes.
        self.stack.push(NodeId(self.nodes.len() as u32));
        self.nodes.push(node);
    }

    /// The top of the stack above the last mark.
    fn top(&self) -> Result<NodeId> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let above = self.stack.get(floor..).and_then(<[_]>::last);
        let empty = || Error::new("the pickle takes something from an empty stack");
        above.copied().ok_or_else(empty)
    }

    fn pop(&mut self) -> Result<NodeId> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<NodeId>> {
        let missing = || Error::new("the pickle needs a mark that was not set");
        let mark = self.marks.pop().ok_or_else(missing)?;
        // Not split_off: from height 0 it would hand over the stack's whole capacity.
        Ok(self.stack.drain(mark..).collect())
    }
}

/// Most opcodes in one pickle. neon's largest models need some tens of thousands, and the time and
/// memory of a hostile program stay within a second and some 100 MB.
const LONGEST_PROGRAM: usize = 1 << 20;

/// An object without meaning, which may be a list or a dictionary to Python.
fn is_opaque(node: &Node) -> bool {
    use Global::{Builtin, Other};
    matches!(
        node,
        Node::Call {
            callable: Other(_) | Builtin,
            ..
        }
    )
}

fn unsupported(opcode: u8) -> Error {
    Error::new(format!("opcode {opcode:#04x} is not supported"))
}

fn pairs(items: &[NodeId]) -> Result<Vec<(NodeId, NodeId)>> {
    match items.as_chunks() {
        (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
        _ => Err(Error::new("a dictionary has a key without a value")),
    }
}
