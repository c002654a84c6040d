//! What is waited for, one line a thing, not one a waiting unit (J31): rows that no log has told of, and units that the
//! target has not acknowledged.

use crate::{
    ledger,
    query::{Awaited, WaitingItem},
    step::Flow,
    stored, waiting,
};
use model::{AggregateState, EntityName, RowKey, Timestamp, Unit, Verdict};
use ports::StateTxn;
use schemas::keys;
use std::collections::BTreeMap;

/// A list for people has an end; how many things are waited for stands in the status.
const LINES_MAX: usize = 1_000;

impl Flow {
    /// What is waited for: rows first, those waited for longest at the top.
    pub fn waiting(&self, state: &dyn StateTxn) -> Vec<WaitingItem> {
        let mut items = self.rows_waited_for(state);
        items.extend(self.units_waited_for(state));
        items.truncate(LINES_MAX);
        items
    }

    /// How many units wait for a row, and how many rows are waited for.
    pub(crate) fn count_waiting(&self, state: &dyn StateTxn) -> (u64, u64) {
        let rows = self.rows_waited_for(state);
        (rows.iter().map(|item| item.count).sum(), rows.len() as u64)
    }

    fn rows_waited_for(&self, state: &dyn StateTxn) -> Vec<WaitingItem> {
        let patience =
            i64::try_from(self.config.limits.waiting_age_max_seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let mut places: BTreeMap<(EntityName, RowKey), usize> = BTreeMap::new();
        let mut items: Vec<WaitingItem> = Vec::new();
        waiting::all(state, &mut |due, on, id| {
            let place = places.entry((on.entity.clone(), on.key.clone())).or_insert(items.len());
            if let Some(item) = items.get_mut(*place) {
                item.count += 1;
                return;
            }
            let Some(first) =
                ledger::unit_key(id, state).and_then(|key| crate::rows::unit(state, &key.entity, &key.key))
            else {
                return;
            };
            items.push(WaitingItem {
                on: Awaited::Row { entity: on.entity.clone(), unit: self.will_be(&on.entity, &on.key) },
                why: format!("no row of {} with this key was captured, or it is not read yet", on.entity),
                count: 1,
                first,
                since: Some(Timestamp(due.0.saturating_sub(patience))),
                entry: None,
            });
        });
        items
    }

    /// The unit that a key without a row will stand for.
    fn will_be(&self, entity: &EntityName, key: &RowKey) -> Option<Unit> {
        let map = self.map.as_ref()?.map.as_ref()?;
        Some(self.mint(&map.entities()[map.entity(entity)?], key).unit)
    }

    fn units_waited_for(&self, state: &dyn StateTxn) -> Vec<WaitingItem> {
        let item = |(target, followers): (&Unit, &std::collections::BTreeSet<Unit>)| {
            let lanes = followers.iter().filter_map(|unit| Some((self.deliver.lanes.get(unit)?.queue.front()?, unit)));
            let (oldest, first) = lanes.min_by_key(|(queued, _)| queued.input)?;
            Some(WaitingItem {
                on: Awaited::Unit(target.clone()),
                why: self.why_not_there(target, state),
                count: followers.len() as u64,
                first: first.clone(),
                since: None,
                entry: Some(oldest.input),
            })
        };
        let mut items: Vec<WaitingItem> = self.deliver.followers.iter().filter_map(item).collect();
        items.sort_by_key(|item| item.entry);
        items
    }

    /// Why the target has not acknowledged a unit that others refer to.
    fn why_not_there(&self, unit: &Unit, state: &dyn StateTxn) -> String {
        if let Some((n, what)) = self.deliver.describe(unit).into_iter().next() {
            return format!("its decision {n} is {what}");
        }
        let key = ledger::unit_key(unit.id, state);
        if key.as_ref().is_some_and(|key| ledger::held(&self.deliver.system, key, state).exists) {
            return "the target says that this, or another thing that they refer to, is not there".into();
        }
        let known = key.and_then(|key| stored::get::<AggregateState>(state, &keys::aggregate(&key.entity, &key.key)));
        match known.and_then(|known| known.verdict) {
            None => "nothing is decided about it yet".into(),
            Some(Verdict::Parked(cause)) => format!("it is parked: {cause}"),
            Some(Verdict::Held(question)) => format!("it is held: {question}"),
            Some(Verdict::Waiting(on)) => format!("it waits itself, for a row of {}", on.entity),
            Some(Verdict::Delete | Verdict::Unchanged | Verdict::Frozen) => {
                "it was void or deleted before it was ever written, and the map writes nothing for it".into()
            }
            Some(Verdict::Write) => "what was written of it is gone from the target".into(),
        }
    }
}
