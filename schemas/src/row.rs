//! Rows as bytes: cells in the columns' order, each behind its branch number (see [`crate::plan`]).
//!
//! * Writing reuses one buffer and allocates once a row; reading borrows text and bytes from the row.
//! * A cell never changes on the way: what does not fit the column's type is refused, not converted.

use crate::{
    plan::Plan,
    wire::{Reader, WireError, Writer},
};
use model::{Cell, ColumnType, Row, RowKey};
use thiserror::Error;

const NULL: u32 = 0;
const VALUE: u32 = 1;
const UNCHANGED: u32 = 2;
const RAW: u32 = 3;

/// Why cells are not a row of this table.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum RowError {
    /// A cell of another type than its column's.
    #[error("column {column} of {table} holds {expected:?} and was given {found}; write it as raw text instead")]
    Type {
        /// The table.
        table: Box<str>,
        /// The column.
        column: Box<str>,
        /// Its type.
        expected: ColumnType,
        /// The cell's type.
        found: Box<str>,
    },
    /// Too few cells or too many.
    #[error("a row of {table} has {expected} cells, not {found}: read the table's schema again")]
    Cells {
        /// The table.
        table: Box<str>,
        /// As many as the schema has columns.
        expected: usize,
        /// As many as were given (or one more than expected).
        found: usize,
    },
}

/// Writes rows through one reused buffer.
#[derive(Default)]
pub struct RowWriter {
    buffer: Vec<u8>,
}

impl RowWriter {
    /// A writer with an empty buffer.
    pub fn new() -> RowWriter {
        RowWriter::default()
    }

    /// Begins a row; one that was not finished is forgotten.
    pub fn row<'w>(&'w mut self, plan: &'w Plan) -> OpenRow<'w> {
        self.buffer.clear();
        OpenRow { plan, place: 0, buffer: &mut self.buffer }
    }
}

/// A row that is being written.
pub struct OpenRow<'w> {
    plan: &'w Plan,
    place: usize,
    buffer: &'w mut Vec<u8>,
}

impl<'w> OpenRow<'w> {
    /// The next column's cell.
    #[inline]
    pub fn push(&mut self, cell: Cell<'_>) -> Result<(), RowError> {
        let Some(ty) = self.plan.types.get(self.place).copied() else {
            return Err(self.wrong_count(self.place + 1));
        };
        let mut out = Writer::new(self.buffer);
        match (cell, ty) {
            (Cell::Null, _) => out.branch(NULL),
            (Cell::Unchanged, _) => out.branch(UNCHANGED),
            (Cell::Raw(text), _) => {
                out.branch(RAW);
                out.string(text);
            }
            (Cell::Bool(x), ColumnType::Bool) => {
                out.branch(VALUE);
                out.boolean(x);
            }
            (Cell::Int(x), ColumnType::Int)
            | (Cell::Time(x), ColumnType::Time)
            | (Cell::DateTime(x), ColumnType::DateTime)
            | (Cell::Instant(x), ColumnType::Instant) => {
                out.branch(VALUE);
                out.long(x);
            }
            (Cell::Date(x), ColumnType::Date) => {
                out.branch(VALUE);
                out.long(i64::from(x));
            }
            (Cell::Decimal(x), ColumnType::Decimal) | (Cell::Text(x), ColumnType::Text) => {
                out.branch(VALUE);
                out.string(x);
            }
            (Cell::Bytes(x), ColumnType::Bytes) => {
                out.branch(VALUE);
                out.bytes(x);
            }
            (cell, ty) => return Err(self.wrong_type(cell, ty)),
        }
        self.place += 1;
        Ok(())
    }

    /// The row, in an allocation of its own.
    pub fn finish(self) -> Result<Row, RowError> {
        self.finish_bytes().map(|bytes| Row(bytes.into()))
    }

    /// The row's bytes, in the writer's buffer.
    pub fn finish_bytes(self) -> Result<&'w [u8], RowError> {
        if self.place == self.plan.types.len() { Ok(self.buffer) } else { Err(self.wrong_count(self.place)) }
    }

    #[cold]
    fn wrong_count(&self, found: usize) -> RowError {
        RowError::Cells { table: self.plan.schema().table.as_str().into(), expected: self.plan.types.len(), found }
    }

    #[cold]
    fn wrong_type(&self, cell: Cell<'_>, expected: ColumnType) -> RowError {
        RowError::Type {
            table: self.plan.schema().table.as_str().into(),
            column: self.plan.schema().columns[self.place].name.clone(),
            expected,
            // A cell's `Debug` is its type and length.
            found: format!("{cell:?}").into(),
        }
    }
}

impl Plan {
    /// A row of these cells.
    pub fn row(&self, cells: &[Cell<'_>]) -> Result<Row, RowError> {
        let mut writer = RowWriter::new();
        let mut row = writer.row(self);
        cells.iter().try_for_each(|cell| row.push(*cell))?;
        row.finish()
    }

    /// The row's cells into `out` (cleared first), borrowed from the row.
    pub fn read_into<'a>(&self, row: &'a Row, out: &mut Vec<Cell<'a>>) -> Result<(), WireError> {
        out.clear();
        out.reserve(self.types.len());
        let mut from = Reader::new(&row.0);
        for ty in &self.types {
            out.push(cell(*ty, &mut from)?);
        }
        from.end()
    }

    /// The row's cells.
    pub fn cells<'a>(&self, row: &'a Row) -> Result<Vec<Cell<'a>>, WireError> {
        let mut cells = Vec::new();
        self.read_into(row, &mut cells)?;
        Ok(cells)
    }

    /// The cell in `column`, without looking behind it; `Unchanged` if there is no such column.
    pub fn cell<'a>(&self, row: &'a Row, column: usize) -> Result<Cell<'a>, WireError> {
        let mut from = Reader::new(&row.0);
        let mut found = Cell::Unchanged;
        let Some(types) = self.types.get(..=column) else { return Ok(found) };
        for ty in types {
            found = cell(*ty, &mut from)?;
        }
        Ok(found)
    }

    /// The row's key; none if the table has no key or a cell of it is unknown. An error means damaged bytes.
    pub fn key(&self, row: &Row) -> Result<Option<RowKey>, WireError> {
        let places = &self.schema().key;
        if places.is_empty() {
            return Ok(None);
        }
        let mut fault = None;
        let key = RowKey::encode(places.iter().map(|place| {
            self.cell(row, usize::from(*place)).unwrap_or_else(|error| {
                fault = Some(error);
                Cell::Unchanged
            })
        }));
        fault.map_or(Ok(key), Err)
    }
}

#[inline]
fn cell<'a>(ty: ColumnType, from: &mut Reader<'a>) -> Result<Cell<'a>, WireError> {
    Ok(match from.branch()? {
        NULL => Cell::Null,
        VALUE => match ty {
            ColumnType::Bool => Cell::Bool(from.boolean()?),
            ColumnType::Int => Cell::Int(from.long()?),
            ColumnType::Decimal => Cell::Decimal(from.string()?),
            ColumnType::Text => Cell::Text(from.string()?),
            ColumnType::Bytes => Cell::Bytes(from.bytes()?),
            ColumnType::Date => Cell::Date(from.number("days in 32 bits")?),
            ColumnType::Time => Cell::Time(from.long()?),
            ColumnType::DateTime => Cell::DateTime(from.long()?),
            ColumnType::Instant => Cell::Instant(from.long()?),
            ColumnType::Raw => return Err(from.refuse("raw text in its own branch")),
        },
        UNCHANGED => Cell::Unchanged,
        RAW => Cell::Raw(from.string()?),
        _ => return Err(from.refuse("a cell's branch")),
    })
}
