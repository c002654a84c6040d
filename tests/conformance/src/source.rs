//! The suite of [`Source`]: what comes first, what comes whole, what comes again, and that nothing is missing.
//!
//! An implementation's test calls [`suite`] with a way to make systems; each case gets a new one. The suite does with the
//! entries what ingest does: it drops what has passed, appends, and goes on from a fold of what it has.

use crate::{random::Random, shadow::Shadow};
use model::{Entry, Incarnation, Row, RowKey, SnapshotMark, SourcePosition, SystemId, TableName};
use ports::{Boxed, OpenFault, Resume, Source, SourceHandle, TableResume};
use std::{collections::BTreeMap, sync::Arc};

/// A batch may be empty, but not for ever: so many, and what is waited for has not come.
const BATCHES_MAX: usize = 400;

/// A system that the test owns, with tables to be captured.
pub trait System: Send {
    /// Its name.
    fn name(&self) -> SystemId;
    /// The slot that is wanted.
    fn wanted(&self) -> Box<str>;
    /// A new source that reads it; the one before is gone, as after a crash.
    fn source(&mut self) -> Box<dyn Source>;
    /// Somebody commits a transaction of at least `rows` row changes; another one for each `n`.
    fn commit(&mut self, n: u64, rows: u64) -> Boxed<'_, ()>;
    /// The tables at a position that the stream will pass without anybody committing more.
    fn fence(&mut self) -> Boxed<'_, Fenced>;
}

/// The captured tables at one position.
pub struct Fenced {
    /// Where.
    pub position: SourcePosition,
    /// Their rows.
    pub tables: BTreeMap<TableName, BTreeMap<RowKey, Row>>,
}

/// Runs every case, each on a system of its own.
pub async fn suite<S: System>(make: impl AsyncFn() -> S) {
    a_new_slot_begins_with_its_start(make().await).await;
    a_slot_that_was_only_wanted_is_made_anew(make().await).await;
    the_first_read_and_the_stream_give_the_tables(make().await).await;
    an_idle_source_goes_on_without_rows(make().await).await;
    for seed in 1..=2 {
        what_was_not_durable_comes_again(make().await, seed).await;
    }
}

async fn a_new_slot_begins_with_its_start<S: System>(mut system: S) {
    system.commit(1, 3).await;
    let mut engine = Engine::new(system);
    engine.open().await;
    engine.until("an entry", |engine| engine.journal.len() > 1).await;
    let first = &engine.journal[1];
    let Entry::Snapshot { mark: SnapshotMark::Started { tables, .. }, .. } = first else {
        panic!("{first:?} in the place of Started")
    };
    assert!(!tables.is_empty() && engine.resume.started);
}

async fn a_slot_that_was_only_wanted_is_made_anew<S: System>(mut system: S) {
    system.commit(1, 2).await;
    let mut engine = Engine::new(system);
    engine.open().await;
    // Made, and never written down: what is committed now is behind whatever that slot held.
    engine.system.commit(2, 2).await;
    engine.crash(1).await;
    engine.until("an entry", |engine| engine.journal.len() > 1).await;
    assert!(matches!(&engine.journal[1], Entry::Snapshot { mark: SnapshotMark::Started { .. }, .. }));
    engine.system.commit(3, 2).await;
    engine.equals_the_system().await;
}

async fn the_first_read_and_the_stream_give_the_tables<S: System>(system: S) {
    let mut engine = Engine::new(system);
    for n in 0..20 {
        engine.system.commit(n, 1 + n % 4).await;
    }
    engine.open().await;
    for n in 20..60 {
        engine.system.commit(n, 1 + n % 4).await;
        engine.pull().await;
    }
    engine.equals_the_system().await;
}

async fn an_idle_source_goes_on_without_rows<S: System>(system: S) {
    let mut engine = Engine::new(system);
    engine.open().await;
    engine.until_ready().await;
    engine.pull().await;
    engine.equals_the_system().await;
    let passed = engine.resume.passed;
    engine.crash(engine.journal.len()).await;
    engine.system.commit(1, 1).await;
    engine.equals_the_system().await;
    assert!(engine.resume.passed > passed);
}

/// Crashes that lose what was not confirmed, at any place of the journal.
async fn what_was_not_durable_comes_again<S: System>(system: S, seed: u64) {
    let mut random = Random(seed);
    let mut engine = Engine::new(system);
    let mut commits = 0;
    engine.open().await;
    for _ in 0..8 {
        for _ in 0..1 + random.below(3) {
            commits += 1;
            engine.system.commit(commits, 1 + random.below(5) as u64).await;
        }
        for _ in 0..1 + random.below(2) {
            engine.confirms = random.below(3) > 0;
            engine.pull().await;
        }
        if random.below(2) == 0 {
            let undurable = engine.journal.len() - engine.confirmed;
            engine.crash(engine.confirmed + random.below(undurable + 1)).await;
        }
    }
    engine.confirms = true;
    engine.equals_the_system().await;
}

/// Whether `resume` has passed the entry: what ingest drops, and nothing else (J7).
pub fn repeats(resume: &Resume, entry: &Entry) -> bool {
    let passed = |position: &SourcePosition| resume.passed.is_some_and(|passed| *position < passed);
    match entry {
        Entry::Row(row) => passed(&row.position),
        Entry::Commit { position, .. } | Entry::Truncate { position, .. } => passed(position),
        _ => false,
    }
}

/// What the engine does with a source.
struct Engine<S> {
    system: S,
    source: Option<Box<dyn Source>>,
    handle: Option<Arc<dyn SourceHandle>>,
    journal: Vec<Entry>,
    resume: Resume,
    confirms: bool,
    /// Entries that were durable at the last confirmation.
    confirmed: usize,
}

impl<S: System> Engine<S> {
    fn new(system: S) -> Engine<S> {
        let slot = Entry::Slot { source: system.name(), incarnation: Incarnation(1), wanted: system.wanted() };
        let mut resume = Resume::default();
        resume.fold(&slot);
        let (source, handle, journal, confirms) = (None, None, vec![slot], true);
        Engine { system, source, handle, journal, resume, confirms, confirmed: 1 }
    }

    async fn open(&mut self) {
        (self.source, self.handle) = (None, None);
        let mut source = self.system.source();
        let opened = source.open(self.resume.clone()).await;
        self.handle = Some(opened.unwrap_or_else(|fault| panic!("{fault:?}")));
        self.source = Some(source);
    }

    /// The process dies with `durable` entries on its disk; the rows of a transaction without its end are void.
    async fn crash(&mut self, durable: usize) {
        self.journal.truncate(durable);
        let is_open = |entry: &Entry| match entry {
            Entry::Row(row) => row.commit.is_none(),
            Entry::Truncate { .. } => true,
            _ => false,
        };
        // A schema may come between the rows of a transaction, and stands.
        let closed = self.journal.iter().rposition(|entry| matches!(entry, Entry::Commit { .. }));
        let kept = closed.map_or(0, |at| at + 1);
        let tail = self.journal.split_off(kept);
        self.journal.extend(tail.into_iter().filter(|entry| !is_open(entry)));
        self.resume = Resume::default();
        self.journal.iter().for_each(|entry| self.resume.fold(entry));
        self.confirmed = self.confirmed.min(self.journal.len());
        self.open().await;
    }

    async fn pull(&mut self) {
        let source = self.source.as_mut().expect("it is open");
        let batch = source.next_batch().await.unwrap_or_else(|fault: OpenFault| panic!("{fault:?}"));
        for entry in batch {
            if !repeats(&self.resume, &entry) {
                self.judge(&entry);
                self.resume.fold(&entry);
                self.journal.push(entry);
            }
        }
        if let (true, Some(handle), Some(passed)) = (self.confirms, &self.handle, self.resume.passed) {
            handle.confirm(passed);
            self.confirmed = self.journal.len();
        }
    }

    /// What must hold of an entry that is about to be appended.
    fn judge(&self, entry: &Entry) {
        let incarnation = entry.source().map(|(_, incarnation)| incarnation);
        assert_eq!(incarnation, Some(self.resume.incarnation), "of this slot: {entry:?}");
        let rows = self.journal.iter().rev().map_while(|entry| match entry {
            Entry::Row(row) if row.commit.is_none() => Some(Some(row)),
            Entry::Schema { .. } | Entry::Truncate { .. } => Some(None),
            _ => None,
        });
        let open: Vec<_> = rows.flatten().collect();
        if let Entry::Row(model::RowEntry { commit: Some(commit), .. }) | Entry::Commit { commit, .. } = entry {
            let seen = |entry: &Entry| matches!(entry, Entry::Chunk(chunk) if chunk.high >= commit.end);
            assert!(!self.journal.iter().any(seen), "a chunk stands behind everything at or below its high mark");
        }
        let last = open.first().map(|row| row.position).max(self.resume.passed);
        match entry {
            Entry::Row(row) => {
                assert!(last.is_none_or(|last| last < row.position), "positions rise");
                let known = self.resume.schemas.values().any(|(print, _)| *print == row.schema);
                assert!(known, "a row comes behind its shape");
                assert!(row.commit.is_none() || open.is_empty(), "a row that is its transaction is alone");
            }
            Entry::Commit { position, commit, .. } => {
                assert!(last.is_none_or(|last| last < *position) && *position <= commit.end, "positions rise");
                assert_eq!(commit.count, open.len() as u64, "it closes its rows");
            }
            Entry::Chunk(chunk) => {
                assert!(open.is_empty(), "a chunk stands between transactions");
                assert!(chunk.low <= chunk.high);
                let (_, schema) =
                    self.resume.schemas.values().find(|(print, _)| *print == chunk.schema).expect("a shape");
                let state = self.resume.tables.get(&schema.table);
                let Some(TableResume::Open { next_chunk, done_upto }) = state else {
                    panic!("read although {state:?}")
                };
                assert_eq!((chunk.number, &chunk.key_from), (*next_chunk, done_upto), "chunks go on where they were");
            }
            Entry::Snapshot { mark: SnapshotMark::Ready { table, .. }, .. } => {
                let state = self.resume.tables.get(table);
                assert!(
                    matches!(state, Some(TableResume::Open { next_chunk: 1.., done_upto: None })),
                    "ready behind its last chunk, not at {state:?}"
                );
            }
            _ => {}
        }
    }

    async fn until(&mut self, what: &str, done: impl Fn(&Engine<S>) -> bool) {
        for _ in 0..BATCHES_MAX {
            if done(self) {
                return;
            }
            self.pull().await;
        }
        panic!("{what} did not come; {} entries", self.journal.len());
    }

    async fn until_ready(&mut self) {
        let ready = |table: &TableResume| *table == TableResume::Ready;
        self.until("ready", |engine| engine.resume.started && engine.resume.tables.values().all(ready)).await;
    }

    /// What the journal tells of the tables is what they are.
    async fn equals_the_system(&mut self) {
        self.until_ready().await;
        let fenced = self.system.fence().await;
        self.until("the fence", |engine| engine.resume.passed >= Some(fenced.position)).await;
        let shadow = Shadow::fold(&self.journal, fenced.position);
        for (table, rows) in &fenced.tables {
            let told = shadow.live(table.as_str());
            assert_eq!(told.keys().collect::<Vec<_>>(), rows.keys().collect::<Vec<_>>(), "{table}: keys");
            assert!(told == *rows, "{table}: rows");
        }
    }
}
