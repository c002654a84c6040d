//! Asking: the map for a candidate of a marked unit, the rules for what follows, the timers for who waited too long.

use crate::{
    inspect::{INTERNAL, WAITED_TOO_LONG},
    rows::{self, StateRows},
    step::Flow,
    waiting,
};
use mapping::Mapped;
use model::{AggregateState, Candidate, Cause, Decision, EntityName, Entry, FieldAddress, Hash, Header, Mark};
use ports::StateTxn;
use reconcile::RuleSet;
use schemas::r4::ElementTable;

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
            generation: 0,
            legacy: &self.config.source.system,
            mapped: &mapped,
        };
        reconcile::decide(before, cause, &rules)
    }

    /// Maps one marked unit.
    pub(crate) fn map_mark(&self, mark: &Mark, state: &dyn StateTxn) -> Option<Cause> {
        let active = self.map.as_ref()?.map.as_ref()?;
        let entity = active.entities().get(usize::from(mark.entity))?;
        let unit = rows::unit(state, &entity.name, &mark.key)?;
        if self.config.quarantine.contains(&mark.cause) {
            let (entity, cites) = (entity.name.clone(), vec![Entry::cite(mark.cause)]);
            return Some(Cause::Unmappable { unit, entity, cause: INTERNAL.into(), cites });
        }
        let view = StateRows { state, tables: &self.tables, indexes: &self.indexes };
        let system = &self.config.source.system;
        match mapping::map(&view, active, usize::from(mark.entity), &mark.key, &unit, system) {
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

    /// Timers that are due before this entry are its first steps (J34).
    pub(crate) fn timers_due(&mut self, header: Header, state: &mut dyn StateTxn) {
        if self.next_timer.is_none_or(|due| due > header.appended_at) {
            return;
        }
        for late in waiting::due(header.appended_at, state) {
            let Some(unit) = rows::unit(state, &late.entity, &late.key) else { continue };
            let (cause, cites) = (WAITED_TOO_LONG.into(), vec![Entry::cite(header.id)]);
            self.causes.push(Cause::Unmappable { unit, entity: late.entity, cause, cites });
        }
    }
}

/// The unit a cause is about, with its entity and key.
pub(crate) fn subject(cause: &Cause, state: &dyn StateTxn) -> Option<(model::Unit, waiting::UnitKey)> {
    let unit = match cause {
        Cause::Candidate(Candidate { unit, .. })
        | Cause::Unmappable { unit, .. }
        | Cause::Waiting { unit, .. }
        | Cause::Foreign { unit, .. }
        | Cause::Reviewed { unit, .. } => unit,
        Cause::Acked { acked, .. } => &acked.unit,
    };
    Some((unit.clone(), crate::ledger::unit_key(unit.id, state)?))
}
