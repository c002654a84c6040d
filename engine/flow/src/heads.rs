//! Who a unit is, whatever map is in force: an entity keeps its resource, root, key, key version and part for ever (clinical S1).
//!
//! Bindings and states are found by entity name and root key, and ids are minted from root, key, key version and part. A map
//! that gave a name another head would write one patient's rows into another's chart; one that gave a head another name would
//! mint the same ids twice, with two ledgers for one resource. Both are refused, also when the name was not used for a while.

use crate::stored;
use mapping::{Entity, Map};
use model::{EntityName, ResourceType, TableName};
use ports::StateTxn;
use schemas::{keys, wire_record};

const HEADS: &str = "heads";

/// What a unit's identity is made of.
#[derive(Clone, PartialEq, Eq)]
struct Head {
    entity: EntityName,
    resource: ResourceType,
    root: TableName,
    key: Vec<Box<str>>,
    key_version: u32,
    part: Option<Box<str>>,
}

wire_record!(Head { entity, resource, root, key, key_version, part });

impl Head {
    fn of(entity: &Entity) -> Head {
        Head {
            entity: entity.name.clone(),
            resource: entity.resource_type.clone(),
            root: entity.root.clone(),
            key: entity.key.clone(),
            key_version: entity.key_version,
            part: entity.part.clone(),
        }
    }

    /// Whether both mint the same ids from the same rows.
    fn mints_as(&self, other: &Head) -> bool {
        (&self.root, self.key_version, &self.part) == (&other.root, other.key_version, &other.part)
    }

    /// What differs, in the words of the map.
    fn differs(&self, other: &Head) -> Option<&'static str> {
        let parts = [
            ("resource", self.resource == other.resource),
            ("root.table", self.root == other.root),
            ("root.key", self.key == other.key),
            ("root.key_version", self.key_version == other.key_version),
            ("root.part", self.part == other.part),
        ];
        parts.into_iter().find(|(_, equal)| !equal).map(|(what, _)| what)
    }
}

/// Whether a map leaves every entity that was ever in force what it was; if not, why, with the remedy.
pub fn identities_stand(map: &Map, state: &dyn StateTxn) -> Result<(), String> {
    let known: Vec<Head> = stored::get(state, &keys::meta(HEADS)).unwrap_or_default();
    for new in map.entities().iter().map(Head::of) {
        // Several of one name: a person said that a key was renamed.
        if known.contains(&new) {
            continue;
        }
        for old in &known {
            if let (true, Some(what)) = (old.entity == new.entity, new.differs(old)) {
                return Err(format!(
                    "the entity {} had another {what} before, and its resources at the target belong to those rows: put it \
                     back, and give the new rows an entity with a name and a `part` of their own",
                    new.entity
                ));
            }
            if old.entity != new.entity && old.mints_as(&new) {
                return Err(format!(
                    "the entity {} would mint the ids of {}, whose resources are at the target already: keep the name {}, or \
                     give it a `part` of its own",
                    new.entity, old.entity, old.entity
                ));
            }
        }
    }
    Ok(())
}

/// The entities whose units are, or ever were, known by these columns of this table.
pub(crate) fn rooted(table: &TableName, key: &[Box<str>], state: &dyn StateTxn) -> Vec<EntityName> {
    let known: Vec<Head> = stored::get(state, &keys::meta(HEADS)).unwrap_or_default();
    let ours = known.into_iter().filter(|head| head.root == *table && head.key == key);
    let mut names: Vec<EntityName> = ours.map(|head| head.entity).collect();
    names.sort();
    names.dedup();
    names
}

/// A person said that the key of a table has other names, and the values that it had.
pub(crate) fn rename_key(table: &TableName, old: &[Box<str>], new: &[Box<str>], state: &mut dyn StateTxn) {
    let mut known: Vec<Head> = stored::get(state, &keys::meta(HEADS)).unwrap_or_default();
    let ours = known.iter().filter(|head| head.root == *table && head.key == old);
    let renamed: Vec<Head> = ours.map(|head| Head { key: new.into(), ..head.clone() }).collect();
    for head in renamed {
        if !known.contains(&head) {
            known.push(head);
        }
    }
    stored::put(state, &keys::meta(HEADS), &known);
}

/// Remembers the entities of a map that is in force.
pub(crate) fn remember(map: &Map, state: &mut dyn StateTxn) {
    let mut known: Vec<Head> = stored::get(state, &keys::meta(HEADS)).unwrap_or_default();
    let before = known.len();
    for head in map.entities().iter().map(Head::of) {
        if !known.contains(&head) {
            known.push(head);
        }
    }
    if known.len() != before {
        stored::put(state, &keys::meta(HEADS), &known);
    }
}
