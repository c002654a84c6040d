//! Value sets of required bindings, expanded to closed lists of codes.
//!
//! A value set over a system that HL7 does not list (currencies, media types, units), or chosen by a filter, has no closed list:
//! its name is kept out of the table, and nothing is checked against half a list.

use super::xml::Node;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The value sets and code systems of the bundles, and which of them the elements use.
pub struct ValueSets<'n, 'a> {
    sets: BTreeMap<&'n str, &'n Node<'a>>,
    systems: BTreeMap<&'n str, &'n Node<'a>>,
    used: BTreeMap<String, (String, Codes)>,
}

/// Codes by code system, in the order of the value set.
type Codes = BTreeMap<String, Vec<String>>;

impl<'n, 'a: 'n> ValueSets<'n, 'a> {
    /// Finds them.
    pub fn of(resources: impl Iterator<Item = &'n Node<'a>>) -> ValueSets<'n, 'a> {
        let mut found = ValueSets { sets: BTreeMap::new(), systems: BTreeMap::new(), used: BTreeMap::new() };
        for resource in resources {
            let held = match resource.name {
                "ValueSet" => &mut found.sets,
                "CodeSystem" => &mut found.systems,
                _ => continue,
            };
            if let Some(url) = resource.text("url") {
                held.insert(url, resource);
            }
        }
        found
    }

    /// The short name of a value set with a closed list of codes.
    pub fn name(&mut self, url: &str) -> Option<String> {
        let url = url.split('|').next().unwrap_or(url);
        let short = url.rsplit('/').next().unwrap_or(url);
        // Two value sets of one short name: the second goes by its URL.
        let taken = self.used.get(short).is_some_and(|(held, _)| held != url);
        let name = if taken { url } else { short };
        if !self.used.contains_key(name) {
            let mut codes = Codes::new();
            self.expand(url, &mut codes)?;
            self.used.insert(name.to_owned(), (url.to_owned(), codes));
        }
        Some(name.to_owned())
    }

    fn expand(&self, url: &str, codes: &mut Codes) -> Option<()> {
        let compose = self.sets.get(url)?.child("compose")?;
        for include in compose.children("include") {
            if include.child("filter").is_some() {
                return None;
            }
            for set in include.children("valueSet") {
                self.expand(set.value()?.split('|').next()?, codes)?;
            }
            let Some(system) = include.text("system") else { continue };
            let held = codes.entry(system.to_owned()).or_default();
            if include.child("concept").is_some() {
                concepts(include, held);
            } else {
                let system = self.systems.get(system)?;
                if system.text("content") != Some("complete") {
                    return None;
                }
                concepts(system, held);
            }
        }
        for exclude in compose.children("exclude") {
            let mut gone = Vec::new();
            concepts(exclude, &mut gone);
            if gone.is_empty() {
                return None;
            }
            if let Some(held) = exclude.text("system").and_then(|system| codes.get_mut(system)) {
                held.retain(|code| !gone.contains(code));
            }
        }
        Some(())
    }

    /// Writes the lists that the elements use.
    pub fn write(&self, out: &mut String) -> Result<(), String> {
        for (name, (_, codes)) in &self.used {
            for (system, codes) in codes {
                if codes.iter().any(|code| code.contains(['|', '\t', '\n'])) {
                    return Err(format!("value set {name} holds a code that the table cannot write"));
                }
                writeln!(out, "={name}\t{system}\t{}", codes.join("|")).expect("a String takes all");
            }
        }
        Ok(())
    }
}

fn concepts(holder: &Node<'_>, codes: &mut Vec<String>) {
    let mut seen: BTreeSet<String> = codes.iter().cloned().collect();
    walk(holder, codes, &mut seen);
}

fn walk(holder: &Node<'_>, codes: &mut Vec<String>, seen: &mut BTreeSet<String>) {
    for concept in holder.children("concept") {
        if let Some(code) = concept.text("code")
            && seen.insert(code.to_owned())
        {
            codes.push(code.to_owned());
        }
        walk(concept, codes, seen);
    }
}

#[cfg(test)]
mod tests {
    use super::super::xml;
    use super::*;

    const BUNDLE: &str = r#"<Bundle>
        <CodeSystem><url value="urn:s"/><content value="complete"/>
            <concept><code value="a"/><concept><code value="b"/></concept></concept><concept><code value="c"/></concept></CodeSystem>
        <CodeSystem><url value="urn:part"/><content value="fragment"/><concept><code value="x"/></concept></CodeSystem>
        <ValueSet><url value="urn:v/all"/><compose><include><system value="urn:s"/></include>
            <exclude><system value="urn:s"/><concept><code value="c"/></concept></exclude></compose></ValueSet>
        <ValueSet><url value="urn:v/both"/><compose><include><valueSet value="urn:v/all|4.0.1"/></include>
            <include><system value="urn:t"/><concept><code value="z"/></concept></include></compose></ValueSet>
        <ValueSet><url value="urn:v/part"/><compose><include><system value="urn:part"/></include></compose></ValueSet>
        <ValueSet><url value="urn:v/filtered"/><compose><include><system value="urn:s"/><filter/></include></compose></ValueSet>
        </Bundle>"#;

    #[test]
    fn a_closed_list_is_expanded_and_any_other_is_left_out() {
        let bundle = xml::parse(BUNDLE).unwrap();
        let mut sets = ValueSets::of(bundle.inside.iter());
        assert_eq!(sets.name("urn:v/both|4.0.1").as_deref(), Some("both"));
        assert_eq!(sets.name("urn:v/part"), None);
        assert_eq!(sets.name("urn:v/filtered"), None);
        assert_eq!(sets.name("urn:v/unknown"), None);
        let mut out = String::new();
        sets.write(&mut out).unwrap();
        assert_eq!(out, "=both\turn:s\ta|b\n=both\turn:t\tz\n");
    }
}
