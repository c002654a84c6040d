//! Resume: a fold of a source's own entries, not its last position (J6).
//!
//! Pure. The same fold runs in ingest, in the journal's recovery and in the simulator.

use model::{Entry, Fingerprint, Incarnation, RowKey, SnapshotMark, SourcePosition, TableName, TableSchema};
use std::collections::BTreeMap;

/// The prefix of the `Message` in which a source writes down whom its positions belong to, right behind `Started`.
/// It belongs to no transaction. Another server's or timeline's log is never gone on from (J10).
pub const IDENTITY_PREFIX: &str = "lockstep:identity";

/// Where a source goes on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resume {
    /// The life of the source's log that the last `Slot` began.
    pub incarnation: Incarnation,
    /// The slot's name once it was wanted; none before the first `Slot` entry.
    pub wanted: Option<Box<str>>,
    /// Whether that slot's `Snapshot(started)` is here. Wanted and not started: the slot holds nothing of ours (J6).
    pub started: bool,
    /// Up to where the source's log is in the journal (J6); none before the first start.
    pub passed: Option<SourcePosition>,
    /// What the source's log said of itself when it was started (PostgreSQL: system and timeline).
    pub identity: Option<Box<str>>,
    /// The tables that were started, with their state.
    pub tables: BTreeMap<TableName, TableResume>,
    /// The schema in force per table.
    pub schemas: BTreeMap<TableName, (Fingerprint, TableSchema)>,
}

/// How far the first read of a table is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TableResume {
    /// Read whole.
    Ready,
    /// Chunks up to here are in the journal.
    Open {
        /// The number of the next chunk.
        next_chunk: u64,
        /// The last chunk's end; none before the first.
        done_upto: Option<RowKey>,
    },
}

impl Resume {
    /// Folds one entry of this source. Entries of another incarnation than the current one change nothing.
    pub fn fold(&mut self, entry: &Entry) {
        if let Entry::Slot { incarnation, wanted, .. } = entry {
            self.begin(*incarnation, wanted);
            return;
        }
        if entry.source().is_none_or(|(_, incarnation)| incarnation != self.incarnation) {
            return;
        }
        match entry {
            Entry::Snapshot { mark: SnapshotMark::Started { tables, at }, .. } => {
                self.started = true;
                self.pass(*at);
                for table in tables {
                    self.tables.insert(table.clone(), TableResume::Open { next_chunk: 0, done_upto: None });
                }
            }
            Entry::Snapshot { mark: SnapshotMark::Ready { table, .. }, .. } => {
                self.tables.insert(table.clone(), TableResume::Ready);
            }
            Entry::Chunk(chunk) => {
                let table =
                    self.schemas.values().find(|(print, _)| *print == chunk.schema).map(|(_, s)| s.table.clone());
                if let Some(table) = table {
                    let open = TableResume::Open { next_chunk: chunk.number + 1, done_upto: chunk.key_to.clone() };
                    self.tables.insert(table, open);
                }
            }
            Entry::Row(row) => {
                if let Some(commit) = &row.commit {
                    self.pass(commit.end);
                }
            }
            Entry::Commit { commit, .. } => self.pass(commit.end),
            Entry::Heartbeat { position, .. } => self.pass(*position),
            Entry::Message { prefix, content, .. } if **prefix == *IDENTITY_PREFIX => {
                self.identity = str::from_utf8(content).ok().map(Box::from);
            }
            Entry::Schema { fingerprint, schema, .. } => {
                self.schemas.insert(schema.table.clone(), (*fingerprint, schema.clone()));
            }
            _ => {}
        }
    }

    fn begin(&mut self, incarnation: Incarnation, wanted: &str) {
        *self = Resume { incarnation, wanted: Some(wanted.into()), ..Resume::default() };
    }

    fn pass(&mut self, position: SourcePosition) {
        self.passed = self.passed.max(Some(position));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::SystemId;

    fn at(n: u8) -> SourcePosition {
        SourcePosition::new(&[n]).expect("short")
    }

    #[test]
    fn a_heartbeat_moves_passed_and_an_older_one_does_not_move_it_back() {
        let mut resume = Resume::default();
        let source = SystemId::from("legacy");
        let incarnation = Incarnation(1);
        resume.fold(&Entry::Slot { source: source.clone(), incarnation, wanted: "lockstep_clinic".into() });
        assert!(!resume.started);
        for position in [at(9), at(3)] {
            resume.fold(&Entry::Heartbeat { source: source.clone(), incarnation, position });
        }
        assert_eq!(resume.passed, Some(at(9)));
    }

    #[test]
    fn a_new_slot_forgets_the_old_ones_position_and_tables() {
        let mut resume = Resume::default();
        let source = SystemId::from("legacy");
        let slot = |n| Entry::Slot { source: source.clone(), incarnation: Incarnation(n), wanted: "s".into() };
        let started = |n| Entry::Snapshot {
            source: source.clone(),
            incarnation: Incarnation(n),
            mark: SnapshotMark::Started { tables: vec!["public.a".into()], at: at(7) },
        };
        for entry in [slot(1), started(1), slot(2), started(1)] {
            resume.fold(&entry);
        }
        assert!(!resume.started, "a mark of the old incarnation does not start the new slot");
        assert_eq!((resume.passed, resume.tables.len()), (None, 0));
    }
}
