//! What stands in the logs and in the store.

use super::text;
use crate::world::{decisions, journal, stored};
use model::{Cell, Column, ColumnType, Row, RowKey, TableName, TableSchema};
use schemas::{
    Plan, Profile, decode_journaled, decode_recorded, decode_state, encode_journaled, encode_recorded, encode_state,
    keys as store,
};

/// What is read as an entry is written and read again as the same.
pub fn entry(bytes: &[u8]) {
    let header = schemas::decode_header(bytes);
    let Ok(entry) = decode_journaled(bytes) else { return };
    assert!(header == Ok(entry.header), "the header alone reads as the same");
    drop(format!("{entry:?}"));
    let mut again = Vec::new();
    encode_journaled(&entry.header, &entry.entry, &mut again);
    assert!(decode_journaled(&again).as_ref() == Ok(&entry), "another entry comes back");
}

pub fn entry_seeds() -> Vec<Vec<u8>> {
    let encoded = journal().into_iter().map(|entry| {
        let mut bytes = Vec::new();
        encode_journaled(&entry.header, &entry.entry, &mut bytes);
        bytes
    });
    encoded.collect()
}

/// What is read as a record is written and read again as the same.
pub fn record(bytes: &[u8]) {
    let Ok(record) = decode_recorded(bytes) else { return };
    drop(format!("{record:?}"));
    let mut again = Vec::new();
    encode_recorded(&record.header, &record.record, &mut again);
    assert!(decode_recorded(&again).as_ref() == Ok(&record), "another record comes back");
}

pub fn record_seeds() -> Vec<Vec<u8>> {
    let encoded = decisions().into_iter().map(|record| {
        let mut bytes = Vec::new();
        encode_recorded(&record.header, &record.record, &mut bytes);
        bytes
    });
    encoded.collect()
}

/// What is read as a state is written and read again as the same.
pub fn state(bytes: &[u8]) {
    let Ok(state) = decode_state(bytes) else { return };
    drop(format!("{state:?}"));
    let mut again = Vec::new();
    encode_state(&state, &mut again);
    assert!(decode_state(&again).as_ref() == Ok(&state), "another state comes back");
}

pub fn state_seeds() -> Vec<Vec<u8>> {
    stored().into_iter().map(|(_, value)| value).filter(|value| decode_state(value).is_ok()).collect()
}

/// Types of columns, then a row's bytes: any bytes are a row or an error, and its cells make the same row again.
pub fn row(bytes: &[u8]) {
    use ColumnType::{Bool, Bytes, Date, DateTime, Decimal, Instant, Int, Raw, Text, Time};
    const TYPES: [ColumnType; 10] = [Bool, Int, Decimal, Text, Bytes, Date, Time, DateTime, Instant, Raw];
    let Some((count, rest)) = bytes.split_first() else { return };
    let Some((types, content)) = rest.split_at_checked(usize::from(*count % 12)) else { return };
    let column = |(n, ty): (usize, &u8)| Column {
        name: format!("c{n}").as_str().into(),
        ty: TYPES[usize::from(*ty) % TYPES.len()],
        native: 0,
    };
    let columns: Vec<Column> = types.iter().enumerate().map(column).collect();
    let key = if columns.is_empty() { vec![] } else { vec![0] };
    let plan = Plan::new(&TableSchema { table: "public.t".into(), columns, key });
    let row = Row(content.into());
    drop(plan.key(&row));
    let cells = plan.cells(&row);
    for at in 0..types.len() {
        let one = plan.cell(&row, at);
        assert!(cells.as_ref().is_err() || one.as_ref().ok() == cells.as_ref().ok().and_then(|cells| cells.get(at)));
    }
    let Ok(cells) = cells else { return };
    let again = plan.row(&cells).expect("cells that were read can be written");
    assert!(plan.cells(&again).as_ref() == Ok(&cells), "other cells come back");
}

pub fn row_seeds() -> Vec<Vec<u8>> {
    let plan = Plan::new(&TableSchema {
        table: "public.t".into(),
        columns: [ColumnType::Int, ColumnType::Text, ColumnType::Decimal, ColumnType::Bool, ColumnType::Instant]
            .iter()
            .map(|ty| Column { name: "c".into(), ty: *ty, native: 0 })
            .collect(),
        key: vec![0],
    });
    let rows: [[Cell<'_>; 5]; 3] = [
        [Cell::Int(-7), Cell::Text("text"), Cell::Decimal("-0.10"), Cell::Bool(true), Cell::Instant(1)],
        [Cell::Int(i64::MAX), Cell::Null, Cell::Unchanged, Cell::Null, Cell::Raw("infinity")],
        [Cell::Int(0), Cell::Unchanged, Cell::Raw("NaN"), Cell::Bool(false), Cell::Instant(i64::MIN)],
    ];
    let seed = |cells: &[Cell<'_>; 5]| {
        let row = plan.row(cells).expect("typed");
        [&[5, 1, 3, 2, 0, 8][..], &row.0].concat()
    };
    rows.iter().map(seed).collect()
}

/// A key's bytes, and the store's keys that are made of them.
pub fn keys(bytes: &[u8]) {
    let key = RowKey::from_bytes(bytes);
    if let Some(values) = key.decode() {
        let again = RowKey::encode(values.iter().map(model::Value::as_cell));
        let again = again.expect("a key's cells are known");
        assert!(again.decode().as_deref() == Some(&values[..]), "other cells come back");
    }
    let table = TableName::from("public.patient");
    let stored = store::row(&table, &key);
    assert!(store::row_key(&table, &stored) == Some(key.clone()), "a row's key comes back");
    drop((store::row_key(&table, bytes), store::unit_key(&"patient".into(), bytes)));
    drop((store::joined_key(&table, 1, &key, bytes), store::timer_of(bytes).is_some()));
    if let Some(mark) = store::mark_of(bytes) {
        assert!(store::mark_of(&store::mark(&mark)) == Some(mark), "another mark comes back");
    }
}

pub fn key_seeds() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = stored().into_iter().map(|(key, _)| key).collect();
    let cells = [Cell::Int(-1), Cell::Text("a\0b"), Cell::Bytes(&[0, 255, 1]), Cell::Null, Cell::Bool(true)];
    all.extend(RowKey::encode(cells).map(|key| key.as_bytes().to_vec()));
    all
}

/// A server's profile.
pub fn profile(bytes: &[u8]) {
    match Profile::parse(text(bytes)) {
        Ok(profile) => drop((profile.follows("1", text(bytes)), profile.follows(text(bytes), "2"))),
        Err(fault) => drop(fault.to_string()),
    }
}

pub fn profile_seeds() -> Vec<Vec<u8>> {
    super::texts(&[
        include_str!("../../../../schemas/servers/hapi.toml"),
        include_str!("../../../../schemas/servers/sandbox.toml"),
    ])
}
