//! The row shadow: what the source's tables hold, as far as the journal has told.
//!
//! * Each row has an as-of; a deleted row keeps it as a tombstone while a chunk may still speak of it (J7).
//! * A change at or below its row's as-of is dropped for that row and counted `stale`; nothing else is dropped by a position.
//! * `Unchanged` is filled from the row before; where that does not hold it either it stays, and means *unknown*.

use crate::stored;
use model::{Cell, Cite, Fingerprint, Incarnation, Row, RowKey, SourcePosition};
use ports::StateTxn;
use schemas::{Plan, keys, wire_record};
use std::sync::Arc;

/// Up to where a row is true.
pub(crate) type AsOf = (Incarnation, SourcePosition);

/// A row of the shadow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShadowRow {
    /// In which life of the source's log it was told.
    pub incarnation: Incarnation,
    /// Up to where in that log it is true.
    pub position: SourcePosition,
    /// What it rests on.
    pub cite: Cite,
    /// In which schema its bytes are.
    pub schema: Fingerprint,
    /// Its bytes; none for a tombstone.
    pub row: Option<Row>,
}

wire_record!(ShadowRow { incarnation, position, cite, schema, row });

impl ShadowRow {
    /// Up to where it is true.
    pub fn as_of(&self) -> (Incarnation, SourcePosition) {
        (self.incarnation, self.position)
    }
}

/// Where and when a row change was told.
pub(crate) struct Told {
    pub cite: Cite,
    pub incarnation: Incarnation,
    pub position: SourcePosition,
    pub schema: Fingerprint,
}

/// The shadow's row at this key.
pub(crate) fn get(state: &dyn StateTxn, table: &model::TableName, key: &RowKey) -> Option<ShadowRow> {
    stored::get(state, &keys::row(table, key))
}

/// Sets the shadow's row.
pub(crate) fn put(state: &mut dyn StateTxn, store_key: &[u8], row: &ShadowRow) {
    /// What stands beside the row's bytes, at most.
    const BESIDE: usize = 96;
    let mut bytes = Vec::with_capacity(BESIDE + row.row.as_ref().map_or(0, |row| row.0.len()));
    schemas::encode(row, &mut bytes);
    state.put(store_key, &bytes);
}

/// Rows that a scan takes at a time.
pub(crate) const PAGE: usize = 1_000;

/// The next rows of a table, tombstones too, in key order behind `after`.
pub(crate) fn page(
    table: &model::TableName,
    after: Option<&RowKey>,
    max: usize,
    state: &dyn StateTxn,
) -> Vec<(RowKey, ShadowRow)> {
    let (from, to) = keys::rows_between(table, after, None);
    let mut rows = Vec::new();
    state.range(&from, &to, &mut |key, bytes| {
        rows.extend(keys::row_key(table, key).map(|key| (key, stored::value(bytes))));
        rows.len() < max
    });
    rows
}

/// `after`, whose cells these are, with the `Unchanged` ones taken from `before` by column name; unknown ones stay so.
pub(crate) fn filled<'a>(plan: &Plan, after: &Row, mut cells: Vec<Cell<'a>>, before: Option<(&Plan, &'a Row)>) -> Row {
    let Some((old_plan, old)) = before else { return after.clone() };
    if !cells.contains(&Cell::Unchanged) {
        return after.clone();
    }
    let old_cells = self::cells(old_plan, old);
    for (cell, column) in cells.iter_mut().zip(&plan.schema().columns) {
        if *cell == Cell::Unchanged
            && let Some(at) = old_plan.schema().column(&column.name)
            && old_plan.schema().columns[at].native == column.native
        {
            *cell = old_cells[at];
        }
    }
    plan.row(&cells).expect("the cells came from rows of the same columns")
}

/// The cells of a row that the shadow holds: it was read before it was put there.
pub(crate) fn cells<'a>(plan: &Plan, row: &'a Row) -> Vec<Cell<'a>> {
    plan.cells(row).expect("the shadow takes no row that does not read as its schema says")
}

/// A row before and after a change, each in its own plan: what marks and indexes are derived from.
pub(crate) struct Changed {
    pub table: model::TableName,
    pub key: RowKey,
    pub before: Option<(Arc<Plan>, Row)>,
    pub after: Option<(Arc<Plan>, Row)>,
}
