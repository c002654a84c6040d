//! The reading path: seven files that show one change from the socket to the acknowledgement, short enough for an evening.

use crate::Violation;
use crate::mask::Source;

/// The files, in the order in which ARCHITECTURE.md walks them.
pub const FILES: [&str; 7] = [
    "engine/model/src/entry.rs",
    "connectors/postgres/src/stream.rs",
    "engine/flow/src/ingest.rs",
    "engine/flow/src/decide.rs",
    "engine/flow/src/deliver.rs",
    "connectors/fhir/src/sink.rs",
    "engine/flow/src/recover.rs",
];
/// What they may have together, their tests not counted.
pub const LINES_MAX: usize = 1_500;

/// Checks the files as `read` finds them; once they are `described`, none may be missing.
pub fn check(read: &dyn Fn(&str) -> Option<String>, described: bool) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut together = 0;
    let mut lines = Vec::new();
    for path in FILES {
        match read(path) {
            Some(text) => {
                let own = lines_of(&text);
                together += own;
                lines.push(format!("{own} {path}"));
            }
            None if described => found.push(Violation::of(path, "is missing from the reading path")),
            None => {}
        }
    }
    if together > LINES_MAX {
        let what = format!("{together} lines, at most {LINES_MAX}: {}", lines.join(", "));
        found.push(Violation::of("the reading path", what));
    }
    found
}

/// The lines of a file without its test items.
pub fn lines_of(text: &str) -> usize {
    text.lines().count() - Source::new(text).test_lines()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_1501_lines_fails_and_one_of_1500_does_not() {
        let with = |last: usize| {
            move |path: &str| {
                let lines = if path == FILES[6] { last } else { 200 };
                Some("a\n".repeat(lines))
            }
        };
        assert_eq!(check(&with(300), true), []);
        let found = check(&with(301), true);
        assert!(found.len() == 1 && found[0].what.starts_with("1501 lines"), "{found:?}");
    }

    #[test]
    fn tests_do_not_count() {
        let text = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n", "b();\n".repeat(2_000));
        assert_eq!(lines_of(&text), 1);
        assert_eq!(check(&|_| Some(text.clone()), true), []);
    }

    #[test]
    fn a_file_may_be_missing_until_the_path_is_described() {
        assert_eq!(check(&|_| None, false), []);
        assert_eq!(check(&|_| None, true).len(), 7);
    }
}
