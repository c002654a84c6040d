//! The unit that was written last: what the idle heartbeat of its target looks at (J35).
//!
//! A fold of `Acked` entries like the ledger, and asked from outside only: no decision reads it.

use crate::{
    ledger::{self, Held},
    step::Flow,
    stored,
    waiting::UnitKey,
};
use model::{Acked, EffectId, Outcome, SystemId, Unit};
use ports::{StateTxn, Written};
use schemas::{keys, wire_record};

struct Last {
    unit: Unit,
    key: UnitKey,
    version: Box<str>,
    /// The effect whose stamp stands in that version; none where the version is known by its content alone.
    stamped: Option<EffectId>,
}

wire_record!(Last { unit, key, version, stamped });

/// Notes an acknowledged write.
pub(crate) fn note(acked: &Acked, key: &UnitKey, state: &mut dyn StateTxn) {
    let Outcome::Accepted { version, by } = &acked.outcome else { return };
    let stamped = (**by != *"hash").then_some(acked.effect);
    let last = Last { unit: acked.unit.clone(), key: key.clone(), version: version.clone(), stamped };
    stored::put(state, &place(&acked.system), &last);
}

fn place(system: &SystemId) -> Vec<u8> {
    keys::meta(&format!("written:{system}"))
}

impl Flow {
    /// What the sink's system holds of the unit that was written last. None: nothing was written yet, the logs are being
    /// folded, or something of that unit is under way, so that nobody knows what stands there.
    pub fn last_written(&self, state: &dyn StateTxn) -> Option<Written> {
        let system = &self.deliver.system;
        let last: Last = stored::get(state, &place(system)).filter(|_| self.is_live())?;
        let (from, to) = keys::effects_of(system, &last.key.entity, &last.key.key);
        let mut under_way = false;
        state.range(&from, &to, &mut |_, _| {
            under_way = true;
            false
        });
        let Held { version, exists, .. } = ledger::held(system, &last.key, state);
        let version = version.filter(|_| !under_way)?;
        // What was met since is known by its version, not by a stamp of ours.
        let stamped = last.stamped.filter(|_| exists && version == last.version);
        Some(Written { unit: last.unit, version, exists, request: stamped.map(|effect| effect.request()) })
    }
}
