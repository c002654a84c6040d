//! Folding a decision: the aggregate moves, who waits or is parked is noted, the effect and its body are kept.
//!
//! The same for a decision just made and for one read back: so the fold of the decisions log gives the same state (J18).

use crate::{
    ask::GENERATION,
    body,
    input::AppendId,
    ledger::{self, Unsettled},
    step::Flow,
    stored, waiting,
};
use model::{AggregateState, Decision, Effect, Timestamp, Unit, Verdict, Write};
use ports::StateTxn;
use schemas::{keys, wire_record};

/// A unit that the engine parked, or a person must look at.
pub(crate) struct Listed {
    pub held: bool,
    /// The cause, or the question.
    pub cause: Box<str>,
    pub unit: Unit,
}

wire_record!(Listed { held, cause, unit });

/// What a decision did.
pub(crate) struct Applied {
    pub effect: Option<Effect>,
    /// The state behind a recorded decision is not the one that it names (J18, J21).
    pub diverged: bool,
}

impl Flow {
    /// Folds a decision of the present input. `gate`: the append of its record; none if it is durable.
    pub(crate) fn apply(&mut self, decision: &Decision, gate: Option<AppendId>, state: &mut dyn StateTxn) -> Applied {
        let key = ledger::unit_key(decision.unit.id, state).expect("a decided unit is bound");
        let at = keys::aggregate(&key.entity, &key.key);
        let before: AggregateState = stored::get(state, &at)
            .unwrap_or_else(|| AggregateState::new(decision.unit.clone(), decision.entity.clone()));
        let was = before.verdict.clone();
        let after = reconcile::evolve(before, decision);
        stored::put(state, &at, &after);
        self.list(was.as_ref(), decision, &key, state);
        let diverged = gate.is_none() && reconcile::state_hash(&after) != decision.post;
        let Some(id) = decision.effect else { return Applied { effect: None, diverged } };
        let write = match decision.verdict {
            Verdict::Delete => Write::Delete,
            _ => Write::Put,
        };
        let made = body::make(&after, id, write, &self.config.sink.stamp_uri);
        let base = decision.base.clone().expect("a decision with an effect names its base");
        let effect = Effect {
            id,
            system: self.deliver.system.clone(),
            unit: decision.unit.clone(),
            generation: GENERATION,
            n: decision.n,
            base: base.clone(),
            body: made.hash,
            write,
            group: None,
        };
        if !self.replaying {
            let unit = decision.unit.clone();
            let (n, input, hash) = (decision.n, self.place.input, made.hash);
            let refs = made.refs;
            let unsettled = Unsettled { id, unit, key, n, input, base, write, hash, body: made.bytes, refs };
            if ledger::keep(&self.deliver.system, &unsettled, state) {
                self.deliver.enqueue(&unsettled, gate, gate.is_none());
            }
        }
        Applied { effect: Some(effect), diverged }
    }

    /// Lists the unit under what it waits for, or takes it off.
    fn list(&mut self, was: Option<&Verdict>, decision: &Decision, key: &waiting::UnitKey, state: &mut dyn StateTxn) {
        if let Some((_, cause)) = was.and_then(cause) {
            state.delete(&keys::parked(cause, &decision.unit));
        }
        if let Some((held, cause)) = cause(&decision.verdict) {
            let listed = Listed { held, cause: cause.into(), unit: decision.unit.clone() };
            stored::put(state, &keys::parked(cause, &decision.unit), &listed);
        }
        let id = decision.unit.id;
        if matches!(was, Some(Verdict::Waiting(_))) {
            waiting::remove(id, state);
        }
        if let Verdict::Waiting(on) = &decision.verdict {
            let patience = i64::try_from(self.config.limits.waiting_age_max_seconds).unwrap_or(i64::MAX);
            let due = Timestamp(self.place.at.0.saturating_add(patience.saturating_mul(1_000_000)));
            waiting::add(on, id, key, due, state);
        }
        if matches!(was, Some(Verdict::Waiting(_))) || matches!(decision.verdict, Verdict::Waiting(_)) {
            self.next_timer = waiting::next_due(state);
        }
    }
}

/// Under which cause a unit with this verdict is listed, and whether that is a hold.
fn cause(verdict: &Verdict) -> Option<(bool, &str)> {
    match verdict {
        Verdict::Parked(cause) => Some((false, cause)),
        Verdict::Held(question) => Some((true, question)),
        Verdict::Write | Verdict::Delete | Verdict::Unchanged | Verdict::Frozen | Verdict::Waiting(_) => None,
    }
}
