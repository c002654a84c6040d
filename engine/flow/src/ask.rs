//! Asking: the map for a candidate of a marked unit, the rules for what follows, the timers for who waited too long.

use crate::{
    inspect::{INTERNAL, WAITED_TOO_LONG},
    ledger,
    rows::{self, StateRows},
    step::Flow,
    stored, waiting,
};
use mapping::Mapped;
use model::{
    AggregateState, Answer, Candidate, Cause, Decision, EntityName, Entry, EntryId, FieldAddress, Hash, Mark, Rule,
    Unit, Verdict,
};
use ports::StateTxn;
use reconcile::RuleSet;
use schemas::{keys, r4::ElementTable};

/// Which derivation of the target this is: no act of v0 begins another one (J33, J46).
pub(crate) const GENERATION: u64 = 0;
/// Timers that fire in one step; a number of the behaviour, for it decides how records are cut.
const TIMERS_AT_ONCE: usize = 1_000;

impl Flow {
    /// Asks the rules in force.
    pub(crate) fn ruled(&self, before: &AggregateState, cause: &Cause) -> Vec<Decision> {
        let map = self.map.as_ref().and_then(|active| active.map.as_ref());
        let mapped = |name: &EntityName, address: &FieldAddress| {
            map.and_then(|map| Some(&map.entities()[map.entity(name)?])).is_some_and(|entity| entity.owns(address))
        };
        let rules = RuleSet {
            ruleset: self.map.as_ref().map_or_else(Hash::default, |active| active.hash),
            behaviour: self.config.behaviour,
            elements: ElementTable::r4(),
            pipeline: &self.config.pipeline,
            system: &self.config.sink.system,
            generation: GENERATION,
            legacy: &self.config.source.system,
            mapped: &mapped,
        };
        reconcile::decide(before, cause, &rules)
    }

    /// The cause itself; of an input that panicked twice, that the engine cannot say (J32).
    pub(crate) fn or_internal(&self, cause: Cause, unit: &Unit, entity: &EntityName) -> Cause {
        if !self.config.quarantine.inputs.contains(&self.place.input) {
            return cause;
        }
        let (entity, cites) = (entity.clone(), vec![Entry::cite(self.place.input)]);
        Cause::Unmappable { unit: unit.clone(), entity, cause: INTERNAL.into(), cites }
    }

    /// Maps one marked unit.
    pub(crate) fn map_mark(&self, mark: &Mark, state: &dyn StateTxn) -> Option<Cause> {
        let active = self.map.as_ref()?.map.as_ref()?;
        let entity = active.entities().get(usize::from(mark.entity))?;
        let unit = rows::unit(state, &entity.name, &mark.key)?;
        if self.config.quarantine.inputs.contains(&mark.cause) {
            let (entity, cites) = (entity.name.clone(), vec![Entry::cite(mark.cause)]);
            return Some(Cause::Unmappable { unit, entity, cause: INTERNAL.into(), cites });
        }
        let view = StateRows { state, tables: &self.tables, indexes: &self.indexes };
        let system = &self.config.source.system;
        match view.mapped(active, usize::from(mark.entity), &mark.key, &unit, system) {
            Mapped::Candidate(mut candidate) => {
                // A row that is gone cannot be cited; the entry that took it away can.
                if candidate.cites.is_empty() {
                    candidate.cites.push(Entry::cite(mark.cause));
                }
                Some(Cause::Candidate(candidate))
            }
            Mapped::Unmappable { cause, cites } => {
                Some(Cause::Unmappable { unit, entity: entity.name.clone(), cause, cites })
            }
            Mapped::Waiting { on, cites } => Some(Cause::Waiting { unit, entity: entity.name.clone(), on, cites }),
            Mapped::NeverSeen => None,
        }
    }

    /// Timers that are due before this entry are its first steps (J34): here come the next of them, ahead of what the
    /// entry itself causes.
    pub(crate) fn take_timers(&mut self, state: &mut dyn StateTxn) {
        if !self.timers_left() {
            return;
        }
        let mut causes = Vec::new();
        for (timer, late) in waiting::due(self.place.at, TIMERS_AT_ONCE, state) {
            let Some(unit) = rows::unit(state, &late.entity, &late.key) else {
                state.delete(&timer);
                continue;
            };
            let (cause, cites) = (WAITED_TOO_LONG.into(), vec![Entry::cite(self.place.input)]);
            causes.push(Cause::Unmappable { unit, entity: late.entity, cause, cites });
        }
        self.next_timer = waiting::next_due(state);
        self.causes.splice(0..0, causes);
    }

    /// Whether timers that were due at the present input have not fired.
    pub(crate) fn timers_left(&self) -> bool {
        self.next_timer.is_some_and(|due| due <= self.place.at)
    }

    /// A person released the mark's unit: what the rows say was decided, and if that left it parked it is tried again.
    pub(crate) fn release(&self, mark: &Mark, state: &dyn StateTxn) -> Option<Cause> {
        let entity = self.map.as_ref()?.map.as_ref()?.entities().get(usize::from(mark.entity))?;
        let unit = rows::unit(state, &entity.name, &mark.key)?;
        Some(Cause::Reviewed { id: mark.cause, unit, answer: Answer::Release })
    }

    /// An answer about a unit is durable. Releasing what the map could not say has it mapped again (J31).
    pub(crate) fn reviewed(&mut self, id: EntryId, unit: &Unit, answer: Answer, state: &mut dyn StateTxn) {
        if self.unfolded.contains(&id) {
            return;
        }
        self.causes.push(Cause::Reviewed { id, unit: unit.clone(), answer });
        let Some(key) = ledger::unit_key(unit.id, state).filter(|_| answer == Answer::Release) else { return };
        let known: Option<AggregateState> = stored::get(state, &keys::aggregate(&key.entity, &key.key));
        let by_target = |known: &AggregateState| matches!(known.rule, Some(Rule::Refused | Rule::ForeignMet));
        if known.is_some_and(|known| matches!(known.verdict, Some(Verdict::Parked(_))) && !by_target(&known)) {
            self.mark_unit(&key, &[], state);
        }
    }
}

/// The unit a cause is about, with its entity and key.
pub(crate) fn subject(cause: &Cause, state: &dyn StateTxn) -> Option<(model::Unit, waiting::UnitKey)> {
    let unit = match cause {
        Cause::Candidate(Candidate { unit, .. })
        | Cause::Unmappable { unit, .. }
        | Cause::Waiting { unit, .. }
        | Cause::Reviewed { unit, .. } => unit,
        Cause::Foreign { found, .. } => &found.unit,
        Cause::Acked { acked, .. } => &acked.unit,
    };
    Some((unit.clone(), crate::ledger::unit_key(unit.id, state)?))
}
