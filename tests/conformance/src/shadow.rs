//! The rows of a source as a journal tells them, by J7, J8 and J11: what its tables are compared with.

use model::{
    Cell, Chunk, CommitEnd, Entry, Fingerprint, Row, RowChange, RowEntry, RowKey, SnapshotMark, SourcePosition,
    TableName,
};
use schemas::Plan;
use std::collections::BTreeMap;

/// Rows with their as-of, folded from a journal (J7, J8, J11).
#[derive(Default)]
pub struct Shadow {
    rows: BTreeMap<(TableName, RowKey), (Option<Row>, SourcePosition)>,
    plans: BTreeMap<Fingerprint, Plan>,
    open: Vec<RowEntry>,
    ready: Vec<TableName>,
    /// Rows that a chunk lacked.
    pub inferred: usize,
}

impl Shadow {
    /// Folds the journal up to `upto`.
    pub fn fold(journal: &[Entry], upto: SourcePosition) -> Shadow {
        let mut shadow = Shadow::default();
        for entry in journal {
            shadow.take(entry, upto);
        }
        shadow
    }

    fn take(&mut self, entry: &Entry, upto: SourcePosition) {
        match entry {
            Entry::Schema { fingerprint, schema, .. } => drop(self.plans.insert(*fingerprint, Plan::new(schema))),
            Entry::Row(row) => {
                self.open.push(row.clone());
                if let Some(commit) = &row.commit {
                    self.close(commit, upto);
                }
            }
            Entry::Commit { commit, .. } => self.close(commit, upto),
            Entry::Chunk(chunk) => self.chunk(chunk),
            Entry::Snapshot { mark: SnapshotMark::Ready { table, .. }, .. } => self.ready.push(table.clone()),
            Entry::Snapshot { mark: SnapshotMark::Started { tables, .. }, .. } => {
                self.ready.retain(|table| !tables.contains(table));
            }
            _ => {}
        }
    }

    fn close(&mut self, commit: &CommitEnd, upto: SourcePosition) {
        let rows = std::mem::take(&mut self.open);
        assert_eq!(rows.len() as u64, commit.count, "a transaction is whole");
        if commit.end > upto {
            return;
        }
        for row in rows {
            let plan = self.plans[&row.schema].clone();
            let table = plan.schema().table.clone();
            // While a table had no key its rows have no name: it is read again.
            if plan.schema().key.is_empty() {
                continue;
            }
            let (before, after) = match &row.change {
                RowChange::Insert(after) => (None, Some(after)),
                RowChange::Update { before, after } => (before.as_ref(), Some(after)),
                RowChange::Delete { before } => (Some(before), None),
            };
            let key = |row: &Row| plan.key(row).expect("it reads as its schema says").expect("a key");
            let old_key = before.map(key);
            let base = old_key
                .clone()
                .or(after.map(key))
                .and_then(|key| self.rows.get(&(table.clone(), key)).and_then(|(row, _)| row.clone()));
            if let Some(old) = old_key {
                self.put(&table, old, None, row.position);
            }
            if let Some(after) = after {
                let filled = fill(&plan, after, base.as_ref());
                self.put(&table, key(after), Some(filled), row.position);
            }
        }
    }

    fn put(&mut self, table: &TableName, key: RowKey, row: Option<Row>, at: SourcePosition) {
        if let Some((_, as_of)) = self.rows.insert((table.clone(), key), (row, at)) {
            assert!(as_of <= at, "a stale change: the chunk claimed more than it saw");
        }
    }

    fn chunk(&mut self, chunk: &Chunk) {
        assert!(self.open.is_empty() && chunk.low <= chunk.high);
        let plan = self.plans[&chunk.schema].clone();
        let table = plan.schema().table.clone();
        assert!(!self.ready.contains(&table));
        let mut inside = BTreeMap::new();
        for row in &chunk.rows {
            let key = plan.key(row).expect("it reads as its schema says").expect("a key");
            assert!(
                chunk.key_from.as_ref().is_none_or(|from| *from < key)
                    && chunk.key_to.as_ref().is_none_or(|to| key <= *to)
            );
            inside.insert(key, row.clone());
        }
        let gone: Vec<RowKey> = self
            .rows
            .iter()
            .filter(|((of, key), (row, as_of))| {
                *of == table
                    && row.is_some()
                    && *as_of <= chunk.low
                    && !inside.contains_key(key)
                    && chunk.key_from.as_ref().is_none_or(|from| from < key)
                    && chunk.key_to.as_ref().is_none_or(|to| key <= to)
            })
            .map(|((_, key), _)| key.clone())
            .collect();
        self.inferred += gone.len();
        for key in gone {
            self.rows.insert((table.clone(), key), (None, chunk.high));
        }
        for (key, row) in inside {
            match self.rows.get_mut(&(table.clone(), key.clone())) {
                Some((known, as_of)) if *as_of > chunk.low => {
                    if let Some(known) = known {
                        *known = fill(&plan, known, Some(&row));
                    }
                }
                _ => drop(self.rows.insert((table.clone(), key), (Some(row), chunk.high))),
            }
        }
    }

    /// The rows that are there.
    pub fn live(&self, table: &str) -> BTreeMap<RowKey, Row> {
        let live = self.rows.iter().filter(|((of, _), _)| of.as_str() == table);
        live.filter_map(|((_, key), (row, _))| Some((key.clone(), row.clone()?))).collect()
    }
}

/// Unknown cells of `row` from `base`.
fn fill(plan: &Plan, row: &Row, base: Option<&Row>) -> Row {
    let Some(base) = base else { return row.clone() };
    let cells = plan.cells(row).expect("it reads as its schema says");
    // A base of another shape could not be read by this plan.
    if !cells.contains(&Cell::Unchanged) {
        return row.clone();
    }
    let base = plan.cells(base).expect("it reads as its schema says");
    let filled: Vec<_> =
        cells.iter().zip(&base).map(|(cell, base)| if *cell == Cell::Unchanged { *base } else { *cell }).collect();
    plan.row(&filled).expect("it reads as its schema says")
}
