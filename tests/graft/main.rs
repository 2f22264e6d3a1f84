//! Tests at the boundary: the real binary on real files.

mod commands;
mod common;
mod exchange;
mod malformed;
mod neon;
mod regimes;
mod resume;
