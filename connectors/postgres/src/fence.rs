//! Fences for verify (J45): a view of the tables at one position that the stream will pass.
//!
//! A temporary slot exports a snapshot that holds exactly the transactions whose commit lies below its consistent point, in
//! the log's order, not in the order of visibility. One logical message behind it makes an idle stream pass it.
//! Needs REPLICATION, a free slot and SELECT; the slot goes with its connection.

use crate::{
    catalog::Shape,
    config::Options,
    error::Error,
    position::Lsn,
    session::{Sql, connect, literal},
    slot,
    wire::Wire,
};
use model::{Row, RowKey, SourcePosition, TableName};
use ports::{Boxed, Fault, Fence, FenceSource, FencedRows};
use schemas::RowWriter;
use std::collections::BTreeMap;

/// Opens fences at a PostgreSQL database.
pub struct PostgresFences {
    options: Options,
}

impl PostgresFences {
    /// Not connected yet; each fence has connections of its own.
    pub fn new(options: Options) -> PostgresFences {
        PostgresFences { options }
    }

    async fn open(&self, waiting: &mut (dyn FnMut(Vec<i32>) + Send)) -> Result<PostgresFence, Error> {
        let options = &self.options;
        let sql = Sql::open(options).await?;
        let mut wire = Wire::open(connect(options).await?, options).await?;
        let name = format!("{}_fence_{}", options.name(), wire.pid());
        let (point, snapshot) = slot::create(&mut wire, &sql, &name, true, waiting).await?;
        let message = format!(
            "SELECT pg_logical_emit_message(true, {}, {})",
            literal(&options.name()),
            literal(&format!("fence {point}"))
        );
        sql.run("writing the fence's message", &message).await?;
        let begin =
            format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}", literal(&snapshot));
        sql.run("taking the fence's snapshot", &begin).await?;
        // The snapshot is ours now; the slot has done its work and goes with its connection.
        drop(wire);
        Ok(PostgresFence { sql, point, shapes: BTreeMap::new(), writer: RowWriter::new(), scratch: Vec::new() })
    }
}

impl FenceSource for PostgresFences {
    fn fence<'a>(
        &'a mut self,
        waiting: &'a mut (dyn FnMut(Vec<i32>) + Send),
    ) -> Boxed<'a, Result<Box<dyn Fence>, Fault>> {
        Box::pin(async move { Ok(Box::new(self.open(waiting).await?) as Box<dyn Fence>) })
    }
}

struct PostgresFence {
    sql: Sql,
    point: Lsn,
    shapes: BTreeMap<TableName, Shape>,
    writer: RowWriter,
    scratch: Vec<u8>,
}

impl PostgresFence {
    async fn page(&mut self, table: &TableName, after: Option<&RowKey>, max: usize) -> Result<FencedRows, Error> {
        if !self.shapes.contains_key(table) {
            let shape = Shape::read(&self.sql, table).await?;
            let shape =
                shape.ok_or_else(|| Error::wrong(format!("the table {table} is gone"), "take it out of `tables`"))?;
            self.shapes.insert(table.clone(), shape);
        }
        let PostgresFence { sql, shapes, writer, scratch, .. } = self;
        let Some(shape) = shapes.get(table) else { return Err(Error::Protocol(format!("no shape of {table}"))) };
        let schema = shape.plan.schema().clone();
        // A key without an order of ours: the whole table was one page.
        if !shape.ordered && after.is_some() {
            return Ok(FencedRows { schema, rows: Vec::new() });
        }
        let found = sql.rows("reading at the fence", &shape.select(after, max)?).await?;
        let mut rows: Vec<(RowKey, Row)> = Vec::with_capacity(found.len());
        for row in &found {
            let row = shape.encode(row, writer, scratch)?;
            rows.push((shape.key_of(&row)?, row));
        }
        if !shape.ordered {
            rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        Ok(FencedRows { schema, rows })
    }
}

impl Fence for PostgresFence {
    fn position(&self) -> SourcePosition {
        self.point.position()
    }

    fn rows<'a>(
        &'a mut self,
        table: &'a TableName,
        after: Option<&'a RowKey>,
        max: usize,
    ) -> Boxed<'a, Result<FencedRows, Fault>> {
        Box::pin(async move { Ok(self.page(table, after, max).await?) })
    }
}
