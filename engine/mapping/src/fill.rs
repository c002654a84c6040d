//! Fills a template with the rows at hand.
//!
//! A null leaf drops its member; an object or list with nothing left is dropped. An object that keeps something but
//! lacks what R4 requires of it parks the unit: it would be refused, or understood as something else.

use crate::{
    eval::{Env, Stop},
    format,
    template::{Item, Node, Object},
};
use model::{Cell, Json};

/// Rows of the joins with many rows, by source: the cells that are read.
pub(crate) type Many<'a> = [Vec<Vec<Cell<'a>>>];

/// The object's members; empty if nothing is left.
pub(crate) fn object<'e, 'a>(
    object: &'a Object,
    env: &mut Env<'e, 'a>,
    many: &'e Many<'a>,
) -> Result<Vec<(Box<str>, Json)>, Stop> {
    let mut members = Vec::with_capacity(object.members.len() + 1);
    let mut missing = None;
    for member in &object.members {
        match node(&member.node, env, many)? {
            Some(value) => members.push((member.name.clone(), value)),
            None => missing = missing.or(member.required.as_deref()),
        }
    }
    match missing {
        Some(path) if !members.is_empty() => {
            Err(Stop::Unmappable(format!("{path}: R4 requires it, and it has no value")))
        }
        _ => Ok(members),
    }
}

fn node<'e, 'a>(node: &'a Node, env: &mut Env<'e, 'a>, many: &'e Many<'a>) -> Result<Option<Json>, Stop> {
    match node {
        Node::Fixed(json) => Ok(Some(json.clone())),
        Node::Leaf(leaf) => {
            let at = |stop| match stop {
                Stop::Unmappable(reason) => Stop::Unmappable(format!("{}: {reason}", leaf.path)),
                waiting @ Stop::Waiting(_) => waiting,
            };
            let value = env.eval(&leaf.expr).map_err(at)?;
            let json = format::write(&value, leaf.write).map_err(|reason| at(reason.into()))?;
            if json.is_none() && leaf.required {
                return Err(at("it has no value, and must".into()));
            }
            Ok(json)
        }
        Node::Object(inner) => {
            let members = object(inner, env, many)?;
            Ok((!members.is_empty()).then_some(Json::Object(members)))
        }
        Node::List(items) => {
            let items = list(items, env, many)?;
            Ok((!items.is_empty()).then_some(Json::Array(items)))
        }
    }
}

fn list<'e, 'a>(items: &'a [Item], env: &mut Env<'e, 'a>, many: &'e Many<'a>) -> Result<Vec<Json>, Stop> {
    let mut found = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Item::One(inner) => found.extend(node(inner, env, many)?),
            Item::Each { source, node: inner } => {
                for cells in many.get(*source).into_iter().flatten() {
                    env.at_hand[*source] = Some(cells);
                    found.extend(node(inner, env, many)?);
                }
                env.at_hand[*source] = None;
            }
        }
    }
    Ok(found)
}
