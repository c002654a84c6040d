//! Entries on their way to the journal, all of one source; how many go together.

use crate::position::Lsn;
use model::{
    Chunk, CommitEnd, Entry, Incarnation, RowChange, RowEntry, SnapshotMark, SourcePosition, SystemId, TableName,
};
use schemas::Plan;
use std::{mem, time::Duration, time::Instant};

/// A batch is handed over at about this size.
const BYTES: usize = 1 << 20;
/// Or at this age, although more is waiting: a busy source is not a late one.
const AGE: Duration = Duration::from_millis(20);

/// A batch that is being filled.
pub(crate) struct Batch {
    source: SystemId,
    incarnation: Incarnation,
    entries: Vec<Entry>,
    bytes: usize,
    since: Option<Instant>,
}

impl Batch {
    /// An empty one.
    pub(crate) fn new(source: SystemId, incarnation: Incarnation) -> Batch {
        Batch { source, incarnation, entries: Vec::new(), bytes: 0, since: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn is_large(&self) -> bool {
        self.bytes >= BYTES
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.is_large() || self.since.is_some_and(|since| now.duration_since(since) >= AGE)
    }

    pub(crate) fn take(&mut self) -> Vec<Entry> {
        (self.bytes, self.since) = (0, None);
        // As much room again as was needed: growing step by step would copy every entry.
        let room = self.entries.len();
        mem::replace(&mut self.entries, Vec::with_capacity(room))
    }

    fn push(&mut self, entry: Entry) {
        self.since.get_or_insert_with(Instant::now);
        self.bytes += weight(&entry);
        self.entries.push(entry);
    }

    fn origin(&self) -> (SystemId, Incarnation) {
        (self.source.clone(), self.incarnation)
    }

    /// A row that is not pushed yet: the next message says whether it is alone.
    pub(crate) fn make_row(&self, position: SourcePosition, plan: &Plan, change: RowChange) -> RowEntry {
        let (source, incarnation) = self.origin();
        RowEntry { source, incarnation, position, schema: plan.fingerprint(), change, commit: None, author: None }
    }

    pub(crate) fn row(&mut self, row: RowEntry) {
        self.push(Entry::Row(row));
    }

    pub(crate) fn commit(&mut self, position: SourcePosition, commit: CommitEnd) {
        let (source, incarnation) = self.origin();
        self.push(Entry::Commit { source, incarnation, position, commit });
    }

    pub(crate) fn schema(&mut self, position: SourcePosition, plan: &Plan) {
        let (source, incarnation) = self.origin();
        let (fingerprint, schema) = (plan.fingerprint(), plan.schema().clone());
        self.push(Entry::Schema { source, incarnation, position, fingerprint, schema });
    }

    pub(crate) fn truncate(&mut self, position: SourcePosition, tables: Vec<TableName>) {
        let (source, incarnation) = self.origin();
        self.push(Entry::Truncate { source, incarnation, position, tables });
    }

    pub(crate) fn message(&mut self, position: SourcePosition, prefix: &str, content: &[u8]) {
        let (source, incarnation) = self.origin();
        self.push(Entry::Message { source, incarnation, position, prefix: prefix.into(), content: content.into() });
    }

    pub(crate) fn heartbeat(&mut self, at: Lsn) {
        let (source, incarnation) = self.origin();
        self.push(Entry::Heartbeat { source, incarnation, position: at.position() });
    }

    pub(crate) fn snapshot(&mut self, mark: SnapshotMark) {
        let (source, incarnation) = self.origin();
        self.push(Entry::Snapshot { source, incarnation, mark });
    }

    /// A range of a table; the chunk is given without its origin.
    pub(crate) fn chunk(&mut self, make: impl FnOnce(SystemId, Incarnation) -> Chunk) {
        let (source, incarnation) = self.origin();
        self.push(Entry::Chunk(make(source, incarnation)));
    }
}

/// About how much memory an entry holds.
fn weight(entry: &Entry) -> usize {
    let content = match entry {
        Entry::Row(RowEntry { change: RowChange::Insert(row) | RowChange::Delete { before: row }, .. }) => row.0.len(),
        Entry::Row(RowEntry { change: RowChange::Update { before, after }, .. }) => {
            before.as_ref().map_or(0, |row| row.0.len()) + after.0.len()
        }
        Entry::Chunk(chunk) => chunk.rows.iter().map(|row| row.0.len() + size_of::<model::Row>()).sum(),
        _ => 0,
    };
    size_of::<Entry>() + content
}
