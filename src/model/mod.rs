//! The target model: named layers, their shapes, their arithmetic on Burn.
//!
//! It opens no file and knows no training.

pub mod spec;
