//! Which unit a row belongs to: the row's own key says it, or the columns of the key that the units became known by, once
//! the source names the rows by another one and a person has said that those columns go on naming them (J41, clinical S1).
//!
//! * An index of its own leads from such columns to the rows; it is kept whatever map is in force, and its number is none
//!   that a map's joins can take.
//! * The database promises nothing of these columns any more. A row without a value in them is refused by the fold; two
//!   rows of one value park their unit: nobody's row is mapped into another's resource.

use crate::{
    heads,
    index::{self, Index},
    input::FlowOutput,
    rows::{self, StateRows},
    shadow::{self, Changed, PAGE, ShadowRow},
    step::Flow,
    stored,
    tables::{Tables, key},
    work::Work,
};
use mapping::{Entity, Map, Mapped, RowView};
use model::{AggregateState, EntityName, Presence, Row, RowKey, SystemId, TableName, TableSchema, Unit};
use ports::StateTxn;
use schemas::{Plan, keys, wire_record};
use std::collections::BTreeMap;

/// The number of the index of these columns.
const NUMBER: u16 = u16::MAX;

/// Why a row is refused: it does not say whose it is.
pub(crate) const UNNAMED: &str = "has a row without a value in the columns that its unit is known by";

impl Tables {
    /// The columns that the units of this table are known by; none: its own key.
    pub(crate) fn known_by(&self, table: &TableName) -> Option<Vec<Box<str>>> {
        self.state.get(table).filter(|one| one.by_columns)?;
        self.bound_by(table)
    }

    /// Every table whose units are known by columns that are not its key.
    pub(crate) fn known_by_columns(&self) -> BTreeMap<TableName, Vec<Box<str>>> {
        self.by_columns().filter_map(|table| Some((table.clone(), self.known_by(table)?))).collect()
    }

    /// The key by which its units became known.
    pub(crate) fn bound_by(&self, table: &TableName) -> Option<Vec<Box<str>>> {
        let keyed = self.plan(self.state.get(table)?.keyed?)?;
        Some(key(keyed.schema()).map(|(name, _)| name.into()).collect())
    }

    /// The columns by which rows of this shape name their units; none before a person has answered under another key, where
    /// a row's name may be that of another row.
    pub(crate) fn names_by(&self, schema: &TableSchema) -> Option<Vec<Box<str>>> {
        if self.names_as_bound(schema) {
            return Some(key(schema).map(|(name, _)| name.into()).collect());
        }
        let folded = self.current(&schema.table).is_some_and(|plan| plan.schema() == schema);
        self.known_by(&schema.table).filter(|_| folded && self.still_names(schema))
    }

    /// What the unit of a row is known by; none if the row does not say it.
    pub(crate) fn name_of(&self, plan: &Plan, own: &RowKey, row: &Row) -> Option<RowKey> {
        match self.known_by(&plan.schema().table) {
            None => Some(own.clone()),
            Some(columns) => index::value(plan, row, &columns),
        }
    }

    /// What the unit of a row of the shadow is known by; none for a tombstone.
    pub(crate) fn name_in(&self, own: &RowKey, row: &ShadowRow) -> Option<RowKey> {
        self.name_of(self.plan(row.schema)?, own, row.row.as_ref()?)
    }

    /// Whether a row that is to be folded fails to say whose it is. One whose shape has no such columns is not asked: its
    /// table is held, or whoever uses them.
    pub(crate) fn is_unnamed(&self, plan: &Plan, row: &Row) -> bool {
        let columns = self.known_by(&plan.schema().table);
        columns.is_some_and(|columns| {
            columns.iter().all(|column| plan.schema().column(column).is_some())
                && index::value(plan, row, &columns).is_none()
        })
    }

    /// The names of the units that a change touches: before it and after it.
    pub(crate) fn names_of(&self, changed: &Changed) -> Vec<RowKey> {
        let Some(columns) = self.known_by(&changed.table) else { return vec![changed.key.clone()] };
        let sides = [&changed.before, &changed.after].into_iter().flatten();
        let mut names: Vec<RowKey> = sides.filter_map(|(plan, row)| index::value(plan, row, &columns)).collect();
        names.dedup();
        names
    }

    /// Whether rows of this shape still say the values of the key that the units of their table are known by.
    pub(crate) fn still_names(&self, schema: &TableSchema) -> bool {
        let keyed = self.state.get(&schema.table).and_then(|one| self.plan(one.keyed?));
        let has = |(name, ty): (&str, _)| schema.column(name).is_some_and(|at| schema.columns[at].ty == ty);
        keyed.is_some_and(|keyed| key(keyed.schema()).all(has))
    }

    /// Tables whose rows are found by such columns.
    fn by_columns(&self) -> impl Iterator<Item = &TableName> {
        self.state.iter().filter(|(_, one)| one.by_columns).map(|(table, _)| table)
    }
}

/// Moves a changed row in the index.
pub(crate) fn update(tables: &Tables, changed: &Changed, state: &mut dyn StateTxn) {
    if let Some(columns) = tables.known_by(&changed.table) {
        index::move_entry(NUMBER, &columns, changed, state);
    }
}

/// What makes the indexes anew from the shadow: those of a map and these.
pub(crate) fn rebuild(indexes: &[Index], tables: &Tables) -> Vec<Work> {
    let mut named: Vec<&TableName> = indexes.iter().map(|index| &index.table).chain(tables.by_columns()).collect();
    named.sort();
    named.dedup();
    let of = |table: &TableName| Work::Index { table: table.clone(), after: None };
    std::iter::once(Work::DropIndexes).chain(named.into_iter().map(of)).collect()
}

impl StateRows<'_> {
    /// The rows that say to be this unit's.
    pub(crate) fn roots(&self, table: &TableName, name: &RowKey) -> Vec<RowView> {
        let Some(columns) = self.tables.known_by(table) else {
            return self.row(table, name).into_iter().collect();
        };
        let rows = index::find(table, NUMBER, name, self.state).into_iter().filter_map(|key| self.row(table, &key));
        rows.filter(|view| index::value(&view.plan, &view.row, &columns).as_ref() == Some(name)).collect()
    }

    /// What the unit of the row of this key is known by.
    pub(crate) fn name_at(&self, table: &TableName, key: &RowKey) -> Option<RowKey> {
        self.tables.name_in(key, &shadow::get(self.state, table, key)?)
    }

    /// What a map makes of a unit: nothing, where more than one row says to be its.
    pub(crate) fn mapped(&self, map: &Map, at: usize, key: &RowKey, unit: &Unit, source: &SystemId) -> Mapped {
        if let Some(entity) = map.entities().get(at)
            && let Some(columns) = self.tables.known_by(&entity.root)
        {
            let rows = self.roots(&entity.root, key);
            if rows.len() > 1 {
                let (table, columns) = (&entity.root, columns.join(", "));
                let cause = format!("{} rows of {table} have the same value in ({columns})", rows.len()).into();
                return Mapped::Unmappable { cause, cites: rows.iter().map(|row| row.cite).collect() };
            }
        }
        mapping::map(self, map, at, key, unit, source)
    }
}

impl Flow {
    /// The present key of a table names its rows from here on, and the columns of the one before go on naming the units.
    /// Which of the units still have a row is counted when the table was read again.
    pub(crate) fn rebind(&mut self, table: &TableName, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) {
        let roots = !self.units_of(table, state).is_empty();
        if let Some(one) = self.tables.state.get_mut(table) {
            (one.rekeyed, one.by_columns) = (None, roots);
            if !roots {
                one.keyed = one.schema;
            }
        }
        self.tables.save(state);
        self.key_changed(state, out);
    }

    /// The entities whose units the rows of this table name.
    pub(crate) fn units_of(&self, table: &TableName, state: &dyn StateTxn) -> Vec<EntityName> {
        self.tables.bound_by(table).map(|key| heads::rooted(table, &key, state)).unwrap_or_default()
    }

    /// The units of a table stay as they stand at the target, and no map makes them any more: its rows are others.
    pub(crate) fn unbind(&mut self, table: &TableName, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) {
        if let Some(one) = self.tables.state.get_mut(table) {
            (one.keyed, one.rekeyed, one.by_columns, one.recount) = (one.schema, None, false, false);
        }
        self.tables.save(state);
        let map = self.map.as_ref().and_then(|active| active.map.clone());
        let entities = map.iter().flat_map(|map| map.entities()).filter(|entity| entity.root == *table);
        let question = |entity: &Entity| {
            let what = "has another key and its rows are no more those of";
            let cure = "activate a map in which they are an entity with a name and a `part` of their own";
            (entity.name.clone(), format!("{table}: {what} {}: {cure}", entity.name))
        };
        let questions = entities.map(question).collect();
        self.hold_entities(table, questions, state, out);
        self.key_changed(state, out);
    }

    /// Rows are found in another way: by what they are found must be made anew.
    pub(crate) fn key_changed(&mut self, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) {
        if self.map_fits() {
            self.put_in_force(state, out);
        } else {
            self.begin_work(rebuild(&self.indexes, &self.tables), state);
        }
    }

    /// Counts a page of the units whose row is gone since their table has another key. False: all are counted.
    pub(crate) fn recount(&self, count: &mut Recount, state: &dyn StateTxn) -> bool {
        let Some(entity) = count.entities.first() else { return false };
        let view = StateRows { state, tables: &self.tables, indexes: &self.indexes };
        let page = rows::units_after(entity, count.after.as_ref(), PAGE, state);
        for key in &page {
            let known: Option<AggregateState> = stored::get(state, &keys::aggregate(entity, key));
            let stands = known.is_some_and(|known| known.presence == Presence::Present);
            count.gone += u64::from(stands && view.roots(&count.table, key).is_empty());
        }
        count.after = page.last().cloned();
        if page.is_empty() {
            count.entities.remove(0);
        }
        true
    }

    /// All of them are counted: the table goes on, or a person is asked.
    pub(crate) fn recounted(&mut self, count: &Recount, state: &mut dyn StateTxn) {
        let Recount { table, gone, .. } = count;
        let Some(one) = self.tables.state.get_mut(table) else { return };
        if *gone > 0 {
            let question = format!(
                "under its new key, no row is there for {gone} units that stand at the target: accept that their rows are \
                 gone, or put the rows back and read again?"
            );
            (one.held, one.unread, one.too_many) = (Some(question.into()), true, true);
            return self.tables.save(state);
        }
        one.recount = false;
        self.tables.save(state);
        self.mark_users_of(table, state);
    }
}

/// How far a count is.
pub(crate) struct Recount {
    pub table: TableName,
    /// Whose units are left.
    pub entities: Vec<EntityName>,
    pub after: Option<RowKey>,
    /// Units that stand at the target and have no row.
    pub gone: u64,
}

wire_record!(Recount { table, entities, after, gone });
