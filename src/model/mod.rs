//! The target model: named layers, their shapes, their arithmetic on Burn.
//!
//! [`spec`] is the network on paper (`resolve.rs` makes it of what an experiment declares), [`network`] the same on a device, [`layer`] the arithmetic of
//! one layer, [`weights`] the initial values, [`backend`] the devices. One architecture family a
//! file ([`vgg`]). It opens no file and knows no training.

pub mod backend;
pub mod layer;
pub mod network;
mod orthonormal;
mod resolve;
pub mod spec;
pub mod vgg;
pub mod weights;
