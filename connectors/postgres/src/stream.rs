//! From the socket to entries.
//!
//! A transaction comes as `Begin`, changes, `Commit`, and only once it has committed. Each change becomes one `Row` entry at
//! (commit LSN, ordinal); the last word is `Commit`, or the row itself says so where it is alone. What is confirmed to the
//! server is decided elsewhere: [`Status`] hears it from the handle, after the entries are durable (J10).
//! Invariants:
//! * Entries come in the order of their positions. A row is held back until the next message says whether it is alone.
//! * `Schema` precedes the first row that cites it. Chunks stand between transactions, behind their high mark (J8).
//! * A keepalive's position becomes an entry, at most one per silent `heartbeat`, and never inside a transaction (J35).

use crate::{
    config::Options,
    error::Error,
    handoff::{Handoff, Settled},
    pace::Pace,
    pgoutput::{self, Message},
    position::Lsn,
    relation::Relations,
    session::{Bytestream, Sql, Task},
    status::Status,
    wire::{Frame, Frames, server_error},
};
use model::{
    Chunk, CommitEnd, Entry, Fingerprint, Incarnation, RowChange, RowEntry, SnapshotMark, SourcePosition, SystemId,
    TableName, Timestamp,
};
use schemas::Plan;
use std::{collections::BTreeMap, mem, sync::Arc, time::Duration, time::Instant};
use tokio::io::ReadHalf;

/// A batch is handed over at about this size, or this age, or as soon as nothing more is waiting.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_AGE: Duration = Duration::from_millis(20);
/// A source that is alive says so this often.
const IDLE: Duration = Duration::from_secs(1);
/// After this many silent seconds the server is asked for a sign, and after that many given up.
const ASK_AFTER: u64 = 10;
const GIVE_UP_AFTER: u64 = 60;

/// An open change stream.
pub(crate) struct Stream {
    pub(crate) options: Arc<Options>,
    pub(crate) source: SystemId,
    pub(crate) incarnation: Incarnation,
    pub(crate) frames: Frames<ReadHalf<Bytestream>>,
    pub(crate) pace: Pace,
    pub(crate) relations: Relations,
    pub(crate) sql: Sql,
    /// None once every table is ready.
    pub(crate) handoff: Option<Handoff>,
    pub(crate) status: Arc<Status>,
    pub(crate) _updates: Task,
    /// The shape that each table's rows cite, as far as it is announced.
    pub(crate) announced: BTreeMap<TableName, Fingerprint>,
    /// Up to where entries were made, and when that last moved.
    pub(crate) passed: Lsn,
    pub(crate) moved_at: Instant,
    /// Seconds waited in vain, one after the other.
    pub(crate) silent: u64,
    pub(crate) transaction: Option<Transaction>,
    pub(crate) batch: Batch,
}

/// A transaction whose end has not come yet.
pub(crate) struct Transaction {
    commit: Lsn,
    xid: u32,
    ordinal: u32,
    rows: u64,
    /// Whether it made entries other than rows.
    others: bool,
    held: Option<RowEntry>,
}

/// Entries on their way.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<Entry>,
    bytes: usize,
    since: Option<Instant>,
}

impl Stream {
    /// The next entries, as soon as there are some; none after a second of silence.
    pub(crate) async fn next_batch(&mut self) -> Result<Vec<Entry>, Error> {
        loop {
            self.take_frames().await?;
            self.settle()?;
            let now = Instant::now();
            if self.batch.is_full(now) {
                return Ok(self.batch.take());
            }
            if let Some(nap) = self.pace.nap(now) {
                tokio::time::sleep(nap).await;
            }
            let count = self.frames.read_now().await?;
            self.pace.read(count);
            if count > 0 {
                continue;
            }
            if !self.batch.entries.is_empty() {
                return Ok(self.batch.take());
            }
            tokio::select! {
                read = self.frames.read() => {
                    self.pace.read(read?);
                    self.silent = 0;
                }
                arrived = arrived(&mut self.handoff) => if !arrived? { self.handoff = None },
                () = tokio::time::sleep(IDLE) => {
                    self.silent += 1;
                    if self.silent >= GIVE_UP_AFTER {
                        return Err(Error::Silent(self.silent));
                    }
                    if self.silent.is_multiple_of(ASK_AFTER) || self.moved_at.elapsed() >= self.options.heartbeat {
                        self.status.ask();
                    }
                    return Ok(Vec::new());
                }
            }
        }
    }

    /// Takes every message that is here whole, until the batch is full.
    async fn take_frames(&mut self) -> Result<(), Error> {
        while self.batch.bytes < BATCH_BYTES {
            let Some(Frame { tag, body }) = self.frames.next()? else { break };
            let message = match (tag, body) {
                (b'd', [b'w', rest @ ..]) => rest.get(24..).unwrap_or_default(),
                (b'd', [b'k', rest @ ..]) => {
                    let (end, reply) = (rest.first_chunk::<8>(), rest.get(16) == Some(&1));
                    let end = Lsn(end.map_or(0, |end| u64::from_be_bytes(*end)));
                    self.keepalive(end, reply);
                    continue;
                }
                (b'E', body) => return Err(server_error("streaming changes", body)),
                (b'c' | b'C' | b'Z', _) => return Err(Error::Closed),
                _ => continue,
            };
            self.pace.message();
            match pgoutput::parse(message)? {
                Message::Begin { commit, xid, .. } => {
                    self.transaction =
                        Some(Transaction { commit, xid, ordinal: 0, rows: 0, others: false, held: None });
                }
                Message::Relation(relation) => self.relations.define(relation, &self.sql).await?,
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
                    let mut tables = Vec::new();
                    for number in numbers.iter() {
                        tables.extend(self.relations.get(number)?.map(|table| table.plan.schema().table.clone()));
                    }
                    self.truncate(tables)?;
                }
                Message::Logical { transactional: true, prefix, content } if prefix == self.options.name() => {
                    let content = content.to_vec();
                    self.own_message(content.into())?;
                }
                Message::Commit { commit, end, at } => self.commit(commit, end, at)?,
                Message::Logical { .. } | Message::Origin | Message::Type => {}
            }
        }
        Ok(())
    }

    fn row(&mut self, made: Option<(Arc<Plan>, RowChange)>) -> Result<(), Error> {
        let Some((plan, change)) = made else { return Ok(()) };
        let position = self.next_position()?;
        self.announce(&plan, position);
        let (source, incarnation) = (self.source.clone(), self.incarnation);
        let row = RowEntry { source, incarnation, position, schema: plan.fingerprint(), change, commit: None };
        let transaction = inside(&mut self.transaction)?;
        transaction.rows += 1;
        if let Some(before) = transaction.held.replace(row) {
            self.batch.push(Entry::Row(before));
        }
        Ok(())
    }

    fn truncate(&mut self, tables: Vec<TableName>) -> Result<(), Error> {
        if tables.is_empty() {
            return Ok(());
        }
        let position = self.next_position()?;
        let (source, incarnation) = (self.source.clone(), self.incarnation);
        self.push_other(Entry::Truncate { source, incarnation, position, tables })
    }

    /// Marks are for the first read, fences for whoever waits for them in the journal.
    fn own_message(&mut self, content: Box<[u8]>) -> Result<(), Error> {
        let position = self.next_position()?;
        if content.starts_with(b"fence ") {
            let (source, incarnation, prefix) = (self.source.clone(), self.incarnation, self.options.name().into());
            return self.push_other(Entry::Message { source, incarnation, position, prefix, content });
        }
        if let (Some(handoff), Ok(text)) = (&mut self.handoff, str::from_utf8(&content)) {
            handoff.mark(text, position);
        }
        Ok(())
    }

    fn commit(&mut self, commit: Lsn, end: Lsn, committed_at: Timestamp) -> Result<(), Error> {
        let position = self.next_position()?;
        let Some(Transaction { commit: begun, xid, rows, others, held, .. }) = self.transaction.take() else {
            return Err(Error::Protocol("a commit without a transaction".to_owned()));
        };
        if begun != commit {
            return Err(Error::Protocol(format!("the transaction of {begun} ends as that of {commit}")));
        }
        if let Some(handoff) = &mut self.handoff {
            handoff.delivered(xid);
        }
        if rows > 0 || others {
            let (source, incarnation) = (self.source.clone(), self.incarnation);
            let end_of =
                CommitEnd { end: end.position(), count: rows, transaction: xid.to_string().into(), committed_at };
            match held {
                Some(row) if rows == 1 && !others => {
                    self.batch.push(Entry::Row(RowEntry { commit: Some(end_of), ..row }))
                }
                held => {
                    self.batch.extend(held.map(Entry::Row));
                    self.batch.push(Entry::Commit { source, incarnation, position, commit: end_of });
                }
            }
            (self.passed, self.moved_at) = (end, Instant::now());
        }
        self.settle()
    }

    /// The server has sent everything up to `end`. Worth an entry only if it was silent for long (J35): without one the
    /// server would keep its log for a source that has long seen it.
    fn keepalive(&mut self, end: Lsn, reply: bool) {
        if reply {
            self.status.reply();
        }
        let idle = self.transaction.is_none() && self.moved_at.elapsed() >= self.options.heartbeat;
        if idle && end > self.passed {
            let (source, incarnation) = (self.source.clone(), self.incarnation);
            self.batch.push(Entry::Heartbeat { source, incarnation, position: end.position() });
            (self.passed, self.moved_at) = (end, Instant::now());
        }
    }

    /// Chunks whose turn has come.
    fn settle(&mut self) -> Result<(), Error> {
        while self.transaction.is_none()
            && let Some(handoff) = &mut self.handoff
            && let Some(Settled { read, low, high }) = handoff.settle()?
        {
            let (source, incarnation) = (self.source.clone(), self.incarnation);
            if let Some(chunk) = read.chunk {
                self.announce(&read.plan, low);
                let (source, schema) = (source.clone(), read.plan.fingerprint());
                let (number, key_from, key_to, rows) = (chunk.number, chunk.from, chunk.to, chunk.rows);
                let chunk = Chunk { source, incarnation, schema, number, key_from, key_to, rows, low, high };
                self.batch.push(Entry::Chunk(chunk));
            }
            if read.last {
                let mark = SnapshotMark::Ready { table: read.plan.schema().table.clone(), at: high };
                self.batch.push(Entry::Snapshot { source, incarnation, mark });
            }
        }
        Ok(())
    }

    /// Says a table's shape before anything cites it.
    fn announce(&mut self, plan: &Plan, position: SourcePosition) {
        let (table, fingerprint) = (&plan.schema().table, plan.fingerprint());
        if self.announced.get(table) == Some(&fingerprint) {
            return;
        }
        self.announced.insert(table.clone(), fingerprint);
        if let Some(row) = self.transaction.as_mut().and_then(|transaction| transaction.held.take()) {
            self.batch.push(Entry::Row(row));
        }
        let (source, incarnation, schema) = (self.source.clone(), self.incarnation, plan.schema().clone());
        self.batch.push(Entry::Schema { source, incarnation, position, fingerprint, schema });
    }

    fn push_other(&mut self, entry: Entry) -> Result<(), Error> {
        let transaction = inside(&mut self.transaction)?;
        transaction.others = true;
        if let Some(row) = transaction.held.take() {
            self.batch.push(Entry::Row(row));
        }
        self.batch.push(entry);
        Ok(())
    }

    fn next_position(&mut self) -> Result<SourcePosition, Error> {
        let transaction = inside(&mut self.transaction)?;
        transaction.ordinal =
            transaction.ordinal.checked_add(1).ok_or_else(|| Error::Protocol("too many changes".to_owned()))?;
        Ok(transaction.commit.change(transaction.ordinal))
    }
}

fn inside(transaction: &mut Option<Transaction>) -> Result<&mut Transaction, Error> {
    transaction.as_mut().ok_or_else(|| Error::Protocol("a change outside a transaction".to_owned()))
}

async fn arrived(handoff: &mut Option<Handoff>) -> Result<bool, Error> {
    match handoff {
        Some(handoff) => handoff.arrived().await,
        None => std::future::pending().await,
    }
}

impl Batch {
    pub(crate) fn push(&mut self, entry: Entry) {
        self.since.get_or_insert_with(Instant::now);
        self.bytes += weight(&entry);
        self.entries.push(entry);
    }

    fn extend(&mut self, entries: impl IntoIterator<Item = Entry>) {
        entries.into_iter().for_each(|entry| self.push(entry));
    }

    fn is_full(&self, now: Instant) -> bool {
        self.bytes >= BATCH_BYTES || self.since.is_some_and(|since| now.duration_since(since) >= BATCH_AGE)
    }

    fn take(&mut self) -> Vec<Entry> {
        mem::take(self).entries
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
