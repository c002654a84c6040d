//! From the socket to entries.
//!
//! A transaction comes as `Begin`, changes, `Commit`, and only once it has committed. Each change becomes a `Row` at (commit
//! LSN, ordinal); the last word is `Commit`, or the row itself says so where it is alone. What is confirmed to the server is
//! decided elsewhere: [`Status`] hears it through the handle, after the entries are durable (J10).
//! * Entries come in the order of their positions. A row is held back until the next message says whether it is alone.
//! * `Schema` precedes the first row that cites it. Chunks stand between transactions, behind their high mark (J8).
//! * A position without a change of ours (a keepalive, a transaction of other tables) becomes an entry, at most one per
//!   `heartbeat` in which nothing of ours came, and never inside a transaction (J35).

use crate::{
    batch::Batch,
    config::Options,
    error::Error,
    handoff::Handoff,
    pace::Pace,
    pgoutput::{self, Message},
    position::Lsn,
    relation::{Made, Relations},
    session::Task,
    status::Status,
    transaction::{Transaction, inside, outside},
    wire::{Event, Frames, Incoming},
};
use model::{Entry, Fingerprint, SourcePosition, TableName, Timestamp};
use schemas::Plan;
use std::{collections::BTreeMap, future::pending, sync::Arc, time::Duration, time::Instant};

/// A source that is alive says so this often.
const IDLE: Duration = Duration::from_secs(1);
/// After this many silent seconds the server is asked for a sign.
const ASK_AFTER: u64 = 10;

/// An open change stream.
pub(crate) struct Stream {
    pub(crate) options: Arc<Options>,
    /// The pipeline's name on the server: of its slot, its publication, its messages.
    pub(crate) name: String,
    pub(crate) frames: Frames<Incoming>,
    pub(crate) pace: Pace,
    pub(crate) relations: Relations,
    /// None once every table is ready.
    pub(crate) handoff: Option<Handoff>,
    pub(crate) status: Arc<Status>,
    pub(crate) _updates: Task,
    /// The shape that each table's rows cite, as far as it was said.
    pub(crate) announced: BTreeMap<TableName, Fingerprint>,
    /// Up to where entries were made, and when that last moved.
    pub(crate) passed: Lsn,
    pub(crate) moved_at: Instant,
    /// Seconds waited in vain, one after the other, and how many end the patience.
    pub(crate) silent: u64,
    pub(crate) silent_max: u64,
    pub(crate) transaction: Option<Transaction>,
    pub(crate) batch: Batch,
}

impl Stream {
    /// The next entries, as soon as there are some; none after a second of silence. Dropping the future loses nothing.
    pub(crate) async fn next_batch(&mut self) -> Result<Vec<Entry>, Error> {
        loop {
            self.take_messages().await?;
            self.settle()?;
            let now = Instant::now();
            if self.batch.is_due(now) {
                return Ok(self.batch.take());
            }
            let nap = self.pace.nap(now);
            if let Some(nap) = nap {
                tokio::time::sleep(nap).await;
            }
            // In a flood the next millisecond brings more: one large batch costs less than many small ones.
            if self.frames.read_now()? > 0 || (nap.is_some() && !self.batch.is_empty()) {
                continue;
            }
            if !self.batch.is_empty() {
                return Ok(self.batch.take());
            }
            let arrived = async {
                match &mut self.handoff {
                    Some(handoff) => handoff.arrived().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                count = self.frames.read() => drop(count?),
                more = arrived => if !more? { self.handoff = None },
                () = tokio::time::sleep(IDLE) => return self.idle(),
            }
        }
    }

    /// Nothing came for a second. The server's sign is a keepalive, which also says how far its log is.
    fn idle(&mut self) -> Result<Vec<Entry>, Error> {
        self.silent += 1;
        if self.silent >= self.silent_max {
            return Err(Error::Silent(self.silent));
        }
        if self.silent.is_multiple_of(ASK_AFTER) || self.moved_at.elapsed() >= self.options.heartbeat {
            self.status.ask();
        }
        Ok(Vec::new())
    }

    /// Takes every message that is here whole, until the batch is large.
    async fn take_messages(&mut self) -> Result<(), Error> {
        while !self.batch.is_large() {
            self.relations.learn().await?;
            let Some(event) = self.frames.event()? else { break };
            self.silent = 0;
            let bytes = match event {
                Event::Change(bytes) => bytes,
                Event::Keepalive { end, reply } => {
                    self.keepalive(end, reply);
                    continue;
                }
                Event::Notice => continue,
            };
            self.pace.message();
            match pgoutput::parse(bytes)? {
                Message::Begin { commit, xid, .. } => self.transaction = Some(Transaction::begin(commit, xid)),
                Message::Relation(relation) => self.relations.define(relation, bytes),
                Message::Insert { relation, new } => {
                    let made = self.relations.insert(relation, new)?;
                    self.row(made)?;
                }
                Message::Update { relation, old, new } => {
                    let made = self.relations.update(relation, old, new)?;
                    self.row(made)?;
                }
                Message::Delete { relation, old } => {
                    let made = self.relations.delete(relation, old)?;
                    self.row(made)?;
                }
                Message::Truncate(numbers) => {
                    let tables = self.relations.names(numbers)?;
                    self.truncate(tables)?;
                }
                Message::Logical { transactional: true, prefix, content } if *prefix == self.name => {
                    let content = content.0.to_vec();
                    self.own_message(&content)?;
                }
                Message::Commit { commit, end, at } => self.commit(commit, end, at)?,
                Message::Logical { .. } | Message::Origin | Message::Type => {}
            }
        }
        Ok(())
    }

    fn row(&mut self, made: Option<Made>) -> Result<(), Error> {
        let Some(Made { plan, change }) = made else { return Ok(()) };
        let position = inside(&mut self.transaction)?.next_position()?;
        self.announce(&plan, position);
        let row = self.batch.make_row(position, &plan, change);
        inside(&mut self.transaction)?.row(row, &mut self.batch);
        Ok(())
    }

    fn truncate(&mut self, tables: Vec<TableName>) -> Result<(), Error> {
        let transaction = inside(&mut self.transaction)?;
        let position = transaction.next_position()?;
        if !tables.is_empty() {
            transaction.other(&mut self.batch);
            self.batch.truncate(position, tables);
        }
        Ok(())
    }

    /// Marks are for the first read, fences for whoever waits for them in the journal.
    fn own_message(&mut self, content: &[u8]) -> Result<(), Error> {
        let transaction = inside(&mut self.transaction)?;
        let position = transaction.next_position()?;
        if content.starts_with(b"fence ") {
            transaction.other(&mut self.batch);
            self.batch.message(position, &self.name, content);
        } else if let (Some(handoff), Ok(text)) = (&mut self.handoff, str::from_utf8(content)) {
            handoff.mark(text, position);
        }
        Ok(())
    }

    fn commit(&mut self, commit: Lsn, end: Lsn, at: Timestamp) -> Result<(), Error> {
        let transaction = self.transaction.take().ok_or_else(outside)?;
        if let Some(handoff) = &mut self.handoff {
            handoff.delivered(transaction.xid());
        }
        if transaction.end(commit, end, at, &mut self.batch)? {
            (self.passed, self.moved_at) = (end, Instant::now());
        } else {
            // Others are busy and we are not: no silence comes in which a keepalive would tell.
            self.heartbeat(end);
        }
        self.settle()
    }

    /// The server has sent everything up to `end`. That is worth an entry only after a long silence (J35); without one
    /// the server would keep its log for a source that has long seen it.
    fn keepalive(&mut self, end: Lsn, reply: bool) {
        if reply {
            self.status.reply();
        }
        self.heartbeat(end);
    }

    fn heartbeat(&mut self, end: Lsn) {
        let idle = self.transaction.is_none() && self.moved_at.elapsed() >= self.options.heartbeat;
        if idle && end > self.passed {
            self.batch.heartbeat(end);
            (self.passed, self.moved_at) = (end, Instant::now());
        }
    }

    /// Chunks whose turn has come.
    fn settle(&mut self) -> Result<(), Error> {
        while self.transaction.is_none()
            && let Some(handoff) = &mut self.handoff
            && let Some(settled) = handoff.settle()?
        {
            self.announce(&settled.read.plan, settled.low);
            settled.push(&mut self.batch);
        }
        Ok(())
    }

    /// Says a table's shape before anything cites it.
    fn announce(&mut self, plan: &Plan, position: SourcePosition) {
        let (table, fingerprint) = (&plan.schema().table, plan.fingerprint());
        if self.announced.get(table) != Some(&fingerprint) {
            self.announced.insert(table.clone(), fingerprint);
            if let Some(transaction) = &mut self.transaction {
                transaction.release(&mut self.batch);
            }
            self.batch.schema(position, plan);
        }
    }
}
