//! Recovery: the logs are compared, recorded decisions are folded, outcomes are taken, then everything goes on (J16, J18).
//!
//! ```text
//!   Open ─► Folding ──────────────────────────► Scanning ──────────────► Live
//!           entries from the checkpoint on,     outcomes in the rest     first input without a record is decided;
//!           with the decisions recorded         of the journal           effects without an outcome leave again, guarded
//! ```
//! * Durability descends: journal ≥ decisions ≥ store. Anything else means that acknowledged bytes are gone.
//! * What is recorded is never decided again: it may be at the sink already.

use crate::{
    apply::Applied,
    input::FlowOutput,
    ledger,
    meta::{PLACE, Phase, Place},
    query::Blocked,
    step::Flow,
    stored,
    tables::Tables,
    visible::{Taken, Visible},
    waiting,
};
use model::{Decided, Entry, EntryId, Journaled, Record, Term};
use ports::{Failure, Fault, Resume, StateTxn};
use schemas::keys;

/// How far the opening of the flow is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    Closed,
    Folding,
    Scanning { next: EntryId },
    Live,
}

impl Flow {
    /// Stands where the state stands, and compares the tails of the logs.
    pub(crate) fn open(
        &mut self,
        journal: EntryId,
        decisions: EntryId,
        term: Term,
        resume: Resume,
        state: &mut dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) {
        self.place = stored::get(state, &keys::meta(PLACE)).unwrap_or_default();
        (self.term, self.journal_tail, self.decisions_tail) = (term, journal, decisions);
        // Each log ends with this opening's own `Opened`, which no state has folded.
        let (journal_before, decisions_before) = (journal.seq.saturating_sub(1), decisions.seq.saturating_sub(1));
        if let Err(fault) = compare(&self.place, journal_before, decisions_before) {
            out.push(FlowOutput::Corrupt(fault));
            return;
        }
        self.load_pins(state);
        self.load_unfolded(state);
        self.tables = Tables::load(state);
        self.load_map_and_holds(state, out);
        self.next_timer = waiting::next_due(state);
        (self.marked, self.ranged) = (self.inside(), self.inside());
        self.refolded_upto = if self.inside() { self.place.input.next() } else { self.place.input };
        let next = self.place.open.unwrap_or(self.refolded_upto);
        self.visible = Visible::new(next, journal.seq, self.config.limits.visible_bytes_max);
        self.ingest.resume = resume;
        if self.replaying {
            self.stage = Stage::Live;
            return;
        }
        let system = self.deliver.system.clone();
        ledger::all_unsettled(&system, state, &mut |effect| self.deliver.enqueue(&effect, None, true));
        (self.recorded_read, self.recorded_tail) = (self.place.decisions, decisions.seq);
        self.stage = Stage::Folding;
        self.blocked = Some(Blocked::Recovery);
    }

    /// Takes what was read from the journal, for whoever asked.
    pub(crate) fn journal_read(
        &mut self,
        entries: Vec<Journaled>,
        state: &mut dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) {
        match (self.stage, self.place.phase) {
            (Stage::Scanning { next }, _) => self.scan(next, entries, state, out),
            (_, Phase::Rows { next }) if self.reading_rows => self.fold_rows_read(next, entries, state, out),
            _ => self.visible.read(entries),
        }
    }

    /// An entry before the checkpoint, read again because its transaction was open there.
    pub(crate) fn refold_open(&mut self, id: EntryId, entry: Taken) {
        if self.stage == Stage::Folding {
            self.ingest.note(id, &entry);
        }
        match &*entry {
            Entry::Row(row) if row.commit.is_none() => self.open_row(id, entry),
            Entry::Truncate { .. } => self.open_row(id, entry),
            _ => {}
        }
    }

    /// Folds one recorded step.
    pub(crate) fn fold_recorded(
        &mut self,
        decided: Decided,
        state: &mut dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) -> bool {
        for decision in &decided.decisions {
            let Applied { effect: made, diverged } = self.apply(decision, None, state);
            let kept = decided.effects.iter().find(|effect| Some(effect.id) == decision.effect);
            if diverged || made.as_ref().map(|effect| effect.body) != kept.map(|effect| effect.body) {
                let what = format!(
                    "the recorded decision {} of {} (input {}) gives another state or body than its hash says",
                    decision.n, decision.unit, decided.input
                );
                self.corrupt(
                    Fault::new(Failure::Corrupt, what).cure("run the binary that recorded it; lockstep replay check"),
                    out,
                );
                return false;
            }
        }
        if let Some(upto) = &decided.upto {
            self.clear_marks(upto, state);
        }
        self.place.phase = Phase::Steps { done: decided.step };
        // Marks may be left that decide nothing: they end with the input, and bind what they bound when it was decided.
        if decided.last && !self.any_left(state) {
            self.finish_input(true);
        }
        true
    }

    /// Every record is folded, and this input has none: what the rest of the journal says of outcomes comes first.
    pub(crate) fn recorded_all(&mut self, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) -> bool {
        self.start_scan(self.visible.next(), state, out);
        false
    }

    /// The journal is folded whole.
    pub(crate) fn caught_up(&mut self, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) -> bool {
        let folded = self.visible.next().seq > self.visible.tail();
        if self.stage != Stage::Folding || !folded {
            return false;
        }
        let beyond = self.recorded.iter().any(|record| match &record.record {
            Record::Decided(decided) => decided.input.seq > self.visible.tail(),
            Record::Skipped { to, .. } => to.seq > self.visible.tail(),
            Record::Unfolded { input, .. } => input.seq > self.visible.tail(),
            Record::Opened { .. } => false,
        });
        if beyond {
            let what = format!("the decisions log speaks of entries behind the journal's tail {}", self.journal_tail);
            self.corrupt(
                Fault::new(Failure::Corrupt, what).cure("restore the journal; nothing was sent or confirmed"),
                out,
            );
            return false;
        }
        self.place.decisions = self.recorded_tail;
        self.start_scan(self.visible.next(), state, out);
        false
    }

    pub(crate) fn start_scan(&mut self, next: EntryId, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) {
        self.stage = Stage::Scanning { next };
        match next.seq > self.journal_tail.seq {
            true if self.rebuilding => self.rebuilt(state, out),
            true => self.go_live(state, out),
            false => out.push(FlowOutput::ReadJournal(next)),
        }
    }

    fn scan(
        &mut self,
        mut next: EntryId,
        entries: Vec<Journaled>,
        state: &mut dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) {
        let from = next;
        for entry in entries.into_iter().filter(|entry| entry.header.id >= from) {
            self.ingest.note(entry.header.id, &entry.entry);
            self.settle(entry.header.id, &entry.entry, state);
            next = entry.header.id.next();
        }
        self.start_scan(next, state, out);
    }

    fn go_live(&mut self, state: &dyn StateTxn, out: &mut Vec<FlowOutput>) {
        self.stage = Stage::Live;
        self.blocked = None;
        self.recorded.clear();
        self.deliver.go_live(state);
        self.void_open(out);
        self.start_source(out);
        out.push(FlowOutput::Again);
    }

    /// Moves the ledger by a durable entry, once.
    pub(crate) fn settle(&mut self, id: EntryId, entry: &Entry, state: &mut dyn StateTxn) {
        if id.seq <= self.place.ledger || self.replaying {
            return;
        }
        self.place.ledger = id.seq;
        if let Entry::Acked(acked) = entry
            && ledger::settle(id, acked, state).is_some()
        {
            self.deliver.settled(id, acked, state);
        }
    }

    pub(crate) fn corrupt(&mut self, fault: Fault, out: &mut Vec<FlowOutput>) {
        self.stage = Stage::Closed;
        out.push(FlowOutput::Corrupt(fault));
    }
}

/// Whether a state stands at or behind the tails of logs that were recovered and not opened yet: an opening appends, and
/// would fill the places of what is gone (J16).
pub fn tails_hold(state: &dyn StateTxn, journal: u64, decisions: u64) -> Result<(), Fault> {
    compare(&stored::get(state, &keys::meta(PLACE)).unwrap_or_default(), journal, decisions)
}

/// Which tail may be ahead of which (J16).
fn compare(place: &Place, journal: u64, decisions: u64) -> Result<(), Fault> {
    let behind = |what: &str, tail: u64, known: u64| {
        let what =
            format!("{what} ends at {tail}, but the state was folded through {known}: acknowledged bytes are gone");
        Fault::new(Failure::Corrupt, what)
            .cure(format!("restore entries {} to {known} from a backup; nothing was sent or confirmed", tail + 1))
    };
    let folded = place.input.seq - u64::from(place.phase == Phase::Fresh);
    if folded.max(place.ledger) > journal {
        return Err(behind("the journal", journal, folded.max(place.ledger)));
    }
    if place.decisions > decisions {
        return Err(behind("the decisions log", decisions, place.decisions));
    }
    Ok(())
}
