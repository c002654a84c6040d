//! The ledger: what a sink's system is known to hold of each unit, and the effects that have no outcome yet.
//!
//! * Moves only by `Acked` entries that are durable (J24).
//! * Keeps an effect's body from its decision to its final outcome, so that every attempt sends the same bytes (J18).

use crate::{stored, waiting::UnitKey, written};
use model::{Acked, Base, EffectId, EntryId, Hash, Outcome, SystemId, Unit, UnitId, Write};
use ports::{SendBase, StateTxn};
use schemas::{keys, wire_record};
use std::fmt;

/// The value of a mark that stands for a person's release.
pub(crate) const RELEASED: &[u8] = &[1];

/// An effect without a final outcome. `Debug` prints its body's length only.
#[derive(Clone)]
pub(crate) struct Unsettled {
    pub id: EffectId,
    pub unit: Unit,
    pub key: UnitKey,
    /// The unit's decision number.
    pub n: u64,
    /// The input that was decided (J23).
    pub input: EntryId,
    pub base: Base,
    pub write: Write,
    pub hash: Hash,
    pub body: Box<[u8]>,
    /// Units that the body refers to: it leaves when all of them are acknowledged (J44).
    pub refs: Vec<Unit>,
}

impl fmt::Debug for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unsettled { id, unit, key, n, input, base, write, hash, body, refs } = self;
        let mut shown = f.debug_struct("Unsettled");
        shown.field("id", id).field("unit", unit).field("key", key).field("n", n).field("input", input);
        shown.field("base", base).field("write", write).field("hash", hash);
        shown.field("body", &format_args!("[{}]", body.len())).field("refs", refs).finish()
    }
}

wire_record!(Unsettled { id, unit, key, n, input, base, write, hash, body, refs });

/// What the system is known to hold of a unit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    /// The version last acknowledged or met; none before the first.
    pub version: Option<Box<str>>,
    /// Whether something stands there that others may refer to.
    pub exists: bool,
    /// Effects decided from an input before this entry are void (J23).
    pub void_before: u64,
}

wire_record!(Held { version, exists, void_before });

/// What the system holds of the unit.
pub(crate) fn held(system: &SystemId, key: &UnitKey, state: &dyn StateTxn) -> Held {
    stored::get(state, &keys::ledger(system, &key.entity, &key.key)).unwrap_or_default()
}

/// The effect number `n` of the unit, while it has no outcome.
pub(crate) fn unsettled(system: &SystemId, key: &UnitKey, n: u64, state: &dyn StateTxn) -> Option<Unsettled> {
    stored::get(state, &keys::effect(system, &key.entity, &key.key, n))
}

/// Every effect without an outcome, unit by unit in decision order.
pub(crate) fn all_unsettled(system: &SystemId, state: &dyn StateTxn, visit: &mut dyn FnMut(Unsettled)) {
    let (from, to) = keys::effects(system);
    state.range(&from, &to, &mut |_, bytes| {
        visit(stored::value(bytes));
        true
    });
}

/// Keeps a decided effect; false if an outcome already voided it.
pub(crate) fn keep(system: &SystemId, effect: &Unsettled, state: &mut dyn StateTxn) -> bool {
    let void = effect.input.seq < held(system, &effect.key, state).void_before;
    if !void {
        stored::put(state, &keys::effect(system, &effect.key.entity, &effect.key.key, effect.n), effect);
    }
    !void
}

/// Moves the ledger by the durable entry `id`; gives the key of the unit, if it is one of ours.
pub(crate) fn settle(id: EntryId, acked: &Acked, state: &mut dyn StateTxn) -> Option<UnitKey> {
    let key = unit_key(acked.unit.id, state)?;
    let system = &acked.system;
    let mut held = held(system, &key, state);
    let range = keys::effects_of(system, &key.entity, &key.key);
    let (mut voided, mut written) = (Vec::new(), None);
    state.range(&range.0, &range.1, &mut |at, bytes| {
        let effect: Unsettled = stored::value(bytes);
        let succeeded = matches!(acked.outcome, Outcome::Accepted { .. } | Outcome::Observed);
        if effect.id == acked.effect {
            written = Some(effect.write);
            voided.push(at.to_vec());
        } else if !succeeded && effect.input.seq < id.seq {
            voided.push(at.to_vec());
        }
        true
    });
    for at in voided {
        state.delete(&at);
    }
    let exists = written.map_or(held.exists, |write| write == Write::Put);
    match &acked.outcome {
        Outcome::Accepted { version, .. } => (held.version, held.exists) = (Some(version.clone()), exists),
        Outcome::Observed => held.exists = exists,
        // A deletion of ours that went over somebody else's version stands, and shows no content.
        Outcome::Stale { version, current, .. } => {
            let version = Some(version.clone());
            held = Held { version, exists: current.is_some(), void_before: id.seq };
        }
        // Nothing was written: what stood there stands, be it a version or its deletion.
        Outcome::Rejected { .. } => held.void_before = id.seq,
        Outcome::Gone { version } => held = Held { version: version.clone(), exists: false, void_before: id.seq },
    }
    stored::put(state, &keys::ledger(system, &key.entity, &key.key), &held);
    written::note(acked, &key, state);
    Some(key)
}

/// The guard of an effect that is at the head of its unit's line: everything before it has an outcome (J22).
pub(crate) fn resolve(base: &Base, held: &Held) -> SendBase {
    match (base, &held.version) {
        (Base::Version(version), _) => SendBase::Version(version.clone()),
        (Base::Create | Base::After(_), Some(deletion)) if !held.exists => SendBase::Deleted(deletion.clone()),
        (Base::After(_), Some(version)) => SendBase::Version(version.clone()),
        (Base::Create, _) | (Base::After(_), None) => SendBase::Create,
    }
}

/// The entity and root key that a unit id stands for.
pub(crate) fn unit_key(id: UnitId, state: &dyn StateTxn) -> Option<UnitKey> {
    stored::get(state, &keys::unit_by_id(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Cell, RowKey};

    #[test]
    fn an_effect_shows_the_length_of_its_body_and_nothing_of_it() {
        let unit = Unit { resource_type: "Patient".into(), id: UnitId::from_bytes([7; 16]) };
        let effect = Unsettled {
            id: EffectId(Hash::default()),
            unit,
            key: UnitKey { entity: "patient".into(), key: RowKey::encode([Cell::Text("canary")]).expect("a key") },
            n: 1,
            input: EntryId::new(1, 2),
            base: Base::Create,
            write: Write::Put,
            hash: Hash::default(),
            body: Box::from(&b"zq"[..]),
            refs: Vec::new(),
        };
        let shown = format!("{effect:?}");
        assert!(shown.contains("body: [2]") && !shown.contains("122"), "{shown}");
        assert!(!shown.contains("canary") && !shown.contains("99, 97, 110"), "{shown}");
    }
}
