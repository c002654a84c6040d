//! The shape of a table as the catalogue says it, and reading its rows in key order.
//!
//! The stream and the chunks must agree on a table's shape to the byte: both build it with [`schema`].

use crate::{
    config::{Options, split},
    error::Error,
    session::{Sql, identifier, literal},
    socket::Bytestream,
    values,
    wire::{Rows, Wire},
};
use model::{Column, Row, RowKey, TableName, TableSchema};
use ports::Fault;
use schemas::{Plan, RowWriter};
use std::sync::Arc;
use tokio_postgres::SimpleQueryRow;

/// Builds a table's schema; `key` names the key's columns in key order. The one place where shapes are made.
pub(crate) fn schema<'a>(
    table: &TableName,
    columns: impl IntoIterator<Item = (&'a str, u32)>,
    key: &[String],
) -> TableSchema {
    let columns: Vec<Column> = columns
        .into_iter()
        .map(|(name, oid)| Column { name: name.into(), ty: values::column_type(oid), native: oid })
        .collect();
    let place =
        |name: &String| columns.iter().position(|column| *column.name == **name).and_then(|at| u16::try_from(at).ok());
    let key = key.iter().map(place).collect::<Option<Vec<u16>>>().unwrap_or_default();
    TableSchema { table: table.clone(), columns, key }
}

/// A table as the catalogue knows it.
#[derive(Clone)]
pub(crate) struct Shape {
    pub(crate) plan: Arc<Plan>,
    /// The key's columns by name, in key order.
    pub(crate) key: Vec<String>,
    /// Whether the server's order of the key is the byte order of our row keys (J8).
    pub(crate) ordered: bool,
    /// The server's estimate of its rows.
    pub(crate) estimate: u64,
    /// What a row takes on the server's disk, about; 0 if nobody knows.
    row_bytes: u64,
    partitioned: bool,
}

/// What a chunk's rows may take on the server's disk, about; in memory it is a few times as much.
const CHUNK_BYTES: u64 = 8 << 20;

/// As many columns as [`shape_sql`] returns.
const SHAPE_COLUMNS: usize = 8;

/// `replica identity using index` makes that index's columns the key: a delete carries no others.
fn shape_sql(table: &TableName) -> String {
    let (schema, name) = split(table).unwrap_or_default();
    format!(
        "SELECT a.attname, a.atttypid::oid, k.place, c.relkind, greatest(c.reltuples, 0)::int8, \
         getdatabaseencoding(), pg_current_snapshot(), \
         CASE WHEN c.reltuples >= 1 THEN (pg_table_size(c.oid) / c.reltuples)::int8 \
              WHEN pg_table_size(c.oid) > {CHUNK_BYTES} THEN current_setting('block_size')::int8 ELSE 0 END \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' \
         LEFT JOIN pg_index i ON i.indrelid = c.oid \
           AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END \
         LEFT JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place) \
           ON k.attnum = a.attnum AND k.place <= i.indnkeyatts \
         WHERE n.nspname = {} AND c.relname = {} ORDER BY a.attnum",
        literal(schema),
        literal(name)
    )
}

impl Shape {
    /// Reads the table's shape; none if there is no such table.
    pub(crate) async fn read(sql: &Sql, table: &TableName) -> Result<Option<Shape>, Error> {
        let rows = sql.rows("reading the catalogue", &shape_sql(table)).await?;
        let rows: Rows =
            rows.iter().map(|row| (0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()).collect();
        Ok(Shape::from_rows(table, &rows))
    }

    /// The table's shape over a session of ours; none if there is no such table.
    pub(crate) async fn ask(wire: &mut Wire<Bytestream>, table: &TableName) -> Result<Option<Shape>, Error> {
        let rows = wire.query("reading the catalogue", &shape_sql(table)).await?;
        Ok(Shape::from_rows(table, &rows))
    }

    /// Begins a reading transaction that holds the table's shape still, behind the statements `first`; the shape, and what
    /// the transaction's snapshot sees. Ending it is the caller's. The lock comes before the snapshot, so the shape is the
    /// one that is read.
    pub(crate) async fn ask_for_chunk(
        wire: &mut Wire<Bytestream>,
        table: &TableName,
        first: &str,
    ) -> Result<Option<(Shape, String)>, Error> {
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE {} IN ACCESS SHARE MODE; {}",
            quoted(table),
            shape_sql(table)
        );
        let rows = wire.query("beginning a chunk", &format!("{first}; {begin}")).await?;
        // What the statements before it returned is narrower.
        let rows: Rows = rows.into_iter().filter(|row| row.len() == SHAPE_COLUMNS).collect();
        let snapshot = rows.first().and_then(|row| row.get(6)).cloned().flatten().unwrap_or_default();
        Ok(Shape::from_rows(table, &rows).map(|shape| (shape, snapshot)))
    }

    fn from_rows(table: &TableName, rows: &Rows) -> Option<Shape> {
        let text = |row: &[Option<String>], at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let first = rows.first()?;
        let columns: Vec<(String, u32)> =
            rows.iter().map(|row| (text(row, 0), text(row, 1).parse().unwrap_or_default())).collect();
        let mut key: Vec<(usize, String)> =
            rows.iter().filter_map(|row| Some((text(row, 2).parse().ok()?, text(row, 0)))).collect();
        key.sort();
        let key: Vec<String> = key.into_iter().map(|(_, name)| name).collect();
        let shape = schema(table, columns.iter().map(|(name, oid)| (name.as_str(), *oid)), &key);
        // In these encodings the order of the server's bytes is the order of UTF-8.
        let text_is_ordered = matches!(text(first, 5).as_str(), "UTF8" | "LATIN1");
        let ordered = !shape.key.is_empty()
            && shape.key.iter().all(|at| match shape.columns[usize::from(*at)].native {
                25 | 1043 => text_is_ordered,
                oid => key_type(oid).is_some(),
            });
        Some(Shape {
            plan: Arc::new(Plan::new(&shape)),
            key,
            ordered,
            estimate: text(first, 4).parse().unwrap_or_default(),
            row_bytes: text(first, 7).parse().unwrap_or_default(),
            partitioned: text(first, 3) == "p",
        })
    }

    /// Rows of a chunk: `max`, or fewer where rows are wide (documents, images), because a chunk is held in memory.
    pub(crate) fn chunk_rows(&self, max: usize) -> usize {
        let fit = CHUNK_BYTES.checked_div(self.row_bytes).and_then(|fit| usize::try_from(fit).ok());
        fit.unwrap_or(max).clamp(1, max.max(1))
    }

    /// Whether the key holds dates or times, whose extremes have no place in our order.
    pub(crate) fn has_clock_key(&self) -> bool {
        let schema = self.plan.schema();
        let clock = |at: &u16| matches!(schema.columns[usize::from(*at)].native, 1082 | 1083 | 1114 | 1184);
        self.ordered && schema.key.iter().any(clock)
    }

    pub(crate) fn table(&self) -> &TableName {
        &self.plan.schema().table
    }

    /// The table as SQL; a partitioned table is read with its partitions, another one without its children.
    pub(crate) fn table_sql(&self) -> String {
        let only = if self.partitioned { "" } else { "ONLY " };
        format!("{only}{}", quoted(self.table()))
    }

    /// Rows behind `after` in key order; all rows of a table whose key has no order that we reproduce.
    pub(crate) fn select(&self, after: Option<&RowKey>, limit: usize) -> Result<String, Error> {
        let schema = self.plan.schema();
        let columns: Vec<String> = schema.columns.iter().map(|column| identifier(&column.name)).collect();
        let mut sql = format!("SELECT {} FROM {}", columns.join(", "), self.table_sql());
        if !self.ordered {
            return Ok(sql);
        }
        let key: Vec<(String, &'static str)> = schema
            .key
            .iter()
            .filter_map(|at| {
                let column = schema.columns.get(usize::from(*at))?;
                let collate = if matches!(column.native, 25 | 1043) { " COLLATE \"C\"" } else { "" };
                Some((format!("{}{collate}", identifier(&column.name)), key_type(column.native)?))
            })
            .collect();
        let names: Vec<&str> = key.iter().map(|(name, _)| name.as_str()).collect();
        if let Some(after) = after {
            let unknown = || Error::Protocol(format!("the key of a chunk of {} cannot be read", schema.table));
            let cells = after.decode().ok_or_else(unknown)?;
            let bounds: Option<Vec<String>> = cells
                .iter()
                .zip(&key)
                .map(|(cell, (_, ty))| values::text(cell).map(|text| format!("{}::{ty}", literal(&text))))
                .collect();
            let bounds = bounds.filter(|bounds| bounds.len() == key.len()).ok_or_else(unknown)?;
            sql.push_str(&format!(" WHERE ({}) > ({})", names.join(", "), bounds.join(", ")));
        }
        sql.push_str(&format!(" ORDER BY {} LIMIT {limit}", names.join(", ")));
        Ok(sql)
    }

    /// A row of [`Shape::select`] as bytes.
    pub(crate) fn encode(
        &self,
        row: &SimpleQueryRow,
        writer: &mut RowWriter,
        scratch: &mut Vec<u8>,
    ) -> Result<Row, Error> {
        let mut open = writer.row(&self.plan);
        for (at, column) in self.plan.schema().columns.iter().enumerate() {
            match row.get(at) {
                None => open.push(model::Cell::Null)?,
                Some(text) => open.push(values::cell(column.ty, text, scratch))?,
            }
        }
        Ok(open.finish()?)
    }

    /// The key of an encoded row. A key that holds an infinity or a year BC has no place in our order.
    pub(crate) fn key_of(&self, row: &Row) -> Result<RowKey, Error> {
        let table = self.table();
        let key = self.plan.key(row).ok().flatten();
        let key = key.ok_or_else(|| Error::Protocol(format!("a row of {table} has no key")))?;
        let outside = key.decode().is_some_and(|cells| cells.iter().any(|cell| matches!(cell, model::Value::Raw(_))));
        if outside && self.ordered {
            return Err(Error::wrong(
                format!("a key of {table} is an infinity or lies outside the years 1 to 9999"),
                "correct that row, or leave the table out",
            ));
        }
        Ok(key)
    }
}

/// The SQL type of a key column whose order we reproduce exactly; text under `COLLATE "C"`.
fn key_type(oid: u32) -> Option<&'static str> {
    Some(match oid {
        16 => "bool",
        17 => "bytea",
        20 => "int8",
        21 => "int2",
        23 => "int4",
        25 | 1043 => "text",
        26 => "oid",
        1082 => "date",
        1083 => "time",
        1114 => "timestamp",
        1184 => "timestamptz",
        2950 => "uuid",
        _ => return None,
    })
}

/// The captured tables as they are now, for whoever checks a map before a run; a table that is not there is left out.
pub async fn table_schemas(options: &Options) -> Result<Vec<TableSchema>, Fault> {
    let sql = Sql::open(options).await?;
    let mut found = Vec::new();
    for table in &options.tables {
        found.extend(Shape::read(&sql, table).await?.map(|shape| shape.plan.schema().clone()));
    }
    Ok(found)
}

/// A table's name as SQL.
pub(crate) fn quoted(table: &TableName) -> String {
    let (schema, name) = split(table).unwrap_or_default();
    format!("{}.{}", identifier(schema), identifier(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Cell;

    #[test]
    fn a_chunk_goes_on_behind_a_key_of_several_columns() {
        let key = ["b".to_owned(), "a".to_owned()];
        let plan = Plan::new(&schema(&"public.T x".into(), [("a", 20), ("b", 25), ("c", 1700)], &key));
        let shape = Shape {
            plan: Arc::new(plan),
            key: key.to_vec(),
            ordered: true,
            estimate: 0,
            row_bytes: 0,
            partitioned: false,
        };
        let after = RowKey::encode([Cell::Text("it's"), Cell::Int(-7)]).unwrap();
        assert_eq!(
            shape.select(Some(&after), 10).unwrap(),
            "SELECT \"a\", \"b\", \"c\" FROM ONLY \"public\".\"T x\" WHERE (\"b\" COLLATE \"C\", \"a\") > \
             ('it''s'::text, '-7'::int8) ORDER BY \"b\" COLLATE \"C\", \"a\" LIMIT 10"
        );
        assert!(shape.select(Some(&RowKey::encode([Cell::Int(1)]).unwrap()), 10).is_err());
        assert_eq!(shape.chunk_rows(10_000), 10_000);
        let wide = |row_bytes| Shape { row_bytes, ..shape.clone() }.chunk_rows(10_000);
        assert_eq!((wide(200), wide(1 << 20), wide(1 << 40)), (10_000, 8, 1), "wide rows come in smaller chunks");
    }
}
