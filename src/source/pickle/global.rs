//! The globals that may stand in a pickle, and what becomes of all others.

use super::super::element::Element;
use crate::error::Error;

/// Whose pickle it is, which decides on the globals in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Arrays of numpy, as neon pickles them: any other global is refused.
    Numpy,
    /// Tensors of PyTorch. Checkpoints hold whatever a training script had at hand: other classes
    /// are names without meaning, their objects hold nothing; other functions must not be called.
    PyTorch,
}

/// A global.
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
    /// `collections.defaultdict`, which is made of a function.
    DefaultDict,
    /// The built-in `bytes` or `bytearray`.
    Bytes,
    /// A type without meaning here: `set`, `object`, `torch.device` …
    Builtin,
    /// `torch._utils._rebuild_tensor_v2`: (storage, offset, size, stride, …).
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`: (tensor, …).
    RebuildParameter,
    /// `torch.FloatStorage` …
    Storage(Element),
    /// Any other: [`Pickle::global_name`](super::Pickle::global_name) tells which.
    Other(u32),
}

/// Python 2 called the module of built-ins `__builtin__`; numpy 2 calls its core `_core`.
pub fn known(dialect: Dialect, module: &str, name: &str) -> Option<Global> {
    Some(match (module, name) {
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Global::Reconstruct,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Global::Scalar,
        ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Global::FromBuffer,
        ("numpy", "ndarray") => Global::Ndarray,
        ("numpy", "dtype") => Global::Dtype,
        ("_codecs", "encode") => Global::Encode,
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("builtins" | "__builtin__", "bytes" | "bytearray") => Global::Bytes,
        ("builtins" | "__builtin__", "set" | "frozenset" | "object" | "slice" | "complex") => {
            Global::Builtin
        }
        _ if dialect == Dialect::PyTorch => return known_to_pytorch(module, name),
        _ => return None,
    })
}

fn known_to_pytorch(module: &str, name: &str) -> Option<Global> {
    Some(match (module, name) {
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            Global::RebuildParameter
        }
        ("torch" | "torch.cuda", "FloatStorage") => Global::Storage(Element::F32),
        ("torch" | "torch.cuda", "DoubleStorage") => Global::Storage(Element::F64),
        ("torch" | "torch.cuda", "HalfStorage") => Global::Storage(Element::F16),
        ("torch" | "torch.cuda", "BFloat16Storage") => Global::Storage(Element::Bf16),
        ("torch" | "torch.cuda", "LongStorage") => Global::Storage(Element::I64),
        ("torch" | "torch.cuda", "IntStorage") => Global::Storage(Element::I32),
        ("torch" | "torch.cuda", "ShortStorage") => Global::Storage(Element::I16),
        ("torch" | "torch.cuda", "CharStorage") => Global::Storage(Element::I8),
        ("torch" | "torch.cuda", "ByteStorage" | "BoolStorage") => Global::Storage(Element::U8),
        ("collections", "defaultdict") => Global::DefaultDict,
        ("collections", "Counter" | "deque") => Global::Builtin,
        ("torch", "Size" | "device") => Global::Builtin,
        ("torch.serialization", "_get_layout") => Global::Builtin,
        ("copyreg" | "copy_reg", "_reconstructor") => Global::Builtin,
        ("datetime", "datetime" | "date" | "time" | "timedelta") => Global::Builtin,
        ("pathlib" | "pathlib._local", "PosixPath" | "WindowsPath" | "Path" | "PurePosixPath") => {
            Global::Builtin
        }
        // Tensors that graft has no use for; they are of no layer.
        ("torch._utils", "_rebuild_tensor_v3" | "_rebuild_sparse_tensor" | "_rebuild_qtensor") => {
            Global::Builtin
        }
        _ => return None,
    })
}

/// The error for a global, or a call of it, that has no place in a model.
pub fn refusal(dialect: Dialect, name: &str) -> Error {
    match dialect {
        Dialect::Numpy => {
            let problem = format!("refuses the global `{name}`, which no array needs");
            Error::new(problem).help(
                "Python would run whatever such a pickle says; if you trust its author, load it \
                 there and save the weights as neon or numpy does",
            )
        }
        Dialect::PyTorch => {
            let problem = format!("refuses to call `{name}`, which no tensor needs");
            Error::new(problem).help(
                "Python would run whatever such a pickle says; if you trust its author, load it \
                 there and save `model.state_dict()`",
            )
        }
    }
}

/// A global's name from the file, fit for a message.
pub fn shown(module: &str, name: &str) -> String {
    let short = |name: &str| -> String {
        let start = name.chars().take(80);
        start.flat_map(char::escape_debug).collect()
    };
    format!("{}.{}", short(module), short(name))
}
