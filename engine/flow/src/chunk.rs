//! Folding a chunk: a range of a table as read between two marks (J8).
//!
//! * It speaks only about keys whose as-of is at or below `low`: such a row is replaced, such a shadow row that the chunk
//!   lacks is an inferred delete; both get the as-of `high`.
//! * Any other key keeps what the stream told; the chunk only fills its unknown columns.
//! * Tombstones of the range end here: no older chunk of the table can follow.

use crate::{
    Limits,
    identity::UNNAMED,
    readable::rows_by_key,
    shadow::{self, AsOf, Changed, ShadowRow},
    stored,
    tables::Tables,
};
use model::{Cell, Chunk, Cite, EntryId, Row, RowKey, TableName};
use ports::StateTxn;
use schemas::{Plan, keys};
use std::sync::Arc;

/// What a chunk did.
pub(crate) enum Folded {
    /// These rows changed; none are named where nobody asked.
    Changed(Vec<Changed>),
    /// It would delete too many rows: the table is held, nothing was folded (J8).
    TooManyDeletes { inferred: u64, allowed: u64 },
    /// A row of it does not read, or does not belong here: nothing was folded.
    Unreadable(&'static str),
}

/// Whom a fold is for.
pub(crate) struct Wanted {
    /// A person has answered that the inferred deletes are right.
    pub deletes: bool,
    /// The map in force reads the table: what changed is to be told.
    pub changes: bool,
}

/// Folds the chunk named `id`.
pub(crate) fn fold(
    id: EntryId,
    chunk: &Chunk,
    plan: &Arc<Plan>,
    wanted: &Wanted,
    limits: &Limits,
    tables: &Tables,
    state: &mut dyn StateTxn,
) -> Folded {
    let table = plan.schema().table.clone();
    let low: AsOf = (chunk.incarnation, chunk.low);
    // A truncation behind `low` speaks about every row that no later change tells of, also one that was read before it.
    let truncated = tables.state.get(&table).and_then(|one| Some((one.incarnation, one.truncated?)));
    let high: AsOf = if truncated > Some(low) { low } else { (chunk.incarnation, chunk.high) };
    // .. and once those rows became deletes, what the chunk alone tells of them is no more.
    let expanded = tables.state.get(&table).and_then(|one| Some((one.incarnation, one.expanded?)));
    let seen = match rows_by_key(plan, chunk) {
        Ok(seen) => seen,
        Err(why) => return Folded::Unreadable(why),
    };
    if tables.known_by(&table).is_some() && seen.iter().any(|(.., row)| tables.is_unnamed(plan, row)) {
        return Folded::Unreadable(UNNAMED);
    }
    // One walk over the range stands for a look at each row.
    let old = range(&table, chunk, state);
    let is_seen = |key: &RowKey| seen.binary_search_by(|(at, ..)| at.cmp(key)).is_ok();
    let is_gone = |key: &RowKey, row: &ShadowRow| row.row.is_some() && row.as_of() <= low && !is_seen(key);
    let gone = old.iter().filter(|(key, row)| is_gone(key, row)).count() as u64;
    let living = old.iter().filter(|(_, row)| row.row.is_some()).count() as u64;
    let allowed = (living * limits.inferred_deletes_percent / 100).max(limits.inferred_deletes_at_least);
    if gone > allowed && !wanted.deletes {
        return Folded::TooManyDeletes { inferred: gone, allowed };
    }
    let mut into = Writing { keys: keys::RowKeys::of(&table), bytes: Vec::new(), state };
    let mut changes = Vec::new();
    for (key, row) in &old {
        let gone = is_gone(key, row);
        if row.row.is_none() || gone {
            into.state.delete(into.keys.at(key));
        }
        if let (true, true, Some(bytes)) = (gone, wanted.changes, &row.row) {
            let before = tables.plan(row.schema).map(|plan| (plan.clone(), bytes.clone()));
            changes.push(Changed { table: table.clone(), key: key.clone(), before, after: None });
        }
    }
    for (key, at, row) in seen {
        let old = old.binary_search_by(|(at, _)| at.cmp(&key)).ok().map(|at| &old[at].1);
        let old_plan = old.and_then(|row| tables.plan(row.schema));
        if expanded > Some(low) && old.is_none_or(|row| row.as_of() <= low) {
            continue;
        }
        let cite = Cite { entry: id, row: Some(at) };
        let fresh = Fresh { plan, row, cite, low, high, chunk };
        let Some((plan, row)) = one(&key, old, old_plan, &fresh, &mut into) else { continue };
        if wanted.changes {
            let before = old.and_then(|old| Some((old_plan?.clone(), old.row.clone()?)));
            changes.push(Changed { table: table.clone(), key, before, after: Some((plan.clone(), row)) });
        }
    }
    Folded::Changed(changes)
}

struct Fresh<'a> {
    plan: &'a Arc<Plan>,
    row: &'a Row,
    cite: Cite,
    low: AsOf,
    high: AsOf,
    chunk: &'a Chunk,
}

/// Where rows are written, with the buffers for it.
struct Writing<'a> {
    keys: keys::RowKeys,
    bytes: Vec<u8>,
    state: &'a mut dyn StateTxn,
}

impl Writing<'_> {
    fn put(&mut self, key: &RowKey, row: &ShadowRow) {
        self.bytes.clear();
        schemas::encode(row, &mut self.bytes);
        self.state.put(self.keys.at(key), &self.bytes);
    }
}

/// Writes a row that the chunk tells; returns it in its plan, if it changed.
fn one<'a>(
    key: &RowKey,
    old: Option<&ShadowRow>,
    old_plan: Option<&'a Arc<Plan>>,
    fresh: &Fresh<'a>,
    into: &mut Writing<'_>,
) -> Option<(&'a Arc<Plan>, Row)> {
    let newer = old.filter(|row| row.as_of() > fresh.low);
    let (row, as_of, cite, schema, plan) = match newer {
        // A tombstone newer than what the chunk saw: the row stays deleted.
        Some(row) => {
            let (kept, plan) = (row.row.as_ref()?, old_plan?);
            if !unknown(plan, kept) {
                return None;
            }
            let filled = shadow::filled(plan, kept, shadow::cells(plan, kept), Some((fresh.plan, fresh.row)));
            (filled, row.as_of(), row.cite, row.schema, plan)
        }
        None => (fresh.row.clone(), fresh.high, fresh.cite, fresh.chunk.schema, fresh.plan),
    };
    let mut shadow = ShadowRow { incarnation: as_of.0, position: as_of.1, cite, schema, row: Some(row) };
    into.put(key, &shadow);
    Some((plan, shadow.row.take()?))
}

fn unknown(plan: &Plan, row: &Row) -> bool {
    shadow::cells(plan, row).contains(&Cell::Unchanged)
}

/// The shadow's rows in the chunk's range `key_from < key <= key_to`, in key order.
fn range(table: &TableName, chunk: &Chunk, state: &dyn StateTxn) -> Vec<(RowKey, ShadowRow)> {
    let (from, to) = keys::rows_between(table, chunk.key_from.as_ref(), chunk.key_to.as_ref());
    let mut rows = Vec::new();
    state.range(&from, &to, &mut |key, bytes| {
        rows.extend(keys::row_key(table, key).map(|key| (key, stored::value(bytes))));
        true
    });
    rows
}
