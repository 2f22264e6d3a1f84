//! How a backend is written.

use std::fmt;
use std::str::FromStr;

use super::experiment::Backend;
use crate::error::Error;

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Backend::Cpu => f.write_str("cpu"),
            Backend::Ndarray => f.write_str("ndarray"),
            Backend::Wgpu => f.write_str("wgpu"),
            Backend::Cuda(0) => f.write_str("cuda"),
            Backend::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for Backend {
    type Err = Error;

    /// Reads graft's names, and neon's: `gpu` means `cuda`, `mkl` means `cpu`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let cuda = text
            .strip_prefix("cuda:")
            .and_then(|index| index.parse().ok());
        match (text, cuda) {
            ("cpu" | "mkl", _) => Ok(Backend::Cpu),
            ("ndarray", _) => Ok(Backend::Ndarray),
            ("wgpu", _) => Ok(Backend::Wgpu),
            ("cuda" | "gpu", _) => Ok(Backend::Cuda(0)),
            (_, Some(index)) => Ok(Backend::Cuda(index)),
            _ => Err(Error::new(format!(
                "there is no backend \"{text}\", but cpu, ndarray, wgpu, cuda and cuda:1"
            ))),
        }
    }
}

impl From<Backend> for String {
    fn from(backend: Backend) -> Self {
        backend.to_string()
    }
}

impl TryFrom<String> for Backend {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_reads_back_as_it_is_written() {
        for text in ["cpu", "ndarray", "wgpu", "cuda", "cuda:1"] {
            let backend: Backend = text.parse().unwrap();
            assert_eq!(backend.to_string(), text);
        }
    }

    #[test]
    fn neons_names_of_backends_are_understood() {
        assert_eq!("gpu".parse(), Ok(Backend::Cuda(0)));
        assert_eq!("mkl".parse(), Ok(Backend::Cpu));
    }

    #[test]
    fn another_word_is_refused_with_the_list() {
        for text in ["tpu", "cuda:", "cuda:x", "cuda:-1", "CPU", ""] {
            let error = text.parse::<Backend>().unwrap_err().to_string();
            assert!(error.contains("but cpu, ndarray"), "{error}");
        }
    }
}
