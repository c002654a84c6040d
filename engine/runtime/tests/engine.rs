//! The engine as a whole, with logs on disk and a source and a sink of the test's own.
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use flow::{Act, Config, FlowInput, FlowOutput, HeldItem, Limits, ParkedItem, Status, Suspect, UnitView};
use journal::{EntryLog, RecordLog, kernel_entropy};
use lockstep_runtime::{
    Core, Ended, Engine, Handle, KillPoints, Looked, MakeCore, OpenStores, ReservedJournal, Setup, Stores, SystemClock,
    make_flow,
};
use model::{
    Cell, Column, ColumnType, CommitEnd, Entry, EntryId, Incarnation, Kind, Principal, RowChange, RowEntry,
    SnapshotMark, SourcePosition, SystemId, TableSchema, Timestamp, Unit,
};
use ports::{
    Appended, Boxed, Class, Clock, Failure, Fault, Journal, OpenFault, Resume, Source, SourceHandle, StateTxn,
    TableProgress, Written,
};
use sim::memory::MemorySink;
use std::{
    mem::discriminant,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use store::RedbStore;

const MAP: &str = r#"
map: small
version: 1
owner: test@hospital.example
clinical: false
codes:
  gender: {M: male, F: female, else: park}
entities:
  patient:
    resource: Patient
    root: {table: public.patient, key: [patient_id], key_version: 1}
    subject: self
    delete_means: {row: purged}
    refuse: [active, deceased, link]
    security: {unlabelled: "a test"}
    to:
      gender: "=sex | code(gender)"
"#;

fn at(n: u64) -> SourcePosition {
    SourcePosition::new(&n.to_be_bytes()).unwrap()
}

fn legacy() -> SystemId {
    SystemId::from("legacy")
}

fn table() -> TableSchema {
    let column = |name: &str, ty, native| Column { name: name.into(), ty, native };
    TableSchema {
        table: "public.patient".into(),
        columns: vec![column("patient_id", ColumnType::Int, 20), column("sex", ColumnType::Text, 25)],
        key: vec![0],
    }
}

/// A source that makes one empty table ready and then one patient a number in `patients`.
struct TestSource {
    sent: Arc<AtomicUsize>,
    patients: Arc<AtomicUsize>,
    confirmed: Arc<Mutex<Option<SourcePosition>>>,
    started: bool,
}

struct TestHandle(Arc<Mutex<Option<SourcePosition>>>);

impl SourceHandle for TestHandle {
    fn confirm(&self, upto: SourcePosition) {
        *self.0.lock().unwrap() = Some(upto);
    }
    fn progress(&self) -> Vec<TableProgress> {
        Vec::new()
    }
}

impl Source for TestSource {
    fn open(&mut self, resume: Resume) -> Boxed<'_, Result<Arc<dyn SourceHandle>, OpenFault>> {
        self.started = resume.started;
        let done = resume.passed.map_or(0, |passed| u64::from_be_bytes(passed.as_bytes().try_into().unwrap()));
        self.sent.store(usize::try_from(done.saturating_sub(1)).unwrap(), Ordering::SeqCst);
        Box::pin(async { Ok(Arc::new(TestHandle(self.confirmed.clone())) as Arc<dyn SourceHandle>) })
    }

    fn next_batch(&mut self) -> Boxed<'_, Result<Vec<Entry>, OpenFault>> {
        Box::pin(async {
            let (source, incarnation) = (legacy(), Incarnation(1));
            let plan = schemas::Plan::new(&table());
            if !std::mem::replace(&mut self.started, true) {
                let mark = |mark| Entry::Snapshot { source: source.clone(), incarnation, mark };
                return Ok(vec![
                    mark(SnapshotMark::Started { tables: vec![table().table], at: at(1) }),
                    Entry::Schema {
                        source: source.clone(),
                        incarnation,
                        position: at(1),
                        fingerprint: plan.fingerprint(),
                        schema: table(),
                    },
                    // The table is empty, read whole by one chunk.
                    Entry::Chunk(model::Chunk {
                        source: source.clone(),
                        incarnation,
                        schema: plan.fingerprint(),
                        number: 0,
                        key_from: None,
                        key_to: None,
                        rows: Vec::new(),
                        low: at(1),
                        high: at(1),
                    }),
                    mark(SnapshotMark::Ready { table: table().table, at: at(1) }),
                ]);
            }
            let n = self.sent.load(Ordering::SeqCst);
            if n >= self.patients.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(5)).await;
                return Ok(Vec::new());
            }
            self.sent.store(n + 1, Ordering::SeqCst);
            let id = i64::try_from(n).unwrap();
            let position = at(2 + n as u64);
            let (transaction, committed_at, partitions) = ("7".into(), Timestamp(1_000_000), Vec::new());
            let commit = CommitEnd { end: position, count: 1, transaction, committed_at, partitions };
            let row = plan.row(&[Cell::Int(id), Cell::Text("F")]).unwrap();
            Ok(vec![Entry::Row(RowEntry {
                source,
                incarnation,
                position,
                schema: plan.fingerprint(),
                change: RowChange::Insert(row),
                commit: Some(commit),
                author: None,
            })])
        })
    }

    fn removable(&mut self) -> Boxed<'_, Result<Vec<String>, Fault>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn remove(&mut self) -> Boxed<'_, Result<Vec<String>, Fault>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn prerequisites(&mut self) -> Boxed<'_, Result<Vec<Fault>, Fault>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// A journal whose disk can be filled by the test.
struct FillingJournal(EntryLog, Arc<AtomicBool>, Arc<AtomicUsize>);

impl Journal for FillingJournal {
    type Body = Entry;
    type Stored = model::Journaled;
    fn append(&mut self, batches: &[Arc<[Entry]>], class: Class, now: Timestamp) -> Result<Vec<Appended>, Fault> {
        if class == Class::Capture && self.1.load(Ordering::SeqCst) {
            return Err(Fault::new(Failure::Transient, "disk full"));
        }
        self.0.append(batches, class, now)
    }
    fn read(&self, from: EntryId, bytes_max: usize) -> Result<Vec<model::Journaled>, Fault> {
        self.0.read(from, bytes_max)
    }
    fn tail(&self) -> Option<EntryId> {
        self.0.tail()
    }
    fn resume(&self) -> std::collections::BTreeMap<SystemId, Resume> {
        self.0.resume()
    }
}

impl ReservedJournal for FillingJournal {
    fn release_reserve(&mut self, bytes: u64) -> Result<bool, Fault> {
        self.2.fetch_add(usize::try_from(bytes).unwrap(), Ordering::SeqCst);
        self.0.release_reserve(bytes)
    }
    fn decided(&mut self, upto: EntryId) {
        self.0.decided(upto);
    }
}

struct World {
    dir: PathBuf,
    patients: Arc<AtomicUsize>,
    confirmed: Arc<Mutex<Option<SourcePosition>>>,
    sink: Arc<MemorySink>,
    full: Arc<AtomicBool>,
    opened: Arc<AtomicUsize>,
    released: Arc<AtomicUsize>,
}

impl World {
    fn new(dir: &Path) -> World {
        World {
            dir: dir.to_owned(),
            patients: Arc::default(),
            confirmed: Arc::default(),
            sink: Arc::default(),
            full: Arc::default(),
            opened: Arc::default(),
            released: Arc::default(),
        }
    }

    fn open(&self) -> OpenStores {
        let (dir, full, opened) = (self.dir.clone(), self.full.clone(), self.opened.clone());
        let released = self.released.clone();
        Box::new(move || {
            opened.fetch_add(1, Ordering::SeqCst);
            let config = || journal::Config {
                segment_bytes: 1 << 20,
                reserve_bytes: 1 << 20,
                spare_ahead: false,
                ..journal::Config::new("test", 1)
            };
            let now = SystemClock::default().now();
            let (journal, _) = EntryLog::open(&dir.join("journal"), config(), kernel_entropy(), now)?;
            let (decisions, _) = RecordLog::open(&dir.join("decisions"), config(), kernel_entropy(), now)?;
            let term = journal.term();
            let store = Box::new(RedbStore::open(&dir.join("store"))?);
            let journal = Box::new(FillingJournal(journal, full.clone(), released.clone()));
            Ok(Stores { journal, decisions: Box::new(decisions), term, store })
        })
    }

    fn start(&self, core: MakeCore) -> Engine {
        let (patients, confirmed) = (self.patients.clone(), self.confirmed.clone());
        let source = move || {
            Ok(Box::new(TestSource {
                sent: Arc::default(),
                patients: patients.clone(),
                confirmed: confirmed.clone(),
                started: false,
            }) as Box<dyn Source>)
        };
        Engine::start(
            Setup {
                config: config(),
                overlay_bytes_max: 1 << 20,
                core,
                open: self.open(),
                source: Arc::new(source),
                sink: self.sink.clone(),
                clock: Arc::new(SystemClock::default()),
                kill: KillPoints::none(),
            },
            tokio::runtime::Handle::current(),
        )
    }
}

fn config() -> Config {
    Config {
        pipeline: "test".into(),
        site: "here".into(),
        namespace: uuid::Uuid::from_u128(7),
        source: flow::SourceSettings { system: legacy(), slot: "lockstep_test".into() },
        sink: flow::SinkSettings { system: "cloud".into(), stamp_uri: "https://x.example/t".into(), concurrency: 4 },
        limits: Limits::default(),
        behaviour: flow::BEHAVIOUR,
        quarantine: Default::default(),
        poison: None,
    }
}

fn somebody() -> Principal {
    Principal { issuer: "test".into(), subject: "1".into(), name: "t".into(), roles: Vec::new(), how: "test".into() }
}

async fn activate(handle: &Handle) -> EntryId {
    let act = Act::Activate { kind: Kind::Map, name: "legacy".into(), bytes: MAP.as_bytes().into() };
    handle.act(somebody(), act, "").await.unwrap()
}

async fn until(handle: &Handle, what: impl Fn(&Status) -> bool) -> Status {
    for _ in 0..1_000 {
        if let Ok(status) = handle.status().await
            && what(&status)
        {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not in time: {:?}", handle.status().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_travels_to_the_sink_and_is_acknowledged_once_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let engine = world.start(make_flow);
    let handle = engine.handle();
    activate(&handle).await;
    world.patients.store(3, Ordering::SeqCst);
    let status = until(&handle, |status| status.accepted == 3).await;
    assert_eq!((status.unsettled, status.parked), (0, 0), "{status:?}");
    assert_eq!(*world.confirmed.lock().unwrap(), Some(at(4)));
    handle.stop();
    assert!(matches!(engine.ended().await, Ended::Stopped));

    let engine = world.start(make_flow);
    let handle = engine.handle();
    world.patients.store(5, Ordering::SeqCst);
    until(&handle, |status| status.accepted == 2 && status.unsettled == 0).await;
    assert_eq!(world.sink.lock().sent, 5, "nothing was sent twice");
    handle.stop();
    assert!(matches!(engine.ended().await, Ended::Stopped));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_target_is_looked_at_and_what_stands_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let engine = world.start(make_flow);
    let handle = engine.handle();
    activate(&handle).await;
    let nothing = looked(&handle, "answered").await;
    assert_eq!((nothing.written, handle.target().answered_seconds_ago.is_some()), (None, true));
    world.patients.store(1, Ordering::SeqCst);
    until(&handle, |status| status.accepted == 1).await;
    let unit = looked(&handle, "ours").await.written.unwrap().unit;
    let journal = handle.status().await.unwrap().journal;

    world.sink.lock().target.edit(&unit.to_string());
    let foreign = looked(&handle, "foreign").await;
    assert!(foreign.alarm() && foreign.what().contains(&format!("{unit} stands at version 2")), "{}", foreign.what());
    let kept = world.sink.lock().target.units.insert(unit.to_string(), Vec::new());
    assert!(looked(&handle, "gone").await.what().contains("is not there at all"));
    let other = sim::target::Version { request: None, body: Some(model::Json::Null) };
    world.sink.lock().target.units.insert(unit.to_string(), vec![other]);
    assert!(looked(&handle, "behind").await.what().contains("went back in time"));
    world.sink.lock().target.units.insert(unit.to_string(), kept.unwrap());
    world.sink.stop();
    assert!(!looked(&handle, "unreachable").await.cure().contains("restored"));
    assert!(handle.target().behind.is_some(), "what was seen once stays named");
    assert_eq!(handle.status().await.unwrap().journal, journal, "no entry says so");

    world.sink.lock().down = None;
    world.patients.store(2, Ordering::SeqCst);
    until(&handle, |status| status.accepted == 2).await;
    assert_eq!(handle.target().answered_seconds_ago, Some(0), "a request that comes through is an answer");
    handle.stop();
    assert!(matches!(engine.ended().await, Ended::Stopped));

    // The ledger knows the unit behind a restart too.
    let engine = world.start(make_flow);
    looked(&engine.handle(), "ours").await;
    engine.handle().stop();
    assert!(matches!(engine.ended().await, Ended::Stopped));
}

/// Waits for a look that finds this.
async fn looked(handle: &Handle, verdict: &str) -> Looked {
    for _ in 0..1_000 {
        if let Some((_, looked)) = handle.target().looked
            && looked.verdict() == verdict
        {
            return looked;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not in time: {:?}", handle.target());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_capture_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let engine = world.start(make_flow);
    let handle = engine.handle();
    until(&handle, |status| status.source.state == "streaming").await;
    until(&handle, |status| status.source.tables.iter().any(|(_, ready, _)| *ready)).await;
    world.full.store(true, Ordering::SeqCst);
    world.patients.store(2, Ordering::SeqCst);
    for _ in 0..500 {
        if handle.disk_full().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(handle.disk_full().is_some());
    activate(&handle).await;
    for _ in 0..500 {
        if world.released.load(Ordering::SeqCst) > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(world.released.load(Ordering::SeqCst) > 0, "a checkpoint asked for room");
    world.full.store(false, Ordering::SeqCst);
    until(&handle, |status| status.accepted == 2).await;
    assert!(handle.disk_full().is_none());
    handle.stop();
    assert!(matches!(engine.ended().await, Ended::Stopped));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_a_panic_interrupts_stops_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let engine = world.start(|config| {
        Box::new(Panics { at: Some(FlowInput::CheckpointDue), quarantined: config.quarantine.inputs.contains(&INPUT) })
            as Box<dyn Core>
    });
    engine.handle().stop();
    let ended = tokio::time::timeout(Duration::from_secs(30), engine.ended()).await.unwrap();
    assert!(matches!(ended, Ended::Stopped), "{ended:?}");
    assert_eq!(world.opened.load(Ordering::SeqCst), 3, "the stop outlived two lives");
}

/// Panics on the first input behind `Open`, or on the first one of a kind, unless the input is in quarantine.
struct Panics {
    at: Option<FlowInput>,
    quarantined: bool,
}

const INPUT: EntryId = EntryId::new(1, 9);

impl Core for Panics {
    fn step(&mut self, _: Timestamp, input: FlowInput, _: &mut dyn StateTxn) -> Vec<FlowOutput> {
        match input {
            FlowInput::Open { .. } => vec![FlowOutput::Again],
            input
                if !self.quarantined && self.at.as_ref().is_none_or(|at| discriminant(at) == discriminant(&input)) =>
            {
                panic!("canary-value")
            }
            FlowInput::CheckpointDue => vec![FlowOutput::Checkpoint],
            _ => Vec::new(),
        }
    }
    fn wants_capture(&self) -> bool {
        false
    }
    fn is_live(&self) -> bool {
        true
    }
    fn next_wakeup(&self) -> Option<Timestamp> {
        None
    }
    fn suspect(&self) -> Suspect {
        Suspect::Units(INPUT)
    }
    fn last_written(&self, _: &dyn StateTxn) -> Option<Written> {
        None
    }
    fn status(&self, state: &dyn StateTxn) -> Status {
        flow::Flow::new(config()).status(state)
    }
    fn unit(&self, _: &Unit, _: &dyn StateTxn) -> Option<UnitView> {
        None
    }
    fn parked(&self, _: &dyn StateTxn) -> Vec<ParkedItem> {
        Vec::new()
    }
    fn waiting(&self, _: &dyn StateTxn) -> Vec<flow::WaitingItem> {
        Vec::new()
    }
    fn held(&self, _: &dyn StateTxn) -> Vec<HeldItem> {
        Vec::new()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_panic_on_an_input_puts_it_in_quarantine() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let engine = world.start(|config| {
        Box::new(Panics { at: None, quarantined: config.quarantine.inputs.contains(&INPUT) }) as Box<dyn Core>
    });
    let handle = engine.handle();
    for _ in 0..1_000 {
        if handle.status().await.is_ok() && world.opened.load(Ordering::SeqCst) == 3 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("opened {} times", world.opened.load(Ordering::SeqCst));
}
