//! The engine in a process of its own, capturing: the connector, the flow, both logs and the store as `run` has them.
//!
//! There is no map in force, so rows are journaled and folded into the shadow, and nothing is decided (J47). The bench
//! starts itself again in this role, so that CPU and memory are the engine's alone.

use crate::{
    outcome::{Failed, Outcome},
    spawn::{Order, PIPELINE, SLOT, TABLE, Until},
};
use flow::{Config, Limits, SinkSettings, SourceSettings};
use journal::{EntryCodec, EntryLog, LogReader, RecordLog, kernel_entropy};
use model::{Entry, EntryId, RowChange, SnapshotMark, SystemId, Timestamp};
use ports::{Appended, Class, Clock, Fault, Journal, Resume, Source};
use postgres::{PostgresSource, position::Lsn};
use runtime::{Engine, KillPoints, ReservedJournal, Setup, Stores, SystemClock, make_flow};
use sim::memory::MemorySink;
use std::{collections::BTreeMap, path::Path, sync::Arc};
use store::RedbStore;
use tokio::sync::Notify;

const SYSTEM: &str = "legacy";

/// Runs the engine until its work is done, says so on standard output, and stops it.
pub fn run(order: &str) -> Outcome<()> {
    let order = Order::parse(order)?;
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let done = Arc::new(Notify::new());
    let engine = Engine::start(setup(&order, done.clone())?, tokio.handle().clone());
    tokio.block_on(async {
        let handle = engine.handle();
        let ended = engine.ended();
        tokio::pin!(ended);
        tokio::select! {
            ended = &mut ended => return Err(Failed::told(format!("the engine ended: {ended:?}"))),
            () = done.notified() => {}
        }
        // Whoever waits for this line measures until here.
        println!("DONE");
        handle.stop();
        match ended.await {
            runtime::Ended::Stopped => Ok(()),
            other => Err(Failed::told(format!("the engine did not stop in good order: {other:?}"))),
        }
    })
}

fn setup(order: &Order, done: Arc<Notify>) -> Outcome<Setup> {
    let config = postgres::Config {
        url: order.url.clone(),
        password: None,
        ca_file: None,
        tables: vec![TABLE.to_owned()],
        synthetic: true,
        chunk_rows: 10_000,
        heartbeat_seconds: 10,
    };
    let options = config
        .options(PIPELINE, SYSTEM.into(), None, None)
        .map_err(|faults| Failed::told(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
    let source = move || Ok(Box::new(PostgresSource::new(options.clone())) as Box<dyn Source>);
    let until = order.until;
    let data = order.data.clone();
    let flow = Config {
        pipeline: PIPELINE.into(),
        site: "bench".into(),
        namespace: uuid::Uuid::from_u128(0x5EED),
        source: SourceSettings { system: SYSTEM.into(), slot: SLOT.into() },
        sink: SinkSettings { system: "cloud".into(), stamp_uri: "https://bench.example/x".into(), concurrency: 1 },
        limits: Limits::default(),
        behaviour: flow::BEHAVIOUR,
        quarantine: flow::Quarantine::default(),
        poison: None,
    };
    Ok(Setup {
        config: flow,
        overlay_bytes_max: 16 << 20,
        core: make_flow,
        open: Box::new(move || stores(&data, until, done.clone())),
        source: Arc::new(source),
        // Nothing is decided, so nothing is ever sent.
        sink: Arc::new(MemorySink::default()),
        clock: Arc::new(SystemClock::default()),
        kill: KillPoints::none(),
    })
}

fn stores(data: &Path, until: Until, done: Arc<Notify>) -> Result<Stores, Fault> {
    let config = journal::Config::new("bench", flow::BEHAVIOUR);
    let now = SystemClock::default().now();
    let (journal, _) = EntryLog::open(&data.join("journal"), config.clone(), kernel_entropy(), now)?;
    let (decisions, _) = RecordLog::open(&data.join("decisions"), config, kernel_entropy(), now)?;
    let (term, store) = (journal.term(), RedbStore::open(&data.join("store"))?);
    let journal = Watched { inner: journal, until, done };
    Ok(Stores { journal: Box::new(journal), decisions: Box::new(decisions), term, store: Box::new(store) })
}

/// What a journal holds of the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Journaled {
    /// Row entries.
    pub rows: u64,
    /// Rows in chunks.
    pub chunk_rows: u64,
    /// Cells that are not known, which no row of the bench may have.
    pub unknown: u64,
}

/// Reads the journal back and counts.
pub fn journaled(data: &Path) -> Outcome<Journaled> {
    let reader = LogReader::<EntryCodec>::open(&data.join("journal"))?;
    let (mut found, mut from) = (Journaled::default(), EntryId::new(1, 1));
    let mut plans = BTreeMap::new();
    loop {
        let page = reader.read(from, 4 << 20)?;
        let Some(last) = page.last() else { return Ok(found) };
        from = last.header.id.next();
        for stored in page {
            match stored.entry {
                Entry::Schema { fingerprint, schema, .. } => {
                    plans.insert(fingerprint, schemas::Plan::new(&schema));
                }
                Entry::Row(row) => {
                    found.rows += 1;
                    let (RowChange::Insert(after) | RowChange::Update { after, .. }) = &row.change else { continue };
                    let cells = plans.get(&row.schema).and_then(|plan| plan.cells(after).ok());
                    let cells = cells.ok_or_else(|| Failed::told("a row of the journal cannot be read"))?;
                    found.unknown += cells.iter().filter(|cell| matches!(cell, model::Cell::Unchanged)).count() as u64;
                }
                Entry::Chunk(chunk) => found.chunk_rows += chunk.rows.len() as u64,
                _ => {}
            }
        }
    }
}

/// The journal, watched from outside: everything goes through unchanged.
struct Watched {
    inner: EntryLog,
    until: Until,
    done: Arc<Notify>,
}

impl Watched {
    /// Whether these entries, which are durable now, hold what is waited for.
    fn is_done(&self, entries: &[Entry]) -> bool {
        let passed = |entry: &Entry| match entry {
            Entry::Commit { commit, .. } => Lsn::of(&commit.end),
            Entry::Row(row) => row.commit.as_ref().and_then(|commit| Lsn::of(&commit.end)),
            _ => None,
        };
        match self.until {
            // The last commit of a batch is the furthest.
            Until::Passed(end) => entries.iter().rev().find_map(passed).is_some_and(|lsn| lsn >= end),
            Until::Ready => {
                entries.iter().any(|entry| matches!(entry, Entry::Snapshot { mark: SnapshotMark::Ready { .. }, .. }))
            }
        }
    }
}

impl Journal for Watched {
    type Body = Entry;
    type Stored = model::Journaled;

    fn append(&mut self, batches: &[Arc<[Entry]>], class: Class, now: Timestamp) -> Result<Vec<Appended>, Fault> {
        let appended = self.inner.append(batches, class, now)?;
        if batches.iter().any(|batch| self.is_done(batch)) {
            self.done.notify_one();
        }
        Ok(appended)
    }

    fn read(&self, from: EntryId, bytes_max: usize) -> Result<Vec<model::Journaled>, Fault> {
        self.inner.read(from, bytes_max)
    }

    fn tail(&self) -> Option<EntryId> {
        self.inner.tail()
    }

    fn resume(&self) -> BTreeMap<SystemId, Resume> {
        self.inner.resume()
    }
}

impl ReservedJournal for Watched {
    fn release_reserve(&mut self, bytes: u64) -> Result<bool, Fault> {
        self.inner.release_reserve(bytes)
    }

    fn decided(&mut self, upto: EntryId) {
        self.inner.decided(upto);
    }
}
