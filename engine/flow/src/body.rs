//! The bytes of an effect: made once, when its decision is made or folded; every attempt sends the same (J18, J28).

use model::{AggregateState, EffectId, Hash, Json, ResourceType, Unit, UnitId, Write};
use schemas::r4::ElementTable;

/// A body and what delivery must know of it.
pub(crate) struct Made {
    pub bytes: Box<[u8]>,
    /// Canonical hash: stamp and tag take no part.
    pub hash: Hash,
    /// The units it refers to.
    pub refs: Vec<Unit>,
}

/// Makes the body of effect `id` from the state behind its decision.
pub(crate) fn make(state: &AggregateState, id: EffectId, write: Write, stamp_uri: &str) -> Made {
    if write == Write::Delete {
        return Made { bytes: Box::default(), hash: Hash::default(), refs: Vec::new() };
    }
    let elements = ElementTable::r4();
    let mut resource = reconcile::body(state);
    let hash = model::canonical_hash(&resource, elements);
    let mut refs = Vec::new();
    references(&resource, &mut refs);
    refs.sort();
    refs.dedup();
    stamp(&mut resource, &format!("{stamp_uri}#{}", id.request()), stamp_uri);
    let mut bytes = Vec::with_capacity(1_024);
    resource.write(&mut bytes);
    Made { bytes: bytes.into(), hash, refs }
}

/// Puts the request's stamp and the one constant tag into `meta` (J28).
fn stamp(resource: &mut Json, source: &str, tag_system: &str) {
    let tag = Json::Object(vec![("system".into(), Json::text(tag_system)), ("code".into(), Json::text("lockstep"))]);
    let members = [("source", Json::text(source)), ("tag", Json::Array(vec![tag]))];
    let Json::Object(resource) = resource else { return };
    if !resource.iter().any(|(name, _)| &**name == "meta") {
        let at = resource.len().min(2);
        resource.insert(at, ("meta".into(), Json::Object(Vec::new())));
    }
    let meta = resource.iter_mut().find(|(name, _)| &**name == "meta").map(|(_, meta)| meta);
    if let Some(Json::Object(meta)) = meta {
        meta.retain(|(name, _)| &**name != "source" && &**name != "tag");
        meta.extend(members.map(|(name, value)| (name.into(), value)));
    }
}

/// The units named by literal references of the form `Type/uuid`; other references are not ours.
fn references(json: &Json, found: &mut Vec<Unit>) {
    match json {
        Json::Object(members) => {
            for (name, value) in members {
                match value.as_str().filter(|_| &**name == "reference").and_then(unit) {
                    Some(unit) => found.push(unit),
                    None => references(value, found),
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| references(item, found)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn unit(reference: &str) -> Option<Unit> {
    let (kind, id) = reference.split_once('/')?;
    Some(Unit { resource_type: ResourceType::from(kind), id: UnitId(uuid::Uuid::try_parse(id).ok()?) })
}
