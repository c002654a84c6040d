//! Fills a template with the rows at hand.
//!
//! A null leaf drops its member; an object or list with nothing left is dropped. An object that keeps something but
//! lacks what R4 requires of it parks the unit: it would be refused, or understood as something else.

use crate::{
    eval::{Env, Stop},
    format,
    template::{Item, Node, Object},
};
use model::{Cell, Fields, Json, ResourceType, elements::Elements};

/// Rows of the joins with many rows, by source: the cells that are read.
pub(crate) type Many<'a> = [Vec<Vec<Cell<'a>>>];

/// The object's members; empty if nothing is left.
pub(crate) fn object<'e, 'a>(
    object: &'a Object,
    env: &mut Env<'e, 'a>,
    many: &'e Many<'a>,
) -> Result<Vec<(Box<str>, Json)>, Stop> {
    let mut members = Vec::with_capacity(object.members.len());
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

/// The fields of the whole resource; empty if nothing is left.
pub(crate) fn fields<'e, 'a>(
    resource: (&ResourceType, &'a Object),
    elements: &dyn Elements,
    env: &mut Env<'e, 'a>,
    many: &'e Many<'a>,
) -> Result<Fields, Stop> {
    let (mut whole, mut apart) = (Vec::with_capacity(16), Vec::with_capacity(8));
    let mut missing = None;
    for member in &resource.1.members {
        match (node(&member.node, env, many)?, &member.whole) {
            (None, _) => missing = missing.or(member.required.as_deref()),
            (Some(value), None) => apart.push((member.name.clone(), value)),
            (Some(value), Some(field)) if field.wrapped => {
                whole.push((field.address.clone(), Json::Object(vec![(member.name.clone(), value)])));
            }
            (Some(value), Some(field)) => whole.push((field.address.clone(), value)),
        }
    }
    if let Some(path) = missing {
        return Err(Stop::Unmappable(format!("{path}: R4 requires it, and it has no value")));
    }
    let mut fields = Fields::default();
    if !apart.is_empty() {
        apart.push(("resourceType".into(), Json::text(resource.0.as_str())));
        fields = Fields::from_resource(&Json::Object(apart), elements);
    }
    fields.0.extend(whole);
    Ok(fields)
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
