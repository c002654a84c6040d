//! The step machines.
