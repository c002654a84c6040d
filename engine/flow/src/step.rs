//! The flow itself: what it holds, and the one entry point.

use crate::stored;
use crate::{
    config::Config,
    deliver::Deliver,
    hold::Holds,
    index::Index,
    ingest::Ingest,
    input::{Act, AppendId, FlowInput, FlowOutput, Scope},
    meta::{FIRST, PLACE, Phase, Place},
    quarantine::Suspect,
    query::{Blocked, Halt},
    recover::Stage,
    tables::Tables,
    visible::{Taken, Visible},
};
use mapping::Map;
use model::{
    Activated, Cause, Control, Entry, EntryId, Hash, Header, Kind, Principal, Record, Recorded, ResourceEntry, Term,
    Timestamp,
};
use ports::{Appended, Class, Failure, Fault, StateTxn};
use schemas::keys;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// Entries, rows and units that one call works on before others get their turn; no more than one page or step above it.
const WORK_AT_ONCE: usize = 1_024;
/// .. and beside the input that brings captured entries or makes them durable: in a flood the journal comes first, for
/// until then the source must keep its log. The fold goes on with what the source leaves it, from memory or read back.
const WORK_BESIDE_CAPTURE: usize = 64;

/// One pipeline's step machine.
pub struct Flow {
    pub(crate) config: Config,
    pub(crate) term: Term,
    pub(crate) stage: Stage,
    pub(crate) place: Place,
    pub(crate) visible: Visible,
    pub(crate) ingest: Ingest,
    pub(crate) deliver: Deliver,
    pub(crate) tables: Tables,
    pub(crate) holds: Holds,
    pub(crate) map: Option<Active>,
    pub(crate) indexes: Vec<Index>,
    /// Rows of the transaction whose commit has not been folded.
    pub(crate) transaction: Transaction,
    /// Causes of the present input that do not come from marks.
    pub(crate) causes: Vec<Cause>,
    /// Whether the present input may have marks.
    pub(crate) marked: bool,
    /// Whether some of them may be whole entities.
    pub(crate) ranged: bool,
    /// Rows, units and entries that the present call has worked on.
    pub(crate) worked: usize,
    /// Entries before this one were folded before the process began: only an open transaction's rows are taken again.
    pub(crate) refolded_upto: EntryId,
    /// Inputs up to here have a record.
    pub(crate) covered: u64,
    /// When the source committed what was folded last.
    pub(crate) committed_at: Option<Timestamp>,
    /// Where the source's log stands behind what was folded last, as far as this process has folded.
    pub(crate) folded_to: Option<model::SourcePosition>,
    /// Inputs that decided nothing and are not recorded as such yet.
    pub(crate) skipped: Option<(EntryId, EntryId)>,
    /// What of the present input is not folded: it panicked twice.
    pub(crate) unfolded: BTreeSet<EntryId>,
    /// What the present step is doing.
    pub(crate) suspect: Suspect,
    /// Records that were read back and are not folded yet.
    pub(crate) recorded: VecDeque<Recorded>,
    /// The last record that was read back.
    pub(crate) recorded_read: u64,
    /// The decisions log as it was opened: recovery folds up to there.
    pub(crate) recorded_tail: u64,
    pub(crate) reading_decisions: bool,
    /// Rows of a transaction too large for memory are being read back.
    pub(crate) reading_rows: bool,
    /// Bindings that the present step waits for.
    pub(crate) binding: Option<AppendId>,
    pub(crate) checkpoint_due: bool,
    pub(crate) fences: VecDeque<(u64, model::SourcePosition)>,
    pub(crate) halts: BTreeMap<Scope, String>,
    pub(crate) blocked: Option<Blocked>,
    pub(crate) next_timer: Option<Timestamp>,
    pub(crate) stale: u64,
    pub(crate) journal_tail: EntryId,
    pub(crate) decisions_tail: EntryId,
    /// Replay: nothing is captured, sent or appended but records; bindings are minted in place.
    pub(crate) replaying: bool,
    pub(crate) rebuilding: bool,
    appends: BTreeMap<AppendId, Pending>,
    next_append: u64,
}

/// The map in force.
pub(crate) struct Active {
    pub name: Box<str>,
    pub hash: Hash,
    pub bytes: Box<[u8]>,
    /// None while it does not fit the tables as they are.
    pub map: Option<Arc<Map>>,
}

/// Rows on their way to their commit.
#[derive(Default)]
pub(crate) struct Transaction {
    pub rows: Vec<(EntryId, Taken)>,
    pub bytes: usize,
    pub count: u64,
    /// Too large for memory: read back when the commit is there.
    pub spilled: bool,
}

/// An append that is not durable yet, and what follows.
struct Pending {
    what: What,
    then: Then,
}

enum What {
    Journal(Arc<[Entry]>),
    Decisions,
}

/// What follows when an append is durable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Nothing,
    /// Tell whoever asked.
    Answer(u64),
    /// One batch of captured entries less is under way.
    Captured,
    /// The source may be opened.
    OpenSource,
    /// Tell, and open the source: its new slot is wanted.
    AnswerAndOpen(u64),
    /// The step that waits for bindings goes on.
    Bound,
}

impl Flow {
    /// A flow that waits for `Open`.
    pub fn new(config: Config) -> Flow {
        let deliver = Deliver::new(config.sink.system.clone(), config.sink.concurrency);
        let visible = Visible::new(FIRST, 0, config.limits.visible_bytes_max);
        Flow {
            term: Term(0),
            stage: Stage::Closed,
            place: Place::default(),
            visible,
            ingest: Ingest::default(),
            deliver,
            tables: Tables::default(),
            holds: Holds::default(),
            map: None,
            indexes: Vec::new(),
            transaction: Transaction::default(),
            causes: Vec::new(),
            marked: false,
            ranged: false,
            worked: 0,
            refolded_upto: FIRST,
            covered: 0,
            committed_at: None,
            folded_to: None,
            skipped: None,
            unfolded: BTreeSet::new(),
            suspect: Suspect::Elsewhere,
            recorded: VecDeque::new(),
            recorded_read: 0,
            recorded_tail: 0,
            reading_decisions: false,
            reading_rows: false,
            binding: None,
            checkpoint_due: false,
            fences: VecDeque::new(),
            halts: BTreeMap::new(),
            blocked: None,
            next_timer: None,
            stale: 0,
            journal_tail: FIRST,
            decisions_tail: FIRST,
            replaying: false,
            rebuilding: false,
            appends: BTreeMap::new(),
            next_append: 0,
            config,
        }
    }

    /// A flow that decides a journal again: it outputs `Record` for every step and `ReadJournal`, nothing else that acts.
    pub fn replaying(config: Config) -> Flow {
        Flow { replaying: true, ..Flow::new(config) }
    }

    /// Takes one input. The caller keeps the state's writes (`accept`), unless the store has a fault, and then does what
    /// the outputs say, in their order.
    pub fn step(&mut self, now: Timestamp, input: FlowInput, state: &mut dyn StateTxn) -> Vec<FlowOutput> {
        let mut out = Vec::new();
        self.suspect = match &input {
            FlowInput::Captured(_) | FlowInput::SourceOpened | FlowInput::SourceFailed(_) => Suspect::Source,
            _ => Suspect::Elsewhere,
        };
        let room = match &input {
            FlowInput::Captured(_) | FlowInput::Appended { .. } => WORK_BESIDE_CAPTURE,
            _ => WORK_AT_ONCE,
        };
        match input {
            FlowInput::Open { journal, decisions, term, resume } => {
                self.open(journal, decisions, term, resume, state, &mut out);
            }
            FlowInput::JournalRead(entries) => self.journal_read(entries, state, &mut out),
            FlowInput::DecisionsRead(records) => self.decisions_read(records),
            FlowInput::Captured(entries) => self.captured(now, entries, state, &mut out),
            FlowInput::SourceOpened => self.source_opened(&mut out),
            FlowInput::SourceFailed(fault) => self.source_failed(now, fault, &mut out),
            FlowInput::Appended { id, appended } => self.appended(id, appended, state, &mut out),
            FlowInput::Replied { unit, effect, reply } => self.replied(now, (&unit, effect), reply, state, &mut out),
            FlowInput::Act { token, by, act, reason } => self.act(token, by, act, reason, state, &mut out),
            FlowInput::Fence { token, position } => self.fences.push_back((token, position)),
            FlowInput::CheckpointDue => self.checkpoint_due = true,
            FlowInput::Tick => self.tick(now, &mut out),
        }
        self.work(room, state, &mut out);
        self.suspect = Suspect::Elsewhere;
        if self.stage == Stage::Live && !self.replaying {
            self.read_again_if_quiet(state, &mut out);
            self.reopen_if_due(now, &mut out);
            self.deliver.pump(now, state, &mut out);
        }
        out
    }

    fn work(&mut self, room: usize, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) {
        self.worked = 0;
        while self.worked < room {
            self.worked += 1;
            if self.checkpoint_due && self.may_checkpoint() {
                // What the checkpoint makes durable is the state behind this step: nothing may be folded behind the place.
                if self.checkpoint(state, out) {
                    break;
                }
                return;
            }
            if !self.work_once(state, out) {
                return;
            }
        }
        out.push(FlowOutput::Again);
    }

    /// Whether the fold stands where a checkpoint may stand.
    pub(crate) fn may_checkpoint(&self) -> bool {
        let settled = self.causes.is_empty() && self.binding.is_none() && !self.reading_rows;
        settled && matches!(self.stage, Stage::Folding | Stage::Live) && !self.replaying
    }

    /// Makes the fold's place durable once every decision behind it is (J16, J19). False: not yet, and nothing may be
    /// folded meanwhile. True: nothing more may be folded in this step.
    pub(crate) fn checkpoint(&mut self, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) -> bool {
        if self.stage == Stage::Live {
            self.flush_skipped(out);
            if self.appends.values().any(|pending| matches!(pending.what, What::Decisions)) {
                self.blocked = Some(Blocked::Checkpoint);
                return false;
            }
            self.place.decisions = self.decisions_tail.seq;
        }
        self.checkpoint_due = false;
        stored::put(state, &keys::meta(PLACE), &self.place);
        out.push(FlowOutput::Checkpoint);
        true
    }

    /// Appends entries to the journal.
    pub(crate) fn append(
        &mut self,
        entries: Vec<Entry>,
        class: Class,
        then: Then,
        out: &mut Vec<FlowOutput>,
    ) -> AppendId {
        let id = self.next_append_id();
        let entries: Arc<[Entry]> = entries.into();
        self.appends.insert(id, Pending { what: What::Journal(entries.clone()), then });
        out.push(FlowOutput::Append { id, entries, class });
        id
    }

    /// Appends records to the decisions log.
    pub(crate) fn record(&mut self, id: AppendId, records: Vec<Record>, out: &mut Vec<FlowOutput>) {
        self.appends.insert(id, Pending { what: What::Decisions, then: Then::Nothing });
        out.push(FlowOutput::Record { id, records: records.into() });
    }

    pub(crate) fn next_append_id(&mut self) -> AppendId {
        self.next_append += 1;
        AppendId(self.next_append)
    }

    fn appended(&mut self, id: AppendId, appended: Appended, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) {
        let Some(pending) = self.appends.remove(&id) else { return };
        let bound = match &pending.what {
            What::Journal(entries) if pending.then == Then::Bound => entries.clone(),
            _ => Arc::default(),
        };
        match pending.what {
            What::Decisions => {
                self.decisions_tail = appended.last;
                self.deliver.recorded(id, state);
            }
            What::Journal(entries) => {
                self.journal_tail = appended.last;
                let first = Header { id: appended.first, term: self.term, appended_at: appended.appended_at };
                self.durable(first.id, &entries, state, out);
                self.visible.appended(appended, first, entries);
            }
        }
        match pending.then {
            Then::Nothing => {}
            Then::Answer(token) => out.push(FlowOutput::Answered { token, answer: Ok(appended.first) }),
            Then::Captured => self.capture_ended(out),
            Then::OpenSource => self.open_source(out),
            Then::AnswerAndOpen(token) => {
                out.push(FlowOutput::Answered { token, answer: Ok(appended.first) });
                self.open_source(out);
            }
            Then::Bound => self.bound_early(&bound, state),
        }
    }

    /// What must not wait for the fold when entries become durable: confirmation to the source, and the ledger, which
    /// may run ahead of decisions (else a decision that waits for room would wait for ever).
    fn durable(&mut self, first: EntryId, entries: &[Entry], state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) {
        self.captured_durable(first, entries, out);
        if self.stage != Stage::Live {
            return;
        }
        for (at, entry) in entries.iter().enumerate() {
            let id = EntryId { writer: first.writer, seq: first.seq + at as u64 };
            self.settle(id, entry, state);
        }
    }

    fn replied(
        &mut self,
        now: Timestamp,
        (unit, effect): (&model::Unit, model::EffectId),
        reply: ports::SinkReply,
        state: &dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) {
        let failed = self.deliver.fault.is_some();
        let scope = Scope::Sink(self.deliver.system.clone());
        let mends = reply.asks_for_patience().then(|| scope.clone());
        let done = self.deliver.replied(now, (unit, effect), reply, state);
        if let (false, Some(fault)) = (failed, &self.deliver.fault) {
            let what = fault.to_string();
            self.wait(scope, what, mends, out);
        } else if done.as_ref().is_some_and(|done| done.recovered) {
            self.go_on(scope, out);
        }
        for (kind, what) in self.deliver.types.news() {
            let scope = Scope::Type(self.deliver.system.clone(), kind);
            if what.is_empty() { self.go_on(scope, out) } else { self.wait(scope, what, None, out) }
        }
        let Some(done) = done else { return };
        let system = done.acked.system.clone();
        // What lies beneath was there first, what lies above came later (J27).
        let (beneath, above): (Vec<_>, Vec<_>) = done.foreign.into_iter().partition(|version| version.beneath);
        let entry = |found: ports::ForeignVersion| {
            let (system, unit, ports::ForeignVersion { version, deleted, body, .. }) =
                (system.clone(), unit.clone(), found);
            let (author, stamp, captured) = (None, None, None);
            Entry::Resource(ResourceEntry { system, unit, version, deleted, body, author, stamp, captured })
        };
        let mut entries: Vec<Entry> = beneath.into_iter().map(entry).collect();
        entries.push(Entry::Acked(done.acked));
        entries.extend(above.into_iter().map(entry));
        self.append(entries, Class::Vital, Then::Nothing, out);
    }

    fn act(
        &mut self,
        token: u64,
        by: Principal,
        act: Act,
        reason: Box<str>,
        state: &dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) {
        let entries = match act {
            Act::Activate { kind: kind @ Kind::Map, name, bytes } => {
                let (hash, behaviour) = (Hash::of(&bytes), self.config.behaviour);
                let entry = Entry::Activated(Activated { by, kind, name, hash, bytes, behaviour });
                self.still_fits(&entry, state).and_then(|()| self.read_again(entry, token))
            }
            Act::Activate { kind, .. } => {
                Err(Fault::new(Failure::Misconfigured, format!("{kind:?} cannot be activated yet"))
                    .cure("only maps are activated in this version"))
            }
            Act::Review { unit, answer } => self.review(by, unit, answer, reason, token, state),
            Act::Control(act) => self.control(Control { by, act, reason }, token),
        };
        match entries {
            // It waits for the source to be quiet.
            Ok((entries, _)) if entries.is_empty() => {}
            Ok((entries, then)) => {
                self.append(entries, Class::Vital, then, out);
            }
            Err(fault) => out.push(FlowOutput::Answered { token, answer: Err(fault) }),
        }
    }

    fn tick(&mut self, now: Timestamp, out: &mut Vec<FlowOutput>) {
        let idle = self.visible.next().seq > self.visible.tail() && self.appends.is_empty();
        if self.stage == Stage::Live && idle && self.next_timer.is_some_and(|due| due <= now) {
            self.append(vec![Entry::Clock], Class::Vital, Then::Nothing, out);
        }
    }

    /// Stops a part, once, and says so.
    pub(crate) fn halt(&mut self, scope: Scope, what: String, out: &mut Vec<FlowOutput>) {
        self.wait(scope, what, None, out);
    }

    /// Stops a part that goes on by itself, if `mends` says what that is about.
    pub(crate) fn wait(&mut self, scope: Scope, what: String, mends: Option<Scope>, out: &mut Vec<FlowOutput>) {
        if self.halts.get(&scope) != Some(&what) {
            self.halts.insert(scope.clone(), what.clone());
            out.push(FlowOutput::Halted { scope, what, mends });
        }
    }

    /// A part goes on.
    pub(crate) fn go_on(&mut self, scope: Scope, out: &mut Vec<FlowOutput>) {
        if self.halts.remove(&scope).is_some() {
            out.push(FlowOutput::Halted { scope, what: String::new(), mends: None });
        }
    }

    /// Whether captured entries are welcome. False while there is no room for them before the fold, or none is wanted.
    pub fn wants_capture(&self) -> bool {
        const APPENDS_AHEAD: usize = 64;
        // A batch is about a megabyte, and one flush takes all that wait.
        const CAPTURES_AHEAD: usize = 4;
        self.stage == Stage::Live && self.ingest.captures < CAPTURES_AHEAD && self.appends.len() < APPENDS_AHEAD
    }

    /// When `Tick` is wanted, at the latest.
    pub fn next_wakeup(&self) -> Option<Timestamp> {
        let idle = self.visible.next().seq > self.visible.tail();
        let timer = self.next_timer.filter(|_| idle);
        [self.deliver.next_wakeup(), self.ingest.reopen_at(), timer].into_iter().flatten().min()
    }

    /// Parts that stopped.
    pub fn halts(&self) -> Vec<Halt> {
        let mut all = self.halts.clone();
        // Holds are state: they stand here although another process was told of them, or nobody.
        for (table, one) in &self.tables.state {
            if let Some(question) = one.question() {
                all.entry(Scope::Table(table.clone())).or_insert_with(|| question.to_owned());
            }
        }
        for (entity, question) in self.holds.iter() {
            all.entry(Scope::Entity(entity.clone())).or_insert_with(|| question.to_owned());
        }
        all.into_iter().map(|(scope, what)| Halt { scope, what }).collect()
    }

    /// Whether the logs are folded to their ends: only then something is decided, sent or captured.
    pub fn is_live(&self) -> bool {
        self.stage == Stage::Live
    }

    /// Whether the fold stands inside an input.
    pub(crate) fn inside(&self) -> bool {
        self.place.phase != Phase::Fresh
    }

    /// The entities whose units stand still because of a hold or a table that is not read whole.
    pub(crate) fn closed_entities(&self) -> BTreeSet<u16> {
        let Some(map) = self.map.as_ref().and_then(|active| active.map.as_ref()) else { return BTreeSet::new() };
        let closed = |at: &usize| {
            let entity = &map.entities()[*at];
            self.holds.entity(&entity.name)
                || entity.tables().into_iter().any(|table| !self.tables.open_for_decisions(table))
        };
        (0..map.entities().len()).filter(closed).filter_map(|at| u16::try_from(at).ok()).collect()
    }
}
