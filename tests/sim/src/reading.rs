//! Reading tables by marked chunks (J8): a low mark, a read of the tables as they are a little later, a high mark; the chunk
//! stands behind every transaction up to its high mark. Between these, others write.

use crate::source::{Source, place, system};
use model::{Chunk, Entry, RowKey, SnapshotMark};
use ports::{Resume, TableResume};
use schemas::Plan;
use std::sync::Arc;

/// The reading of one table, and its chunk under way.
pub(crate) struct Reading {
    table: usize,
    number: u64,
    from: Option<RowKey>,
    low: Option<u64>,
    read: Option<Read>,
}

struct Read {
    plan: Arc<Plan>,
    rows: Vec<model::Row>,
    to: Option<RowKey>,
}

impl Source {
    pub(crate) fn begin_reading(&mut self, resume: &Resume) {
        self.reading.clear();
        for table in 0..self.plans.len() {
            let name = self.plans[table].schema().table.clone();
            let (number, from) = match resume.tables.get(&name) {
                Some(TableResume::Ready) => continue,
                // Its last chunk is in the journal.
                Some(TableResume::Open { next_chunk: 1.., done_upto: None }) => {
                    let mark = SnapshotMark::Ready { table: name, at: resume.passed.unwrap_or_default() };
                    self.queue.push_back(Entry::Snapshot { source: system(), incarnation: resume.incarnation, mark });
                    continue;
                }
                Some(TableResume::Open { next_chunk, done_upto }) => (*next_chunk, done_upto.clone()),
                None => (0, None),
            };
            self.reading.push(Reading { table, number, from, low: None, read: None });
        }
    }

    /// One act of reading. False: nothing is left to read.
    pub(crate) fn read_on(&mut self) -> bool {
        const ROWS: usize = 3;
        let lsn = self.lsn;
        let Some(reading) = self.reading.first_mut() else { return false };
        let table = reading.table;
        if reading.low.is_none() {
            reading.low = Some(lsn);
        } else if reading.read.is_none() {
            let (from, low) = (reading.from.clone(), reading.low);
            // Commit order is not visibility order: what was committed below the low mark must be seen (J8).
            let unseen = self.unseen.min(self.log.len());
            let early = |transaction: &crate::source::Transaction| Some(transaction.commit) < low;
            if self.log[self.log.len() - unseen..].iter().any(early) {
                self.unseen -= 1;
                return true;
            }
            let rows = self.seen();
            let behind = |id: &i64| from.as_ref().is_none_or(|from| Source::key(*id) > *from);
            let ids: Vec<i64> = rows[table].keys().copied().filter(behind).take(ROWS).collect();
            let rows = ids.iter().map(|id| self.row(table, &rows[table][id])).collect();
            let to = (ids.len() == ROWS).then(|| Self::key(ids[ROWS - 1]));
            self.reading[0].read = Some(Read { plan: self.plans[table].clone(), rows, to });
        } else {
            // The high mark is written now; everything up to it goes first.
            self.queue_transactions();
            let mut reading = self.reading.remove(0);
            let (Some(low), Some(Read { plan, rows, to })) = (reading.low.take(), reading.read.take()) else {
                return true;
            };
            let (low, high) = (place(low, None), place(self.lsn, None));
            self.announce(table, &plan, low);
            let (incarnation, schema, last) = (self.incarnation(), plan.fingerprint(), to.is_none());
            let (number, key_from, key_to) = (reading.number, reading.from.take(), to);
            reading.from = key_to.clone();
            reading.number += 1;
            let chunk = Chunk { source: system(), incarnation, schema, number, key_from, key_to, rows, low, high };
            self.queue.push_back(Entry::Chunk(chunk));
            if last {
                let mark = SnapshotMark::Ready { table: plan.schema().table.clone(), at: high };
                self.queue.push_back(Entry::Snapshot { source: system(), incarnation, mark });
            } else {
                self.reading.insert(0, reading);
            }
        }
        true
    }
}
