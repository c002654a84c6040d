//! Fields → resource.

use super::{FieldAddress, Step, is_wrapped};
use crate::{id::ResourceType, json::Json};
use alloc::{boxed::Box, vec::Vec};

/// A member or item on its way to JSON.
enum Tree<'a> {
    Leaf(&'a Json),
    Object(Vec<(&'a str, Tree<'a>)>),
    List(Vec<(&'a str, Tree<'a>)>),
}

/// Of two fields that cannot both be (`telecom` and `telecom[..].value`) the first one stays.
pub(super) fn assemble<'a>(
    fields: impl Iterator<Item = (&'a FieldAddress, &'a Json)>,
    resource_type: &ResourceType,
    id: &str,
) -> Json {
    let mut root = Vec::new();
    for (address, value) in fields {
        insert(&mut root, address.steps(), value);
    }
    let mut members = Vec::with_capacity(root.len() + 2);
    members.push(("resourceType".into(), Json::text(resource_type.as_str())));
    members.push(("id".into(), Json::text(id)));
    finish(&mut members, root);
    Json::Object(members)
}

fn insert<'a>(mut members: &mut Vec<(&'a str, Tree<'a>)>, mut steps: impl Iterator<Item = Step<'a>>, value: &'a Json) {
    let Some(mut step) = steps.next() else { return };
    loop {
        let next = steps.next();
        let inner = || if next.is_some() { Tree::Object(Vec::new()) } else { Tree::Leaf(value) };
        let place = match step.key {
            None => place(members, step.raw, inner()),
            Some(key) => match place(members, step.raw, Tree::List(Vec::new())) {
                Tree::List(items) => self::place(items, key, inner()),
                Tree::Leaf(_) | Tree::Object(_) => return,
            },
        };
        match (place, next) {
            (Tree::Object(inside), Some(next)) => (members, step) = (inside, next),
            _ => return,
        }
    }
}

/// The child of that name, put there if it was missing.
fn place<'m, 'a>(children: &'m mut Vec<(&'a str, Tree<'a>)>, name: &'a str, new: Tree<'a>) -> &'m mut Tree<'a> {
    let at = match children.iter().position(|(known, _)| *known == name) {
        Some(at) => at,
        None => {
            children.push((name, new));
            children.len() - 1
        }
    };
    &mut children[at].1
}

fn finish(members: &mut Vec<(Box<str>, Json)>, tree: Vec<(&str, Tree<'_>)>) {
    for (raw, child) in tree {
        let name = Step { raw, key: None }.name();
        match child {
            Tree::Leaf(value @ Json::Object(full)) if is_wrapped(value, &name) => members.extend(full.iter().cloned()),
            child => members.push(((*name).into(), json(child))),
        }
    }
}

fn json(tree: Tree<'_>) -> Json {
    match tree {
        Tree::Leaf(value) => value.clone(),
        Tree::Object(inside) => {
            let mut members = Vec::with_capacity(inside.len());
            finish(&mut members, inside);
            Json::Object(members)
        }
        Tree::List(items) => Json::Array(items.into_iter().map(|(_, item)| json(item)).collect()),
    }
}
