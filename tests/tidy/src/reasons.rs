//! Every crate that the workspace names has its line of reason in ADR 0001, and no line outlives its crate.

use crate::Violation;
use std::collections::BTreeSet;

/// Where the reasons stand.
pub const ADR: &str = "ops/adr/0001-dependencies.md";

/// Compares the root manifest with the record.
pub fn check(manifest: &str, adr: &str) -> Vec<Violation> {
    let named = dependencies(manifest);
    let reasons = reasons(adr);
    let missing = named
        .difference(&reasons)
        .map(|name| Violation::of("Cargo.toml", format!("`{name}` has no line of reason in {ADR}")));
    let stale = reasons
        .difference(&named)
        .map(|name| Violation::of(ADR, format!("`{name}` is not in [workspace.dependencies]")));
    missing.chain(stale).collect()
}

/// The foreign entries of `[workspace.dependencies]`.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let table: toml::Table = manifest.parse().unwrap_or_default();
    let entries = table.get("workspace").and_then(|workspace| workspace.get("dependencies")?.as_table());
    entries
        .into_iter()
        .flatten()
        .filter(|(_, entry)| entry.get("path").is_none())
        .map(|(name, _)| name.clone())
        .collect()
}

/// The first cells of the table whose rows begin with a name in backticks, and have a second cell.
fn reasons(adr: &str) -> BTreeSet<String> {
    let row = |line: &str| {
        let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        let reason = rest.split('|').next()?.trim();
        (!reason.is_empty()).then(|| name.to_owned())
    };
    adr.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[workspace.dependencies]\nmodel = { path = \"engine/model\" }\nserde = \"1\"\n";

    #[test]
    fn a_crate_without_a_reason_fails() {
        assert_eq!(check(MANIFEST, "| `serde` | configuration | |\n"), []);
        assert_eq!(check(MANIFEST, "| `serde` | | |\n").len(), 1);
        assert_eq!(check(MANIFEST, "").len(), 1);
    }

    #[test]
    fn a_reason_without_a_crate_fails() {
        let adr = "| `serde` | configuration | |\n| `sled` | state | |\n";
        assert_eq!(check(MANIFEST, adr).len(), 1);
    }
}
