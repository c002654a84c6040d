//! The stream's side of the first read: a chunk goes out when the stream has passed its high mark, and only if it saw
//! everything that the stream had delivered before its low mark (J8: commit order is not visibility order).
//!
//! A transaction that waits for a synchronous standby is committed in the log, so the stream has delivered it, and it is
//! still running for every snapshot. A chunk that misses it would bring back the rows as they were before.

use crate::{
    batch::Batch,
    error::Error,
    session::Task,
    snapshot::{ChunkRead, Read, Seen, Verdict},
};
use model::{Chunk, SnapshotMark, SourcePosition};
use std::{collections::BTreeMap, sync::PoisonError};
use tokio::sync::mpsc;

/// How many numbers of transactions are kept before those that no chunk can miss any more are looked for.
const DELIVERED_KEPT: usize = 1 << 16;

/// What the stream saw of a read's marks.
struct Marks {
    low: SourcePosition,
    /// How many transactions had been delivered then.
    delivered: u64,
    high: Option<SourcePosition>,
}

/// A read that may go out, with the places of its marks.
pub(crate) struct Settled {
    pub(crate) read: Read,
    pub(crate) low: SourcePosition,
    pub(crate) high: SourcePosition,
}

impl Settled {
    /// The chunk, and `Ready` behind a table's last one.
    pub(crate) fn push(self, batch: &mut Batch) {
        let Settled { read, low, high } = self;
        let schema = read.plan.fingerprint();
        if let Some(ChunkRead { number, from: key_from, to: key_to, rows, .. }) = read.chunk {
            batch.chunk(|source, incarnation| Chunk {
                source,
                incarnation,
                schema,
                number,
                key_from,
                key_to,
                rows,
                low,
                high,
            });
        }
        if read.last {
            batch.snapshot(SnapshotMark::Ready { table: read.plan.schema().table.clone(), at: high });
        }
    }
}

/// Joins reads and marks.
pub(crate) struct Handoff {
    reads: mpsc::Receiver<Result<Read, Error>>,
    verdicts: mpsc::Sender<Verdict>,
    nonce: String,
    waiting: Option<Read>,
    marks: BTreeMap<u64, Marks>,
    /// Transactions delivered since the connection began, each with its place among them.
    delivered: Vec<(u64, u32)>,
    count: u64,
    seen: Seen,
    _task: Task,
}

impl Handoff {
    /// Takes what the reading task `task` sends.
    pub(crate) fn new(
        reads: mpsc::Receiver<Result<Read, Error>>,
        verdicts: mpsc::Sender<Verdict>,
        nonce: String,
        seen: Seen,
        task: Task,
    ) -> Handoff {
        Handoff {
            reads,
            verdicts,
            nonce,
            waiting: None,
            marks: BTreeMap::new(),
            delivered: Vec::new(),
            count: 0,
            seen,
            _task: task,
        }
    }

    /// The stream delivered a committed transaction.
    pub(crate) fn delivered(&mut self, xid: u32) {
        self.count += 1;
        self.delivered.push((self.count, xid));
        if self.delivered.len() >= DELIVERED_KEPT && self.delivered.len().is_power_of_two() {
            self.forget();
        }
    }

    /// The stream met a message of ours. Marks of earlier connections mean nothing any more.
    pub(crate) fn mark(&mut self, content: &str, at: SourcePosition) {
        let mut words = content.split(' ');
        let (Some(which), Some(nonce), Some(number)) = (words.next(), words.next(), words.next()) else { return };
        let Ok(number) = number.parse() else { return };
        if nonce != self.nonce {
            return;
        }
        match which {
            "low" => {
                self.marks.insert(number, Marks { low: at, delivered: self.count, high: None });
            }
            "high" => {
                if let Some(marks) = self.marks.get_mut(&number) {
                    marks.high = Some(at);
                }
            }
            _ => {}
        }
    }

    /// Waits for the next read. Dropping the future loses nothing. `false`: the first read is over.
    pub(crate) async fn arrived(&mut self) -> Result<bool, Error> {
        if self.waiting.is_some() {
            // One at a time: its high mark comes by the stream.
            return std::future::pending().await;
        }
        match self.reads.recv().await {
            Some(read) => {
                self.waiting = Some(read?);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// The read whose turn has come; call between transactions.
    pub(crate) fn settle(&mut self) -> Result<Option<Settled>, Error> {
        if self.waiting.is_none()
            && let Ok(read) = self.reads.try_recv()
        {
            self.waiting = Some(read?);
        }
        let Some(number) = self.waiting.as_ref().map(|read| read.mark) else { return Ok(None) };
        let Some(Marks { low, delivered, high: Some(high) }) = self.marks.get(&number) else { return Ok(None) };
        let (low, high, before) = (*low, *high, *delivered);
        self.marks = self.marks.split_off(&(number + 1));
        let Some(read) = self.waiting.take() else { return Ok(None) };
        let visible = read.chunk.as_ref().map(|chunk| &chunk.visible);
        let missed = visible
            .is_some_and(|visible| self.delivered.iter().any(|(place, xid)| *place <= before && !visible.sees(*xid)));
        if let Some(visible) = visible {
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(visible.clone());
        }
        self.forget();
        let verdict = if missed { Verdict::Again } else { Verdict::Taken };
        // Its room is never used up: the task waits for each verdict. A task that has ended needs none.
        let _ = self.verdicts.try_send(verdict);
        Ok((!missed).then_some(Settled { read, low, high }))
    }

    fn forget(&mut self) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = &*seen {
            self.delivered.retain(|(_, xid)| !seen.sees(*xid));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalog::schema, position::Lsn, snapshot::Visible};
    use schemas::Plan;
    use std::sync::Arc;

    fn read(mark: u64, visible: &str) -> Read {
        let plan = Arc::new(Plan::new(&schema(&"public.a".into(), [("id", 20)], &["id".to_owned()])));
        let visible = Visible::parse(visible).unwrap();
        let chunk = ChunkRead { number: 0, from: None, to: None, rows: Vec::new(), visible };
        Read { mark, plan, chunk: Some(chunk), last: true }
    }

    fn handoff() -> (Handoff, mpsc::Sender<Result<Read, Error>>, mpsc::Receiver<Verdict>) {
        let (send, reads) = mpsc::channel(1);
        let (verdicts, heard) = mpsc::channel(4);
        (Handoff::new(reads, verdicts, "n".into(), Seen::default(), Task(tokio::spawn(async {}))), send, heard)
    }

    #[tokio::test]
    async fn memory_stays_bounded_while_an_open_transaction_holds_up_the_first_chunk() {
        let (mut handoff, _send, _heard) = handoff();
        for xid in 101..=400_000 {
            // The reader looks again and again: 100 runs on, all others that were delivered have ended.
            *handoff.seen.lock().unwrap() = Visible::parse(&format!("100:{xid}:100"));
            handoff.delivered(xid);
        }
        assert!(handoff.delivered.len() <= DELIVERED_KEPT, "{}", handoff.delivered.len());
        handoff.delivered(100);
        handoff.forget();
        assert!(handoff.delivered.iter().any(|(_, xid)| *xid == 100), "a chunk may still miss it");
    }

    #[tokio::test]
    async fn a_chunk_waits_for_its_high_mark() {
        let (mut handoff, send, mut heard) = handoff();
        send.send(Ok(read(1, "5:5:"))).await.unwrap();
        handoff.mark("low other 1", Lsn(9).change(1));
        handoff.mark("low n 1", Lsn(10).change(1));
        assert!(handoff.settle().unwrap().is_none());
        handoff.mark("high n 1", Lsn(20).change(1));
        let settled = handoff.settle().unwrap().expect("its turn");
        assert_eq!((settled.low, settled.high), (Lsn(10).change(1), Lsn(20).change(1)));
        assert_eq!(heard.recv().await, Some(Verdict::Taken));
    }

    #[tokio::test]
    async fn a_chunk_that_misses_what_was_delivered_before_its_low_mark_is_read_again() {
        let (mut handoff, send, mut heard) = handoff();
        handoff.delivered(7);
        handoff.mark("low n 1", Lsn(10).change(1));
        handoff.delivered(8);
        handoff.mark("high n 1", Lsn(20).change(1));
        send.send(Ok(read(1, "7:9:7"))).await.unwrap();
        assert!(handoff.settle().unwrap().is_none());
        assert_eq!(heard.recv().await, Some(Verdict::Again));
        // 7 has ended; 8 is running, but the stream brings it behind the low mark.
        handoff.mark("low n 2", Lsn(30).change(1));
        handoff.delivered(9);
        handoff.mark("high n 2", Lsn(40).change(1));
        send.send(Ok(read(2, "9:10:9"))).await.unwrap();
        assert!(handoff.settle().unwrap().is_some());
    }
}
