//! Experiments as people write them, resolved to plain data.
//!
//! [`file`] is the TOML as written, strict; [`experiment`] is what the rest of graft sees.

pub mod experiment;
