//! `mapping`: one row of a legacy table to a FHIR Observation, rows a second on one thread.
//!
//! Ours starts from the row's bytes as the shadow holds them, checks every type and reference and keeps every digit; the
//! floor starts from a row that is JSON already. Both must make the same resource of every row before anything is timed.

mod floor;

use crate::{
    Options,
    figure::{Figure, Run, alternate},
    outcome::{Failed, Outcome},
    process,
};
use mapping::{Entity, Map, Mapped, RowView, Rows};
use model::{
    Cell, Cite, Column, ColumnType, Content, EntityName, EntryId, RowKey, SystemId, TableName, TableSchema, Unit,
    UnitId,
};
use schemas::{Plan, r4::ElementTable};
use serde_json::{Value, json};
use std::{collections::BTreeMap, hint::black_box, sync::Arc, time::Instant};

const MAP: &str = include_str!("mapping/observation.yaml");
/// Rows of the round; every combination of nulls and codes is among them.
const ROWS: i64 = 240;

/// Prints the figure.
pub fn run(options: &Options) -> Outcome<()> {
    let shadow = Shadow::new()?;
    let template = floor::observation();
    let rows: Vec<Value> = (0..ROWS).map(row).collect();
    for (at, row) in rows.iter().enumerate() {
        let (ours, theirs) = (shadow.resource(at)?, floor::fill(&template, row).unwrap_or_default());
        if normal(&ours) != normal(&theirs) {
            return Err(Failed::told(format!("row {at} is mapped otherwise than by the floor: no figure")));
        }
    }
    let items = options.scaled(400_000, ROWS.unsigned_abs());
    let ours = || {
        Ok(timed(items, |at| {
            black_box(shadow.map(at));
        }))
    };
    let reference = || {
        Ok(timed(items, |at| {
            black_box(floor::fill(&template, &rows[at]));
        }))
    };
    let rounds = alternate(options, ours, reference)?;
    let figure =
        Figure { bench: "mapping", unit: "rows/s", against: "fixed functions", target: ">= 0.333 (within 3 x)" };
    figure.print(options, &rounds);
    Ok(())
}

fn timed(items: u64, mut one: impl FnMut(usize)) -> Run {
    let (cpu, started) = (process::own_cpu(), Instant::now());
    for at in 0..items {
        one((at % ROWS.unsigned_abs()) as usize);
    }
    let elapsed = started.elapsed().as_secs_f64();
    let cpu = (process::own_cpu() - cpu).as_secs_f64();
    Run {
        rate: items as f64 / elapsed,
        cpu_s_per_million: cpu / items as f64 * 1e6,
        rss_mib: process::peak_rss_mib(std::process::id()).unwrap_or_default(),
        peer_cpu_s_per_million: None,
    }
}

/// The probe's row.
fn row(at: i64) -> Value {
    json!({
        "id": 12_345 + at,
        "patient_id": 77 + at % 50,
        "encounter_id": if at % 3 == 0 { Value::Null } else { json!(at) },
        "code": "8867-4",
        "display": "Heart rate",
        "value": "72.5000",
        "unit": "/min",
        "status": if at % 2 == 0 { "F" } else { "P" },
        "effective": "2026-11-21 19:57:11.111371+00",
        "note": if at % 4 == 0 { Value::Null } else { json!("resting, sitting") },
        "version": 3,
        "deleted": false
    })
}

/// The same row as a source would have captured it.
fn cells(at: i64) -> [Cell<'static>; 12] {
    [
        Cell::Int(12_345 + at),
        Cell::Int(77 + at % 50),
        if at % 3 == 0 { Cell::Null } else { Cell::Int(at) },
        Cell::Text("8867-4"),
        Cell::Text("Heart rate"),
        Cell::Decimal("72.5000"),
        Cell::Text("/min"),
        Cell::Text(if at % 2 == 0 { "F" } else { "P" }),
        Cell::Instant(1_795_291_031_111_371),
        if at % 4 == 0 { Cell::Null } else { Cell::Text("resting, sitting") },
        Cell::Int(3),
        Cell::Bool(false),
    ]
}

fn schema(name: &str, columns: &[(&str, ColumnType)]) -> (TableName, TableSchema) {
    let columns = columns.iter().map(|(name, ty)| Column { name: (*name).into(), ty: *ty, native: 0 });
    (name.into(), TableSchema { table: name.into(), columns: columns.collect(), key: vec![0] })
}

/// Rows and bindings in memory.
struct Shadow {
    map: Map,
    entity: usize,
    rows: Vec<(RowKey, RowView, Unit)>,
    places: BTreeMap<RowKey, usize>,
    units: BTreeMap<(EntityName, RowKey), Unit>,
    system: SystemId,
}

impl Shadow {
    fn new() -> Outcome<Shadow> {
        use ColumnType::{Bool, Decimal, Instant, Int, Text};
        let tables = BTreeMap::from([
            schema("public.patient", &[("patient_id", Int)]),
            schema("public.encounter", &[("encounter_id", Int)]),
            schema(
                "public.observation",
                &[
                    ("id", Int),
                    ("patient_id", Int),
                    ("encounter_id", Int),
                    ("code", Text),
                    ("display", Text),
                    ("value", Decimal),
                    ("unit", Text),
                    ("status", Text),
                    ("effective", Instant),
                    ("note", Text),
                    ("version", Int),
                    ("deleted", Bool),
                ],
            ),
        ]);
        let told = |faults: Vec<mapping::MapFault>| {
            Failed::told(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        };
        let map = Map::compile("observation.yaml", MAP, &tables, ElementTable::r4()).map_err(told)?;
        let entity = map.entity(&"observation".into()).ok_or_else(|| Failed::told("the map has no observation"))?;
        let plan = Arc::new(Plan::new(&tables[&TableName::from("public.observation")]));
        let mut shadow = Shadow {
            map,
            entity,
            rows: Vec::new(),
            places: BTreeMap::new(),
            units: BTreeMap::new(),
            system: "legacy".into(),
        };
        for at in 0..ROWS {
            shadow.put(at, &plan)?;
        }
        Ok(shadow)
    }

    fn put(&mut self, at: i64, plan: &Arc<Plan>) -> Outcome<()> {
        let broken = || Failed::told("the row does not fit its schema");
        let cells = cells(at);
        let key = plan.key_of_cells(&cells).ok_or_else(broken)?;
        let cite = Cite { entry: EntryId::new(1, at.unsigned_abs() + 1), row: None };
        let view = RowView { plan: plan.clone(), row: plan.row(&cells).map_err(|_| broken())?, cite };
        for (entity, resource_type, id) in [("patient", "Patient", 77 + at % 50), ("encounter", "Encounter", at)] {
            let key = RowKey::encode([Cell::Int(id)]).ok_or_else(broken)?;
            self.units.insert((entity.into(), key), unit(resource_type, id));
        }
        self.places.insert(key.clone(), self.rows.len());
        self.rows.push((key, view, unit("Observation", 12_345 + at)));
        Ok(())
    }

    fn map(&self, at: usize) -> Mapped {
        let (key, _, unit) = &self.rows[at];
        mapping::map(self, &self.map, self.entity, key, unit, &self.system)
    }

    fn resource(&self, at: usize) -> Outcome<Value> {
        let Mapped::Candidate(candidate) = self.map(at) else {
            return Err(Failed::told(format!("row {at} is not mapped: no figure")));
        };
        let Content::Present(fields) = candidate.content else {
            return Err(Failed::told(format!("row {at} is mapped to a deletion: no figure")));
        };
        let bytes = fields.to_resource(&candidate.unit.resource_type, "").to_bytes();
        serde_json::from_slice(&bytes).map_err(|error| Failed::told(error.to_string()))
    }
}

impl Rows for Shadow {
    fn root(&self, _: &TableName, key: &RowKey) -> Option<RowView> {
        self.places.get(key).map(|place| self.rows[*place].1.clone())
    }

    fn joined(&self, _: &Entity, _: usize, _: &RowView) -> Vec<RowView> {
        Vec::new()
    }

    fn unit(&self, entity: &EntityName, key: &RowKey) -> Option<Unit> {
        self.units.get(&(entity.clone(), key.clone())).cloned()
    }
}

fn unit(resource_type: &str, id: i64) -> Unit {
    let id = UnitId(uuid::Uuid::from_u128(u128::from(id.unsigned_abs())));
    Unit { resource_type: resource_type.into(), id }
}

/// Without the id, numbers by value, references by number: what the two may say differently.
fn normal(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::String(text) => match text.split_once('/').and_then(|(kind, id)| Some((kind, id.parse().ok()?))) {
            Some((kind, id)) => json!(format!("{kind}/{}", uuid::Uuid::as_u128(&id))),
            None => value.clone(),
        },
        Value::Array(items) => items.iter().map(normal).collect(),
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| *name != "id");
            Value::Object(kept.map(|(name, value)| (name.clone(), normal(value))).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_and_the_floor_make_the_same_resource() {
        let (shadow, template) = (Shadow::new().unwrap(), floor::observation());
        for at in 0..ROWS as usize {
            let floor = floor::fill(&template, &row(at as i64)).unwrap();
            assert_eq!(normal(&shadow.resource(at).unwrap()), normal(&floor));
        }
    }
}
