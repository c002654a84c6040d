//! Resource → fields.

use super::{FieldAddress, Fields, is_wrapped, step::escape};
use crate::{
    canonical,
    elements::{Element, Elements, Node},
    id::Hash,
    json::Json,
};
use alloc::{boxed::Box, format, string::String, vec::Vec};

/// Types whose members are fields of their own. Members of any other type mean nothing without each other.
const APART: [&str; 9] = [
    "Address",
    "BackboneElement",
    "CodeableConcept",
    "ContactPoint",
    "Element",
    "HumanName",
    "Identifier",
    "Meta",
    "Period",
];

pub(super) fn split(resource: &Json, elements: &dyn Elements) -> Fields {
    let mut splitter = Splitter { elements, fields: Fields::default(), path: String::with_capacity(64) };
    let Json::Object(members) = resource else { return splitter.fields };
    let node = resource.get("resourceType").and_then(Json::as_str).and_then(|kind| elements.node(kind));
    splitter.object(members, node, Inside::Resource);
    splitter.fields
}

struct Splitter<'a> {
    elements: &'a dyn Elements,
    fields: Fields,
    /// The address of what is being split.
    path: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Resource,
    Meta,
    Element,
}

impl Inside {
    fn keeps(self, name: &str) -> bool {
        match self {
            Inside::Resource => !matches!(name, "resourceType" | "id" | "_resourceType" | "_id" | "_meta"),
            Inside::Meta => matches!(name, "security" | "profile"),
            Inside::Element => true,
        }
    }
}

/// A member with the field that it belongs to.
struct Member<'j, 'e> {
    field: &'j str,
    name: &'j str,
    value: &'j Json,
    element: Option<Element<'e>>,
}

impl<'a> Splitter<'a> {
    fn object(&mut self, members: &[(Box<str>, Json)], node: Option<Node>, inside: Inside) {
        let mut members: Vec<Member<'_, 'a>> = members
            .iter()
            .filter(|(name, value)| inside.keeps(name) && !value.is_vacant())
            .map(|(name, value)| self.member(name, value, node))
            .collect();
        members.sort_unstable_by_key(|member| (member.field, member.name));
        for group in members.chunk_by(|a, b| a.field == b.field) {
            let length = self.path.len();
            if length > 0 {
                self.path.push('.');
            }
            escape(&mut self.path, group[0].field, true);
            match group {
                [only] if only.field == only.name => self.single(only, inside),
                several => self.wrapped(several),
            }
            self.path.truncate(length);
        }
    }

    fn member<'j>(&self, name: &'j str, value: &'j Json, node: Option<Node>) -> Member<'j, 'a> {
        let element = |name| node.and_then(|node| self.elements.element(node, name));
        let (plain, sibling) = name.strip_prefix('_').map_or((name, false), |plain| (plain, true));
        let found = element(plain);
        let field = match found {
            Some(element) if element.choice => plain.get(..element.base.len()).unwrap_or(plain),
            _ => plain,
        };
        Member { field, name, value, element: if sibling { None } else { found } }
    }

    fn wrapped(&mut self, members: &[Member<'_, '_>]) {
        let members = members.iter().map(|member| (member.name.into(), member.value.clone())).collect();
        self.put(Json::Object(members));
    }

    fn put(&mut self, value: Json) {
        self.fields.0.insert(FieldAddress::new(&self.path), value);
    }

    fn single(&mut self, member: &Member<'_, 'a>, inside: Inside) {
        match (member.value, member.element) {
            (Json::Object(members), _) if inside == Inside::Resource && member.name == "meta" => {
                self.object(members, self.elements.node("Meta"), Inside::Meta);
            }
            (_, _) if inside == Inside::Resource && member.name == "meta" => {}
            (Json::Object(members), Some(element)) if !element.repeats && APART.contains(&element.ty) => {
                self.object(members, element.node, Inside::Element);
            }
            (Json::Array(items), Some(element)) if element.repeats => {
                let key = match (member.name, inside) {
                    ("extension" | "modifierExtension", _) => Some(&["url"][..]),
                    ("security", Inside::Meta) => Some(&["system", "code"][..]),
                    _ => element.key,
                };
                match key.and_then(|key| self.keys(items, element, key)) {
                    Some(keys) => self.items(items, element, &keys),
                    None => self.put(member.value.clone()),
                }
            }
            (value, _) if is_wrapped(value, member.field) => self.wrapped(core::slice::from_ref(member)),
            (value, _) => self.put(value.clone()),
        }
    }

    fn items(&mut self, items: &[Json], element: Element<'a>, keys: &[String]) {
        let length = self.path.len();
        for (item, key) in items.iter().zip(keys) {
            self.path.push('[');
            self.path.push_str(key);
            self.path.push(']');
            match item {
                Json::Object(members) if APART.contains(&element.ty) => {
                    self.object(members, element.node, Inside::Element);
                }
                item => self.put(item.clone()),
            }
            self.path.truncate(length);
        }
    }

    /// The items' keys; none if one has none, or two have the same.
    fn keys(&self, items: &[Json], element: Element<'a>, key: &[&str]) -> Option<Vec<String>> {
        let keys: Vec<String> = items.iter().map(|item| self.key(item, element, key)).collect::<Option<_>>()?;
        let mut sorted: Vec<&String> = keys.iter().collect();
        sorted.sort_unstable();
        (!sorted.windows(2).any(|pair| pair[0] == pair[1])).then_some(keys)
    }

    /// The key of an item: those members of the declared key that it has. None if it has none of them.
    fn key(&self, item: &Json, element: Element<'a>, key: &[&str]) -> Option<String> {
        let mut text = String::new();
        for name in key {
            let Some(value) = item.get(name).filter(|value| !value.is_vacant()) else { continue };
            if !text.is_empty() {
                text.push(',');
            }
            escape(&mut text, name, false);
            text.push('=');
            let element = element.node.and_then(|node| self.elements.element(node, name));
            self.key_value(&mut text, value, element);
        }
        (!text.is_empty()).then_some(text)
    }

    /// A short text for the value of a key's member. Texts, codings, identifiers and references by what they name, whatever
    /// else they say; anything else by its hash.
    fn key_value(&self, out: &mut String, value: &Json, element: Option<Element<'_>>) {
        let text = |name| value.get(name).and_then(Json::as_str);
        match value {
            Json::String(text) => {
                escape(out, &canonical::text(text, element.map_or("", |element| element.ty)), false);
            }
            Json::Object(_) if text("reference").is_some() => {
                escape(out, canonical::reduced(text("reference").unwrap_or_default(), self.elements), false);
            }
            Json::Object(_) if text("code").is_some() => named(out, text("system"), text("code"), "code"),
            Json::Object(_) if text("value").is_some() => named(out, text("system"), text("value"), "string"),
            value => match value.get("coding").and_then(Json::items) {
                Some(codings) if !codings.is_empty() && codings.iter().all(|coding| coding.get("code").is_some()) => {
                    let mut names: Vec<String> = codings
                        .iter()
                        .map(|coding| {
                            let mut name = String::new();
                            self.key_value(&mut name, coding, None);
                            name
                        })
                        .collect();
                    names.sort_unstable();
                    out.push_str(&names.join(";"));
                }
                _ => {
                    let hash = Hash::of(&canonical::value(value, element, self.elements));
                    out.push('#');
                    out.push_str(&format!("{hash}")[..16]);
                }
            },
        }
    }
}

/// `system|code`; a name of that type.
fn named(out: &mut String, system: Option<&str>, name: Option<&str>, ty: &str) {
    escape(out, &canonical::text(system.unwrap_or_default(), "uri"), false);
    out.push('|');
    escape(out, &canonical::text(name.unwrap_or_default(), ty), false);
}
