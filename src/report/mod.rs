//! Tables made from records. It reads; it never trains and never writes a file.
//!
//! [`table`] is the one table that all verbs draw. [`compare`] puts experiments side by side, and
//! says in words what their figures can and cannot tell. [`inspect`] shows one record.

pub mod cell;
pub mod compare;
mod controls;
pub mod inspect;
mod notes;
pub mod row;
pub mod table;
