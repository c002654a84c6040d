//! Reads the members of a map file's mappings: what is there, what is missing, what has no business there.

use crate::{
    error::{Faults, Place, did_you_mean},
    yaml::{Key, Node, What},
};

/// The members of one mapping.
pub(super) struct Words<'n> {
    pub(super) at: Place,
    /// What the mapping is, for people.
    what: String,
    pub(super) members: &'n [(Key, Node)],
}

impl<'n> Words<'n> {
    /// The mapping at `node`; none if it is something else (noted).
    pub(super) fn of(node: &'n Node, at: Place, what: &str, faults: &mut Faults) -> Option<Words<'n>> {
        match &node.what {
            What::Map(members) => Some(Words { at, what: what.to_owned(), members }),
            _ => {
                faults.add(
                    node.at,
                    format!("{what} is {}, not a mapping", node.kind()),
                    "write `name: value` lines, or `{name: value}`",
                );
                None
            }
        }
    }

    /// Notes every member whose name is not among `known`.
    pub(super) fn only(&self, known: &[&str], faults: &mut Faults) {
        for (key, _) in self.members {
            if !known.contains(&&*key.text) {
                let remedy = did_you_mean(&key.text, known.iter().copied());
                faults.add(key.at, format!("{} knows no `{}`", self.what, key.text), remedy);
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'n Node> {
        self.members.iter().find(|(key, _)| *key.text == *name).map(|(_, node)| node)
    }

    /// The place of a member's name, else of the mapping.
    pub(super) fn place(&self, name: &str) -> Place {
        self.members.iter().find(|(key, _)| *key.text == *name).map_or(self.at, |(key, _)| key.at)
    }

    /// A member that must be there.
    pub(super) fn need(&self, name: &str, remedy: &str, faults: &mut Faults) -> Option<&'n Node> {
        let found = self.get(name);
        if found.is_none() {
            faults.add(self.at, format!("{} has no `{name}`", self.what), remedy);
        }
        found
    }

    /// A text that must be there.
    pub(super) fn text(&self, name: &str, remedy: &str, faults: &mut Faults) -> Option<&'n str> {
        let node = self.need(name, remedy, faults)?;
        text(node, name, faults)
    }

    /// A whole number from 1 that must be there.
    pub(super) fn count(&self, name: &str, remedy: &str, faults: &mut Faults) -> Option<u32> {
        let node = self.need(name, remedy, faults)?;
        let number = node.scalar().filter(|scalar| scalar.plain).and_then(|scalar| scalar.text.parse::<u32>().ok());
        if number.is_none_or(|number| number == 0) {
            faults.add(node.at, format!("`{name}` is no whole number from 1"), remedy);
            return None;
        }
        number
    }
}

/// A text that says something.
pub(super) fn text<'n>(node: &'n Node, name: &str, faults: &mut Faults) -> Option<&'n str> {
    match node.scalar() {
        Some(scalar) if !scalar.is_null() && !scalar.text.trim().is_empty() => Some(&scalar.text),
        Some(_) => {
            faults.add(node.at, format!("`{name}` is empty"), "write a text");
            None
        }
        None => {
            faults.add(node.at, format!("`{name}` is {}, not a text", node.kind()), "write a text");
            None
        }
    }
}

/// A list of names, at least one.
pub(super) fn names<'n>(node: &'n Node, name: &str, faults: &mut Faults) -> Vec<(&'n str, Place)> {
    let What::List(items) = &node.what else {
        faults.add(node.at, format!("`{name}` is {}, not a list", node.kind()), "write `[column, ..]`");
        return Vec::new();
    };
    if items.is_empty() {
        faults.add(node.at, format!("`{name}` is empty"), "name at least one column");
    }
    items.iter().filter_map(|item| Some((text(item, name, faults)?, item.at))).collect()
}

/// The text and place of an expression: a value that begins with one `=`.
pub(super) fn expression(node: &Node) -> Option<(&str, Place)> {
    let scalar = node.scalar()?;
    let text = scalar.text.strip_prefix('=').filter(|rest| !rest.starts_with('='))?;
    Some((text, scalar.inner.plus(1)))
}
