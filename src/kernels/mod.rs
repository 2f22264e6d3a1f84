//! Arithmetic on the processor, in f32, where it pays to write it by hand.
//!
//! Plain functions over slices: [`convolution`] (which chooses among the files beside it), [`momentum`].
//! [`extension`] is where Burn calls them, `autodiff` how gradients go back through them.
//!
//! All give the same bits whatever the number of threads, and what they say of a sample does not
//! depend on the other samples of its batch. They know no layers and no names. `unsafe` is allowed
//! here, and nowhere else in the crate; each has its reason beside it.
#![allow(unsafe_code)]

mod autodiff;
mod columns;
pub mod convolution;
mod depthwise;
mod disjoint;
pub mod extension;
mod few;
pub mod linear;
mod matrix;
mod memory;
pub mod momentum;
mod planes;
pub mod pooling;
#[cfg(test)]
mod reference;
mod scratch;
mod simd;
mod tasks;
mod wide;
mod winograd;

pub use simd::InstructionSet;
