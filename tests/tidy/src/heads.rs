//! Every Rust file says at its head what it is.

use crate::Violation;

/// Checks one Rust file.
pub fn check(path: &str, text: &str) -> Vec<Violation> {
    if path.ends_with(".gen.rs") || text.starts_with("//!") {
        return Vec::new();
    }
    vec![Violation::of(path, "begin with `//!`: what it is, what it never does, its invariants")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_head_fails() {
        assert_eq!(check("engine/flow/src/a.rs", "use b;\n").len(), 1);
        assert_eq!(check("engine/flow/src/a.rs", "//! Lanes.\nuse b;\n"), []);
        assert_eq!(check("engine/flow/src/a.gen.rs", "use b;\n"), []);
    }
}
