//! Project tasks: `cargo x`.

fn main() {}
