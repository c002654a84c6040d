//! Join indexes: from a value of some columns to the rows that hold it. Maintained for what the map in force joins on.

use crate::{
    rows::StateRows,
    shadow::{self, Changed},
    stored,
};
use mapping::{Entity, Map};
use model::{Cell, Row, RowKey, TableName};
use ports::StateTxn;
use schemas::{Plan, keys};

/// One index: a table and the columns it is looked up by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Index {
    pub table: TableName,
    pub columns: Vec<Box<str>>,
}

/// The indexes that a map needs, in a fixed order; an index's place here is its number in the store's keys.
pub(crate) fn wanted(map: &Map) -> Vec<Index> {
    let mut all = Vec::new();
    for entity in map.entities() {
        for join in &entity.joins {
            let (joined, root): (Vec<_>, Vec<_>) = join.on.iter().cloned().unzip();
            all.push(Index { table: join.table.clone(), columns: joined });
            if root != entity.key {
                all.push(Index { table: entity.root.clone(), columns: root });
            }
        }
    }
    all.sort();
    all.dedup();
    all
}

/// The number of an index.
pub(crate) fn number(all: &[Index], table: &TableName, columns: &[Box<str>]) -> Option<u16> {
    all.iter().position(|index| index.table == *table && index.columns == columns).and_then(|at| u16::try_from(at).ok())
}

/// The value a row has in these columns; none if one is null, unknown or not there (no join then).
pub(crate) fn value(plan: &Plan, row: &Row, columns: &[Box<str>]) -> Option<RowKey> {
    let cells = shadow::cells(plan, row);
    let mut picked = Vec::with_capacity(columns.len());
    for column in columns {
        match cells.get(plan.schema().column(column)?)? {
            Cell::Null | Cell::Unchanged => return None,
            cell => picked.push(*cell),
        }
    }
    RowKey::encode(picked)
}

/// Moves a changed row's index entries.
pub(crate) fn update(all: &[Index], changed: &Changed, state: &mut dyn StateTxn) {
    for (at, index) in all.iter().enumerate().filter(|(_, index)| index.table == changed.table) {
        let number = u16::try_from(at).expect("a map has fewer joins than u16 holds");
        move_entry(number, &index.columns, changed, state);
    }
}

/// Moves a changed row's entry of one index, which is of its table.
pub(crate) fn move_entry(number: u16, columns: &[Box<str>], changed: &Changed, state: &mut dyn StateTxn) {
    let of =
        |side: &Option<(std::sync::Arc<Plan>, Row)>| side.as_ref().and_then(|(plan, row)| value(plan, row, columns));
    let (before, after) = (of(&changed.before), of(&changed.after));
    if before == after {
        return;
    }
    if let Some(value) = before {
        state.delete(&keys::join(&changed.table, number, &value, &changed.key));
    }
    if let Some(value) = after {
        state.put(&keys::join(&changed.table, number, &value, &changed.key), &[]);
    }
}

/// The keys of the rows of `table` that hold `value` in index `number`, in key order.
pub(crate) fn find(table: &TableName, number: u16, value: &RowKey, state: &dyn StateTxn) -> Vec<RowKey> {
    let range = keys::joined(table, number, value);
    stored::keys(state, &range, usize::MAX)
        .iter()
        .filter_map(|key| keys::joined_key(table, number, value, key))
        .collect()
}

/// The roots of `entity` whose joined rows a change touches, for its joins that ask for it (J14), by the names of their
/// units.
pub(crate) fn roots(view: &StateRows<'_>, entity: &Entity, changed: &Changed) -> Vec<RowKey> {
    let StateRows { state, indexes: all, .. } = *view;
    let mut keys = Vec::new();
    for join in entity.joins.iter().filter(|join| join.remap && join.table == changed.table) {
        let (joined, root): (Vec<_>, Vec<_>) = join.on.iter().cloned().unzip();
        for (plan, row) in [&changed.before, &changed.after].into_iter().flatten() {
            let Some(value) = value(plan, row, &joined) else { continue };
            if root == entity.key {
                keys.push(value);
            } else if let Some(number) = number(all, &entity.root, &root) {
                let rows = find(&entity.root, number, &value, state);
                keys.extend(rows.iter().filter_map(|key| view.name_at(&entity.root, key)));
            }
        }
    }
    keys.sort();
    keys.dedup();
    keys
}
