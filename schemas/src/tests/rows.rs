//! Rows.

use super::oracle::Oracle;
use crate::{Plan, RowError, RowWriter};
use apache_avro::types::Value as Avro;
use model::{Cell, Column, ColumnType, Row, RowKey, TableSchema, Value};
use proptest::prelude::*;

const TYPES: [ColumnType; 10] = [
    ColumnType::Bool,
    ColumnType::Int,
    ColumnType::Decimal,
    ColumnType::Text,
    ColumnType::Bytes,
    ColumnType::Date,
    ColumnType::Time,
    ColumnType::DateTime,
    ColumnType::Instant,
    ColumnType::Raw,
];

fn schema(types: &[ColumnType]) -> TableSchema {
    let column = |(n, ty): (usize, &ColumnType)| Column {
        // Names that Avro allows, does not allow, and one that looks like a stand-in.
        name: [format!("c{n}"), format!("größe {n}\"\\"), format!("column_{}", n + 1)][n % 3].as_str().into(),
        ty: *ty,
        native: n as u32,
    };
    TableSchema {
        table: "public.ugly \"table\"".into(),
        columns: types.iter().enumerate().map(column).collect(),
        key: vec![0],
    }
}

fn of_type(ty: ColumnType) -> BoxedStrategy<Value> {
    let text = || prop_oneof![any::<String>(), Just("ä\u{0}🜚".repeat(3_000)), Just(String::new())];
    let typed = match ty {
        ColumnType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        ColumnType::Int => any::<i64>().prop_map(Value::Int).boxed(),
        ColumnType::Decimal => "-?[0-9]{1,30}(\\.[0-9]{1,12})?".prop_map(|x| Value::Decimal(x.into())).boxed(),
        ColumnType::Text => text().prop_map(|x| Value::Text(x.into())).boxed(),
        ColumnType::Bytes => any::<Vec<u8>>().prop_map(|x| Value::Bytes(x.into())).boxed(),
        ColumnType::Date => any::<i32>().prop_map(Value::Date).boxed(),
        ColumnType::Time => any::<i64>().prop_map(Value::Time).boxed(),
        ColumnType::DateTime => any::<i64>().prop_map(Value::DateTime).boxed(),
        ColumnType::Instant => any::<i64>().prop_map(Value::Instant).boxed(),
        ColumnType::Raw => text().prop_map(|x| Value::Raw(x.into())).boxed(),
    };
    let raw = text().prop_map(|x| Value::Raw(x.into()));
    prop_oneof![6 => typed, 1 => Just(Value::Null), 1 => Just(Value::Unchanged), 1 => raw].boxed()
}

fn a_row() -> impl Strategy<Value = (Vec<ColumnType>, Vec<Value>)> {
    prop::collection::vec(prop::sample::select(&TYPES[..]), 1..14).prop_flat_map(|types| {
        let cells: Vec<_> = types.iter().map(|ty| of_type(*ty)).collect();
        (Just(types), cells)
    })
}

fn as_avro(value: &Value) -> Avro {
    let (branch, inner) = match value {
        Value::Null => (0, Avro::Null),
        Value::Unchanged => (2, Avro::Record(vec![])),
        Value::Raw(x) => (3, Avro::Record(vec![("text".into(), Avro::String(x.to_string()))])),
        Value::Bool(x) => (1, Avro::Boolean(*x)),
        Value::Int(x) => (1, Avro::Long(*x)),
        Value::Decimal(x) | Value::Text(x) => (1, Avro::String(x.to_string())),
        Value::Bytes(x) => (1, Avro::Bytes(x.to_vec())),
        Value::Date(x) => (1, Avro::Date(*x)),
        Value::Time(x) => (1, Avro::TimeMicros(*x)),
        Value::DateTime(x) => (1, Avro::LocalTimestampMicros(*x)),
        Value::Instant(x) => (1, Avro::TimestampMicros(*x)),
    };
    Avro::Union(branch, Box::new(inner))
}

proptest! {
    #[test]
    fn a_row_is_what_the_oracle_says((types, values) in a_row()) {
        let plan = Plan::new(&schema(&types));
        let oracle = Oracle::new(&plan.avro());
        let cells: Vec<Cell<'_>> = values.iter().map(Value::as_cell).collect();
        let row = plan.row(&cells).expect("cells of the columns' types");

        let names: serde_json::Value = serde_json::from_str(&plan.avro()).expect("JSON");
        let name = |n: usize| names["fields"][n]["name"].as_str().expect("a name").to_string();
        let theirs = Avro::Record(values.iter().enumerate().map(|(n, value)| (name(n), as_avro(value))).collect());
        prop_assert!(oracle.write(&theirs) == row.0.to_vec());
        prop_assert!(oracle.read(&row.0) == theirs);
        for (n, column) in plan.schema().columns.iter().enumerate() {
            prop_assert_eq!(names["fields"][n]["column"].as_str(), Some(&*column.name));
        }

        prop_assert_eq!(plan.cells(&row), Ok(cells.clone()));
        for (n, cell) in cells.iter().enumerate() {
            prop_assert_eq!(plan.cell(&row, n), Ok(*cell));
        }
        prop_assert_eq!(plan.key(&row), Ok(plan.key_of_cells(&cells)));
    }

    #[test]
    fn arbitrary_bytes_are_a_row_or_an_error(bytes: Vec<u8>, types in prop::collection::vec(prop::sample::select(&TYPES[..]), 0..6)) {
        let (plan, row) = (Plan::new(&schema(&types)), Row(bytes.into()));
        if let Ok(cells) = plan.cells(&row) {
            prop_assert_eq!(plan.row(&cells).map(|row| plan.cells(&row).map(|cells| cells.len())), Ok(Ok(types.len())));
        }
        let _ = (plan.cell(&row, 3), plan.key(&row));
    }
}

#[test]
fn a_cell_of_another_type_is_refused_without_its_content() {
    let plan = Plan::new(&schema(&[ColumnType::Int]));
    let error = plan.row(&[Cell::Text("canary")]).expect_err("no integer");
    assert!(!error.to_string().contains("canary") && error.to_string().contains("text[6]"), "{error}");
}

#[test]
fn a_row_with_too_few_or_too_many_cells_is_refused() {
    let plan = Plan::new(&schema(&[ColumnType::Int, ColumnType::Int]));
    let found = |cells: &[Cell<'_>]| match plan.row(cells) {
        Err(RowError::Cells { expected: 2, found, .. }) => Some(found),
        _ => None,
    };
    assert_eq!(found(&[Cell::Int(1)]), Some(1));
    assert_eq!(found(&[Cell::Int(1); 3]), Some(3));
}

#[test]
fn a_row_that_was_given_up_leaves_nothing_in_the_next_one() {
    let plan = Plan::new(&schema(&[ColumnType::Int, ColumnType::Text]));
    let mut writer = RowWriter::new();
    writer.row(&plan).push(Cell::Int(1)).expect("an integer");
    let mut row = writer.row(&plan);
    row.push(Cell::Int(2)).and_then(|()| row.push(Cell::Text("x"))).expect("cells");
    assert_eq!(row.finish(), plan.row(&[Cell::Int(2), Cell::Text("x")]));
}

#[test]
fn a_damaged_row_has_no_key_and_says_so() {
    let plan = Plan::new(&schema(&[ColumnType::Int]));
    assert!(plan.key(&Row(Box::from(&b"\x09"[..]))).is_err());
    assert_eq!(plan.key(&plan.row(&[Cell::Int(5)]).expect("a row")), Ok(RowKey::encode([Cell::Int(5)])));
}
