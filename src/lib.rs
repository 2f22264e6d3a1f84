//! graft: a declarative experiment runner for transfer learning.
//!
//! ```text
//! cli → gather, plan, verify → runner → train → model, source, data, cache → kernels
//!     → export       ↘ results ← report
//! ```
//! - [`cli`]: one file a verb; arguments in, text out.
//! - [`config`]: TOML as written → [`config::experiment::Experiment`], every default filled in.
//! - [`gather`], [`plan`]: the experiments a command means, as runs in their order.
//! - [`runner`]: one run from start to record; the only place that knows all the parts.
//! - [`train`]: the loop, written out: groups, schedule, loss, evaluation, checkpoints, kept features.
//! - [`cache`]: a directory of computed rows, found again by what they were computed from.
//! - [`model`]: named layers on paper and on a device.
//! - [`kernels`]: the arithmetic that is worth writing by hand, on the processor.
//! - [`source`]: foreign weights, their import by layer name, the receipt.
//! - [`data`]: HDF5 in neon's layout, batches, images, the drawn tasks.
//! - [`results`], [`report`]: the record of a run, and tables made from records.
//! - [`verify`]: whether a record is what its experiment gives: checked, trained again, compared.
//! - [`grade`]: a class of submissions: what is asked for, what there is, what it is worth.
//! - [`export`]: a record's model in formats that other tools open.
//! - [`doctor`]: the machine, the build and the files, as far as they matter for reproducing.
//!
//! `config` and `results` are plain data that every floor may read. [`error`], [`files`],
//! [`memory`], [`numbers`], [`pattern`] and [`random`] belong to no floor.

#![deny(unsafe_code)]

pub mod cache;
pub mod cli;
pub mod config;
pub mod data;
pub mod doctor;
pub mod error;
pub mod export;
pub mod files;
pub mod gather;
pub mod grade;
pub mod kernels;
pub mod memory;
pub mod model;
#[cfg(test)]
mod neon_figures;
pub mod numbers;
pub mod pattern;
pub mod plan;
pub mod random;
pub mod report;
pub mod results;
pub mod runner;
pub mod source;
pub mod train;
pub mod verify;
