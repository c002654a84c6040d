//! A frozen state, read from outside the flow: what verify compares (J45). Changes nothing, decides nothing.
//!
//! Everything here is a function of the state alone, so it may be asked on another thread while the flow goes on.

use crate::{
    hold, index,
    index::Index,
    ledger,
    meta::{PLACE, Place},
    rows::{self, StateRows},
    shadow::{self, ShadowRow},
    stored,
    tables::Tables,
};
use mapping::{Map, Mapped};
use model::{
    AggregateState, EffectId, EntityName, EntryId, Fingerprint, Hash, RowKey, SystemId, TableName, TableSchema, Unit,
    UnitId,
};
use ports::StateTxn;
use schemas::{Plan, keys};
use std::{collections::BTreeSet, sync::Arc};

/// A unit parked with this cause panicked the engine twice on one input (J32).
pub const INTERNAL: &str = "internal";
/// A unit parked with this cause waited longer for a reference than the limit allows.
pub const WAITED_TOO_LONG: &str = "waited too long for a reference";

/// A view of the state, with what reading it takes.
pub struct Inspect {
    state: Box<dyn StateTxn + Send>,
    tables: Tables,
    indexes: Vec<Index>,
    map: Result<Arc<Map>, String>,
    closed: BTreeSet<usize>,
    place: Place,
}

/// What the fold knows of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableView {
    /// Which.
    pub table: TableName,
    /// Its shape; none before the first row or chunk.
    pub schema: Option<TableSchema>,
    /// Whether it was read whole.
    pub ready: bool,
    /// What a person is asked about it, if something.
    pub held: Option<Box<str>>,
}

/// What the ledger knows of a unit at a sink's system.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerView {
    /// The version last acknowledged or met.
    pub version: Option<Box<str>>,
    /// Whether something stands there.
    pub exists: bool,
    /// Effects without an outcome.
    pub unsettled: Vec<EffectId>,
}

/// The states of some units, and where the next page goes on.
pub struct Aggregates {
    /// States, entity by entity in key order.
    pub units: Vec<AggregateState>,
    /// Pass it to the next call; none at the end.
    pub next: Option<Box<[u8]>>,
}

impl Inspect {
    /// Reads what every question needs: tables, map in force, place.
    pub fn open(state: Box<dyn StateTxn + Send>) -> Inspect {
        let tables = Tables::load(&*state);
        let map = hold::map_in_force(&tables, &*state);
        let indexes = map.as_ref().map_or_else(|_| Vec::new(), |map| index::wanted(map));
        let holds = hold::Holds::load(&*state);
        let open = |entity: &mapping::Entity| {
            !holds.entity(&entity.name) && entity.tables().into_iter().all(|table| tables.open_for_decisions(table))
        };
        let entities = map.as_ref().map_or(&[][..], |map| map.entities());
        let closed = entities.iter().enumerate().filter(|(_, entity)| !open(entity)).map(|(at, _)| at).collect();
        let place = stored::get(&*state, &keys::meta(PLACE)).unwrap_or_default();
        Inspect { tables, indexes, map, closed, place, state }
    }

    /// The map in force, or why there is none.
    pub fn map(&self) -> Result<Arc<Map>, String> {
        self.map.clone()
    }

    /// Whether nothing of the entity at this place is decided: a table is not ready or held, or a person must answer.
    pub fn closed(&self, entity: usize) -> bool {
        self.closed.contains(&entity)
    }

    /// The entry that is folded next: everything before it is decided.
    pub fn folding(&self) -> EntryId {
        self.place.input
    }

    /// The last entry whose outcome is in the ledger; it may stand further on than what is decided.
    pub fn ledger_upto(&self) -> u64 {
        self.place.ledger
    }

    /// Every table that the fold knows of.
    pub fn tables(&self) -> Vec<TableView> {
        let view = |(table, state): (&TableName, &crate::tables::TableState)| TableView {
            table: table.clone(),
            schema: self.tables.current(table).map(|plan| plan.schema().clone()),
            ready: state.ready,
            held: state.question().map(Box::from),
        };
        self.tables.state.iter().map(view).collect()
    }

    /// How the rows that cite this schema are read.
    pub fn plan(&self, schema: Fingerprint) -> Option<Arc<Plan>> {
        self.tables.plan(schema).cloned()
    }

    /// The next rows of a table in key order behind `after`, tombstones too; empty at the end.
    pub fn rows(&self, table: &TableName, after: Option<&RowKey>, max: usize) -> Vec<(RowKey, ShadowRow)> {
        shadow::page(table, after, max, &*self.state)
    }

    /// The next units of an entity in key order behind `after`; empty at the end.
    pub fn bindings(&self, entity: &EntityName, after: Option<&RowKey>, max: usize) -> Vec<(RowKey, Unit)> {
        let (mut from, to) = keys::units(entity);
        if let Some(after) = after {
            from = keys::unit(entity, after);
            from.push(0);
        }
        let mut units = Vec::new();
        self.state.range(&from, &to, &mut |key, bytes| {
            units.extend(keys::unit_key(entity, key).map(|key| (key, stored::value(bytes))));
            units.len() < max
        });
        units
    }

    /// The unit bound to a key of an entity.
    pub fn bound(&self, entity: &EntityName, key: &RowKey) -> Option<Unit> {
        rows::unit(&*self.state, entity, key)
    }

    /// The unit that a row of an entity's root belongs to.
    pub fn unit_of(&self, entity: &EntityName, key: &RowKey, row: &ShadowRow) -> Option<Unit> {
        rows::unit(&*self.state, entity, &self.tables.name_in(key, row)?)
    }

    /// The entity and root key that a unit id stands for.
    pub fn unit_key(&self, id: UnitId) -> Option<(EntityName, RowKey)> {
        ledger::unit_key(id, &*self.state).map(|key| (key.entity, key.key))
    }

    /// The state of a unit; none before its first decision.
    pub fn aggregate(&self, entity: &EntityName, key: &RowKey) -> Option<AggregateState> {
        stored::get(&*self.state, &keys::aggregate(entity, key))
    }

    /// The states of the next units, also of entities that the map in force does not have.
    pub fn aggregates(&self, from: Option<&[u8]>, max: usize) -> Aggregates {
        let (start, to) = keys::aggregates();
        let (mut units, mut next) = (Vec::new(), None);
        self.state.range(from.unwrap_or(&start), &to, &mut |key, bytes| {
            if units.len() == max {
                next = Some(key.into());
                return false;
            }
            units.push(stored::value(bytes));
            true
        });
        Aggregates { units, next }
    }

    /// What the map in force makes of a unit's rows now.
    pub fn mapped(&self, entity: usize, key: &RowKey, unit: &Unit, source: &SystemId) -> Option<Mapped> {
        let map = self.map.as_ref().ok()?;
        let view = StateRows { state: &*self.state, tables: &self.tables, indexes: &self.indexes };
        Some(view.mapped(map, entity, key, unit, source))
    }

    /// What the ledger says of a unit.
    pub fn ledger(&self, system: &SystemId, entity: &EntityName, key: &RowKey) -> LedgerView {
        let unit = crate::waiting::UnitKey { entity: entity.clone(), key: key.clone() };
        let held = ledger::held(system, &unit, &*self.state);
        let (from, to) = keys::effects_of(system, entity, key);
        let mut unsettled = Vec::new();
        self.state.range(&from, &to, &mut |_, bytes| {
            unsettled.push(stored::value::<ledger::Unsettled>(bytes).id);
            true
        });
        LedgerView { version: held.version, exists: held.exists, unsettled }
    }

    /// The hash of the map in force.
    pub fn map_hash(&self) -> Option<Hash> {
        self.map.as_ref().ok().map(|map| map.hash)
    }
}
