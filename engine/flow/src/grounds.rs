//! What commands compile and compare a map with: asked of a running engine, or read from the state that one left.

use crate::{
    hold,
    meta::{PLACE, Place},
    step::Flow,
    stored,
    tables::Tables,
};
use model::{EntryId, Hash, TableName};
use ports::StateTxn;
use schemas::keys;
use std::collections::BTreeMap;

/// As far as the fold has come; what the journal says behind it is not in here.
#[derive(Clone, Debug, Default)]
pub struct Grounds {
    /// The entry that is folded next, or is being folded; none where nobody knows.
    pub folding: Option<EntryId>,
    /// The map in force, whether it fits or not.
    pub map: Option<Hash>,
    /// The columns by which the units of a table are known, where those are not its key.
    pub known_by: BTreeMap<TableName, Vec<Box<str>>>,
}

impl Grounds {
    /// Of a state that lies in a store.
    pub fn of(state: &dyn StateTxn) -> Grounds {
        let place: Place = stored::get(state, &keys::meta(PLACE)).unwrap_or_default();
        let known_by = Tables::load(state).known_by_columns();
        Grounds { folding: Some(place.input), map: hold::hash_in_force(state), known_by }
    }
}

impl Flow {
    /// Of this flow.
    pub fn grounds(&self) -> Grounds {
        let map = self.map.as_ref().map(|active| active.hash);
        Grounds { folding: Some(self.place.input), map, known_by: self.tables.known_by_columns() }
    }
}
