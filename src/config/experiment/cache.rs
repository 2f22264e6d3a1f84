//! Whether, where and how the outputs of frozen layers are kept.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::numbers::Dtype;

/// The keys `cache…` of the top level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cache {
    /// Whether what the frozen layers at the beginning of the network give for a sample is computed
    /// once and kept.
    #[serde(rename = "cache")]
    pub is_on: bool,
    /// Precision in which it is kept; the run's own is exact.
    #[serde(rename = "cache_dtype")]
    pub dtype: Dtype,
    /// Most that all files of the directory may hold together, in gigabytes (10⁹ bytes).
    #[serde(rename = "cache_limit")]
    pub limit: f64,
    #[serde(rename = "cache_directory")]
    pub directory: PathBuf,
}

impl Cache {
    /// The precision to which a run in `dtype` rounds what its frozen layers give; `None`: to none
    /// but its own.
    pub fn rounds(&self, dtype: Dtype) -> Option<Dtype> {
        Some(self.dtype).filter(|&kept| self.is_on && kept != dtype)
    }

    /// The limit in bytes.
    pub fn limit_bytes(&self) -> u64 {
        (self.limit * 1e9) as u64
    }
}
