//! What a map reads, out of the state: rows, joined rows, bindings.

use crate::{
    index::{self, Index},
    shadow, stored,
    tables::Tables,
};
use mapping::{Entity, RowView, Rows};
use model::{EntityName, RowKey, TableName, Unit, Value};
use ports::StateTxn;
use schemas::{Plan, keys};

/// The view of one step.
pub(crate) struct StateRows<'a> {
    pub state: &'a dyn StateTxn,
    pub tables: &'a Tables,
    pub indexes: &'a [Index],
}

impl Rows for StateRows<'_> {
    fn root(&self, table: &TableName, key: &RowKey) -> Option<RowView> {
        self.roots(table, key).into_iter().next()
    }

    fn joined(&self, entity: &Entity, join: usize, root: &RowView) -> Vec<RowView> {
        let Some(join) = entity.joins.get(join) else { return Vec::new() };
        let (joined, columns): (Vec<_>, Vec<_>) = join.on.iter().cloned().unzip();
        let value = index::value(&root.plan, &root.row, &columns);
        let number = index::number(self.indexes, &join.table, &joined);
        let (Some(value), Some(number)) = (value, number) else { return Vec::new() };
        let mut rows: Vec<(Vec<Value>, RowView)> = index::find(&join.table, number, &value, self.state)
            .iter()
            .filter_map(|key| self.row(&join.table, key))
            .map(|view| (order(&view.plan, &view.row, &join.order), view))
            .collect();
        rows.sort_by(|(a, _), (b, _)| by_order(a, b));
        rows.into_iter().map(|(_, view)| view).collect()
    }

    fn unit(&self, entity: &EntityName, key: &RowKey) -> Option<Unit> {
        unit(self.state, entity, key)
    }
}

impl StateRows<'_> {
    /// The row of this key, as its table's rows are known now.
    pub(crate) fn row(&self, table: &TableName, key: &RowKey) -> Option<RowView> {
        let row = shadow::get(self.state, table, key)?;
        Some(RowView { plan: self.tables.plan(row.schema)?.clone(), cite: row.cite, row: row.row? })
    }
}

/// The names of an entity's next units, in their order behind `after`.
pub(crate) fn units_after(
    entity: &EntityName,
    after: Option<&RowKey>,
    max: usize,
    state: &dyn StateTxn,
) -> Vec<RowKey> {
    let mut range = keys::units(entity);
    if let Some(after) = after {
        range.0 = [&keys::unit(entity, after)[..], &[0]].concat();
    }
    stored::keys(state, &range, max).iter().filter_map(|key| keys::unit_key(entity, key)).collect()
}

/// The unit bound to a key of an entity.
pub(crate) fn unit(state: &dyn StateTxn, entity: &EntityName, key: &RowKey) -> Option<Unit> {
    stored::get(state, &keys::unit(entity, key))
}

fn order(plan: &Plan, row: &model::Row, columns: &[Box<str>]) -> Vec<Value> {
    let cells = shadow::cells(plan, row);
    columns
        .iter()
        .map(|column| {
            plan.schema().column(column).and_then(|at| cells.get(at)).map_or(Value::Null, |cell| cell.to_value())
        })
        .collect()
}

/// Key order of the cells; rows whose order cells are unknown come last, in their key's order (the sort is stable).
fn by_order(a: &[Value], b: &[Value]) -> std::cmp::Ordering {
    let key = |values: &[Value]| RowKey::encode(values.iter().map(Value::as_cell));
    match (key(a), key(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}
