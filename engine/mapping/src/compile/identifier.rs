//! Checks an `Identifier` (clinical S18): it names whose number it is, by an address that is nobody else's.

use super::tree::Tree;
use crate::{
    error::Place,
    template::{Node, Object},
    types::Texts,
    yaml::{Key, Node as Yaml},
};

/// URN namespaces that identifiers have; any other one is unregistered, or not meant for them.
const NAMESPACES: [&str; 3] = ["oid", "uuid", "ietf"];
const REMEDY: &str = "write `system: \"https://ids.<your domain>/..\"`, or `urn:oid:..`";

impl Tree<'_, '_> {
    /// Notes what is wrong with the identifier's `system`; `members` is what `object` was made of, at `at`.
    pub(super) fn identifier(&mut self, object: &Object, members: &[(Key, Yaml)], at: Place, path: &str) {
        let Some(system) = object.members.iter().find(|member| member.base == "system") else {
            let reason = format!("{path} has no `system`, and a number alone is anybody's");
            return self.faults.add(at, reason, REMEDY);
        };
        let at = members.iter().find(|(key, _)| key.text == system.name).map_or(at, |(_, node)| node.at);
        let wrong = match &system.node {
            Node::Fixed(json) => json.as_str().and_then(|text| Some((text, wrong(text)?))),
            Node::Leaf(leaf) => match &leaf.texts {
                Texts::Only(texts) => texts.iter().find_map(|text| Some((&**text, wrong(text)?))),
                Texts::Any => None,
            },
            Node::Object(_) | Node::List(_) => None,
        };
        if let Some((text, why)) = wrong {
            self.faults.add(at, format!("the identifier's system `{text}` {why}"), REMEDY);
        }
    }
}

/// Why this is no absolute URI that an identifier may have.
fn wrong(text: &str) -> Option<&'static str> {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    };
    let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty())
    else {
        return Some("is no absolute URI");
    };
    match &*scheme.to_ascii_lowercase() {
        "http" | "https" => {
            let host = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next());
            host.is_none_or(str::is_empty).then_some("names no host")
        }
        "urn" => {
            let (namespace, name) = rest.split_once(':').unwrap_or((rest, ""));
            let namespace = namespace.to_ascii_lowercase();
            if !NAMESPACES.contains(&&*namespace) {
                return Some("is of no registered URN namespace");
            }
            let good = match &*namespace {
                "oid" => is_oid(name),
                _ => !name.is_empty(),
            };
            (!good).then_some("is no valid URN")
        }
        _ => None,
    }
}

fn is_oid(text: &str) -> bool {
    let arc =
        |arc: &str| !arc.is_empty() && arc.bytes().all(|c| c.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'));
    text.split('.').count() > 1 && text.split('.').all(arc) && matches!(text.as_bytes().first(), Some(b'0'..=b'2'))
}

#[cfg(test)]
mod tests {
    use super::wrong;

    #[test]
    fn a_system_is_an_absolute_uri_that_is_somebodys() {
        for good in [
            "https://ids.hospital.example/mrn",
            "http://hl7.org/fhir/sid/us-ssn",
            "urn:oid:2.16.840.1.113883.4.1",
            "urn:ietf:rfc:3986",
            "urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            "tag:hospital.example,2026:mrn",
        ] {
            assert_eq!(wrong(good), None, "{good}");
        }
        for (bad, why) in [
            ("mrn", "is no absolute URI"),
            ("/mrn", "is no absolute URI"),
            ("ids.hospital.example/mrn", "is no absolute URI"),
            ("https:", "is no absolute URI"),
            ("https:///mrn", "names no host"),
            ("https:ids/mrn", "names no host"),
            ("urn:hospital:mrn", "is of no registered URN namespace"),
            ("urn:oid:2.16.", "is no valid URN"),
            ("urn:oid:mrn", "is no valid URN"),
            ("urn:oid:2.016", "is no valid URN"),
            ("urn:oid", "is no valid URN"),
        ] {
            assert_eq!(wrong(bad), Some(why), "{bad}");
        }
    }
}
