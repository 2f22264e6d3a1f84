//! Tests at the boundary: the real binary on real files.

mod commands;
mod common;
mod exchange;
mod graphs;
mod malformed;
mod neon;
mod neon_command;
mod optimizers;
mod parity;
mod precision;
mod regimes;
mod resume;
mod unsound;
