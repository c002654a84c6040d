//! Maps, the expressions in them, and rows of any content under the map of the clinic.

use super::{text, texts};
use mapping::{Entity, Map, Mapped, RowView, Rows};
use model::{
    Cell, Cite, ColumnType, EntityName, EntryId, RowKey, SystemId, TableName, TableSchema, Unit, UnitId, Value,
};
use schemas::{Plan, r4::ElementTable};
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

static SCHEMAS: LazyLock<BTreeMap<TableName, TableSchema>> =
    LazyLock::new(|| sim::source::schemas().into_iter().map(|schema| (schema.table.clone(), schema)).collect());

/// Two rows of every table, one of them odd.
struct Shadow(BTreeMap<TableName, Vec<RowView>>);

impl Shadow {
    fn of(value: &dyn Fn(&str, ColumnType, usize) -> Value) -> Shadow {
        let rows = |schema: &TableSchema| {
            let plan = Arc::new(Plan::new(schema));
            let row = |n: usize| {
                let columns = schema.columns.iter().enumerate();
                let values: Vec<Value> = columns
                    .map(|(at, column)| if at == 0 { Value::Int(7) } else { value(&column.name, column.ty, n) })
                    .collect();
                let cells: Vec<Cell<'_>> = values.iter().map(Value::as_cell).collect();
                let cite = Cite { entry: EntryId::new(1, n as u64 + 1), row: None };
                Some(RowView { plan: plan.clone(), row: plan.row(&cells).ok()?, cite })
            };
            [0, 1].into_iter().filter_map(row).collect()
        };
        Shadow(SCHEMAS.iter().map(|(table, schema)| (table.clone(), rows(schema))).collect())
    }

    fn key() -> RowKey {
        RowKey::encode([Cell::Int(7)]).expect("known")
    }

    fn maps_to(&self, map: &Map) -> usize {
        let mut said = 0;
        for (at, entity) in map.entities().iter().enumerate() {
            let unit = self.unit(&entity.name, &Self::key()).expect("every key is bound");
            let mapped = mapping::map(self, map, at, &Self::key(), &unit, &SystemId::from("legacy"));
            said += usize::from(matches!(mapped, Mapped::Candidate(_)));
        }
        said
    }
}

impl Rows for Shadow {
    fn root(&self, table: &TableName, _: &RowKey) -> Option<RowView> {
        self.0.get(table)?.first().cloned()
    }

    fn joined(&self, entity: &Entity, join: usize, _: &RowView) -> Vec<RowView> {
        self.0.get(&entity.joins[join].table).cloned().unwrap_or_default()
    }

    fn unit(&self, _: &EntityName, _: &RowKey) -> Option<Unit> {
        let id = UnitId(uuid::Uuid::from_u128(7));
        Some(Unit { resource_type: "Patient".into(), id })
    }
}

fn plain(name: &str, ty: ColumnType, n: usize) -> Value {
    let common = match name {
        "sex" => "F",
        "kind" => "L",
        "status" => "F",
        "class" => "A",
        "loinc" => "8867-4",
        "unit" => "/min",
        _ => "some text",
    };
    match ty {
        ColumnType::Bool => Value::Bool(n == 1),
        ColumnType::Int => Value::Int(7),
        ColumnType::Decimal => Value::Decimal("72.0".into()),
        ColumnType::Date => Value::Date(19_000),
        ColumnType::Time => Value::Time(1),
        ColumnType::DateTime => Value::DateTime(1_700_000_000_000_000),
        ColumnType::Instant => Value::Instant(1_700_000_000_000_000),
        ColumnType::Bytes => Value::Bytes(Box::from(&b"\x00\xff"[..])),
        ColumnType::Raw => Value::Raw("72 kg".into()),
        ColumnType::Text => Value::Text(common.into()),
    }
}

fn compile(text: &str) -> Option<Map> {
    match Map::compile("map.yaml", text, &SCHEMAS, ElementTable::r4()) {
        Ok(map) => Some(map),
        Err(faults) => {
            assert!(!faults.is_empty(), "a refusal has a reason");
            faults.iter().for_each(|fault| drop(fault.to_string()));
            None
        }
    }
}

/// Any text is a map or faults, and a map maps.
pub fn map(bytes: &[u8]) {
    if let Some(map) = compile(text(bytes)) {
        Shadow::of(&plain).maps_to(&map);
    }
}

pub fn map_seeds() -> Vec<Vec<u8>> {
    texts(&[sim::MAP, &with("=mrn"), "map: x\nversion: 1\nowner: a@b\nentities: {}\n", "a: &a [*a]\n", "? [a]\n: b\n"])
}

/// The map of the clinic with another expression in the place of a text, a date and a code.
fn with(expression: &str) -> String {
    let quoted = format!("'{}'", expression.replace('\'', "''"));
    ["\"=nm.family\"", "\"=born\"", "\"=mrn\""]
        .iter()
        .fold(sim::MAP.to_string(), |map, old| map.replacen(old, &quoted, 1))
}

/// Any text behind `=` is an expression or a fault.
pub fn expression(bytes: &[u8]) {
    let text = text(bytes).replace(['\n', '\r'], " ");
    if let Some(map) = compile(&with(&text)) {
        Shadow::of(&plain).maps_to(&map);
    }
}

pub fn expression_seeds() -> Vec<Vec<u8>> {
    texts(&[
        "=mrn",
        "=born",
        "=nm.family",
        "=first(notes, mrn)",
        "=notes | trim()",
        "=sex | code(gender)",
        "=mrn | part('-', 2) | upper()",
        "=concat(mrn, '-', sex)",
        "=if(is_test, 'a', 'b')",
        "=not (voided and is_test) or sex = 'M'",
        "=ref(patient, patient_id)",
        "=weight",
        "={mrn}-{patient_id}",
        "=(((((mrn)))))",
        "=first(first(first(mrn, 'it''s'), -0.10), null)",
    ])
}

/// Two bytes of choice and length, then a text: cells of any content under the clinic's map.
pub fn cells(bytes: &[u8]) {
    static MAP: LazyLock<Map> = LazyLock::new(|| {
        Map::compile("map.yaml", sim::MAP, &SCHEMAS, ElementTable::r4()).expect("the clinic's map holds")
    });
    let values = chosen(bytes);
    let pick = |name: &str, ty: ColumnType, n: usize| {
        let at = name.bytes().fold(n, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        let fits = |value: &&Value| {
            use ColumnType::{Bool, Bytes, Date, Decimal, Instant, Int, Text};
            matches!(
                (value, ty),
                (Value::Null | Value::Unchanged | Value::Raw(_), _)
                    | (Value::Bool(_), Bool)
                    | (Value::Int(_), Int)
                    | (Value::Decimal(_), Decimal)
                    | (Value::Text(_), Text)
                    | (Value::Date(_), Date)
                    | (Value::Instant(_), Instant)
                    | (Value::Bytes(_), Bytes)
            )
        };
        let fitting: Vec<&Value> = values.iter().filter(fits).collect();
        match fitting.len() {
            0 => plain(name, ty, n),
            // Mostly what is plain: one odd cell is enough to park a unit.
            len if at % 3 == 0 => fitting[at % len].clone(),
            _ => plain(name, ty, n),
        }
    };
    Shadow::of(&pick).maps_to(&MAP);
}

fn chosen(bytes: &[u8]) -> Vec<Value> {
    let (mut rest, mut values) = (bytes, Vec::new());
    while let [kind, length, tail @ ..] = rest {
        let (content, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        let number = || content.iter().take(8).fold(0_i64, |n, byte| n << 8 | i64::from(*byte));
        values.push(match kind % 9 {
            0 => Value::Null,
            1 => Value::Unchanged,
            2 => Value::Raw(text(content).into()),
            3 => Value::Text(text(content).into()),
            4 => Value::Decimal(text(content).into()),
            5 => Value::Date(number() as i32),
            6 => Value::Instant(number()),
            7 => Value::Int(number()),
            _ => Value::Bytes(content.into()),
        });
        rest = tail;
    }
    values
}

pub fn cell_seeds() -> Vec<Vec<u8>> {
    let cell = |kind: u8, content: &[u8]| [&[kind, content.len() as u8][..], content].concat();
    vec![
        [cell(3, b"M"), cell(4, b"-0.10"), cell(0, b"")].concat(),
        [cell(5, &i32::MAX.to_be_bytes()), cell(6, &i64::MIN.to_be_bytes()), cell(7, &i64::MAX.to_be_bytes())].concat(),
        [cell(2, b"infinity"), cell(4, b"NaN"), cell(4, b"1e400"), cell(8, &[0, 255])].concat(),
        [cell(3, "a\u{301}\u{0}\n,;|".as_bytes()), cell(1, b"")].concat(),
    ]
}
