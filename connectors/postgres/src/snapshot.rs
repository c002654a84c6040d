//! The first read: each table in chunks of its key's order, each chunk between two marks in the log (J8).
//!
//! A task of its own with its own SQL session. Reads and marks; whether a chunk may be used is decided by whoever reads the
//! stream ([`crate::handoff`]), because only the stream knows what it had delivered before the low mark.
//! Invariants:
//! * After a (re)connect no chunk is read until the transactions then running have ended: what the last connection
//!   delivered of them is not known here.
//! * Shape, snapshot and rows of a chunk are one transaction under a lock that keeps the shape.
//! * A chunk is read ahead of the verdict on the one before it, and thrown away if that one must be read again.

use crate::{
    catalog::Shape, config::Options, copy::Lines, error::Error, session::literal, socket::Bytestream, wire::Wire,
};
use model::{Row, RowKey, TableName};
use ports::TableProgress;
use schemas::Plan;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// How often running transactions are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// When waiting for them is worth a line in the log.
const TELL_AFTER: Duration = Duration::from_secs(5);

/// What `pg_current_snapshot()` said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Visible {
    oldest_running: u64,
    next: u64,
    running: BTreeSet<u64>,
}

impl Visible {
    /// Reads `xmin:xmax:xip,xip`.
    pub(crate) fn parse(text: &str) -> Option<Visible> {
        let mut parts = text.split(':');
        let (oldest_running, next) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let running = parts
            .next()?
            .split(',')
            .filter(|xid| !xid.is_empty())
            .map(|xid| xid.parse().ok())
            .collect::<Option<_>>()?;
        Some(Visible { oldest_running, next, running })
    }

    /// Whether a committed transaction, known by the low half of its number, is visible in this snapshot.
    /// Numbers are at most two thousand million apart, as PostgreSQL itself has it.
    pub(crate) fn sees(&self, xid: u32) -> bool {
        precedes(xid, self.next) && !self.running.iter().any(|running| low_half(*running) == xid)
    }

    fn all_ended_of(&self, earlier: &Visible) -> bool {
        self.oldest_running >= earlier.next || earlier.running.is_disjoint(&self.running)
    }
}

/// Whether `xid` is older than the full number `than`.
fn precedes(xid: u32, than: u64) -> bool {
    xid.wrapping_sub(low_half(than)).cast_signed() < 0
}

fn low_half(full: u64) -> u32 {
    (full & 0xffff_ffff) as u32
}

/// One piece of the first read.
pub(crate) struct Read {
    /// The number that its marks carry.
    pub(crate) mark: u64,
    pub(crate) plan: Arc<Plan>,
    /// None: all chunks are in the journal already, only `Ready` is missing.
    pub(crate) chunk: Option<ChunkRead>,
    /// Whether the table ends here.
    pub(crate) last: bool,
}

/// The rows of a range, and what their snapshot saw.
pub(crate) struct ChunkRead {
    pub(crate) number: u64,
    pub(crate) from: Option<RowKey>,
    pub(crate) to: Option<RowKey>,
    pub(crate) rows: Vec<Row>,
    pub(crate) visible: Visible,
}

/// What becomes of a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It went out.
    Taken,
    /// It did not see what the stream had delivered: once more.
    Again,
}

/// Where the read of a table stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) table: TableName,
    pub(crate) number: u64,
    pub(crate) after: Option<RowKey>,
}

impl Place {
    /// All chunks are there: the last one ends with the table.
    fn is_read(&self) -> bool {
        self.number > 0 && self.after.is_none()
    }
}

/// What the newest snapshot saw that was taken before every chunk on its way to the stream: a transaction that it saw is
/// missed by none of them. Written by the reader while no chunk is on its way, and by the stream when one has arrived.
pub(crate) type Seen = Arc<Mutex<Option<Visible>>>;

/// How far the first read is, shared with the source's handle.
pub(crate) type Progress = Arc<Mutex<Vec<TableProgress>>>;

/// The reading task's side.
pub(crate) struct SnapshotReader {
    pub(crate) wire: Wire<Bytestream>,
    pub(crate) options: Arc<Options>,
    /// Tells this connection's marks from those of earlier ones.
    pub(crate) nonce: String,
    pub(crate) progress: Progress,
    pub(crate) seen: Seen,
    pub(crate) reads: mpsc::Sender<Result<Read, Error>>,
    pub(crate) verdicts: mpsc::Receiver<Verdict>,
    pub(crate) lines: Lines,
}

impl SnapshotReader {
    /// Reads all `tables`, one after the other. An error goes to whoever takes the reads.
    pub(crate) async fn run(mut self, tables: Vec<Place>) {
        if let Err(error) = self.read_all(tables).await {
            let _ = self.reads.send(Err(error)).await;
        }
    }

    async fn read_all(&mut self, tables: Vec<Place>) -> Result<(), Error> {
        self.running_have_ended().await?;
        let mut mark = 0;
        for start in tables {
            let (mut place, mut in_flight) = (Some(start), None);
            while let Some(at) = place.take() {
                mark += 1;
                let read = self.read(&at, mark).await?;
                if let Some(before) = in_flight.take()
                    && self.must_repeat().await?
                {
                    place = Some(before);
                    continue;
                }
                let next = read.chunk.as_ref().filter(|_| !read.last);
                let next =
                    next.map(|chunk| Place { table: at.table.clone(), number: at.number + 1, after: chunk.to.clone() });
                self.count(&at.table, read.chunk.as_ref().map_or(0, |chunk| chunk.rows.len()));
                if self.reads.send(Ok(read)).await.is_err() {
                    return Ok(());
                }
                if next.is_none() {
                    // The table's end: nothing to read ahead, so wait.
                    place = self.must_repeat().await?.then_some(at);
                } else {
                    (place, in_flight) = (next, Some(at));
                }
            }
        }
        Ok(())
    }

    /// Waits for the verdict on what was sent last. What a chunk missed is still running: it is not read again before
    /// that has ended. Once nobody takes reads any more the next send ends the task.
    async fn must_repeat(&mut self) -> Result<bool, Error> {
        let again = self.verdicts.recv().await == Some(Verdict::Again);
        if again {
            self.running_have_ended().await?;
        }
        Ok(again)
    }

    async fn read(&mut self, at: &Place, mark: u64) -> Result<Read, Error> {
        let gone = || {
            Error::wrong(
                format!("the table {} is gone", at.table),
                format!("create it again, or take {} out of `tables`", at.table),
            )
        };
        let (low, high) = (self.mark_sql("low", mark), self.mark_sql("high", mark));
        if at.is_read() {
            self.tell("writing a mark", &low).await?;
            let shape = Shape::ask(&mut self.wire, &at.table).await?.ok_or_else(gone)?;
            self.tell("writing a mark", &high).await?;
            return Ok(Read { mark, plan: shape.plan, chunk: None, last: true });
        }
        // A mark is a transaction of its own: its place in the log is between everybody else's commits. The low one need not
        // wait for the disk, for the high one does, and comes behind it in the log.
        let low = format!("BEGIN; SET LOCAL synchronous_commit = off; {low}; COMMIT");
        let (shape, visible) = Shape::ask_for_chunk(&mut self.wire, &at.table, &low).await?.ok_or_else(gone)?;
        let unreadable = || Error::Protocol("a snapshot that cannot be read".to_owned());
        let visible = Visible::parse(&visible).ok_or_else(unreadable)?;
        let limit = shape.chunk_rows(self.options.chunk_rows);
        let copy = format!("COPY ({}) TO STDOUT", shape.select(at.after.as_ref(), limit)?);
        let SnapshotReader { wire, lines, .. } = self;
        let mut rows: Vec<Row> = Vec::new();
        let take = |line: &[u8]| {
            rows.push(lines.row(&shape.plan, line)?);
            Ok(())
        };
        wire.copy("reading a chunk", &copy, take).await?;
        // The mark's own transaction begins behind the reading one's end.
        self.tell("ending a chunk", &format!("COMMIT; {high}")).await?;
        self.chunk(at, &shape, mark, visible, rows)
    }

    fn chunk(&self, at: &Place, shape: &Shape, mark: u64, visible: Visible, rows: Vec<Row>) -> Result<Read, Error> {
        if shape.has_clock_key() {
            rows.iter().try_for_each(|row| shape.key_of(row).map(drop))?;
        }
        let last = !shape.ordered || rows.len() < shape.chunk_rows(self.options.chunk_rows);
        let to = match rows.last() {
            Some(row) if !last => Some(shape.key_of(row)?),
            _ => None,
        };
        let chunk = ChunkRead { number: at.number, from: at.after.clone(), to, rows, visible };
        Ok(Read { mark, plan: Arc::clone(&shape.plan), chunk: Some(chunk), last })
    }

    async fn tell(&mut self, during: &'static str, sql: &str) -> Result<(), Error> {
        self.wire.query(during, sql).await.map(drop)
    }

    /// The first column of the last row; empty if there is none or it is null.
    async fn one(&mut self, during: &'static str, sql: &str) -> Result<String, Error> {
        let row = self.wire.query(during, sql).await?.pop();
        Ok(row.and_then(|row| row.into_iter().next().flatten()).unwrap_or_default())
    }

    fn mark_sql(&self, which: &str, number: u64) -> String {
        let content = format!("{which} {} {number}", self.nonce);
        format!("SELECT pg_logical_emit_message(true, {}, {})", literal(&self.options.name()), literal(&content))
    }

    async fn running_have_ended(&mut self) -> Result<(), Error> {
        let (first, since, mut told) = (self.look().await?, Instant::now(), false);
        while !self.look().await?.all_ended_of(&first) {
            if !told && since.elapsed() >= TELL_AFTER {
                told = true;
                let running = "SELECT string_agg(pid::text, ', ') FROM pg_stat_activity WHERE backend_xid IS NOT NULL";
                let pids = self.one("looking at running transactions", running).await?;
                tracing::warn!(source = %self.options.system, pids, "the first read waits until transactions that were running have ended");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<Visible, Error> {
        let text = self.one("looking at running transactions", "SELECT pg_current_snapshot()").await?;
        let look = Visible::parse(&text).ok_or_else(|| Error::Protocol("a snapshot that cannot be read".to_owned()))?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(look.clone());
        Ok(look)
    }

    fn count(&self, table: &TableName, rows: usize) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = progress.iter_mut().find(|entry| entry.table == *table) {
            entry.rows_done += rows as u64;
            entry.rows_estimate = entry.rows_estimate.max(entry.rows_done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_does_not_see_what_was_running_or_came_later() {
        let visible = Visible::parse("4294967290:4294967300:4294967290,4294967298").unwrap();
        assert!(visible.sees(4_294_967_289));
        assert!(!visible.sees(4_294_967_290), "was running");
        assert!(visible.sees(0), "the numbers wrapped around");
        assert!(!visible.sees(2), "was running");
        assert!(!visible.sees(4), "came later");
        assert!(Visible::parse("1:1:").unwrap().running.is_empty());
        assert!(Visible::parse("1:x:").is_none());
    }

    #[test]
    fn transactions_have_ended_when_none_of_them_runs_any_more() {
        let first = Visible::parse("10:15:10,12").unwrap();
        assert!(!Visible::parse("12:30:12,20").unwrap().all_ended_of(&first));
        assert!(Visible::parse("20:30:20").unwrap().all_ended_of(&first));
        assert!(Visible::parse("15:15:").unwrap().all_ended_of(&first));
    }
}
