//! What the fold knows of the source's tables: their schemas, whether they were read whole, whether they are held.

use crate::stored;
use model::{Fingerprint, Incarnation, SourcePosition, TableName, TableSchema};
use ports::StateTxn;
use schemas::{Plan, keys, wire_record};
use std::{collections::BTreeMap, sync::Arc};

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
    /// A person said that the inferred deletes of the next reading are right (J8).
    pub accept_deletes: bool,
    /// A chunk of it was not folded: only another reading ends the hold.
    pub unread: bool,
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

    /// The schemas in force.
    pub(crate) fn schemas(&self) -> BTreeMap<TableName, TableSchema> {
        self.state.keys().filter_map(|table| Some((table.clone(), self.current(table)?.schema().clone()))).collect()
    }

    /// Whether the shape of a table that is to be read is still to come; also before it is known which are.
    pub(crate) fn is_partly_seen(&self) -> bool {
        self.state.is_empty() || self.state.values().any(|table| table.schema.is_none())
    }

    /// Takes a schema into force.
    pub(crate) fn learn(&mut self, fingerprint: Fingerprint, schema: &TableSchema) {
        self.plans.entry(fingerprint).or_insert_with(|| Arc::new(Plan::new(schema)));
        self.state.entry(schema.table.clone()).or_default().schema = Some(fingerprint);
    }

    /// Whether the table may be decided on.
    pub(crate) fn open_for_decisions(&self, table: &TableName) -> bool {
        self.state.get(table).is_some_and(|state| state.ready && state.held.is_none())
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
wire_record!(TableState { schema, ready, held, truncated, incarnation, accept_deletes, unread });
