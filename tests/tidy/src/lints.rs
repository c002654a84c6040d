//! Every crate of ours takes the workspace's lints, so that `unsafe` is forbidden everywhere.

use crate::Violation;

/// Checks one member's `Cargo.toml`.
pub fn check(path: &str, manifest: &str) -> Vec<Violation> {
    let table: toml::Table = match manifest.parse() {
        Ok(table) => table,
        Err(_) => return vec![Violation::of(path, "is not TOML")],
    };
    let inherits = table.get("lints").and_then(|lints| lints.get("workspace"));
    if inherits.and_then(toml::Value::as_bool) == Some(true) {
        return Vec::new();
    }
    vec![Violation::of(path, "add `[lints]` with `workspace = true`")]
}

/// Checks the lints of the root `Cargo.toml`.
pub fn check_root(path: &str, manifest: &str) -> Vec<Violation> {
    let table: toml::Table = manifest.parse().unwrap_or_default();
    let lint = table.get("workspace").and_then(|workspace| workspace.get("lints")?.get("rust")?.get("unsafe_code"));
    if lint.and_then(toml::Value::as_str) == Some("forbid") {
        return Vec::new();
    }
    vec![Violation::of(path, "say `unsafe_code = \"forbid\"` in [workspace.lints.rust]")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_with_lints_of_its_own_fails() {
        assert_eq!(check("a/Cargo.toml", "[lints]\nworkspace = true\n"), []);
        assert_eq!(check("a/Cargo.toml", "[package]\nname = \"a\"\n").len(), 1);
        assert_eq!(check("a/Cargo.toml", "[lints.rust]\nunsafe_code = \"warn\"\n").len(), 1);
    }

    #[test]
    fn a_workspace_that_lets_unsafe_through_fails() {
        let warns = "[workspace.lints.rust]\nunsafe_code = \"warn\"\n";
        assert_eq!(check_root("Cargo.toml", warns).len(), 1);
        assert_eq!(check_root("Cargo.toml", &warns.replace("warn", "forbid")), []);
    }
}
