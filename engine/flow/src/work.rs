//! Work of one entry that may be as large as a table: done a page at a time, so that a step stays short and the place may
//! be made durable in between (J13, J19).
//!
//! What is left stands in the store beside the place; the entry's marks are decided when nothing is left.

use crate::{
    apply::Listed,
    identity::{self, Recount},
    index,
    ledger::{self, RELEASED},
    meta::Phase,
    shadow::{self, Changed, PAGE, Told},
    step::Flow,
    stored,
    waiting::UnitKey,
};
use model::{Entry, Incarnation, RowKey, SourcePosition, TableName};
use ports::StateTxn;
use schemas::{keys, wire_union};

/// One such work, and how far it is.
pub(crate) enum Work {
    /// Every entry of the join indexes goes.
    DropIndexes,
    /// The index entries of this table's rows are made.
    Index { table: TableName, after: Option<RowKey> },
    /// Rows from before a truncation are deletes (J9).
    Expand { table: TableName, incarnation: Incarnation, position: SourcePosition, after: Option<RowKey> },
    /// The units parked under a cause are marked (J31).
    Release { cause: Box<str>, after: Box<[u8]> },
    /// The units that waited for a key are marked (J41).
    Wake { waits: UnitKey, after: Box<[u8]> },
    /// The rows of a table whose names mean nothing any more go (J49).
    Forget { table: TableName },
    /// The units of a table that is keyed otherwise by now are looked for in its rows.
    Recount(Recount),
}

wire_union!(Work {
    0 DropIndexes,
    1 Index { table, after },
    2 Expand { table, incarnation, position, after },
    3 Release { cause, after },
    4 Wake { waits, after },
    5 Forget { table },
    6 Recount(count),
});

const LEFT: &str = "work";

impl Flow {
    /// The present input has this to do, behind what it has already, before it is decided.
    pub(crate) fn begin_work(&mut self, work: Vec<Work>, state: &mut dyn StateTxn) {
        let mut left: Vec<Work> = stored::get(state, &keys::meta(LEFT)).unwrap_or_default();
        left.extend(work);
        stored::put(state, &keys::meta(LEFT), &left);
        self.place.phase = Phase::Work;
    }

    /// Does one page of what is left.
    pub(crate) fn work_on(&mut self, state: &mut dyn StateTxn) -> bool {
        self.worked += PAGE;
        let mut left: Vec<Work> = stored::get(state, &keys::meta(LEFT)).unwrap_or_default();
        if let Some(first) = left.first_mut() {
            if !self.page_of_work(first, state) {
                left.remove(0);
            }
            stored::put(state, &keys::meta(LEFT), &left);
        }
        if left.is_empty() {
            state.delete(&keys::meta(LEFT));
            self.place.phase = Phase::Steps { done: 0 };
        }
        true
    }

    /// False: nothing of it is left.
    fn page_of_work(&mut self, work: &mut Work, state: &mut dyn StateTxn) -> bool {
        match work {
            Work::DropIndexes => {
                let page = stored::keys(state, &keys::joins(), PAGE);
                page.iter().for_each(|key| state.delete(key));
                page.len() == PAGE
            }
            Work::Index { table, after } => {
                let page = shadow::page(table, after.as_ref(), PAGE, state);
                let more = page.len() == PAGE;
                for (key, row) in page {
                    *after = Some(key.clone());
                    if let (Some(row), Some(plan)) = (row.row, self.tables.plan(row.schema)) {
                        let after = Some((plan.clone(), row));
                        let changed = Changed { table: table.clone(), key, before: None, after };
                        identity::update(&self.tables, &changed, state);
                        index::update(&self.indexes, &changed, state);
                    }
                }
                more
            }
            Work::Expand { table, incarnation, position, after } => {
                let page = shadow::page(table, after.as_ref(), PAGE, state);
                let (more, cite) = (page.len() == PAGE, Entry::cite(self.place.input));
                for (key, row) in page {
                    *after = Some(key.clone());
                    if row.row.is_some() && row.as_of() < (*incarnation, *position) {
                        let (incarnation, position, schema) = (*incarnation, *position, row.schema);
                        self.delete(table.clone(), key, &Told { cite, incarnation, position, schema }, state);
                    }
                }
                more
            }
            Work::Forget { table } => {
                let page = shadow::page(table, None, PAGE, state);
                let more = page.len() == PAGE;
                for (key, row) in page {
                    state.delete(&keys::row(table, &key));
                    let before = row.row.and_then(|bytes| Some((self.tables.plan(row.schema)?.clone(), bytes)));
                    let changed = Changed { table: table.clone(), key, before, after: None };
                    identity::update(&self.tables, &changed, state);
                    index::update(&self.indexes, &changed, state);
                }
                more
            }
            Work::Recount(count) => {
                let more = self.recount(count, state);
                if !more {
                    self.recounted(count, state);
                }
                more
            }
            Work::Release { cause, after } => {
                let page = pairs(keys::parked_for(cause), after, state);
                for (key, listed) in &page {
                    *after = key.clone();
                    let listed: Listed = stored::value(listed);
                    if let Some(unit) = ledger::unit_key(listed.unit.id, state) {
                        self.mark_unit(&unit, RELEASED, state);
                    }
                }
                page.len() == PAGE
            }
            Work::Wake { waits, after } => {
                let page = pairs(keys::waiting_for(&waits.entity, &waits.key), after, state);
                for (key, unit) in &page {
                    *after = key.clone();
                    self.mark_unit(&stored::value(unit), &[], state);
                }
                page.len() == PAGE
            }
        }
    }
}

/// The next pairs of a range behind `after`.
fn pairs((from, to): keys::KeyRange, after: &[u8], state: &dyn StateTxn) -> Vec<(Box<[u8]>, Vec<u8>)> {
    let from = if after.is_empty() { from } else { [after, &[0]].concat() };
    let mut page = Vec::new();
    state.range(&from, &to, &mut |key, value| {
        page.push((key.into(), value.to_vec()));
        page.len() < PAGE
    });
    page
}
