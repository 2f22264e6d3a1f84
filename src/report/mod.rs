//! Tables made from records. It reads; it never trains and never writes a file.
//!
//! [`table`] is the one table that all verbs draw. [`compare`] puts experiments side by side,
//! [`contrast`] says which of them differ, and which cannot be told apart. [`inspect`] shows one record.

pub mod cell;
pub mod compare;
pub mod contrast;
mod controls;
pub mod inspect;
mod notes;
pub mod row;
pub mod table;
