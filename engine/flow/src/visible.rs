//! Durable entries on their way to the fold: in memory while there is room, else read back from the journal.
//!
//! Invariants: entries leave in the order of their names, each once; nothing leaves that is not durable (J16).

use model::{Entry, EntryId, Header, Journaled};
use ports::Appended;
use std::{collections::VecDeque, ops::Deref, sync::Arc};

/// The queue. `next` is the name of the entry that leaves next.
pub(crate) struct Visible {
    queue: VecDeque<Batch>,
    bytes: usize,
    bytes_max: usize,
    next: EntryId,
    /// Everything up to here is in the queue or has left it.
    loaded: u64,
    /// The durable tail.
    tail: u64,
    reading: bool,
}

struct Batch {
    first: Header,
    items: Items,
    used: usize,
    bytes: usize,
}

enum Items {
    Appended(Arc<[Entry]>),
    Read(VecDeque<Journaled>),
}

impl Batch {
    fn header(&self) -> Header {
        let id = EntryId { seq: self.first.id.seq + self.used as u64, ..self.first.id };
        Header { id, ..self.first }
    }
}

/// An entry that left the queue; shares the batch that it came in.
pub(crate) enum Taken {
    Shared(Arc<[Entry]>, usize),
    Own(Box<Entry>),
}

impl Deref for Taken {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        match self {
            Taken::Shared(entries, at) => &entries[*at],
            Taken::Own(entry) => entry,
        }
    }
}

impl Visible {
    /// Starts at `next`, with the journal durable through `tail`.
    pub(crate) fn new(next: EntryId, tail: u64, bytes_max: usize) -> Visible {
        Visible { queue: VecDeque::new(), bytes: 0, bytes_max, next, loaded: next.seq - 1, tail, reading: false }
    }

    /// Notes a batch that became durable; keeps it if it is next in line and there is room.
    pub(crate) fn appended(&mut self, appended: Appended, first: Header, entries: Arc<[Entry]>) {
        let in_line = appended.first.seq == self.loaded + 1 && !self.reading;
        self.tail = self.tail.max(appended.last.seq);
        if in_line && self.bytes < self.bytes_max {
            self.loaded = appended.last.seq;
            let bytes = entries.iter().map(weight).sum();
            self.bytes += bytes;
            self.queue.push_back(Batch { first, items: Items::Appended(entries), used: 0, bytes });
        }
    }

    /// Takes what was read back.
    pub(crate) fn read(&mut self, entries: Vec<Journaled>) {
        self.reading = false;
        let fresh: VecDeque<Journaled> =
            entries.into_iter().filter(|entry| entry.header.id.seq > self.loaded).collect();
        let (Some(first), Some(last)) = (fresh.front(), fresh.back()) else { return };
        assert!(first.header.id.seq == self.loaded + 1, "the journal is read without gaps");
        self.loaded = last.header.id.seq;
        let bytes = fresh.iter().map(|entry| weight(&entry.entry)).sum();
        self.bytes += bytes;
        self.queue.push_back(Batch { first: first.header, items: Items::Read(fresh), used: 0, bytes });
    }

    /// From where the journal must be read for the fold to go on; none if it need not, or is being read.
    pub(crate) fn wants_read(&mut self) -> Option<EntryId> {
        let wanted = self.queue.is_empty() && !self.reading && self.loaded < self.tail;
        self.reading |= wanted;
        wanted.then(|| EntryId { writer: self.next.writer, seq: self.loaded + 1 })
    }

    /// The next entry, without taking it.
    pub(crate) fn peek(&self) -> Option<(Header, &Entry)> {
        let batch = self.queue.front()?;
        Some(match &batch.items {
            Items::Appended(entries) => (batch.header(), &entries[batch.used]),
            Items::Read(entries) => entries.front().map(|entry| (entry.header, &entry.entry))?,
        })
    }

    /// Takes the next entry.
    pub(crate) fn take(&mut self) -> Option<(Header, Taken)> {
        let batch = self.queue.front_mut()?;
        let header = batch.header();
        let (header, taken, left) = match &mut batch.items {
            Items::Appended(entries) => {
                let (entries, at) = (entries.clone(), batch.used);
                let left = entries.len() - at - 1;
                (header, Taken::Shared(entries, at), left)
            }
            Items::Read(entries) => {
                let entry = entries.pop_front()?;
                (entry.header, Taken::Own(Box::new(entry.entry)), entries.len())
            }
        };
        batch.used += 1;
        self.next = header.id.next();
        if left == 0 {
            self.bytes -= batch.bytes;
            self.queue.pop_front();
        }
        Some((header, taken))
    }

    /// The name of the entry that leaves next.
    pub(crate) fn next(&self) -> EntryId {
        self.next
    }

    /// The durable tail.
    pub(crate) fn tail(&self) -> u64 {
        self.tail
    }
}

/// About how many bytes an entry holds in memory.
pub(crate) fn weight(entry: &Entry) -> usize {
    const FIXED: usize = 200;
    FIXED
        + match entry {
            Entry::Row(row) => match &row.change {
                model::RowChange::Insert(row) | model::RowChange::Delete { before: row } => row.0.len(),
                model::RowChange::Update { before, after } => {
                    after.0.len() + before.as_ref().map_or(0, |row| row.0.len())
                }
            },
            Entry::Chunk(chunk) => chunk.rows.iter().map(|row| row.0.len() + 32).sum(),
            Entry::Activated(activated) => activated.bytes.len(),
            Entry::Resource(_) | Entry::Acked(_) => 1_000,
            _ => 0,
        }
}
