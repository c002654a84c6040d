//! What the fold knows of the source's tables: their schemas, whether they were read whole, whether they are held.

use crate::{shadow::ShadowRow, stored};
use model::{ColumnType, Fingerprint, Incarnation, SourcePosition, TableName, TableSchema};
use ports::StateTxn;
use schemas::{Plan, keys, wire_record};
use std::{collections::BTreeMap, sync::Arc};

/// The columns of a table's key, by name and type in key order: what a row's name is made of.
pub(crate) fn key(schema: &TableSchema) -> impl Iterator<Item = (&str, ColumnType)> {
    let columns = schema.key.iter().filter_map(|at| schema.columns.get(usize::from(*at)));
    columns.map(|column| (&*column.name, column.ty))
}

/// All of them; a function of the journal, mirrored in the store under `meta`.
#[derive(Default)]
pub(crate) struct Tables {
    pub plans: BTreeMap<Fingerprint, Arc<Plan>>,
    pub state: BTreeMap<TableName, TableState>,
}

/// One table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct TableState {
    pub schema: Option<Fingerprint>,
    pub ready: bool,
    /// Why its entities are not decided, until a person answers; a text without values.
    pub held: Option<Box<str>>,
    /// Where it was truncated, while that is held (J9).
    pub truncated: Option<SourcePosition>,
    /// In which life of the source's log.
    pub incarnation: Incarnation,
    /// A person said that the inferred deletes of the reading that begins next are right (J8).
    pub accept_next: bool,
    /// .. of the present one.
    pub accept_deletes: bool,
    /// A chunk or row of it was not folded: only another reading ends the hold.
    pub unread: bool,
    /// .. because folding one panicked: nothing of it is folded before that reading begins.
    pub left_out: bool,
    /// .. because it would have deleted more than is allowed without a person.
    pub too_many: bool,
    /// Where the truncation lies whose rows became deletes, while a chunk that was read before it may still come.
    pub expanded: Option<SourcePosition>,
    /// In which life of the source's log, and where in it, its reading began last: what was told before may be outdated.
    pub begun_in: Incarnation,
    pub begun_at: Option<SourcePosition>,
    /// The shapes that its rows may have since then.
    pub shapes: Vec<Fingerprint>,
    /// Why its rows say too little for the map in force, until they are read again.
    pub short: Option<Box<str>>,
    /// The shape by whose key its rows are known to the bindings.
    pub keyed: Option<Fingerprint>,
    /// Why rows under its present key may be other rows than those of that name so far, until a person answers.
    pub rekeyed: Option<Box<str>>,
    /// .. and whether rows still say by which units they are known.
    pub rebindable: bool,
    /// Its rows were forgotten: only a reading that begins after that makes it ready.
    pub lost: bool,
    /// Nothing of the present reading is folded yet, and its rows have had one key.
    pub unbegun: bool,
    /// Its units are known by the columns of that key, whatever key its rows have (`identity.rs`).
    pub by_columns: bool,
    /// .. and which of them still have a row is to be counted when it is read.
    pub recount: bool,
}

impl TableState {
    /// What a person must answer before its entities are decided.
    pub(crate) fn question(&self) -> Option<&str> {
        [&self.rekeyed, &self.held, &self.short].into_iter().flatten().next().map(|question| &**question)
    }

    /// Whether a row that is true up to there was told since the reading began: an older one may have changed unseen.
    pub(crate) fn was_told(&self, row: &ShadowRow) -> bool {
        self.begun_at.is_none_or(|at| row.as_of() >= (self.begun_in, at))
    }
}

const NAME: &str = "tables";

impl Tables {
    /// The plan of rows that cite this fingerprint. Every row's `Schema` entry lies before it.
    pub(crate) fn plan(&self, fingerprint: Fingerprint) -> Option<&Arc<Plan>> {
        self.plans.get(&fingerprint)
    }

    /// The plan of the schema in force.
    pub(crate) fn current(&self, table: &TableName) -> Option<&Arc<Plan>> {
        self.plans.get(&self.state.get(table)?.schema?)
    }

    /// The schemas in force, as a map sees them: a key is what the units are known by.
    pub(crate) fn schemas(&self) -> BTreeMap<TableName, TableSchema> {
        let seen = |table: &TableName| {
            let mut schema = self.current(table)?.schema().clone();
            let at = |column: Box<str>| u16::try_from(schema.column(&column)?).ok();
            let key = self.known_by(table).and_then(|columns| columns.into_iter().map(at).collect());
            schema.key = key.unwrap_or(schema.key);
            Some((table.clone(), schema))
        };
        self.state.keys().filter_map(seen).collect()
    }

    /// Whether the shape of a table that is to be read is still to come; also before it is known which are.
    pub(crate) fn is_partly_seen(&self) -> bool {
        self.state.is_empty() || self.state.values().any(|table| table.schema.is_none())
    }

    /// Takes a schema into force.
    pub(crate) fn learn(&mut self, fingerprint: Fingerprint, schema: &TableSchema) {
        self.plans.entry(fingerprint).or_insert_with(|| Arc::new(Plan::new(schema)));
        let one = self.state.entry(schema.table.clone()).or_default();
        one.schema = Some(fingerprint);
        one.keyed.get_or_insert(fingerprint);
        if !one.shapes.contains(&fingerprint) {
            one.shapes.push(fingerprint);
        }
    }

    /// Whether rows in this shape have the names that the bindings know them by.
    pub(crate) fn names_as_bound(&self, schema: &TableSchema) -> bool {
        let keyed = self.state.get(&schema.table).and_then(|one| self.plan(one.keyed?));
        keyed.is_none_or(|keyed| key(keyed.schema()).eq(key(schema)))
    }

    /// Whether rows in this shape have the same names as those in the shape in force: others would be folded over them.
    pub(crate) fn is_keyed_as_now(&self, fingerprint: Fingerprint, plan: &Plan) -> bool {
        let current = self.state.get(&plan.schema().table).and_then(|one| one.schema);
        current == Some(fingerprint)
            || current
                .and_then(|current| self.plan(current))
                .is_some_and(|current| key(current.schema()).eq(key(plan.schema())))
    }

    /// Whether the table may be decided on.
    pub(crate) fn open_for_decisions(&self, table: &TableName) -> bool {
        self.state.get(table).is_some_and(|state| state.ready && state.question().is_none())
    }

    /// Writes all of it to the store.
    pub(crate) fn save(&self, state: &mut dyn StateTxn) {
        let stored = Stored {
            schemas: self.plans.values().map(|plan| plan.schema().clone()).collect(),
            tables: self
                .state
                .iter()
                .map(|(table, state)| One { table: table.clone(), state: state.clone() })
                .collect(),
        };
        stored::put(state, &keys::meta(NAME), &stored);
    }

    /// Reads it back.
    pub(crate) fn load(state: &dyn StateTxn) -> Tables {
        let Some(stored) = stored::get::<Stored>(state, &keys::meta(NAME)) else { return Tables::default() };
        let plans = stored.schemas.iter().map(|schema| Arc::new(Plan::new(schema)));
        Tables {
            plans: plans.map(|plan| (plan.fingerprint(), plan)).collect(),
            state: stored.tables.into_iter().map(|one| (one.table, one.state)).collect(),
        }
    }
}

struct Stored {
    schemas: Vec<TableSchema>,
    tables: Vec<One>,
}

struct One {
    table: TableName,
    state: TableState,
}

wire_record!(Stored { schemas, tables });
wire_record!(One { table, state });
wire_record!(TableState {
    schema,
    ready,
    held,
    truncated,
    incarnation,
    accept_next,
    accept_deletes,
    too_many,
    unread,
    expanded,
    begun_in,
    begun_at,
    shapes,
    short,
    keyed,
    rekeyed,
    rebindable,
    lost,
    unbegun,
    by_columns,
    recount,
    left_out
});
