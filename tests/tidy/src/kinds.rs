//! No code outside `connectors/` knows a connector by its name: the engine asks the port, never who stands behind it.

use crate::bans::is_test;
use crate::mask::{Source, find_words};
use crate::{Violation, line_of};

/// Checks one Rust file for comparisons with a kind and for paths into a connector's crate.
pub fn check(path: &str, text: &str, kinds: &[String]) -> Vec<Violation> {
    let exempt = ["connectors/", "tests/", "ops/"];
    if exempt.iter().any(|folder| path.starts_with(folder)) || is_test(path) {
        return Vec::new();
    }
    let source = Source::new(text);
    let mut found = Vec::new();
    for kind in kinds {
        let code = &source.product_with_strings;
        for (at, literal) in code.match_indices(&format!("\"{kind}\"")) {
            if compares(&code[..at], &code[at + literal.len()..]) {
                let what = format!("decides by the kind \"{kind}\": let the port or the profile say what differs");
                found.push(Violation::at(path, line_of(code, at), what));
            }
        }
        let own_module = find_words(&source.product, &format!("mod {kind}")).next().is_some();
        for name in [kind.clone(), format!("lockstep_{kind}")] {
            let needle = format!("{name}::");
            for at in find_words(&source.product, &needle) {
                // `crate::fhir::` is a module of ours, not the connector.
                if !own_module && !source.product[..at].ends_with("::") {
                    let what = format!("`{needle}` names a connector: only the catalog may");
                    found.push(Violation::at(path, line_of(&source.product, at), what));
                }
            }
        }
    }
    found.sort();
    found
}

/// Whether a literal between these two texts is a pattern or one side of a comparison.
fn compares(before: &str, after: &str) -> bool {
    let before = before.trim_end().trim_end_matches(['(', '[', '&', 'b']).trim_end();
    let after = after.trim_start_matches([')', ']', ' ', '\n']);
    let statement = before.rfind([';', '{', '}']).map_or(before, |at| &before[at..]);
    ["==", "!=", ".eq", ".ne", ".eq_ignore_ascii_case"].iter().any(|sign| before.ends_with(sign))
        || ["==", "!=", "=>", "| ", "if "].iter().any(|sign| after.starts_with(sign))
        || before.ends_with('|') && !before.ends_with("||")
        || statement.contains("matches!")
        || statement.split_once("if let").is_some_and(|(_, pattern)| !pattern.contains('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(path, text, &["postgres".to_owned(), "fhir".to_owned()]).len()
    }

    #[test]
    fn a_decision_by_kind_fails() {
        for text in [
            "match kind { \"postgres\" => a(), _ => b() }",
            "match kind { Some(\"fhir\") => a(), _ => b() }",
            "match kind { \"a\" | \"fhir\" => a(), _ => b() }",
            "match kind { \"fhir\" | \"a\" => a(), _ => b() }",
            "match kind { \"fhir\" if c => a(), _ => b() }",
            "if kind == \"fhir\" { a() }",
            "if \"fhir\" != kind { a() }",
            "if kind.eq(\"fhir\") { a() }",
            "let a = matches!(kind, \"fhir\");",
            "if let \"fhir\" = kind { a() }",
        ] {
            assert_eq!(found("engine/runtime/src/a.rs", text), 1, "{text}");
            assert_eq!(found("connectors/catalog/src/lib.rs", text), 0, "{text}");
            assert_eq!(found("tests/e2e/src/a.rs", text), 0, "{text}");
        }
    }

    #[test]
    fn a_path_into_a_connector_fails() {
        assert_eq!(found("engine/cli/src/a.rs", "fn f() { fhir::Sink::open() }"), 1);
        assert_eq!(found("engine/cli/src/a.rs", "use lockstep_postgres::Source;"), 1);
        assert_eq!(found("engine/cli/src/a.rs", "use tokio_postgres::Client;"), 0);
        assert_eq!(found("engine/mapping/src/a.rs", "use crate::fhir::Path;"), 0);
        assert_eq!(found("engine/mapping/src/a.rs", "mod fhir;\nuse fhir::Path;"), 0);
    }

    #[test]
    fn naming_a_kind_without_deciding_by_it_is_fine() {
        assert_eq!(found("engine/cli/src/a.rs", "const EXAMPLE: &str = \"fhir\";"), 0);
        let looked_up = "if let Some(a) = b.get(\"fhir\") { c() }";
        assert_eq!(found("engine/cli/src/a.rs", looked_up), 0);
        assert_eq!(found("engine/cli/src/a.rs", "// == \"fhir\"\nfn f() {}"), 0);
        let test = "#[cfg(test)]\nmod tests { fn f() { assert!(kind == \"fhir\"); } }";
        assert_eq!(found("engine/cli/src/a.rs", test), 0);
    }
}
