//! What we are built from carries a licence of the list in `deny.toml`, and none of the crates that it denies.

use crate::Violation;
use crate::spdx::Licence;
use serde_json::Value;

/// What `deny.toml` says, as far as this check needs it.
#[derive(Debug)]
pub struct Rules {
    allow: Vec<String>,
    deny: Vec<String>,
}

impl Rules {
    /// Reads `deny.toml`; `None` when it lacks one of the two lists.
    pub fn parse(text: &str) -> Option<Self> {
        let table: toml::Table = text.parse().ok()?;
        let allow = table.get("licenses")?.get("allow")?.as_array()?;
        let deny = table.get("bans")?.get("deny")?.as_array()?;
        let name = |value: &toml::Value| value.as_str().map(str::to_owned);
        Some(Self {
            allow: allow.iter().map(name).collect::<Option<_>>()?,
            deny: deny.iter().map(|entry| name(entry.get("crate")?)).collect::<Option<_>>()?,
        })
    }
}

/// Checks the licence of every package in the output of `cargo metadata`.
pub fn check(metadata: &Value, rules: &Rules) -> Vec<Violation> {
    let packages = metadata["packages"].as_array();
    let refused = |package: &Value| {
        let name = package["name"].as_str().unwrap_or_default();
        let what = match package["license"].as_str() {
            None => "states no licence".to_owned(),
            Some(text) => match Licence::parse(text) {
                None => format!("`{text}` is not a licence expression"),
                Some(licence) if licence.allowed_by(&rules.allow) => return None,
                Some(_) => format!("`{text}` is not allowed by deny.toml: use another crate"),
            },
        };
        Some(Violation::of(name, what))
    };
    packages.into_iter().flatten().filter_map(refused).collect()
}

/// Checks the crates that are compiled, as `cargo tree` prints them: `name vVERSION`.
pub fn check_built(tree: &str, rules: &Rules) -> Vec<Violation> {
    let mut names: Vec<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    names.sort_unstable();
    names.dedup();
    let denied = |name: &&str| rules.deny.iter().any(|denied| denied == name);
    names
        .into_iter()
        .filter(denied)
        .map(|name| Violation::of(name, format!("is denied by deny.toml; `cargo tree -i {name}` says who asks for it")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules() -> Rules {
        let text = "[licenses]\nallow = [\"MIT\"]\n[bans]\ndeny = [{ crate = \"ring\", reason = \"a\" }]";
        Rules::parse(text).unwrap()
    }

    fn package(licence: Value) -> Value {
        json!({ "packages": [{ "name": "planted", "license": licence }] })
    }

    #[test]
    fn a_licence_that_is_not_on_the_list_fails() {
        assert_eq!(check(&package(json!("MIT OR GPL-3.0-only")), &rules()), []);
        assert_eq!(check(&package(json!("GPL-3.0-only")), &rules()).len(), 1);
        assert_eq!(check(&package(json!("MIT AND")), &rules()).len(), 1);
    }

    #[test]
    fn a_crate_without_a_licence_fails() {
        let found = check(&package(Value::Null), &rules());
        assert!(found[0].what.contains("no licence"), "{found:?}");
    }

    #[test]
    fn a_denied_crate_fails() {
        let found = check_built("serde v1.0.229\nring v0.17.14\nring v0.17.14 (*)\n", &rules());
        assert!(found.len() == 1 && found[0].path == "ring", "{found:?}");
        assert_eq!(check_built("string v1.0.0\n", &rules()), []);
    }
}
