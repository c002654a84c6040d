//! Arrows between crates point down only, siblings never meet (engine/ARCHITECTURE.md, layers).

use crate::Violation;
use serde_json::Value;

/// Crates that read a clock, a socket or a file by their nature: nothing below the adapters may depend on them.
const IMPURE: [&str; 16] = [
    "axum",
    "getrandom",
    "hyper",
    "rand",
    "rdkafka",
    "redb",
    "reqwest",
    "rustix",
    "rustls",
    "sled",
    "tempfile",
    "tokio",
    "tokio-postgres",
    "tokio-rustls",
    "tracing",
    "tracing-subscriber",
];

/// Where a crate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Layer(u8),
    /// tests/*: may see anything.
    Test,
    /// ops/*: may see anything, seen by nobody.
    Tool,
}

/// Checks every dependency of ours in the output of `cargo metadata`.
pub fn check(metadata: &Value) -> Vec<Violation> {
    let root = text(metadata, "workspace_root");
    let inside = |path: &str| path.strip_prefix(root).map(|path| path.trim_matches('/').to_owned());
    let mut found = Vec::new();
    for package in list(metadata, "packages") {
        let manifest = text(package, "manifest_path");
        let Some(from) = inside(manifest.trim_end_matches("/Cargo.toml")) else {
            continue;
        };
        let Some(place) = place(&from) else {
            let what = "stands in no layer: give it one in tests/tidy/src/edges.rs and ARCHITECTURE.md";
            found.push(Violation::of(&from, what));
            continue;
        };
        for dependency in list(package, "dependencies") {
            let dev = dependency["kind"] == "dev";
            let name = text(dependency, "name");
            let to = dependency["path"].as_str().and_then(inside);
            let broken = match to {
                Some(to) => edge(&from, &to, dev),
                None => impure(place, name, dev),
            };
            found.extend(broken.map(|why| Violation::of(&from, format!("depends on {name}: {why}"))));
        }
    }
    found
}

fn place(path: &str) -> Option<Place> {
    let layer = match path {
        "engine/model" => 0,
        "engine/flow" | "engine/mapping" | "engine/reconcile" | "engine/ports" | "schemas" => 1,
        "engine/journal" | "engine/journal-kafka" | "engine/store" => 2,
        "engine/runtime" | "engine/verify" => 3,
        "engine/server" | "connectors/catalog" => 4,
        "engine/cli" => 5,
        other => match other.split_once('/')? {
            ("connectors", _) => 2,
            ("tests", _) => return Some(Place::Test),
            ("ops", _) => return Some(Place::Tool),
            _ => return None,
        },
    };
    Some(Place::Layer(layer))
}

/// Why one of ours may not see another of ours.
fn edge(from: &str, to: &str, dev: bool) -> Option<String> {
    let (above, below) = match (place(from)?, place(to)?) {
        (_, Place::Tool) => return Some("tools are seen by nobody".to_owned()),
        (Place::Test | Place::Tool, _) => return None,
        (Place::Layer(_), Place::Test) if dev => return None,
        (Place::Layer(_), Place::Test) => {
            return Some("tests are seen as dev-dependencies only".to_owned());
        }
        (Place::Layer(above), Place::Layer(below)) => (above, below),
    };
    if inside_layer_one(from, to) {
        return None;
    }
    if above < below {
        return Some(format!("the arrow points up, from layer {above} to {below}"));
    }
    if above == below {
        return Some(format!("siblings of layer {above} never meet"));
    }
    if above == 2 && !["engine/model", "engine/ports", "schemas"].contains(&to) {
        return Some("an adapter sees ports, model and schemas".to_owned());
    }
    if to.starts_with("connectors/") && to != "connectors/catalog" && from != "connectors/catalog" {
        return Some("only the catalog names a connector".to_owned());
    }
    None
}

/// The arrows that the first layer has inside itself.
fn inside_layer_one(from: &str, to: &str) -> bool {
    let below: &[&str] = match from {
        "engine/flow" => &["engine/reconcile", "engine/mapping", "engine/ports", "schemas"],
        "engine/mapping" => &["schemas"],
        _ => &[],
    };
    below.contains(&to)
}

fn impure(place: Place, name: &str, dev: bool) -> Option<String> {
    let pure = matches!(place, Place::Layer(0 | 1)) && !dev;
    (pure && IMPURE.contains(&name)).then(|| "it does I/O, and layers 0 and 1 do none: put it behind a port".to_owned())
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn depends(from: &str, to: &str, kind: Option<&str>) -> Vec<Violation> {
        let path = to.contains('/') || to == "schemas";
        check(&json!({
            "workspace_root": "/r",
            "packages": [{
                "manifest_path": format!("/r/{from}/Cargo.toml"),
                "dependencies": [{
                    "name": to, "kind": kind, "path": path.then(|| format!("/r/{to}")),
                }],
            }],
        }))
    }

    fn refused(from: &str, to: &str, kind: Option<&str>, why: &str) {
        let found = depends(from, to, kind);
        assert!(found.len() == 1 && found[0].what.contains(why), "{from} -> {to}: {found:?}");
    }

    #[test]
    fn an_upward_edge_fails() {
        refused("engine/model", "engine/flow", None, "points up");
        refused("engine/flow", "engine/journal", None, "points up");
        refused("engine/runtime", "engine/cli", Some("build"), "points up");
        refused("engine/flow", "engine/store", Some("dev"), "points up");
    }

    #[test]
    fn siblings_never_meet() {
        refused("engine/store", "engine/journal", None, "siblings");
        refused("connectors/fhir", "connectors/postgres", None, "siblings");
        refused("engine/mapping", "engine/reconcile", None, "siblings");
        refused("engine/ports", "schemas", None, "siblings");
        refused("engine/server", "connectors/catalog", None, "siblings");
    }

    #[test]
    fn adapters_see_ports_model_and_schemas_only() {
        refused("engine/journal", "engine/flow", None, "an adapter sees");
        assert_eq!(depends("engine/journal", "schemas", None), []);
    }

    #[test]
    fn only_the_catalog_names_a_connector() {
        refused("engine/runtime", "connectors/fhir", None, "only the catalog");
        refused("engine/cli", "connectors/fhir", None, "only the catalog");
        assert_eq!(depends("connectors/catalog", "connectors/fhir", None), []);
        assert_eq!(depends("engine/cli", "connectors/catalog", None), []);
    }

    #[test]
    fn tests_are_seen_as_dev_dependencies_only_and_tools_by_nobody() {
        refused("engine/journal", "tests/conformance", None, "dev-dependencies only");
        refused("tests/e2e", "ops/xtask", Some("dev"), "seen by nobody");
        assert_eq!(depends("engine/journal", "tests/conformance", Some("dev")), []);
        assert_eq!(depends("tests/e2e", "engine/cli", None), []);
        assert_eq!(depends("ops/xtask", "tests/sandbox", None), []);
    }

    #[test]
    fn flow_and_mapping_see_what_the_first_layer_lends_them() {
        for to in ["engine/reconcile", "engine/mapping", "engine/ports", "schemas", "engine/model"] {
            assert_eq!(depends("engine/flow", to, None), []);
        }
        assert_eq!(depends("engine/mapping", "schemas", None), []);
    }

    #[test]
    fn pure_layers_do_no_io() {
        refused("engine/flow", "tokio", None, "does I/O");
        refused("schemas", "reqwest", Some("build"), "does I/O");
        assert_eq!(depends("engine/flow", "tempfile", Some("dev")), []);
        assert_eq!(depends("engine/runtime", "tokio", None), []);
    }

    #[test]
    fn a_crate_without_a_layer_is_named() {
        let found = depends("engine/utils", "serde", None);
        assert!(found[0].what.contains("no layer"), "{found:?}");
    }
}
