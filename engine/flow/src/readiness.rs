//! When a table may be decided on: its shape and key, where its reading began, when it is read whole (J12, J49).
//!
//! * A row's name is its key: rows under another key are other rows. When the key changes, the shadow forgets the table and
//!   a person says whose rows they are (`identity.rs`); nothing is folded over a row of another key.
//! * A shape that lacks what the map in force uses says nothing of it: its table is read again, never guessed.

use crate::{
    heads,
    identity::Recount,
    input::FlowOutput,
    step::Flow,
    tables::{self, TableState, key},
    work::Work,
};
use mapping::Map;
use model::{Answer, ColumnType, Fingerprint, Incarnation, SnapshotMark, TableName, TableSchema};
use ports::StateTxn;

impl Flow {
    /// A table's shape from here on. One that the map in force does not fit holds the entities that use it (J49), one with
    /// another key the table.
    pub(crate) fn learn_schema(
        &mut self,
        fingerprint: Fingerprint,
        schema: &TableSchema,
        state: &mut dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) {
        let old = self.tables.current(&schema.table).cloned();
        self.tables.learn(fingerprint, schema);
        let unnamed = self.tables.known_by(&schema.table).is_some() && !self.tables.still_names(schema);
        if unnamed || old.as_ref().is_some_and(|old| !key(old.schema()).eq(key(schema))) {
            self.rekeyed(schema, state);
        }
        self.tables.save(state);
        self.refit_map(old.as_ref().map(|plan| plan.schema()), schema, state, out);
    }

    /// Rows of this table have other names from here on: those so far are forgotten, and a person is asked.
    fn rekeyed(&mut self, schema: &TableSchema, state: &mut dyn StateTxn) {
        let table = &schema.table;
        let roots = !self.units_of(table, state).is_empty();
        let rebindable = !roots || self.tables.still_names(schema);
        let bound = self.tables.state.get(table).and_then(|one| self.tables.plan(one.keyed?)).map(|plan| plan.schema());
        // What a reading that has begun and told nothing yet will tell is all that there is.
        let unbegun = self.tables.state.get(table).is_some_and(|one| one.unbegun);
        let question = match bound {
            Some(bound) if self.tables.names_as_bound(schema) && unbegun => {
                format!(
                    "its key was another for a while and is ({}) again: it goes on when it is read again",
                    names(bound)
                )
            }
            Some(bound) if self.tables.names_as_bound(schema) => {
                format!("its key was another for a while and is ({}) again: read the table again?", names(bound))
            }
            Some(bound) => {
                let asked = match (rebindable, same_types(bound, schema)) {
                    (true, false) => "rebind",
                    (true, true) => "rebind, or accept if it was renamed",
                    (false, true) => "accept if it was renamed, or unbind",
                    (false, false) => "put the old key back, or unbind",
                };
                format!("its key was ({}) and is ({}) now: {asked}?", names(bound), names(schema))
            }
            None => "its key is another now: read the table again?".to_owned(),
        };
        if !unbegun {
            self.lose(table, state);
        }
        if let Some(one) = self.tables.state.get_mut(table) {
            (one.rekeyed, one.rebindable, one.recount) = (Some(question.into()), rebindable, roots);
            // Once a reading: a shape that comes behind this one may be an older chunk's.
            one.unbegun = false;
        }
        self.begin_work(vec![Work::Forget { table: table.clone() }], state);
    }

    /// A chunk of the present reading of this table is folded.
    pub(crate) fn begun_on(&mut self, table: &TableName, state: &mut dyn StateTxn) {
        if let Some(one) = self.tables.state.get_mut(table).filter(|one| one.unbegun) {
            one.unbegun = false;
            self.tables.save(state);
        }
    }

    /// Only a reading from the beginning makes this table ready again.
    pub(crate) fn lose(&mut self, table: &TableName, state: &mut dyn StateTxn) {
        let one = self.tables.state.entry(table.clone()).or_default();
        (one.ready, one.lost) = (false, true);
        self.tables.save(state);
    }

    /// A person says that the present key names the rows as the one before did.
    pub(crate) fn accept_key(&mut self, table: &TableName, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) {
        let old = self.tables.bound_by(table);
        if let Some(one) = self.tables.state.get_mut(table) {
            (one.keyed, one.rekeyed, one.by_columns) = (one.schema, None, false);
        }
        if let (Some(old), Some(new)) = (old, self.tables.bound_by(table)) {
            heads::rename_key(table, &old, &new, state);
        }
        self.tables.save(state);
        // Whom the map joins by the old key is found by the new one, unless it waits for a map that fits anyway.
        self.key_changed(state, out);
    }

    /// Holds the tables whose rows lack what this map uses: they were captured in an older shape.
    pub(crate) fn hold_short(&mut self, map: &Map, state: &mut dyn StateTxn) {
        let short = self.short_of(map);
        let question = |column: &str| {
            format!("rows that were captured earlier do not tell {column} as the map uses it: read the table again?")
                .into()
        };
        for (table, one) in &mut self.tables.state {
            one.short = short.iter().find(|(short, _)| short == table).map(|(_, column)| question(column));
        }
        self.tables.save(state);
    }

    /// Tables whose rows may be of a shape that lacks a column of this map, with the first such column.
    pub(crate) fn short_of(&self, map: &Map) -> Vec<(TableName, Box<str>)> {
        let lacks = |(table, one): (&TableName, &TableState)| {
            let now = self.tables.current(table)?.schema();
            let used = |name: &str| map.entities().iter().any(|entity| entity.columns(table).any(|used| used == name));
            let shapes = || one.shapes.iter().filter_map(|shape| self.tables.plan(*shape));
            let as_now = |column: &model::Column| {
                shapes().all(|plan| {
                    let at = plan.schema().column(&column.name);
                    at.is_some_and(|at| plan.schema().columns[at].native == column.native)
                })
            };
            let column = now.columns.iter().find(|column| used(&column.name) && !as_now(column))?;
            Some((table.clone(), column.name.clone()))
        };
        self.tables.state.iter().filter_map(lacks).collect()
    }

    /// A new life of the source's log: every table is read again, and older as-ofs are below every new position.
    pub(crate) fn new_slot(&mut self, state: &mut dyn StateTxn) {
        self.forget_transaction();
        for table in self.tables.state.values_mut() {
            (table.ready, table.expanded, table.accept_next, table.accept_deletes) = (false, None, false, false);
        }
        self.tables.save(state);
    }

    /// Readiness: an entity is decided when its tables are read whole (J12).
    pub(crate) fn snapshot_mark(&mut self, incarnation: Incarnation, mark: &SnapshotMark, state: &mut dyn StateTxn) {
        match mark {
            SnapshotMark::Started { tables, at } => {
                for table in tables {
                    let one = self.tables.state.entry(table.clone()).or_default();
                    (one.ready, one.lost, one.short, one.expanded) = (false, false, None, None);
                    (one.unbegun, one.left_out) = (true, false);
                    (one.begun_in, one.begun_at) = (incarnation, Some(*at));
                    // What a person accepted is this reading's alone: one that begins later deletes other rows.
                    (one.accept_deletes, one.accept_next) = (one.accept_next, false);
                    one.shapes = one.schema.into_iter().collect();
                }
            }
            SnapshotMark::Ready { table, .. } => {
                let bound = self.tables.current(table).is_none_or(|plan| self.tables.names_as_bound(plan.schema()));
                let one = self.tables.state.entry(table.clone()).or_default();
                // Whoever accepts that rows are gone has seen how many.
                one.recount &= !one.accept_deletes;
                (one.ready, one.accept_deletes, one.expanded, one.unbegun) = (!one.lost, false, None, false);
                if one.ready && bound {
                    one.rekeyed = None;
                }
                if one.ready && one.recount && one.question().is_none() {
                    let (table, entities) = (table.clone(), self.units_of(table, state));
                    self.begin_work(vec![Work::Recount(Recount { table, entities, after: None, gone: 0 })], state);
                } else {
                    self.mark_users_of(&table.clone(), state);
                }
            }
        }
        self.tables.save(state);
    }

    /// Marks every unit of the entities that use this table and may be decided now.
    pub(crate) fn mark_users_of(&mut self, table: &TableName, state: &mut dyn StateTxn) {
        let Some(map) = self.map.as_ref().and_then(|active| active.map.clone()) else { return };
        let closed = self.closed_entities();
        for (at, entity) in map.entities().iter().enumerate() {
            let open = u16::try_from(at).is_ok_and(|at| !closed.contains(&at));
            if open && entity.tables().into_iter().any(|used| used == table) {
                self.mark_range(at, state);
            }
        }
    }
}

/// A key for people: its columns, each with its type.
fn names(schema: &TableSchema) -> String {
    let named = |(name, ty): (&str, ColumnType)| format!("{name} {}", format!("{ty:?}").to_lowercase());
    key(schema).map(named).collect::<Vec<_>>().join(", ")
}

fn same_types(a: &TableSchema, b: &TableSchema) -> bool {
    key(a).map(|(_, ty)| ty).eq(key(b).map(|(_, ty)| ty))
}

/// The answers that a table's question takes.
pub(crate) fn answers(table: &TableName, tables: &tables::Tables) -> &'static [Answer] {
    let Some(one) = tables.state.get(table) else { return &[] };
    let schemas = (one.keyed.and_then(|keyed| tables.plan(keyed)), tables.current(table));
    let renamed = matches!(schemas, (Some(keyed), Some(now)) if same_types(keyed.schema(), now.schema()));
    let again = matches!((&one.rekeyed, schemas.1), (Some(_), Some(now)) if tables.names_as_bound(now.schema()));
    match (&one.rekeyed, &one.held, one.truncated) {
        (Some(_), ..) if again => &[Answer::ReadAgain],
        (Some(_), ..) => match (one.rebindable, renamed) {
            (true, true) => &[Answer::Rebind, Answer::Accept, Answer::ReadAgain],
            (true, false) => &[Answer::Rebind, Answer::ReadAgain],
            (false, true) => &[Answer::Accept, Answer::Unbind, Answer::ReadAgain],
            (false, false) => &[Answer::Unbind, Answer::ReadAgain],
        },
        (None, Some(_), Some(_)) if !one.unread => &[Answer::Expand, Answer::ReadAgain],
        (None, Some(_), _) if one.too_many => &[Answer::Accept, Answer::ReadAgain],
        (None, Some(_), _) => &[Answer::ReadAgain],
        (None, None, _) if one.short.is_some() => &[Answer::ReadAgain],
        (None, None, _) => &[],
    }
}
