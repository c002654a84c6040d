//! A small world around one flow: a source, two logs, a store, a target, all in memory, all driven by one seed.
//!
//! The flow is the production code. Whatever was not made durable is lost in a crash; replies may be lost; batches end
//! anywhere. After a run, `World::check` compares the target with what the source holds.

#![expect(missing_docs, reason = "a test world: its names say what they are")]

pub mod fenced;
mod later;
pub mod memory;
mod people;
mod reading;
mod rebuild;
mod shown;
pub mod source;
pub mod target;
mod wild;

use fenced::MemoryFence;
use flow::{Act, Config, Flow, FlowInput, FlowOutput, Limits, SinkSettings, SourceSettings};
use model::{
    Decided, Entry, EntryId, Header, Journaled, Kind, Outcome, Principal, Record, Recorded, SourcePosition, Term,
    Timestamp,
};
pub use people::activate_text;
use ports::{Appended, Class, NotApplied, Resume, SinkReply, StateStore, StateTxn};
use source::Source;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use store::{MemoryDisk, MemoryStore};
use target::Target;

/// A small generator (SplitMix64): the tests must not depend on a crate's choice of numbers.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n.max(1)
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

pub const MAP: &str = include_str!("../../../schemas/maps/clinic/map.yaml");

pub fn config(limits: Limits) -> Config {
    Config {
        pipeline: "clinic".into(),
        site: "north".into(),
        namespace: uuid::Uuid::from_u128(7),
        source: SourceSettings { system: "legacy".into(), slot: "lockstep_clinic".into() },
        sink: SinkSettings { system: "cloud".into(), stamp_uri: "https://ids.test/lockstep".into(), concurrency: 4 },
        limits,
        behaviour: flow::BEHAVIOUR,
        quarantine: Default::default(),
    }
}

pub fn nurse() -> Principal {
    Principal { issuer: "test".into(), subject: "1".into(), name: "n".into(), roles: vec![], how: "test".into() }
}

/// The fold goes on for fewer steps than this while a checkpoint is being written.
const CHECKPOINT_STEPS_MAX: u64 = 9;

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
    /// Appends that are not durable; the vital ones leave first.
    appends: VecDeque<FlowOutput>,
    inputs: VecDeque<FlowInput>,
    requests: Vec<FlowOutput>,
    reads: VecDeque<FlowOutput>,
    pub halted: Vec<String>,
    pub crashes: u64,
    pub lose_replies: bool,
    /// The target is busy at times, and refuses without a reason at others.
    pub moody: bool,
    pub quarantine: BTreeSet<EntryId>,
    /// What the durable journal says of the source.
    durable: Resume,
    pub answers: Vec<Result<EntryId, ports::Fault>>,
    /// Steps that were taken, and at which of them the checkpoint under way is durable: a crash before loses it.
    steps: u64,
    written_at: u64,
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
            appends: VecDeque::new(),
            inputs: VecDeque::new(),
            requests: Vec::new(),
            reads: VecDeque::new(),
            halted: Vec::new(),
            crashes: 0,
            lose_replies: false,
            moody: false,
            quarantine: BTreeSet::new(),
            durable: Resume::default(),
            answers: Vec::new(),
            steps: 0,
            written_at: 0,
            views: Vec::new(),
        }
    }

    fn config(&self) -> Config {
        Config { quarantine: self.quarantine.clone(), ..config(self.limits) }
    }

    /// A change at or below its row's as-of cannot occur while J8 holds (J7).
    fn nothing_is_stale(&mut self) {
        assert_eq!(self.flow.status(self.store.txn()).stale, 0, "no change is dropped as stale");
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
        let act = Act::Activate { kind: Kind::Map, name: "legacy".into(), bytes: MAP.as_bytes().into() };
        self.inputs.push_back(FlowInput::Act { token: 1, by: nurse(), act, reason: "test".into() });
    }

    fn journal_append(&mut self, entries: &[Entry]) -> Appended {
        let appended_at = Timestamp(self.now);
        let first = EntryId::new(1, self.journal.len() as u64 + 1);
        for (at, entry) in entries.iter().enumerate() {
            let id = EntryId::new(1, first.seq + at as u64);
            let header = Header { id, term: Term(self.terms), appended_at };
            self.durable.fold(entry);
            self.journal.push(Journaled { header, entry: entry.clone() });
        }
        Appended { first, last: EntryId::new(1, self.journal.len() as u64), appended_at }
    }

    fn record_append(&mut self, records: &[Record]) -> Appended {
        let appended_at = Timestamp(self.now);
        let first = EntryId::new(1, self.decisions.len() as u64 + 1);
        for (at, record) in records.iter().enumerate() {
            let id = EntryId::new(1, first.seq + at as u64);
            let header = Header { id, term: Term(self.terms), appended_at };
            self.decisions.push(Recorded { header, record: record.clone() });
        }
        Appended { first, last: EntryId::new(1, self.decisions.len() as u64), appended_at }
    }

    /// The process dies: everything that was not durable is gone, requests under way may or may not arrive.
    pub fn crash(&mut self) {
        self.crashes += 1;
        self.nothing_is_stale();
        for request in std::mem::take(&mut self.requests) {
            if let FlowOutput::Send(request) = request
                && self.chance.one_in(2)
            {
                self.target.send(&request);
            }
        }
        // A prefix of what was being written may be durable.
        let durable = self.chance.below(self.appends.len() as u64 + 1);
        for _ in 0..durable {
            self.append_one();
        }
        self.appends.clear();
        self.inputs.clear();
        self.reads.clear();
        self.source.close();
        if self.chance.one_in(5) {
            self.rebuild();
        }
        self.store = MemoryStore::open(&self.disk);
        self.flow = Flow::new(self.config());
        self.open();
    }

    fn step(&mut self, input: FlowInput) {
        self.now += 1 + self.chance.below(200) as i64;
        let outputs = self.flow.step(Timestamp(self.now), input, self.store.txn());
        assert!(self.store.fault().is_none());
        self.store.accept();
        self.steps += 1;
        if self.steps >= self.written_at {
            self.store.finish_checkpoint().expect("memory does not fail");
        }
        for output in outputs {
            match output {
                FlowOutput::Append { .. } | FlowOutput::Record { .. } => self.appends.push_back(output),
                FlowOutput::ReadJournal(_) | FlowOutput::ReadDecisions(_) => self.reads.push_back(output),
                FlowOutput::OpenSource(resume) if self.source.slot_lost && resume.started => {
                    self.inputs.push_back(FlowInput::SourceFailed(people::gap(&resume)));
                }
                FlowOutput::OpenSource(resume) => {
                    self.source.open(resume);
                    self.inputs.push_back(FlowInput::SourceOpened);
                }
                FlowOutput::CloseSource => self.source.close(),
                FlowOutput::Confirm(position) => {
                    assert!(Some(position) <= self.durable.passed, "what is confirmed is durable");
                    self.source.confirm(position);
                }
                FlowOutput::Send(_) | FlowOutput::Settle(_) => self.requests.push(output),
                FlowOutput::Checkpoint => {
                    self.store.begin_checkpoint().expect("memory does not fail");
                    self.written_at = self.steps + self.steps % CHECKPOINT_STEPS_MAX;
                }
                FlowOutput::Answered { answer, .. } => self.answers.push(answer),
                FlowOutput::Fenced { .. } => self.views.push(self.store.view().expect("memory does not fail")),
                FlowOutput::Halted { what, .. } => self.halted.push(what),
                FlowOutput::Again => self.inputs.push_back(FlowInput::Tick),
                FlowOutput::Corrupt(fault) => panic!("{fault}"),
            }
        }
    }

    /// Makes the next append durable: vital journal entries first, then captured ones, then decisions (J24).
    fn append_one(&mut self) -> bool {
        let vital = |output: &FlowOutput| matches!(output, FlowOutput::Append { class: Class::Vital, .. });
        let journal = |output: &FlowOutput| matches!(output, FlowOutput::Append { .. });
        let at = self
            .appends
            .iter()
            .position(vital)
            .or_else(|| if self.chance.one_in(2) { self.appends.iter().position(journal) } else { None });
        let first_record = self.appends.iter().position(|output| !journal(output));
        let Some(output) = self.appends.remove(at.or(first_record).unwrap_or(0)) else { return false };
        let (id, appended) = match output {
            FlowOutput::Append { id, entries, .. } => (id, self.journal_append(&entries)),
            FlowOutput::Record { id, records } => (id, self.record_append(&records)),
            _ => return false,
        };
        self.inputs.push_back(FlowInput::Appended { id, appended });
        true
    }

    /// One event, chosen by chance. False: nothing is left to happen.
    pub fn event(&mut self) -> bool {
        if let Some(input) = self.inputs.pop_front() {
            self.step(input);
            return true;
        }
        for _ in 0..12 {
            match self.chance.below(6) {
                0 if self.append_one() => return true,
                1 if !self.reads.is_empty() => {
                    self.read();
                    return true;
                }
                2 if self.flow.wants_capture() && self.source.has_more() => {
                    let size = 1 + self.chance.below(6) as usize;
                    let entries = self.source.next_batch(size);
                    self.inputs.push_back(FlowInput::Captured(entries));
                    return true;
                }
                3 | 4 if !self.requests.is_empty() => {
                    self.reply();
                    return true;
                }
                5 if self.chance.one_in(20) => {
                    self.inputs.push_back(FlowInput::CheckpointDue);
                    return true;
                }
                _ => {}
            }
        }
        if self.append_one() {
            return true;
        }
        if !self.reads.is_empty() {
            self.read();
            return true;
        }
        if !self.requests.is_empty() {
            self.reply();
            return true;
        }
        if self.flow.wants_capture() && self.source.has_more() {
            let entries = self.source.next_batch(4);
            self.inputs.push_back(FlowInput::Captured(entries));
            return true;
        }
        if let Some(due) = self.flow.next_wakeup().filter(|due| due.0 < self.now + 60_000_000) {
            self.now = self.now.max(due.0);
            self.inputs.push_back(FlowInput::Tick);
            return true;
        }
        false
    }

    fn read(&mut self) {
        let max = 1 + self.chance.below(8) as usize;
        let input = match self.reads.pop_front() {
            Some(FlowOutput::ReadJournal(from)) => {
                let from = from.seq as usize - 1;
                FlowInput::JournalRead(self.journal.iter().skip(from).take(max).cloned().collect())
            }
            Some(FlowOutput::ReadDecisions(from)) => {
                let from = from.seq as usize - 1;
                FlowInput::DecisionsRead(self.decisions.iter().skip(from).take(max).cloned().collect())
            }
            _ => return,
        };
        self.inputs.push_back(input);
    }

    fn reply(&mut self) {
        let at = self.chance.below(self.requests.len() as u64) as usize;
        let (request, reply) = match self.requests.swap_remove(at) {
            FlowOutput::Send(request) if self.moody && self.chance.one_in(5) => {
                // A refusal is one only while the base stands; what an earlier attempt did is found first.
                let stands = matches!(self.target.settle(&request), SinkReply::NotApplied { .. });
                let refused = stands && self.chance.one_in(2);
                let retry_after_ms = (!refused).then_some(500);
                let why = if refused { NotApplied::Refused } else { NotApplied::Busy };
                (request, SinkReply::NotApplied { what: "not now".into(), retry_after_ms, why })
            }
            FlowOutput::Send(request) => {
                let reply = self.target.send(&request);
                let lost = self.lose_replies && self.chance.one_in(4);
                (request, if lost { target::lost() } else { reply })
            }
            FlowOutput::Settle(request) => {
                let reply = self.target.settle(&request);
                (request, reply)
            }
            _ => return,
        };
        self.inputs.push_back(FlowInput::Replied { unit: request.unit, effect: request.effect, reply });
    }

    /// Runs until nothing is left to happen.
    pub fn drain(&mut self) {
        for _ in 0..200_000 {
            if !self.event() {
                return;
            }
        }
        panic!(
            "the world does not come to rest; halted last: {:?}",
            self.halted.iter().rev().take(3).collect::<Vec<_>>()
        );
    }

    /// Opens a fence at the end of the source's log and folds to it; the world may go on behind it.
    pub fn fence(&mut self) -> (MemoryFence, Box<dyn StateTxn + Send>) {
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
    pub fn decided(&self) -> Vec<Decided> {
        let decided = |record: &Recorded| match &record.record {
            Record::Decided(decided) => Some(decided.clone()),
            Record::Opened { .. } | Record::Skipped { .. } => None,
        };
        self.decisions.iter().filter_map(decided).collect()
    }

    /// What a fresh flow decides from the journal alone.
    pub fn replay(&self) -> Vec<Decided> {
        self.replay_of(&self.journal)
    }

    /// .. or from another journal.
    pub(crate) fn replay_of(&self, journal: &[Journaled]) -> Vec<Decided> {
        let disk = MemoryDisk::default();
        let mut store = MemoryStore::open(&disk);
        // What decides is in the logs: neither limits nor panicked inputs are told.
        let quarantine = self.decisions.iter().filter_map(flow::quarantined).collect();
        let limits = Limits { effects_ahead_max: usize::MAX, ..Limits::default() };
        let mut flow = Flow::replaying(Config { quarantine, ..config(limits) });
        let tail = EntryId::new(1, journal.len() as u64);
        let open =
            FlowInput::Open { journal: tail, decisions: EntryId::new(1, 1), term: Term(1), resume: Resume::default() };
        let (mut inputs, mut decided) = (VecDeque::from([open]), Vec::new());
        while let Some(input) = inputs.pop_front() {
            let outputs = flow.step(Timestamp(0), input, store.txn());
            store.accept();
            for output in outputs {
                match output {
                    FlowOutput::ReadJournal(from) => {
                        let entries = journal.iter().skip(from.seq as usize - 1).take(50).cloned().collect();
                        inputs.push_back(FlowInput::JournalRead(entries));
                    }
                    FlowOutput::Record { records, .. } => {
                        decided.extend(records.iter().filter_map(|record| match record {
                            Record::Decided(decided) => Some(decided.clone()),
                            Record::Opened { .. } | Record::Skipped { .. } => None,
                        }))
                    }
                    FlowOutput::Again => inputs.push_back(FlowInput::Tick),
                    FlowOutput::Halted { .. } => {}
                    other => panic!("a replay does not act: {other:?}"),
                }
            }
        }
        decided
    }

    /// Both logs in short, for whoever looks into a failure.
    pub fn print(&self) {
        for entry in &self.journal {
            let text = format!("{:?}", entry.entry);
            println!("journal {} t{} {}", entry.header.id, entry.header.term.0, &text[..text.len().min(260)]);
        }
        for record in &self.decisions {
            let what = match &record.record {
                Record::Decided(decided) => {
                    let units: Vec<String> = decided
                        .decisions
                        .iter()
                        .map(|one| format!("{} n{} {:?} {:?}", one.unit, one.n, one.verdict, one.trace))
                        .collect();
                    format!("decided {} step {} last {} {units:?}", decided.input, decided.step, decided.last)
                }
                other => format!("{other:?}"),
            };
            println!("record {} t{} {what}", record.header.id, record.header.term.0);
        }
    }

    /// What must hold when everything has come to rest.
    pub fn check(&mut self) {
        self.nothing_is_stale();
        self.rebuilds_to_the_same_state();
        let accepted: BTreeMap<String, u64> = self.journal.iter().fold(BTreeMap::new(), |mut all, entry| {
            if let Entry::Acked(acked) = &entry.entry
                && matches!(acked.outcome, Outcome::Accepted { .. })
            {
                *all.entry(acked.unit.to_string()).or_default() += 1;
            }
            all
        });
        for (unit, versions) in &self.target.units {
            let ours = versions.iter().filter(|version| version.request.is_some()).count() as u64;
            let unattributed = ours.abs_diff(accepted.get(unit).copied().unwrap_or(0));
            assert_eq!(unattributed, 0, "one version an accepted effect: {unit}");
            let mut requests: Vec<_> = versions.iter().filter_map(|version| version.request).collect();
            requests.sort();
            requests.dedup();
            assert_eq!(requests.len() as u64, ours, "no effect twice: {unit}");
        }
        self.source.check(&self.target, &self.journal);
        let (recorded, replayed) = (self.decided(), self.replay());
        for (ours, theirs) in recorded.iter().zip(&replayed) {
            if ours != theirs {
                self.print();
            }
            assert_eq!(ours, theirs, "a replay decides the same: input {}", ours.input);
        }
        assert_eq!(recorded.len(), replayed.len(), "a replay decides as much");
    }
}
