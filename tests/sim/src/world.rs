//! The world: one flow, its logs and store, a source, a target; what is lost when the process dies.

use crate::{
    Chance, config,
    disk::SimDisk,
    fault::{Fault, Faults},
    history::{Committed, Event, History, Rest},
    logs::Logs,
    nurse, rebuild,
    source::{Change, Source, place},
    target::Target,
};
use flow::{Act, Config, Flow, FlowInput, FlowOutput, Limits, Panics};
use model::{Entry, EntryId, Header, Journaled, Kind, Record, Recorded, SourcePosition, Term, Timestamp};
use ports::{Appended, Class, Failure, Resume, SendRequest, StateStore, StateTxn};
use std::{collections::VecDeque, sync::Arc};
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
    /// The terms of both logs.
    pub terms: (Term, Term),
    /// Both logs by the journal's own code; none: in memory, where everything that is appended stays.
    pub(crate) logs: Option<Logs>,
    /// An append failed: nothing may go on in this process.
    pub(crate) dies: bool,
    /// A bit flips before the logs are opened again.
    rots: bool,
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
    /// What this process knows of panics.
    pub panics: Panics,
    /// Folding a row that holds this text panics, while it is there.
    pub poison: Option<Box<str>>,
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
            terms: (Term(0), Term(0)),
            logs: None,
            dies: false,
            rots: false,
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
            panics: Panics::default(),
            poison: None,
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
        let (quarantine, poison) = (self.panics.quarantine().clone(), self.poison.clone());
        Config { quarantine, poison, ..config(self.limits) }
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

    /// From here on the logs lie on a disk that loses what it may.
    pub fn put_logs_on_a_disk(&mut self) {
        self.logs = Some(Logs::new(SimDisk::default()));
    }

    /// Opens the logs as the journal does: a new term, an `Opened` in each.
    pub fn open(&mut self) {
        match self.logs.take() {
            Some(mut logs) => {
                self.open_logs(&mut logs);
                self.logs = Some(logs);
            }
            None => {
                self.terms = (Term(self.terms.0.0 + 1), Term(self.terms.1.0 + 1));
                let (binary, behaviour, pins) = ("test".into(), flow::BEHAVIOUR, self.config().pins());
                self.took_entries(vec![Entry::Opened { binary, behaviour, pins }]);
                self.took_records(vec![Record::Opened { binary: "test".into(), behaviour }]);
            }
        }
        let (journal, decisions) = (self.journal.len() as u64, self.decisions.len() as u64);
        let mut resume = Resume::default();
        self.journal.iter().for_each(|entry| resume.fold(&entry.entry));
        let (journal, decisions) = (EntryId::new(1, journal), EntryId::new(1, decisions));
        self.inputs.push_back(FlowInput::Open { journal, decisions, term: self.terms.0, resume });
    }

    /// Opens them until they open: whoever runs the process starts it again, frees space, puts damaged bytes back.
    fn open_logs(&mut self, logs: &mut Logs) {
        const ATTEMPTS: usize = 5;
        let mut flipped = None;
        if std::mem::take(&mut self.rots) {
            flipped = logs.disk.rot(&mut self.chance);
            flipped.iter().for_each(|_| self.history.events.push(Event::Injected(Fault::Rot.name())));
        }
        for _ in 0..ATTEMPTS {
            let pins = self.config().pins();
            let failing = logs.disk.is_failing();
            match logs.open(self.store.txn(), pins, Timestamp(self.now)) {
                Ok((entries, records)) => {
                    let told = logs.broken();
                    if let (Some(what), Some(flipped)) = (told, &flipped) {
                        self.note(Event::Corrupt(what));
                        logs.disk.mend(flipped);
                    }
                    return self.found(entries, records);
                }
                Err(fault) => {
                    if let Some(flipped) = flipped.take() {
                        self.note(Event::Corrupt(fault.to_string()));
                        logs.disk.mend(&flipped);
                    } else if fault.failure != Failure::Transient && !failing {
                        panic!("the logs do not open: {fault}");
                    }
                    logs.disk.leave(None);
                }
            }
        }
        panic!("the logs do not open");
    }

    /// What was durable must be there as it was; what was being written may be.
    fn found(&mut self, entries: Vec<Journaled>, records: Vec<Recorded>) {
        let found = (entries.len() as u64 - 1, records.len() as u64 - 1);
        self.note(Event::Reopened { found });
        let (before, recorded) = (self.journal.len(), self.decisions.len());
        let as_it_was =
            entries.get(..before) == Some(&self.journal) && records.get(..recorded) == Some(&self.decisions);
        assert!(as_it_was, "what was durable is gone, or reads otherwise: {before} and {recorded} of {found:?}");
        let term = |header: Option<Header>| header.map_or(Term(0), |header| header.term);
        self.terms = (term(entries.last().map(|one| one.header)), term(records.last().map(|one| one.header)));
        entries.into_iter().skip(before).for_each(|entry| self.took_entry(entry));
        records.into_iter().skip(recorded).for_each(|record| self.took_record(record));
    }

    /// A connector tells this, whatever it is.
    pub fn tell(&mut self, entries: Vec<Entry>) {
        self.inputs.push_back(FlowInput::Captured(entries));
    }

    pub fn activate(&mut self) {
        let act = Act::Activate { kind: Kind::Map, name: "legacy".into(), bytes: crate::MAP.as_bytes().into() };
        self.inputs.push_back(FlowInput::Act { token: 1, by: nurse(), act, reason: "test".into() });
    }

    /// Makes entries durable.
    pub(crate) fn journal_append(&mut self, entries: &Arc<[Entry]>, class: Class) -> Result<Appended, ports::Fault> {
        let now = Timestamp(self.now);
        match &mut self.logs {
            None => Ok(self.took_entries(entries.to_vec())),
            Some(logs) => {
                let appended = logs.append(entries.clone(), class, now)?;
                self.took(appended, self.terms.0, entries.iter().cloned(), World::took_entry_of);
                Ok(appended)
            }
        }
    }

    /// Makes records durable.
    pub(crate) fn record_append(&mut self, records: &Arc<[Record]>) -> Result<Appended, ports::Fault> {
        let now = Timestamp(self.now);
        match &mut self.logs {
            None => Ok(self.took_records(records.to_vec())),
            Some(logs) => {
                let appended = logs.record(records.clone(), now)?;
                self.took(appended, self.terms.1, records.iter().cloned(), World::took_record_of);
                Ok(appended)
            }
        }
    }

    fn took<T>(
        &mut self,
        appended: Appended,
        term: Term,
        bodies: impl Iterator<Item = T>,
        one: fn(&mut World, Header, T),
    ) {
        for (at, body) in bodies.enumerate() {
            let id = EntryId { seq: appended.first.seq + at as u64, ..appended.first };
            one(self, Header { id, term, appended_at: appended.appended_at }, body);
        }
    }

    fn took_entry_of(&mut self, header: Header, entry: Entry) {
        self.took_entry(Journaled { header, entry });
    }

    fn took_record_of(&mut self, header: Header, record: Record) {
        self.took_record(Recorded { header, record });
    }

    fn took_entries(&mut self, entries: Vec<Entry>) -> Appended {
        let before = self.journal.last().map(|entry| entry.header);
        let appended = self.next(before, entries.len());
        self.took(appended, self.terms.0, entries.into_iter(), World::took_entry_of);
        appended
    }

    fn took_records(&mut self, records: Vec<Record>) -> Appended {
        let before = self.decisions.last().map(|record| record.header);
        let appended = self.next(before, records.len());
        self.took(appended, self.terms.1, records.into_iter(), World::took_record_of);
        appended
    }

    /// Names for so many, as a log gives them.
    fn next(&self, before: Option<Header>, count: usize) -> Appended {
        let (seq, at) = before.map_or((0, Timestamp(i64::MIN)), |header| (header.id.seq, header.appended_at));
        let (first, last) = (EntryId::new(1, seq + 1), EntryId::new(1, seq + count as u64));
        Appended { first, last, appended_at: at.max(Timestamp(self.now)) }
    }

    fn took_entry(&mut self, entry: Journaled) {
        self.durable.fold(&entry.entry);
        self.note(Event::Journaled(entry.clone()));
        self.journal.push(entry);
    }

    fn took_record(&mut self, record: Recorded) {
        self.note(Event::Recorded(record.clone()));
        self.decisions.push(record);
    }

    /// The disk has room for so many bytes more; none: for everything.
    pub(crate) fn leave_on_disk(&mut self, bytes: Option<usize>) {
        if let Some(logs) = &self.logs {
            logs.disk.leave(bytes);
            if bytes.is_some() {
                self.inject(Fault::DiskFull);
            }
        }
    }

    /// The process dies, and before the next one opens its logs a bit of them flips.
    pub(crate) fn crash_and_rot(&mut self) {
        self.rots = self.logs.is_some();
        self.crash();
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
        self.stop_appending();
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

    /// What is being appended when the process dies: a part of it is durable.
    fn stop_appending(&mut self) {
        let on_disk = self.logs.as_ref().map(|logs| logs.disk.clone());
        match &on_disk {
            // In the middle of a call: written and not flushed, flushed and not told.
            Some(disk) => {
                disk.stop_behind(Some(self.chance.below(8)));
                while self.append_one() {}
            }
            None => {
                for _ in 0..self.chance.below(self.appends.len() as u64 + 1) {
                    self.append_one();
                }
            }
        }
        self.dies = false;
        let durable = (self.journal.len() as u64, self.decisions.len() as u64);
        self.note(Event::Crashed { durable });
        let Some(disk) = on_disk else { return self.inject(Fault::Crash) };
        disk.stop_behind(None);
        let cut =
            self.faults.contains(&Fault::PowerLoss) && (!self.faults.contains(&Fault::Crash) || self.chance.one_in(2));
        if !cut {
            return self.inject(Fault::Crash);
        }
        // Without its `tail` file a rotten last batch looks like one that was torn: two faults at once are one too many.
        self.rots = false;
        let (tears, names) = (self.faults.contains(&Fault::Torn), self.faults.contains(&Fault::NameLost));
        let lost = disk.cut(&mut self.chance, tears, names);
        self.inject(Fault::PowerLoss);
        [(lost.torn, Fault::Torn), (lost.names > 0, Fault::NameLost)]
            .into_iter()
            .filter(|(is, _)| *is)
            .for_each(|(_, fault)| self.inject(fault));
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

    /// .. and what a fresh flow decides from the journal.
    pub fn replayed(&self) -> Vec<model::Decided> {
        crate::replay::decide(&self.journal, &self.decisions)
    }
}

/// The row of a change that names it.
fn row_of(change: &model::RowChange) -> &model::Row {
    match change {
        model::RowChange::Insert(row) | model::RowChange::Update { after: row, .. } => row,
        model::RowChange::Delete { before } => before,
    }
}
