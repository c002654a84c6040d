//! Fields: element paths whose repeating steps are addressed by a declared key, never by index (clinical S6).
//!
//! * A list without a key is one atomic field; repeats of a key, or an item without one, make the list atomic for that unit.
//! * A choice element is one field (`effective`), whatever its type: its value is an object of its full names
//!   (`{valueQuantity: …}`). A primitive with a `_` sibling is one field likewise (`{birthDate: …, _birthDate: …}`).
//! * Names, addresses, contact points, identifiers, concepts, periods and backbone elements are told apart member by
//!   member. What means nothing in part (a quantity, a coding, a reference, an extension) is one field.
//! * `resourceType`, `id` and `meta` (save `security` and `profile`) are no fields. `text` and `contained` are: clinical S7
//!   needs them, equality leaves them out.
//!
//! An address is steps joined by `.`; a step is a member's name and, for an item of a list, its key in brackets:
//! `telecom[system=phone,use=home].value`. Brackets, `,`, `=`, `#`, `|`, `;` and `%` in names and key values, and `.` in
//! names, are written as in URLs (`%5B`), so that every address reads in one way.

mod split;
mod step;
mod tree;

pub use step::Step;

use crate::{elements::Elements, id::ResourceType, json::Json};
use alloc::{boxed::Box, collections::BTreeMap};
use core::fmt;

/// The address of one field inside its resource: `name[use=official].family`, `birthDate`, `value`.
/// A key's values may be patient data (an identifier's system is not, a telecom's value would be), so `Debug` is the
/// path with each key hashed away; [`FieldAddress::as_str`] is for code.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldAddress(Box<str>);

impl FieldAddress {
    /// Takes the text form.
    pub fn new(text: &str) -> FieldAddress {
        FieldAddress(text.into())
    }

    /// The text form, with keys.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its steps, outermost first.
    pub fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        step::Steps::new(&self.0)
    }

    /// Whether `other` is this field or lies inside it.
    pub fn covers(&self, other: &FieldAddress) -> bool {
        match other.0.strip_prefix(&*self.0) {
            Some(rest) => rest.is_empty() || rest.starts_with(['.', '[']),
            None => false,
        }
    }
}

impl fmt::Debug for FieldAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut inside = false;
        for c in self.0.chars() {
            match c {
                '[' => {
                    inside = true;
                    f.write_str("[..]")?;
                }
                ']' => inside = false,
                _ if inside => {}
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// The fields of a unit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fields(pub BTreeMap<FieldAddress, Json>);

impl Fields {
    /// The fields of a resource. Total: what R4 does not know becomes a field under its own name.
    pub fn from_resource(resource: &Json, elements: &dyn Elements) -> Fields {
        split::split(resource, elements)
    }

    /// The resource of these fields, with this type and id. Members come in the order of their addresses.
    pub fn to_resource(&self, resource_type: &ResourceType, id: &str) -> Json {
        tree::assemble(self.0.iter(), resource_type, id)
    }

    /// The resource of these fields and of those of `other` which they leave room for.
    pub fn to_resource_with(&self, other: &Fields, resource_type: &ResourceType, id: &str) -> Json {
        tree::assemble(self.0.iter().chain(&other.0), resource_type, id)
    }

    /// The value at this address.
    pub fn get(&self, address: &FieldAddress) -> Option<&Json> {
        self.0.get(address)
    }

    /// Sets the field, or removes it.
    pub fn set(&mut self, address: &FieldAddress, value: Option<Json>) {
        match value {
            Some(value) => drop(self.0.insert(address.clone(), value)),
            None => drop(self.0.remove(address)),
        }
    }
}

/// Whether a field's value is an object of full names (of a choice, of a primitive and its sibling) rather than the
/// element's own value: every member is called as the field, or as the field and a type, with or without a `_` before it.
pub(crate) fn is_wrapped(value: &Json, name: &str) -> bool {
    let full = |member: &str| {
        let member = member.strip_prefix('_').unwrap_or(member);
        let rest = member.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_uppercase()))
    };
    match value {
        Json::Object(members) => !members.is_empty() && members.iter().all(|(member, _)| full(member)),
        _ => false,
    }
}

#[cfg(test)]
pub(crate) mod tests;
