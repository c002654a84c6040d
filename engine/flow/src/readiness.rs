//! When a table may be decided on: its shape and key, where its reading began, when it is read whole (J12, J49).
//!
//! * A row's name is its key: rows under another key are other rows. When the key changes, the shadow forgets the table and
//!   a person says whether the new names are the old ones; nothing is folded over a row of another key.
//! * A shape that lacks what the map in force uses says nothing of it: its table is read again, never guessed.

use crate::{
    input::FlowOutput,
    step::Flow,
    tables::{self, TableState, key},
    work::Work,
};
use mapping::Map;
use model::{Answer, Fingerprint, Incarnation, SnapshotMark, TableName, TableSchema};
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
        if old.as_ref().is_some_and(|old| !key(old.schema()).eq(key(schema))) {
            self.rekeyed(schema, state);
        }
        self.tables.save(state);
        self.refit_map(old.as_ref().map(|plan| plan.schema()), schema, state, out);
    }

    /// Rows of this table have other names from here on: those so far are forgotten, and a person is asked.
    fn rekeyed(&mut self, schema: &TableSchema, state: &mut dyn StateTxn) {
        let table = &schema.table;
        let names = |schema: &TableSchema| key(schema).map(|(name, _)| name).collect::<Vec<_>>().join(", ");
        let bound = self.tables.state.get(table).and_then(|one| self.tables.plan(one.keyed?)).map(|plan| plan.schema());
        let question = match bound {
            Some(bound) if self.tables.names_as_bound(schema) => {
                format!("its key was another for a while and is ({}) again: read the table again?", names(bound))
            }
            Some(bound) if same_types(bound, schema) => format!(
                "its key was ({}) and is ({}) now: accept if the same values name the same rows as before, as after a \
                 renaming; else put the old key back and read the table again",
                names(bound),
                names(schema)
            ),
            Some(bound) => format!(
                "its key was ({}) and is ({}) now, which cannot name the same rows: put the old key back and read the table \
                 again",
                names(bound),
                names(schema)
            ),
            None => "its key is another now: read the table again?".to_owned(),
        };
        self.lose(table, state);
        if let Some(one) = self.tables.state.get_mut(table) {
            one.rekeyed = Some(question.into());
        }
        self.begin_work(vec![Work::Forget { table: table.clone() }], state);
    }

    /// Only a reading from the beginning makes this table ready again.
    pub(crate) fn lose(&mut self, table: &TableName, state: &mut dyn StateTxn) {
        let one = self.tables.state.entry(table.clone()).or_default();
        (one.ready, one.lost) = (false, true);
        self.tables.save(state);
    }

    /// A person says that the present key names the rows as the one before did.
    pub(crate) fn accept_key(&mut self, table: &TableName, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) {
        if let Some(one) = self.tables.state.get_mut(table) {
            (one.keyed, one.rekeyed) = (one.schema, None);
        }
        self.tables.save(state);
        // Whom the map joins by the old key is found by the new one, unless it waits for a map that fits anyway.
        if self.map.as_ref().is_some_and(|active| self.compiled_now(&active.name, &active.bytes).is_ok()) {
            self.put_in_force(state, out);
        }
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
                    (one.begun_in, one.begun_at) = (incarnation, Some(*at));
                    // What a person accepted is this reading's alone: one that begins later deletes other rows.
                    (one.accept_deletes, one.accept_next) = (one.accept_next, false);
                    one.shapes = one.schema.into_iter().collect();
                }
            }
            SnapshotMark::Ready { table, .. } => {
                let bound = self.tables.current(table).is_none_or(|plan| self.tables.names_as_bound(plan.schema()));
                let one = self.tables.state.entry(table.clone()).or_default();
                (one.ready, one.accept_deletes) = (!one.lost, false);
                one.expanded = None;
                if one.ready && bound {
                    one.rekeyed = None;
                }
                self.mark_users_of(&table.clone(), state);
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

fn same_types(a: &TableSchema, b: &TableSchema) -> bool {
    key(a).map(|(_, ty)| ty).eq(key(b).map(|(_, ty)| ty))
}

/// The answers that a table's question takes.
pub(crate) fn answers(table: &TableName, tables: &tables::Tables) -> &'static [Answer] {
    let Some(one) = tables.state.get(table) else { return &[] };
    let schemas = (one.keyed.and_then(|keyed| tables.plan(keyed)), tables.current(table));
    let renamed = matches!(schemas, (Some(keyed), Some(now)) if same_types(keyed.schema(), now.schema()));
    match (&one.rekeyed, &one.held, one.truncated) {
        (Some(_), ..) if renamed => &[Answer::Accept, Answer::ReadAgain],
        (Some(_), ..) => &[Answer::ReadAgain],
        (None, Some(_), Some(_)) if !one.unread => &[Answer::Expand, Answer::ReadAgain],
        (None, Some(_), _) if one.too_many => &[Answer::Accept, Answer::ReadAgain],
        (None, Some(_), _) => &[Answer::ReadAgain],
        (None, None, _) if one.short.is_some() => &[Answer::ReadAgain],
        (None, None, _) => &[],
    }
}
