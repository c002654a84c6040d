//! What moved between P and the view.
//!
//! P is known only when the source has its snapshot, and by then the fold may stand a few commits further on: the view is
//! the state at some Q at or behind P, and nothing of the pipeline was held back for it. The journal says which rows the
//! commits in between touched; these are not compared, and are counted. State, ledger and target are compared at Q.

use crate::ReadJournal;
use flow::Inspect;
use model::{Entry, EntryId, Row, RowChange, RowKey, SourcePosition, TableName};
use ports::Fault;
use std::collections::{BTreeMap, BTreeSet};

/// Rows that were touched between P and Q.
#[derive(Default)]
pub(crate) struct Moved {
    rows: BTreeMap<TableName, BTreeSet<RowKey>>,
    /// Tables that were read again in between.
    read: BTreeSet<TableName>,
}

impl Moved {
    /// Looks through the entries from `from`, which was folded before P, to the view's place.
    pub(crate) fn between(
        position: SourcePosition,
        from: EntryId,
        journal: &mut ReadJournal,
        inspect: &Inspect,
    ) -> Result<Moved, Fault> {
        let (mut moved, mut next) = (Moved::default(), from);
        while next < inspect.folding() {
            let entries = journal(next)?;
            let Some(last) = entries.last() else { break };
            next = last.header.id.next();
            for entry in entries.iter().filter(|entry| entry.header.id < inspect.folding()) {
                moved.take(&entry.entry, position, inspect);
            }
        }
        Ok(moved)
    }

    fn take(&mut self, entry: &Entry, position: SourcePosition, inspect: &Inspect) {
        match entry {
            Entry::Row(row) if row.position > position => {
                let Some(plan) = inspect.plan(row.schema) else { return };
                let rows: Vec<&Row> = match &row.change {
                    RowChange::Insert(after) | RowChange::Update { before: None, after } => vec![after],
                    RowChange::Update { before: Some(before), after } => vec![before, after],
                    RowChange::Delete { before } => vec![before],
                };
                let keys = rows.into_iter().filter_map(|row| plan.key(row).ok().flatten());
                self.rows.entry(plan.schema().table.clone()).or_default().extend(keys);
            }
            Entry::Chunk(chunk) if chunk.high > position => {
                self.read.extend(inspect.plan(chunk.schema).map(|plan| plan.schema().table.clone()));
            }
            _ => {}
        }
    }

    /// Whether the row was touched.
    pub(crate) fn row(&self, table: &TableName, key: &RowKey) -> bool {
        self.rows.get(table).is_some_and(|rows| rows.contains(key))
    }

    /// Whether the table was read again.
    pub(crate) fn table(&self, table: &TableName) -> bool {
        self.read.contains(table)
    }
}
