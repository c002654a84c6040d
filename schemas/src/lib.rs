//! Wire formats.

pub mod r4;
