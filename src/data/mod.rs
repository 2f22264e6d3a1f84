//! From files to batches: HDF5 in neon's layout, images, preparation, and the built-in drawn tasks.
//!
//! [`dataset`] is the validated file, [`batches`] the reader thread before a training loop,
//! [`transform`] what happens to pixels in between,
//! [`drawn`] and [`prepare`] make such files, [`images`] decodes and resizes, [`hdf5`] is the only
//! module that touches the format. Nothing here knows a tensor, a model or an experiment file.

pub mod batches;
mod cache;
pub mod dataset;
pub mod drawn;
mod folders;
pub mod hdf5;
pub mod images;
mod layout;
pub mod prepare;
pub mod resize;
pub mod sheet;
pub mod transform;
pub mod writer;
