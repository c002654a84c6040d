//! Which fields a map says something about, also when that is nothing.
//!
//! Inside a list the map owns the items that it can make: those whose key it writes, as far as that is known before any
//! row. Another identifier, or a name of a use that the code table never gives, is somebody else's and stays.

use crate::{
    map::Entity,
    template::{Item, Node, Object},
    types::Texts,
};
use model::{FieldAddress, Json};

impl Entity {
    /// Whether the map says what this field is: then a value of somebody else loses, to ours or to its absence (J48).
    pub fn owns(&self, address: &FieldAddress) -> bool {
        object(&self.to, &steps(address.as_str()))
    }
}

/// One step of an address: the member's name, and the key of the item where it is one of a list.
struct Step {
    name: String,
    key: Option<Vec<(String, String)>>,
}

/// The steps of an address, with what was written as in URLs read back.
fn steps(address: &str) -> Vec<Step> {
    let (mut found, mut rest) = (Vec::new(), address);
    while !rest.is_empty() {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, tail) = rest.split_at(end);
        let (key, tail) = match tail.strip_prefix('[').and_then(|tail| tail.split_once(']')) {
            Some((key, tail)) => (Some(key), tail),
            None => (None, tail),
        };
        let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (unescaped(name), unescaped(value)));
        let key = key.map(|key| key.split(',').filter_map(pair).collect());
        found.push(Step { name: unescaped(name), key });
        rest = tail.strip_prefix('.').unwrap_or_default();
    }
    found
}

fn unescaped(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, behind)) = rest.split_once('%') {
        out.push_str(before);
        match behind.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &behind[2..];
            }
            None => {
                out.push('%');
                rest = behind;
            }
        }
    }
    out + rest
}

fn object(object: &Object, steps: &[Step]) -> bool {
    let Some((step, inner)) = steps.split_first() else { return true };
    let named = object.members.iter().find(|member| *member.name == *step.name || member.base == step.name);
    named.is_some_and(|member| at(&member.node, step, inner))
}

fn at(node: &Node, step: &Step, inner: &[Step]) -> bool {
    match (node, &step.key) {
        (Node::Object(members), _) => object(members, inner),
        (Node::Fixed(Json::Array(items)), Some(key)) => {
            items.iter().any(|item| key.iter().all(|pair| may_be(item.get(&pair.0), &pair.1)) && fixed(item, inner))
        }
        (Node::Fixed(json), _) => fixed(json, inner),
        (Node::Leaf(_), _) => true,
        (Node::List(items), None) => !items.is_empty(),
        (Node::List(items), Some(key)) => items.iter().any(|item| {
            let (Item::One(node) | Item::Each { node, .. }) = item;
            key.iter().all(|(name, value)| makes(node, name, value)) && below(node, inner)
        }),
    }
}

fn below(node: &Node, inner: &[Step]) -> bool {
    match node {
        Node::Object(members) => object(members, inner),
        Node::Fixed(json) => fixed(json, inner),
        Node::Leaf(_) | Node::List(_) => true,
    }
}

fn fixed(json: &Json, inner: &[Step]) -> bool {
    match (inner.split_first(), json) {
        (Some((step, inner)), Json::Object(_)) => json.get(&step.name).is_some_and(|json| fixed(json, inner)),
        _ => true,
    }
}

/// Whether the item can have this value in this member of its key.
fn makes(node: &Node, name: &str, value: &str) -> bool {
    match node {
        Node::Fixed(json) => may_be(json.get(name), value),
        Node::Object(members) => {
            match members.members.iter().find(|member| *member.name == *name).map(|member| &member.node) {
                Some(Node::Fixed(json)) => may_be(Some(json), value),
                Some(Node::Leaf(leaf)) => match &leaf.texts {
                    Texts::Any => true,
                    Texts::Only(texts) => texts.contains(value),
                },
                Some(Node::Object(_) | Node::List(_)) => true,
                None => false,
            }
        }
        Node::Leaf(_) | Node::List(_) => true,
    }
}

/// Texts are compared; what a concept's key looks like is not for us to know, so it may be the one.
fn may_be(json: Option<&Json>, value: &str) -> bool {
    match json {
        Some(Json::String(text)) => **text == *value,
        Some(_) => true,
        None => false,
    }
}
