//! The visible top level is fixed: a newcomer sees the same few names for ever.

use crate::Violation;
use std::collections::BTreeSet;

/// What stands there; names that begin with a dot aside.
const NAMES: [&str; 13] = [
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "NOTICE",
    "README.md",
    "connectors",
    "deny.toml",
    "docker-compose.yml",
    "engine",
    "ops",
    "schemas",
    "tests",
];

/// Checks the paths of all files under version control.
pub fn check<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<Violation> {
    let tops: BTreeSet<&str> = paths.filter_map(|path| path.split('/').next()).collect();
    tops.into_iter()
        .filter(|top| !top.starts_with('.') && !NAMES.contains(top))
        .map(|top| Violation::of(top, "does not belong to the top level: put it below ops, or begin it with a dot"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_name_at_the_top_fails() {
        assert_eq!(check(["Cargo.toml", "engine/flow/src/lib.rs", ".ci/run"].into_iter()), []);
        let found = check(["scripts/a.sh", "scripts/b.sh", "Makefile"].into_iter());
        let names: Vec<&str> = found.iter().map(|violation| violation.path.as_str()).collect();
        assert_eq!(names, ["Makefile", "scripts"]);
    }
}
