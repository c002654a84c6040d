//! Suites that every implementation of a port must pass.
//!
//! An implementation's own tests hand over a harness; what a suite asks for is the contract in `ports`, nothing more.

pub mod journal;
mod random;
pub mod shadow;
pub mod sink;
pub mod source;
pub mod state;
