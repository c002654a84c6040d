//! The world: one flow, its logs and store, a source, a target; what is lost when the process dies.

use crate::{
    Chance, config,
    fault::{Fault, Faults},
    history::{Committed, Event, History, Rest},
    nurse, rebuild,
    source::{Change, Source, place},
    target::Target,
};
use flow::{Act, Config, Flow, FlowInput, FlowOutput, Limits};
use model::{Entry, EntryId, Header, Journaled, Kind, Record, Recorded, SourcePosition, Term, Timestamp};
use ports::{Appended, Resume, SendRequest, StateStore, StateTxn};
use std::collections::{BTreeSet, VecDeque};
use store::{MemoryDisk, MemoryStore};

pub struct World {
    pub chance: Chance,
    pub now: i64,
    pub limits: Limits,
    pub flow: Flow,
    pub store: MemoryStore,
    pub disk: MemoryDisk,
    pub journal: Vec<Journaled>,
    pub decisions: Vec<Recorded>,
    pub source: Source,
    pub target: Target,
    pub terms: u64,
    /// What may go wrong outside of the source.
    pub faults: Faults,
    /// What happened so far.
    pub history: History,
    /// Appends that are not durable; the vital ones leave first.
    pub(crate) appends: VecDeque<FlowOutput>,
    pub(crate) inputs: VecDeque<FlowInput>,
    pub(crate) requests: Vec<FlowOutput>,
    pub(crate) reads: VecDeque<FlowOutput>,
    /// Requests that nobody waits for any more, and that may still arrive.
    pub(crate) late: Vec<SendRequest>,
    /// Answers that come at these times.
    pub(crate) stalled: Vec<(i64, FlowInput)>,
    pub halted: Vec<String>,
    pub crashes: u64,
    pub quarantine: BTreeSet<EntryId>,
    /// What the durable journal says of the source.
    pub(crate) durable: Resume,
    pub answers: Vec<Result<EntryId, ports::Fault>>,
    /// Steps that were taken, and at which of them the checkpoint under way is durable: a crash before loses it.
    pub(crate) steps: u64,
    pub(crate) written_at: Option<u64>,
    /// How far the clock went back so far: what is due soon may be due so much later.
    pub(crate) went_back: i64,
    /// Transactions and versions that the history has.
    heard: usize,
    seen: usize,
    /// The state at each fence that was passed.
    pub views: Vec<Box<dyn StateTxn + Send>>,
}

impl World {
    pub fn new(seed: u64, limits: Limits) -> World {
        let disk = MemoryDisk::default();
        World {
            chance: Chance::new(seed),
            now: 1_000_000,
            limits,
            flow: Flow::new(config(limits)),
            store: MemoryStore::open(&disk),
            disk,
            journal: Vec::new(),
            decisions: Vec::new(),
            source: Source::new(seed),
            target: Target::default(),
            terms: 0,
            faults: Faults::new(),
            history: History { is_ordered: true, ..History::default() },
            appends: VecDeque::new(),
            inputs: VecDeque::new(),
            requests: Vec::new(),
            reads: VecDeque::new(),
            late: Vec::new(),
            stalled: Vec::new(),
            halted: Vec::new(),
            crashes: 0,
            quarantine: BTreeSet::new(),
            durable: Resume::default(),
            answers: Vec::new(),
            steps: 0,
            written_at: None,
            went_back: 0,
            heard: 0,
            seen: 0,
            views: Vec::new(),
        }
    }

    /// From here on chance is another one's: what an act does depends on it alone, whatever acts were before.
    pub fn reseed(&mut self, seed: u64) {
        self.chance = Chance::new(seed);
        self.source.chance = Chance::new(seed ^ 0xabcdef);
    }

    pub(crate) fn config(&self) -> Config {
        Config { quarantine: self.quarantine.clone(), ..config(self.limits) }
    }

    pub(crate) fn note(&mut self, event: Event) {
        self.history.events.push(event);
    }

    /// A fault happens.
    pub(crate) fn inject(&mut self, fault: Fault) {
        self.note(Event::Injected(fault.name()));
    }

    /// Whether a fault that may happen in this run happens now, one time in `n`.
    pub(crate) fn strikes(&mut self, fault: Fault, n: u64) -> bool {
        let strikes = self.faults.contains(&fault) && self.chance.one_in(n);
        if strikes {
            self.inject(fault);
        }
        strikes
    }

    /// Takes what source and target did since into the history.
    pub(crate) fn hear(&mut self) {
        for fault in std::mem::take(&mut self.source.fired) {
            self.inject(fault);
        }
        self.heard = self.heard.min(self.source.log.len());
        for transaction in &self.source.log[self.heard..] {
            let change = |(n, change): (usize, &Change)| {
                let at = place(transaction.commit, Some(n as u32 + 1));
                match change {
                    Change::Row(_, plan, change) => {
                        (at, plan.schema().table.clone(), plan.key(row_of(change)).ok().flatten())
                    }
                    Change::Truncate(table) => (at, self.source.plans[*table].schema().table.clone(), None),
                }
            };
            let changes = transaction.changes.iter().enumerate().map(change).collect();
            self.history.events.push(Event::Committed(Committed { end: place(transaction.end, None), changes }));
        }
        self.heard = self.source.log.len();
        for (unit, version) in &self.target.applied[self.seen..] {
            let Some(stands) = self.target.units.get(&**unit).and_then(|all| all.get(version - 1)) else { continue };
            let (unit, version, request, body) = (unit.clone(), *version, stands.request, stands.body.clone());
            self.history.events.push(Event::Applied { unit, version, request, body });
        }
        self.seen = self.target.applied.len();
    }

    /// Changes dropped as older than their rows, since this process began.
    fn note_stale(&mut self) {
        let stale = self.flow.status(self.store.txn()).stale;
        if stale > 0 {
            self.note(Event::Stale(stale));
        }
    }

    /// Opens the logs as the journal does: a new term, an `Opened` in each.
    pub fn open(&mut self) {
        self.terms += 1;
        let opened = || ("test".into(), flow::BEHAVIOUR);
        let (binary, behaviour) = opened();
        let pins = self.config().pins();
        let journal = self.journal_append(&[Entry::Opened { binary, behaviour, pins }]).last;
        let (binary, behaviour) = opened();
        let decisions = self.record_append(&[Record::Opened { binary, behaviour }]).last;
        let mut resume = Resume::default();
        self.journal.iter().for_each(|entry| resume.fold(&entry.entry));
        self.inputs.push_back(FlowInput::Open { journal, decisions, term: Term(self.terms), resume });
    }

    /// A connector tells this, whatever it is.
    pub fn tell(&mut self, entries: Vec<Entry>) {
        self.inputs.push_back(FlowInput::Captured(entries));
    }

    pub fn activate(&mut self) {
        let act = Act::Activate { kind: Kind::Map, name: "legacy".into(), bytes: crate::MAP.as_bytes().into() };
        self.inputs.push_back(FlowInput::Act { token: 1, by: nurse(), act, reason: "test".into() });
    }

    pub(crate) fn journal_append(&mut self, entries: &[Entry]) -> Appended {
        let last = self.journal.last().map_or(Timestamp(i64::MIN), |entry| entry.header.appended_at);
        let appended_at = last.max(Timestamp(self.now));
        let first = EntryId::new(1, self.journal.len() as u64 + 1);
        for (at, entry) in entries.iter().enumerate() {
            let id = EntryId::new(1, first.seq + at as u64);
            let header = Header { id, term: Term(self.terms), appended_at };
            self.durable.fold(entry);
            self.journal.push(Journaled { header, entry: entry.clone() });
            self.history.events.push(Event::Journaled(Journaled { header, entry: entry.clone() }));
        }
        Appended { first, last: EntryId::new(1, self.journal.len() as u64), appended_at }
    }

    pub(crate) fn record_append(&mut self, records: &[Record]) -> Appended {
        let last = self.decisions.last().map_or(Timestamp(i64::MIN), |record| record.header.appended_at);
        let appended_at = last.max(Timestamp(self.now));
        let first = EntryId::new(1, self.decisions.len() as u64 + 1);
        for (at, record) in records.iter().enumerate() {
            let id = EntryId::new(1, first.seq + at as u64);
            let header = Header { id, term: Term(self.terms), appended_at };
            self.decisions.push(Recorded { header, record: record.clone() });
            self.history.events.push(Event::Recorded(Recorded { header, record: record.clone() }));
        }
        Appended { first, last: EntryId::new(1, self.decisions.len() as u64), appended_at }
    }

    /// The process dies: everything that was not durable is gone, requests under way may or may not arrive.
    pub fn crash(&mut self) {
        self.crashes += 1;
        self.note_stale();
        for request in std::mem::take(&mut self.requests) {
            let FlowOutput::Send(request) = request else { continue };
            if self.chance.one_in(2) {
                self.target.send(&request);
            } else if self.strikes(Fault::LateTwin, 2) {
                self.late.push(request);
            }
        }
        self.hear();
        // A prefix of what was being written may be durable.
        let durable = self.chance.below(self.appends.len() as u64 + 1);
        for _ in 0..durable {
            self.append_one();
        }
        let durable = (self.journal.len() as u64, self.decisions.len() as u64);
        self.note(Event::Crashed { durable });
        self.inject(Fault::Crash);
        self.appends.clear();
        self.inputs.clear();
        self.reads.clear();
        self.stalled.clear();
        self.source.close();
        if self.strikes(Fault::StateLost, 3) {
            self.disk = rebuild::folded(&self.journal, &self.decisions);
        }
        self.store = MemoryStore::open(&self.disk);
        self.written_at = None;
        self.flow = Flow::new(self.config());
        self.open();
    }

    /// Everything has come to rest: what stands there is noted.
    pub fn rest(&mut self) {
        self.hear();
        self.note_stale();
        let rest = Rest { tables: self.source.rows.clone(), state: rebuild::content(self.store.txn()) };
        self.note(Event::Rest(Box::new(rest)));
    }

    /// What must hold when everything has come to rest.
    pub fn check(&mut self) {
        self.rest();
        if let Err(violation) = crate::checkers::check(&self.history) {
            panic!("{violation}");
        }
    }

    /// Opens a fence at the end of the source's log and folds to it; the world may go on behind it.
    pub fn fence(&mut self) -> (crate::fenced::MemoryFence, Box<dyn StateTxn + Send>) {
        let fence = self.source.fence();
        let view = self.pass(fence.position);
        (fence, view)
    }

    /// Tells the flow of a fence that was opened at the source, and folds to it.
    pub fn pass(&mut self, position: SourcePosition) -> Box<dyn StateTxn + Send> {
        self.inputs.push_back(FlowInput::Fence { token: 1, position });
        self.views.clear();
        for _ in 0..2_000_000 {
            if let Some(view) = self.views.pop() {
                return view;
            }
            self.event();
        }
        panic!("the fence is not passed");
    }

    /// Every recorded step, in order.
    pub fn decided(&self) -> Vec<model::Decided> {
        crate::replay::steps(self.decisions.iter())
    }
}

/// The row of a change that names it.
fn row_of(change: &model::RowChange) -> &model::Row {
    match change {
        model::RowChange::Insert(row) | model::RowChange::Update { after: row, .. } => row,
        model::RowChange::Delete { before } => before,
    }
}
