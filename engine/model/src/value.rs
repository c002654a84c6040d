//! What a cell of a captured row holds, and the shape of a table.
//!
//! Invariants:
//! * `Debug` prints type and length, never content; there is no `Display` and no `Serialize`.
//! * Common types are exact; whatever is not understood is `Raw`: its text and the server's type number, never wrong.

use crate::id::TableName;
use alloc::{boxed::Box, vec::Vec};
use core::fmt;

/// A cell, borrowed from where the row's bytes lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cell<'a> {
    /// SQL NULL.
    Null,
    /// The log did not say (a TOASTed column that did not change): filled from the row shadow, else unknown (J7).
    Unchanged,
    /// Boolean.
    Bool(bool),
    /// Any integer type up to 64 bits.
    Int(i64),
    /// Exact decimal as the database wrote it; digits count (`1.00` is not `1.0`). NaN and infinities are `Raw`.
    Decimal(&'a str),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970-01-01T00:00 of a wall clock whose zone the database does not say.
    DateTime(i64),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Instant(i64),
    /// The text of a value of any other type (its type number stands in the column).
    Raw(&'a str),
}

/// A cell that owns its content.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// See [`Cell::Null`].
    Null,
    /// See [`Cell::Unchanged`].
    Unchanged,
    /// See [`Cell::Bool`].
    Bool(bool),
    /// See [`Cell::Int`].
    Int(i64),
    /// See [`Cell::Decimal`].
    Decimal(Box<str>),
    /// See [`Cell::Text`].
    Text(Box<str>),
    /// See [`Cell::Bytes`].
    Bytes(Box<[u8]>),
    /// See [`Cell::Date`].
    Date(i32),
    /// See [`Cell::Time`].
    Time(i64),
    /// See [`Cell::DateTime`].
    DateTime(i64),
    /// See [`Cell::Instant`].
    Instant(i64),
    /// See [`Cell::Raw`].
    Raw(Box<str>),
}

impl Cell<'_> {
    /// Copies the content.
    pub fn to_value(self) -> Value {
        match self {
            Cell::Null => Value::Null,
            Cell::Unchanged => Value::Unchanged,
            Cell::Bool(x) => Value::Bool(x),
            Cell::Int(x) => Value::Int(x),
            Cell::Decimal(x) => Value::Decimal(x.into()),
            Cell::Text(x) => Value::Text(x.into()),
            Cell::Bytes(x) => Value::Bytes(x.into()),
            Cell::Date(x) => Value::Date(x),
            Cell::Time(x) => Value::Time(x),
            Cell::DateTime(x) => Value::DateTime(x),
            Cell::Instant(x) => Value::Instant(x),
            Cell::Raw(x) => Value::Raw(x.into()),
        }
    }
}

impl Value {
    /// Borrows the content.
    pub fn as_cell(&self) -> Cell<'_> {
        match self {
            Value::Null => Cell::Null,
            Value::Unchanged => Cell::Unchanged,
            Value::Bool(x) => Cell::Bool(*x),
            Value::Int(x) => Cell::Int(*x),
            Value::Decimal(x) => Cell::Decimal(x),
            Value::Text(x) => Cell::Text(x),
            Value::Bytes(x) => Cell::Bytes(x),
            Value::Date(x) => Cell::Date(*x),
            Value::Time(x) => Cell::Time(*x),
            Value::DateTime(x) => Cell::DateTime(*x),
            Value::Instant(x) => Cell::Instant(*x),
            Value::Raw(x) => Cell::Raw(x),
        }
    }
}

impl fmt::Debug for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Null => f.write_str("null"),
            Cell::Unchanged => f.write_str("unchanged"),
            Cell::Bool(_) => f.write_str("bool"),
            Cell::Int(_) => f.write_str("int"),
            Cell::Decimal(x) => write!(f, "decimal[{}]", x.len()),
            Cell::Text(x) => write!(f, "text[{}]", x.len()),
            Cell::Bytes(x) => write!(f, "bytes[{}]", x.len()),
            Cell::Date(_) => f.write_str("date"),
            Cell::Time(_) => f.write_str("time"),
            Cell::DateTime(_) => f.write_str("datetime"),
            Cell::Instant(_) => f.write_str("instant"),
            Cell::Raw(x) => write!(f, "raw[{}]", x.len()),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_cell().fmt(f)
    }
}

/// The type of a column; every column may also be null, `Unchanged` or `Raw` in a given row (J2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ColumnType {
    /// Boolean.
    Bool,
    /// Integers up to 64 bits.
    Int,
    /// Exact decimals.
    Decimal,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// Dates.
    Date,
    /// Times of day without zone.
    Time,
    /// Date and time without zone.
    DateTime,
    /// Instants.
    Instant,
    /// Everything else: text as the server writes it.
    Raw,
}

/// One column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// Its name.
    pub name: Box<str>,
    /// What its cells hold.
    pub ty: ColumnType,
    /// The source's own type number (PostgreSQL: OID), kept for `Raw` and for retypes.
    pub native: u32,
}

/// The shape of a table at some position of its source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableSchema {
    /// Which table.
    pub table: TableName,
    /// Its columns in the order of the rows' cells.
    pub columns: Vec<Column>,
    /// Places of the key's columns, in key order; empty for a keyless table (append-only or refused, J15).
    pub key: Vec<u16>,
}

impl TableSchema {
    /// The place of the column called `name`.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| &*column.name == name)
    }
}

/// A row as bytes in the Avro schema derived from its [`TableSchema`] (J2); `schemas::row` reads and writes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Row(pub Box<[u8]>);

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row[{}]", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn debug_prints_type_and_length_only() {
        let value = Value::Text("canary-Ada".into());
        assert_eq!(format!("{value:?}"), "text[10]");
        assert_eq!(format!("{:?}", Row(Box::from(&b"canary"[..]))), "row[6]");
        assert_eq!(format!("{:?}", Value::Int(4_711)), "int");
    }
}
