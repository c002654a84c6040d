//! A table's shape, made ready for reading and writing its rows.
//!
//! Each column is an Avro union with fixed branches (J2):
//!
//! | branch | holds                                                        |
//! |--------|--------------------------------------------------------------|
//! | 0      | null                                                         |
//! | 1      | the column's type; of a `Raw` column a string never written  |
//! | 2      | `Unchanged`: the log did not say                             |
//! | 3      | `Raw`: the text of a value that the column's type cannot hold |
//!
//! Decimals are strings, because their digits count; dates and times carry Avro's logical types.

use crate::{codec::encode, fingerprint::fingerprint};
use model::{Cell, ColumnType, Fingerprint, RowKey, TableSchema};
use std::collections::BTreeSet;

/// The shape of a table with everything derived from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    schema: TableSchema,
    fingerprint: Fingerprint,
    pub(crate) types: Box<[ColumnType]>,
}

impl Plan {
    /// Derives the plan of a table's rows.
    pub fn new(schema: &TableSchema) -> Plan {
        Plan {
            schema: schema.clone(),
            fingerprint: table_fingerprint(schema),
            types: schema.columns.iter().map(|column| column.ty).collect(),
        }
    }

    /// The shape it was made of.
    pub fn schema(&self) -> &TableSchema {
        &self.schema
    }

    /// The name that rows cite their shape by.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The key of a row given as cells; none if the table has no key or a cell of it is unknown.
    pub fn key_of_cells(&self, cells: &[Cell<'_>]) -> Option<RowKey> {
        if self.schema.key.is_empty() {
            return None;
        }
        let known = self.schema.key.iter().map(|place| cells.get(usize::from(*place)).copied());
        RowKey::encode(known.map(|cell| cell.unwrap_or(Cell::Unchanged)))
    }

    /// The Avro schema of the table's rows, for readers that are not ours.
    pub fn avro(&self) -> String {
        let mut taken: BTreeSet<String> = self
            .schema
            .columns
            .iter()
            .map(|column| column.name.to_string())
            .filter(|name| is_avro_name(name))
            .collect();
        let mut side_types = Some((
            r#"{"type":"record","name":"Unchanged","fields":[]}"#,
            r#"{"type":"record","name":"Raw","fields":[{"name":"text","type":"string"}]}"#,
        ));
        let mut fields = Vec::with_capacity(self.schema.columns.len());
        for (place, column) in self.schema.columns.iter().enumerate() {
            let name = if is_avro_name(&column.name) { column.name.to_string() } else { fresh(place, &mut taken) };
            let (unchanged, raw) = side_types.take().unwrap_or((r#""Unchanged""#, r#""Raw""#));
            fields.push(format!(
                r#"{{"name":"{name}","type":["null",{},{unchanged},{raw}],"column":{},"native":{}}}"#,
                avro_type(column.ty),
                json_string(&column.name),
                column.native,
            ));
        }
        format!(
            r#"{{"type":"record","name":"Row","namespace":"lockstep.v0","table":{},"fields":[{}]}}"#,
            json_string(self.schema.table.as_str()),
            fields.join(",")
        )
    }
}

/// The fingerprint of a table's shape: its name, columns with native type numbers, key.
pub fn table_fingerprint(schema: &TableSchema) -> Fingerprint {
    let mut bytes = Vec::with_capacity(256);
    encode(schema, &mut bytes);
    fingerprint(&bytes)
}

fn avro_type(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Bool => r#""boolean""#,
        ColumnType::Int => r#""long""#,
        ColumnType::Decimal => r#"{"type":"string","logicalType":"lockstep-decimal"}"#,
        ColumnType::Text | ColumnType::Raw => r#""string""#,
        ColumnType::Bytes => r#""bytes""#,
        ColumnType::Date => r#"{"type":"int","logicalType":"date"}"#,
        ColumnType::Time => r#"{"type":"long","logicalType":"time-micros"}"#,
        ColumnType::DateTime => r#"{"type":"long","logicalType":"local-timestamp-micros"}"#,
        ColumnType::Instant => r#"{"type":"long","logicalType":"timestamp-micros"}"#,
    }
}

fn is_avro_name(name: &str) -> bool {
    let head = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    head && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A field name for a column whose own name Avro does not allow.
fn fresh(place: usize, taken: &mut BTreeSet<String>) -> String {
    let mut name = format!("column_{place}");
    while !taken.insert(name.clone()) {
        name.push('_');
    }
    name
}

fn json_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Column;

    fn table(name: &str, native: u32, key: Vec<u16>) -> TableSchema {
        let column = Column { name: "id".into(), ty: ColumnType::Int, native };
        TableSchema { table: name.into(), columns: vec![column], key }
    }

    #[test]
    fn name_key_and_native_types_are_part_of_the_fingerprint() {
        let print = |schema| Plan::new(&schema).fingerprint();
        let base = print(table("public.a", 23, vec![0]));
        assert_eq!(base, print(table("public.a", 23, vec![0])));
        assert_ne!(base, print(table("public.b", 23, vec![0])));
        assert_ne!(base, print(table("public.a", 20, vec![0])));
        assert_ne!(base, print(table("public.a", 23, vec![])));
    }

    #[test]
    fn a_key_with_an_unknown_cell_and_a_keyless_table_have_no_key() {
        let plan = Plan::new(&table("public.a", 23, vec![0]));
        assert!(plan.key_of_cells(&[Cell::Int(7)]).is_some());
        assert!(plan.key_of_cells(&[Cell::Unchanged]).is_none());
        assert!(plan.key_of_cells(&[]).is_none());
        assert!(Plan::new(&table("public.a", 23, vec![])).key_of_cells(&[Cell::Int(7)]).is_none());
    }
}
