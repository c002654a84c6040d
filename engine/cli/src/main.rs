//! The binary `lockstep`: composition root.

fn main() {}
