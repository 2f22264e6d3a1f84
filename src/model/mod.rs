//! The target model: named layers, their shapes, their arithmetic on Burn.
//!
//! [`spec`] is the network on paper (`resolve.rs` makes it of what an experiment declares, `graph.rs`
//! says which layer works on which), [`network`] the same on a device, [`layer`] the arithmetic of
//! one layer, [`weights`] the initial values, [`digest`] one hash of them all, [`backend`] the devices. `blocks.rs` writes out blocks
//! of layers, [`architecture`] whole networks, one family a file. It opens no file and knows no
//! training.

pub mod architecture;
pub mod backend;
mod blocks;
mod build;
pub mod digest;
pub mod graph;
pub mod layer;
pub mod network;
mod orthonormal;
mod resolve;
pub mod spec;
pub mod weights;
