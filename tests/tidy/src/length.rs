//! No file grows past what one sitting can read.

use crate::Violation;

/// What no file may pass.
pub const LINES_MAX: usize = 800;
/// From here on a file asks for a second one.
pub const LINES_NOTED: usize = 400;

/// Checks one Rust file; generated ones (`*.gen.rs`) are not read by people.
pub fn check(path: &str, text: &str) -> Vec<Violation> {
    let lines = text.lines().count();
    if lines <= LINES_MAX || path.ends_with(".gen.rs") {
        return Vec::new();
    }
    vec![Violation::of(path, format!("{lines} lines, at most {LINES_MAX}: split it where it changes subject"))]
}

/// What to print about one file, when it is allowed but long.
pub fn note(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    let noted = lines > LINES_NOTED && !path.ends_with(".gen.rs");
    noted.then(|| format!("{lines:>5} lines  {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_801_lines_fails_and_one_of_800_does_not() {
        let found = check("engine/flow/src/a.rs", &"a\n".repeat(801));
        assert_eq!(found.len(), 1);
        assert!(found[0].what.starts_with("801 lines"), "{found:?}");
        assert_eq!(check("engine/flow/src/a.rs", &"a\n".repeat(800)), []);
        assert_eq!(check("schemas/src/a.gen.rs", &"a\n".repeat(801)), []);
    }

    #[test]
    fn a_file_of_401_lines_is_noted() {
        assert!(note("a.rs", &"a\n".repeat(401)).is_some());
        assert!(note("a.rs", &"a\n".repeat(400)).is_none());
    }
}
