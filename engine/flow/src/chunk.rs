//! Folding a chunk: a range of a table as read between two marks (J8).
//!
//! * It speaks only about keys whose as-of is at or below `low`: such a row is replaced, such a shadow row that the chunk
//!   lacks is an inferred delete; both get the as-of `high`.
//! * Any other key keeps what the stream told; the chunk only fills its unknown columns.
//! * Tombstones of the range end here: no older chunk of the table can follow.

use crate::{
    Limits,
    shadow::{self, AsOf, Changed, ShadowRow},
    stored,
    tables::Tables,
};
use model::{Cell, Chunk, Cite, EntryId, Row, RowKey, TableName};
use ports::StateTxn;
use schemas::{Plan, keys};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What a chunk did.
pub(crate) enum Folded {
    /// These rows changed.
    Changed(Vec<Changed>),
    /// It would delete too many rows: the table is held, nothing was folded (J8).
    TooManyDeletes { inferred: u64, allowed: u64 },
}

/// Folds the chunk named `id`. `accepted`: a person has answered that its inferred deletes are right.
pub(crate) fn fold(
    id: EntryId,
    chunk: &Chunk,
    accepted: bool,
    limits: &Limits,
    tables: &Tables,
    state: &mut dyn StateTxn,
) -> Folded {
    let plan = tables.plan(chunk.schema).expect("a chunk's Schema entry lies before it").clone();
    let table = plan.schema().table.clone();
    let low: AsOf = (chunk.incarnation, chunk.low);
    // A truncation behind `low` speaks about every row that no later change tells of, also one that was read before it.
    let truncated = tables.state.get(&table).and_then(|one| Some((one.incarnation, one.truncated?)));
    let high: AsOf = if truncated > Some(low) { low } else { (chunk.incarnation, chunk.high) };
    let mut seen: BTreeMap<RowKey, (u32, &Row)> = BTreeMap::new();
    for (at, row) in chunk.rows.iter().enumerate() {
        let key = plan.key(row).ok().flatten().expect("a chunk's rows are whole");
        seen.insert(key, (u32::try_from(at).unwrap_or(u32::MAX), row));
    }
    let old = range(&table, chunk, state);
    let gone: BTreeSet<&RowKey> = old
        .iter()
        .filter(|(key, row)| row.row.is_some() && row.as_of() <= low && !seen.contains_key(key))
        .map(|(key, _)| key)
        .collect();
    let living = old.iter().filter(|(_, row)| row.row.is_some()).count() as u64;
    let allowed = (living * limits.inferred_deletes_percent / 100).max(limits.inferred_deletes_at_least);
    if gone.len() as u64 > allowed && !accepted {
        return Folded::TooManyDeletes { inferred: gone.len() as u64, allowed };
    }
    let mut changes = Vec::new();
    for (key, row) in &old {
        if row.row.is_none() || gone.contains(&key) {
            state.delete(&keys::row(&table, key));
        }
        if let (true, Some(bytes)) = (gone.contains(&key), &row.row) {
            let before = tables.plan(row.schema).map(|plan| (plan.clone(), bytes.clone()));
            changes.push(Changed { table: table.clone(), key: key.clone(), before, after: None });
        }
    }
    let old: BTreeMap<RowKey, ShadowRow> = old.into_iter().collect();
    for (key, (at, row)) in seen {
        let cite = Cite { entry: id, row: Some(at) };
        let fresh = Fresh { plan: &plan, row, cite, low, high, chunk };
        changes.extend(one(&table, key, old_of(&old, tables), fresh, state));
    }
    Folded::Changed(changes)
}

type Old<'a> = Box<dyn Fn(&RowKey) -> Option<(ShadowRow, Option<Arc<Plan>>)> + 'a>;

fn old_of<'a>(old: &'a BTreeMap<RowKey, ShadowRow>, tables: &'a Tables) -> Old<'a> {
    Box::new(|key| old.get(key).map(|row| (row.clone(), tables.plan(row.schema).cloned())))
}

struct Fresh<'a> {
    plan: &'a Arc<Plan>,
    row: &'a Row,
    cite: Cite,
    low: AsOf,
    high: AsOf,
    chunk: &'a Chunk,
}

fn one(table: &TableName, key: RowKey, old: Old<'_>, fresh: Fresh<'_>, state: &mut dyn StateTxn) -> Option<Changed> {
    let old = old(&key);
    let newer = old.as_ref().filter(|(row, _)| row.as_of() > fresh.low);
    let (row, as_of, cite, schema) = match newer {
        // A tombstone newer than what the chunk saw: the row stays deleted.
        Some((row, _)) if row.row.is_none() => return None,
        Some((row, plan)) => {
            let (kept, plan) = (row.row.as_ref()?, plan.as_ref()?);
            if !unknown(plan, kept) {
                return None;
            }
            let filled = shadow::filled(plan, kept, Some((fresh.plan, fresh.row)));
            (filled, row.as_of(), row.cite, row.schema)
        }
        None => (fresh.row.clone(), fresh.high, fresh.cite, fresh.chunk.schema),
    };
    let plan = match newer {
        Some((_, plan)) => plan.clone()?,
        None => fresh.plan.clone(),
    };
    let before = old.and_then(|(row, plan)| Some((plan?, row.row?)));
    let shadow = ShadowRow { incarnation: as_of.0, position: as_of.1, cite, schema, row: Some(row.clone()) };
    stored::put(state, &keys::row(table, &key), &shadow);
    Some(Changed { table: table.clone(), key, before, after: Some((plan, row)) })
}

fn unknown(plan: &Plan, row: &Row) -> bool {
    shadow::cells(plan, row).contains(&Cell::Unchanged)
}

/// The shadow's rows in the chunk's range `key_from < key <= key_to`.
fn range(table: &TableName, chunk: &Chunk, state: &dyn StateTxn) -> Vec<(RowKey, ShadowRow)> {
    let (from, to) = keys::rows_between(table, chunk.key_from.as_ref(), chunk.key_to.as_ref());
    let mut rows = Vec::new();
    state.range(&from, &to, &mut |key, bytes| {
        rows.extend(keys::row_key(table, key).map(|key| (key, stored::value(bytes))));
        true
    });
    rows
}
