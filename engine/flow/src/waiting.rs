//! Who waits for a key that has no row yet (J41): found again when the key is bound, parked when it waits too long (J34).

use crate::stored;
use model::{EntityName, RowKey, Timestamp, UnitId, Waiting};
use ports::StateTxn;
use schemas::{keys, wire_record};

/// A unit by its entity and root key: rising store keys are made of it (J20).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct UnitKey {
    pub entity: EntityName,
    pub key: RowKey,
}

wire_record!(UnitKey { entity, key });

/// What the store remembers of a waiting unit.
struct Wait {
    on: Waiting,
    due: Timestamp,
}

wire_record!(Wait { on, due });

fn name(id: UnitId) -> Vec<u8> {
    keys::meta(&format!("waits/{id}"))
}

/// Notes that the unit waits for `on`, until `due`.
pub(crate) fn add(on: &Waiting, id: UnitId, unit: &UnitKey, due: Timestamp, state: &mut dyn StateTxn) {
    stored::put(state, &keys::waiting(&on.entity, &on.key, id), unit);
    stored::put(state, &name(id), &Wait { on: on.clone(), due });
    stored::put(state, &keys::timer(due, id.0.as_bytes()), unit);
}

/// Forgets that the unit waits, if it did.
pub(crate) fn remove(id: UnitId, state: &mut dyn StateTxn) {
    let Some(wait) = stored::get::<Wait>(state, &name(id)) else { return };
    state.delete(&keys::waiting(&wait.on.entity, &wait.on.key, id));
    state.delete(&keys::timer(wait.due, id.0.as_bytes()));
    state.delete(&name(id));
}

/// Who waits for a key that was bound now.
pub(crate) fn on(entity: &EntityName, key: &RowKey, state: &dyn StateTxn) -> Vec<UnitKey> {
    values(state, &keys::waiting_for(entity, key))
}

/// Whose timers are due, in the order (due, id).
pub(crate) fn due(now: Timestamp, state: &dyn StateTxn) -> Vec<UnitKey> {
    values(state, &keys::timers_due(now))
}

/// When the next timer is due.
pub(crate) fn next_due(state: &dyn StateTxn) -> Option<Timestamp> {
    stored::keys(state, &keys::timers(), 1).first().and_then(|key| keys::timer_of(key)).map(|(due, _)| due)
}

fn values(state: &dyn StateTxn, (from, to): &keys::KeyRange) -> Vec<UnitKey> {
    let mut units = Vec::new();
    state.range(from, to, &mut |_, bytes| {
        units.push(stored::value(bytes));
        true
    });
    units
}
