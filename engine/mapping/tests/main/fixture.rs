//! A clinic in memory: schemas, rows, bindings.

use lockstep_mapping::{Entity, Map, MapFault, Mapped, RowView, Rows, map};
use model::{
    Candidate, Cell, Cite, Column, ColumnType, Content, EntityName, EntryId, RowKey, SystemId, TableName, TableSchema,
    Unit, UnitId,
};
use schemas::{Plan, r4::ElementTable};
use std::{collections::BTreeMap, sync::Arc};

pub const CLINIC: &str = include_str!("../../../../schemas/maps/clinic/map.yaml");

pub type Schemas = BTreeMap<TableName, TableSchema>;

/// A table; its first column is its key.
pub fn table(name: &str, columns: &[(&str, ColumnType)]) -> (TableName, TableSchema) {
    let columns = columns.iter().map(|(name, ty)| Column { name: (*name).into(), ty: *ty, native: 0 });
    let schema = TableSchema { table: name.into(), columns: columns.collect(), key: vec![0] };
    (name.into(), schema)
}

/// The tables of the test clinic.
pub fn clinic() -> Schemas {
    sim::source::schemas().into_iter().map(|schema| (schema.table.clone(), schema)).collect()
}

/// Every type once, for maps made up by tests.
pub fn zoo() -> Schemas {
    use ColumnType::{Bool, Bytes, Date, DateTime, Decimal, Instant, Int, Raw, Text, Time};
    BTreeMap::from([
        table(
            "public.zoo",
            &[
                ("id", Int),
                ("b", Bool),
                ("i", Int),
                ("d", Decimal),
                ("t", Text),
                ("u", Text),
                ("y", Bytes),
                ("day", Date),
                ("clock", Time),
                ("wall", DateTime),
                ("at", Instant),
                ("r", Raw),
            ],
        ),
        table("public.side", &[("id", Int), ("zoo_id", Int), ("t", Text), ("n", Int)]),
    ])
}

pub fn compile(text: &str, schemas: &Schemas) -> Result<Map, Vec<MapFault>> {
    Map::compile("map.yaml", text, schemas, ElementTable::r4())
}

/// The shadow of a test.
#[derive(Default)]
pub struct Shadow {
    tables: Schemas,
    rows: BTreeMap<(TableName, RowKey), RowView>,
    units: BTreeMap<(EntityName, RowKey), Unit>,
}

impl Shadow {
    pub fn of(tables: Schemas) -> Shadow {
        Shadow { tables, ..Shadow::default() }
    }

    /// Puts a row, under the table's schema.
    pub fn put(&mut self, name: &str, cells: &[Cell<'_>]) -> RowKey {
        let schema = self.tables[&TableName::from(name)].clone();
        self.put_as(&schema, cells)
    }

    /// Puts a row under a schema of its own.
    pub fn put_as(&mut self, schema: &TableSchema, cells: &[Cell<'_>]) -> RowKey {
        let plan = Plan::new(schema);
        let key = plan.key_of_cells(cells).expect("a key");
        let cite = Cite { entry: EntryId::new(1, self.rows.len() as u64 + 1), row: None };
        let row = plan.row(cells).expect("cells of the schema");
        self.rows.insert((schema.table.clone(), key.clone()), RowView { plan: Arc::new(plan), row, cite });
        key
    }

    pub fn bind(&mut self, entity: &str, resource_type: &str, key: &RowKey) -> Unit {
        let id = UnitId(uuid::Uuid::from_u128(self.units.len() as u128 + 1));
        let unit = Unit { resource_type: resource_type.into(), id };
        self.units.insert((entity.into(), key.clone()), unit.clone());
        unit
    }

    pub fn map(&self, compiled: &Map, entity: &str, key: &RowKey) -> Mapped {
        let place = compiled.entity(&entity.into()).expect("an entity");
        let kind = compiled.entities()[place].resource_type.clone();
        let unit = self.units.get(&(entity.into(), key.clone())).cloned();
        let unit = unit.unwrap_or(Unit { resource_type: kind, id: UnitId(uuid::Uuid::nil()) });
        map(self, compiled, place, key, &unit, &SystemId::from("legacy"))
    }
}

impl Rows for Shadow {
    fn root(&self, table: &TableName, key: &RowKey) -> Option<RowView> {
        self.rows.get(&(table.clone(), key.clone())).cloned()
    }

    fn joined(&self, entity: &Entity, join: usize, root: &RowView) -> Vec<RowView> {
        let join = &entity.joins[join];
        let cell = |view: &RowView, name: &str| {
            let place = view.plan.schema().column(name).expect("a column");
            view.plan.cells(&view.row).expect("a row")[place].to_value()
        };
        let is_joined = |view: &&RowView| join.on.iter().all(|(theirs, ours)| cell(view, theirs) == cell(root, ours));
        // In the order of their key: the tests order by it alone.
        self.rows
            .iter()
            .filter(|((table, _), _)| *table == join.table)
            .map(|(_, view)| view)
            .filter(is_joined)
            .cloned()
            .collect()
    }

    fn unit(&self, entity: &EntityName, key: &RowKey) -> Option<Unit> {
        self.units.get(&(entity.clone(), key.clone())).cloned()
    }
}

/// A key of one integer.
pub fn key(id: i64) -> RowKey {
    RowKey::encode([Cell::Int(id)]).expect("known")
}

/// What a mapping became, as text: the resource, the deletion, or the way out.
pub fn shown(mapped: &Mapped) -> String {
    match mapped {
        Mapped::Candidate(Candidate { content: Content::Present(fields), unit, .. }) => {
            let bytes = fields.to_resource(&unit.resource_type, &unit.id.to_string()).to_bytes();
            String::from_utf8(bytes).expect("JSON is text")
        }
        Mapped::Candidate(Candidate { content: Content::Deleted { means, flag, patch }, .. }) => {
            format!("{means:?} by {flag}, {} changes", patch.len())
        }
        Mapped::Unmappable { cause, .. } => format!("unmappable: {cause}"),
        Mapped::Waiting { on, .. } => format!("waits for {}", on.entity),
        Mapped::NeverSeen => "never seen".to_owned(),
    }
}
