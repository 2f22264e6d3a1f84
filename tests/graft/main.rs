//! Tests at the boundary: the real binary on real files.

mod cache;
mod commands;
mod common;
mod comparing;
mod controls;
mod determinism;
mod doctor;
mod exchange;
mod exports;
mod faults;
mod foreign;
mod forgeries;
mod forgery;
mod grading;
mod graphs;
mod malformed;
mod neon;
mod neon_command;
mod optimizers;
mod parity;
mod precision;
mod preprocessing;
mod regimes;
mod resume;
mod unsound;
mod verify;
