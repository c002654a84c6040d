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

/// Everybody who waits for a key, in the order in which their patience ends.
pub(crate) fn all(state: &dyn StateTxn, visit: &mut dyn FnMut(Timestamp, &Waiting, UnitId)) {
    let (from, to) = keys::timers();
    state.range(&from, &to, &mut |key, _| {
        let timer = keys::timer_of(key).and_then(|(due, id)| Some((due, UnitId(uuid::Uuid::from_slice(id).ok()?))));
        if let Some((due, id)) = timer
            && let Some(wait) = stored::get::<Wait>(state, &name(id))
        {
            visit(due, &wait.on, id);
        }
        true
    });
}

/// Whether somebody waits for a key.
pub(crate) fn any_on(key: &UnitKey, state: &dyn StateTxn) -> bool {
    !stored::keys(state, &keys::waiting_for(&key.entity, &key.key), 1).is_empty()
}

/// The first timers that are due, in the order (due, id), with their units.
pub(crate) fn due(now: Timestamp, max: usize, state: &dyn StateTxn) -> Vec<(Vec<u8>, UnitKey)> {
    let (from, to) = keys::timers_due(now);
    let mut timers = Vec::new();
    state.range(&from, &to, &mut |key, unit| {
        timers.push((key.to_vec(), stored::value(unit)));
        timers.len() < max
    });
    timers
}

/// When the next timer is due.
pub(crate) fn next_due(state: &dyn StateTxn) -> Option<Timestamp> {
    stored::keys(state, &keys::timers(), 1).first().and_then(|key| keys::timer_of(key)).map(|(due, _)| due)
}
