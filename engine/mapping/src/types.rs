//! The small static types of expressions, and the values they take.
//!
//! No float anywhere. `Debug` of a value prints its type and length, never content.

use model::{Cell, ColumnType};
use std::{borrow::Cow, collections::BTreeSet, fmt};

/// The type of an expression. Any of them may be null in a given row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Type {
    /// True or false.
    Bool,
    /// Up to 64 bits.
    Int,
    /// Exact; its digits count.
    Decimal,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// A calendar day.
    Date,
    /// A time of day without a zone.
    Time,
    /// A wall clock without a zone.
    DateTime,
    /// A point in time.
    Instant,
    /// Text of a database type that is not understood.
    Raw,
    /// `Type/id` of a unit: what `ref` gives.
    Reference,
    /// The literal `null`: fits everywhere.
    Null,
}

impl Type {
    /// The type of a column's cells.
    pub(crate) fn of(column: ColumnType) -> Type {
        match column {
            ColumnType::Bool => Type::Bool,
            ColumnType::Int => Type::Int,
            ColumnType::Decimal => Type::Decimal,
            ColumnType::Text => Type::Text,
            ColumnType::Bytes => Type::Bytes,
            ColumnType::Date => Type::Date,
            ColumnType::Time => Type::Time,
            ColumnType::DateTime => Type::DateTime,
            ColumnType::Instant => Type::Instant,
            ColumnType::Raw => Type::Raw,
        }
    }

    /// The one type of two branches; none if they differ.
    pub(crate) fn join(self, other: Type) -> Option<Type> {
        match (self, other) {
            (Type::Null, x) | (x, Type::Null) => Some(x),
            (a, b) if a == b => Some(a),
            _ => None,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Decimal => "decimal",
            Type::Text => "text",
            Type::Bytes => "bytes",
            Type::Date => "date",
            Type::Time => "time",
            Type::DateTime => "datetime",
            Type::Instant => "instant",
            Type::Raw => "raw",
            Type::Reference => "reference",
            Type::Null => "null",
        })
    }
}

/// Which texts an expression can give, as far as that is known before any row is seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Texts {
    /// Whatever the rows hold.
    Any,
    /// Nothing but these.
    Only(BTreeSet<Box<str>>),
}

impl Texts {
    pub(crate) fn none() -> Texts {
        Texts::Only(BTreeSet::new())
    }

    pub(crate) fn one(text: &str) -> Texts {
        Texts::Only(BTreeSet::from([text.into()]))
    }

    pub(crate) fn or(self, other: Texts) -> Texts {
        match (self, other) {
            (Texts::Only(mut a), Texts::Only(b)) => {
                a.extend(b);
                Texts::Only(a)
            }
            _ => Texts::Any,
        }
    }
}

/// A value while an expression is evaluated, borrowed from the row where it can be.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Decimal(Cow<'a, str>),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Date(i32),
    Time(i64),
    DateTime(i64),
    Instant(i64),
    Raw(Cow<'a, str>),
    Reference(Cow<'a, str>),
}

impl<'a> Val<'a> {
    /// The value of a cell; none if the cell is unknown (J7).
    pub(crate) fn of(cell: Cell<'a>) -> Option<Val<'a>> {
        Some(match cell {
            Cell::Unchanged => return None,
            Cell::Null => Val::Null,
            Cell::Bool(x) => Val::Bool(x),
            Cell::Int(x) => Val::Int(x),
            Cell::Decimal(x) => Val::Decimal(x.into()),
            Cell::Text(x) => Val::Text(x.into()),
            Cell::Bytes(x) => Val::Bytes(x.into()),
            Cell::Date(x) => Val::Date(x),
            Cell::Time(x) => Val::Time(x),
            Cell::DateTime(x) => Val::DateTime(x),
            Cell::Instant(x) => Val::Instant(x),
            Cell::Raw(x) => Val::Raw(x.into()),
        })
    }

    /// The value as the cell of a key; none for what no column holds.
    pub(crate) fn as_cell(&self) -> Option<Cell<'_>> {
        Some(match self {
            Val::Null => Cell::Null,
            Val::Bool(x) => Cell::Bool(*x),
            Val::Int(x) => Cell::Int(*x),
            Val::Decimal(x) => Cell::Decimal(x),
            Val::Text(x) => Cell::Text(x),
            Val::Bytes(x) => Cell::Bytes(x),
            Val::Date(x) => Cell::Date(*x),
            Val::Time(x) => Cell::Time(*x),
            Val::DateTime(x) => Cell::DateTime(*x),
            Val::Instant(x) => Cell::Instant(*x),
            Val::Raw(x) => Cell::Raw(x),
            Val::Reference(_) => return None,
        })
    }

    pub(crate) fn ty(&self) -> Type {
        match self {
            Val::Null => Type::Null,
            Val::Bool(_) => Type::Bool,
            Val::Int(_) => Type::Int,
            Val::Decimal(_) => Type::Decimal,
            Val::Text(_) => Type::Text,
            Val::Bytes(_) => Type::Bytes,
            Val::Date(_) => Type::Date,
            Val::Time(_) => Type::Time,
            Val::DateTime(_) => Type::DateTime,
            Val::Instant(_) => Type::Instant,
            Val::Raw(_) => Type::Raw,
            Val::Reference(_) => Type::Reference,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Val::Null)
    }
}

impl fmt::Debug for Val<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Val::Reference(x) => write!(f, "reference[{}]", x.len()),
            other => match other.as_cell() {
                Some(cell) => cell.fmt(f),
                None => f.write_str("value"),
            },
        }
    }
}
