//! graft: a declarative experiment runner for transfer learning.

pub mod config;
pub mod error;
pub mod model;
