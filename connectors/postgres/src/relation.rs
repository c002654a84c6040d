//! The relations of a stream: what its numbers stand for, and rows made straight from its text.
//!
//! No value is built on the way: each cell goes from the read buffer into the row's bytes.
//! Invariants:
//! * Columns that a key-only old row does not carry are `Unchanged`, never null.
//! * A new row's unchanged key column is taken from the old row: it has a key whenever the server gave one.

use crate::{
    catalog::{Shape, schema},
    error::Error,
    pgoutput::{self, Datum, Malformed, Message, Old, Relation, Relations as Numbers, Tuple},
    session::Sql,
    values,
    watch::LOOK_MAX,
};
use model::{Cell, Row, RowChange, TableName};
use schemas::{Plan, RowWriter};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A change of a captured table, as bytes of this plan.
pub(crate) struct Made {
    pub(crate) plan: Arc<Plan>,
    pub(crate) change: RowChange,
}

/// One captured relation.
struct Table {
    plan: Arc<Plan>,
    /// Which columns a key-only old row carries.
    identity: Vec<bool>,
}

/// The relations that the stream has named so far.
pub(crate) struct Relations {
    captured: BTreeSet<TableName>,
    keys: BTreeMap<TableName, Vec<String>>,
    /// `None`: published, but not captured.
    known: BTreeMap<u32, Option<Table>>,
    sql: Sql,
    /// The message of a relation whose key the catalogue must be asked for.
    asked: Option<Box<[u8]>>,
    writer: RowWriter,
    scratch: Vec<u8>,
}

impl Relations {
    /// For these tables; `shapes` is what the catalogue says of them now, `sql` asks it again.
    pub(crate) fn new<'a>(tables: &[TableName], shapes: impl IntoIterator<Item = &'a Shape>, sql: Sql) -> Relations {
        Relations {
            captured: tables.iter().cloned().collect(),
            keys: shapes.into_iter().map(|shape| (shape.table().clone(), shape.key.clone())).collect(),
            known: BTreeMap::new(),
            sql,
            asked: None,
            writer: RowWriter::new(),
            scratch: Vec::new(),
        }
    }

    /// Learns a relation's shape from its message. The order of the key's columns stands in the catalogue alone: it is asked
    /// again, by [`Relations::learn`], when what it said does not fit.
    pub(crate) fn define(&mut self, relation: Relation<'_>, message: &[u8]) {
        let table = name(&relation);
        if !self.captured.contains(&table) {
            self.known.insert(relation.id, None);
        } else if self.keys.get(&table).is_some_and(|key| fits(&relation, key)) {
            self.take(&relation, table);
        } else {
            self.asked = Some(message.into());
        }
    }

    /// Asks the catalogue, if a relation waits for it: before the next message is taken. Dropping the future loses nothing.
    pub(crate) async fn learn(&mut self) -> Result<(), Error> {
        let Some(message) = self.asked.clone() else { return Ok(()) };
        if let Message::Relation(relation) = pgoutput::parse(&message)? {
            let table = name(&relation);
            // This session may have been idle for days: one that a firewall has dropped must not stop the stream for long.
            let asked = tokio::time::timeout(LOOK_MAX, Shape::read(&self.sql, &table)).await;
            if let Some(shape) = asked.map_err(|_| Error::Silent(LOOK_MAX.as_secs()))?? {
                self.keys.insert(table.clone(), shape.key);
            }
            self.take(&relation, table);
        }
        self.asked = None;
        Ok(())
    }

    fn take(&mut self, relation: &Relation<'_>, table: TableName) {
        let key = match self.keys.get(&table) {
            Some(key) if fits(relation, key) => key.clone(),
            // The catalogue is ahead of the stream here: the stream's own word, in column order. A key that changed is seen by
            // the watch, and the table is read again.
            _ if relation.identity == b'f' => Vec::new(),
            _ => relation.columns().filter(|column| column.identity).map(|column| column.name.to_owned()).collect(),
        };
        let identity: Vec<bool> = relation.columns().map(|column| column.identity).collect();
        let columns = relation.columns().map(|column| (column.name, column.oid));
        let plan = Arc::new(Plan::new(&schema(&table, columns, &key)));
        self.known.insert(relation.id, Some(Table { plan, identity }));
    }

    /// The captured tables among these relations.
    pub(crate) fn names(&self, numbers: Numbers<'_>) -> Result<Vec<TableName>, Error> {
        let mut tables = Vec::new();
        for number in numbers.iter() {
            let known = self.known.get(&number).ok_or_else(|| unknown(number))?;
            tables.extend(known.as_ref().map(|table| table.plan.schema().table.clone()));
        }
        Ok(tables)
    }

    /// An inserted row.
    pub(crate) fn insert(&mut self, relation: u32, new: Tuple<'_>) -> Result<Option<Made>, Error> {
        self.change(relation, |encoder| Ok(RowChange::Insert(encoder.row(new)?)))
    }

    /// A changed row.
    pub(crate) fn update(
        &mut self,
        relation: u32,
        old: Option<Old<'_>>,
        new: Tuple<'_>,
    ) -> Result<Option<Made>, Error> {
        self.change(relation, |encoder| {
            let before = old.map(|old| encoder.old(old)).transpose()?;
            let after = match old {
                Some(old) => encoder.row_over(new, old)?,
                None => encoder.row(new)?,
            };
            Ok(RowChange::Update { before, after })
        })
    }

    /// A deleted row.
    pub(crate) fn delete(&mut self, relation: u32, old: Old<'_>) -> Result<Option<Made>, Error> {
        self.change(relation, |encoder| Ok(RowChange::Delete { before: encoder.old(old)? }))
    }

    fn change(
        &mut self,
        relation: u32,
        make: impl FnOnce(&mut Encoder<'_>) -> Result<RowChange, Error>,
    ) -> Result<Option<Made>, Error> {
        let Relations { known, writer, scratch, .. } = self;
        match known.get(&relation) {
            Some(Some(table)) => {
                let change = make(&mut Encoder { table, writer, scratch })?;
                Ok(Some(Made { plan: Arc::clone(&table.plan), change }))
            }
            Some(None) => Ok(None),
            None => Err(unknown(relation)),
        }
    }
}

fn name(relation: &Relation<'_>) -> TableName {
    TableName::from(format!("{}.{}", relation.namespace, relation.name).as_str())
}

/// Whether the key that the catalogue tells of is the one of this relation.
fn fits(relation: &Relation<'_>, key: &[String]) -> bool {
    let identity: Vec<&str> = relation.columns().filter(|column| column.identity).map(|column| column.name).collect();
    let has = |name: &String| relation.columns().any(|column| column.name == *name);
    let same = || key.len() == identity.len() && key.iter().all(|name| identity.contains(&name.as_str()));
    key.iter().all(has) && (relation.identity == b'f' || same())
}

fn unknown(relation: u32) -> Error {
    Error::Protocol(format!("relation {relation} was not introduced"))
}

struct Encoder<'e> {
    table: &'e Table,
    writer: &'e mut RowWriter,
    scratch: &'e mut Vec<u8>,
}

impl Encoder<'_> {
    fn row(&mut self, new: Tuple<'_>) -> Result<Row, Error> {
        self.encode(new, |_, datum| Ok(datum))
    }

    /// An old row: what it does not carry is unknown.
    fn old(&mut self, old: Old<'_>) -> Result<Row, Error> {
        let table = self.table;
        match old {
            Old::Full(tuple) => self.row(tuple),
            Old::Key(tuple) => self.encode(tuple, |at, datum| {
                Ok(if table.identity.get(at).copied().unwrap_or(false) { datum } else { Datum::Unchanged })
            }),
        }
    }

    /// A new row; what did not change and was not sent is taken from the old row where that carries it.
    fn row_over(&mut self, new: Tuple<'_>, old: Old<'_>) -> Result<Row, Error> {
        let table = self.table;
        self.encode(new, |at, datum| {
            let carried = match old {
                Old::Full(_) => true,
                Old::Key(_) => table.identity.get(at).copied().unwrap_or(false),
            };
            match datum {
                Datum::Unchanged if carried => old.tuple().cells().nth(at).unwrap_or(Ok(datum)),
                _ => Ok(datum),
            }
        })
    }

    fn encode<'t>(
        &mut self,
        tuple: Tuple<'t>,
        mut pick: impl FnMut(usize, Datum<'t>) -> Result<Datum<'t>, Malformed>,
    ) -> Result<Row, Error> {
        let plan = &self.table.plan;
        let mut row = self.writer.row(plan);
        let mut columns = plan.schema().columns.iter();
        for (at, datum) in tuple.cells().enumerate() {
            let cell = match (pick(at, datum?)?, columns.next()) {
                (Datum::Null, _) => Cell::Null,
                (Datum::Unchanged, _) => Cell::Unchanged,
                (Datum::Text(text), Some(column)) => values::cell(column.ty, text, self.scratch),
                // One cell too many: the row says so below.
                (Datum::Text(text), None) => Cell::Raw(text),
            };
            row.push(cell)?;
        }
        Ok(row.finish()?)
    }
}
