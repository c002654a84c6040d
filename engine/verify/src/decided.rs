//! Leg 2's last part: a unit that does not follow from the rows as they are now, and need not where a join is
//! `stale: allowed`, stands as its last recorded decision left it (J14, J21).
//!
//! One walk through the decisions log whatever the number of such units, by the hash that each decision names of the state
//! behind it; a second one only to name the fields of those that differ.

use crate::{About, Class, Finding, Leg, ReadDecisions, Report, units};
use flow::Inspect;
use mapping::Map;
use model::{AggregateState, Decision, EntryId, Hash, Record, UnitId};
use ports::Fault;
use std::collections::BTreeMap;

/// Units that are asked about.
#[derive(Default)]
pub(crate) struct AsDecided(BTreeMap<UnitId, Asked>);

struct Asked {
    /// Its last decision in the state.
    n: u64,
    /// The hash of its state.
    stands: Hash,
    /// Whether a finding names it already, for a field that hangs on no such join.
    named: bool,
}

impl AsDecided {
    /// What differs from the rows in this unit may do so, if it was decided like that.
    pub(crate) fn ask(&mut self, state: &AggregateState, named: bool) {
        let asked = Asked { n: state.n, stands: reconcile::state_hash(state), named };
        self.0.insert(state.unit.id, asked);
    }

    /// Compares with the records and says what is not as they say.
    pub(crate) fn compare(
        mut self,
        (inspect, map): (&Inspect, &Map),
        decisions: &mut ReadDecisions,
        report: &mut Report,
    ) -> Result<(), Fault> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut differ = BTreeMap::new();
        visit(decisions, |decision| {
            let id = decision.unit.id;
            if self.0.get(&id).is_some_and(|asked| asked.n == decision.n)
                && let Some(asked) = self.0.remove(&id)
            {
                if asked.stands == decision.post {
                    report.as_of_last_mapping += 1;
                } else {
                    differ.insert(id, asked);
                }
            }
        })?;
        for id in self.0.keys() {
            find(*id, Class::Unrecorded, Vec::new(), Vec::new(), inspect, report);
        }
        if !differ.is_empty() {
            name(differ, (inspect, map), decisions, report)?;
        }
        Ok(())
    }
}

/// Names the fields in which states are not as their decisions left them, of as many as a report lists.
fn name(
    differ: BTreeMap<UnitId, Asked>,
    (inspect, map): (&Inspect, &Map),
    decisions: &mut ReadDecisions,
    report: &mut Report,
) -> Result<(), Fault> {
    let mut listed: BTreeMap<UnitId, (Option<AggregateState>, Vec<EntryId>)> =
        differ.keys().take(report.room()).map(|id| (*id, Default::default())).collect();
    visit(decisions, |decision| {
        let id = decision.unit.id;
        if let (Some((state, entries)), Some(asked)) = (listed.get_mut(&id), differ.get(&id))
            && decision.n <= asked.n
        {
            let new = || AggregateState::new(decision.unit.clone(), decision.entity.clone());
            *state = Some(reconcile::evolve(state.take().unwrap_or_else(new), &decision));
            *entries = decision.cites.iter().map(|cite| cite.entry).collect();
        }
    })?;
    for (id, asked) in differ {
        let (decided, mut entries) = listed.remove(&id).unwrap_or_default();
        let mut fields = Vec::new();
        if let Some(decided) = decided
            && let Some((entity, key)) = inspect.unit_key(id)
            && let Some(state) = inspect.aggregate(&entity, &key)
        {
            let entity = map.entity(&entity).and_then(|at| map.entities().get(at));
            let kind = &state.unit.resource_type;
            let mut addresses = units::differing_addresses(kind, &decided.fields, &state.fields);
            addresses.retain(|address| entity.is_some_and(|entity| entity.may_be_stale(address)));
            fields = units::named(&addresses);
        }
        match (fields.is_empty(), asked.named) {
            // What differs hangs on no such join, and is named already.
            (true, true) => report.as_of_last_mapping += 1,
            (true, false) => fields.push("(not as its last decision left it)".into()),
            (false, _) => {}
        }
        if !fields.is_empty() {
            entries.sort();
            entries.dedup();
            find(id, Class::Different, fields, entries, inspect, report);
        }
    }
    Ok(())
}

fn find(id: UnitId, class: Class, fields: Vec<String>, entries: Vec<EntryId>, inspect: &Inspect, report: &mut Report) {
    let Some((entity, key)) = inspect.unit_key(id) else { return };
    let Some(unit) = inspect.bound(&entity, &key) else { return };
    let about = About::Unit { unit, entity };
    report.find(Finding { leg: Leg::Units, class, about, version: None, fields, entries });
}

/// Every recorded decision, in order.
fn visit(decisions: &mut ReadDecisions, mut take: impl FnMut(Decision)) -> Result<(), Fault> {
    let mut next = EntryId::new(1, 1);
    loop {
        let records = decisions(next)?;
        let Some(last) = records.last() else { return Ok(()) };
        next = last.header.id.next();
        for record in records {
            if let Record::Decided(decided) = record.record {
                decided.decisions.into_iter().for_each(&mut take);
            }
        }
    }
}
