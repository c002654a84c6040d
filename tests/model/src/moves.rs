//! What can happen in a state, and what it leads to.

use crate::{
    Model,
    config::{Edit, Tx},
    crash::Crash,
    deliver::{all_durable, captured},
    fold::is_absence,
    rules::Rule,
    source::Resume,
    state::{Act, Entry, Flight, Folded, NONE, Row, Stage, State, len},
};

impl Model {
    /// The state in which everything begins.
    pub(crate) fn first(&self) -> State {
        let mut state = State {
            log: Vec::new(),
            visible: 0,
            slot: None,
            next: 0,
            rows_done: 0,
            exported: None,
            reader: None,
            journal: Vec::new(),
            journal_durable: 0,
            decisions: Vec::new(),
            decisions_durable: 0,
            checkpoint: 0,
            folded: Folded::nothing(),
            ledger: [Vec::new(), Vec::new()],
            ledger_place: 0,
            flight: [Flight::Idle; 2],
            suspect: [false; 2],
            sent: Vec::new(),
            history: [Vec::new(), Vec::new()],
            net: Vec::new(),
            other_code: false,
            crashes: 0,
            faults: 0,
            edits: 0,
            broken: None,
        };
        if self.config.ready {
            state.journal.push(Entry::Started { at: 0 });
            for table in 0..2 {
                let row = self.config.rows[usize::from(table)];
                state.journal.extend([Entry::Chunk { table, row, low: 0, high: 0 }, Entry::Ready { table }]);
            }
            (state.slot, state.next) = (Some(0), 1);
            all_durable(&mut state);
            for _ in 0..state.journal.len() {
                self.fold_next(&mut state);
                state.folded.marked = 0;
            }
        }
        state
    }

    /// Everything that can happen now; true if the system can move, not only the world around it.
    pub(crate) fn acts(&self, state: &State, acts: &mut Vec<Act>) -> bool {
        if state.broken.is_some() {
            return false;
        }
        self.captures(state, acts);
        self.syncs(state, acts);
        if self.config.target {
            self.delivers(state, acts);
        }
        let can_move = !acts.is_empty();
        if state.slot.is_some_and(|confirmed| state.next > 0 && self.confirmable(state) > confirmed) {
            acts.push(Act::Confirm);
        }
        let durable = usize::from(state.decisions_durable) == state.decisions.len()
            && state.folded.place <= state.journal_durable;
        let at_rest = state.folded.marked == 0 && state.folded.place > state.checkpoint;
        if self.config.checkpoints && at_rest && (!self.on(Rule::Checkpoint) || durable) {
            acts.push(Act::Checkpoint);
        }
        self.commits(state, acts);
        if self.config.target {
            self.edits(state, acts);
            self.net_faults(state, acts);
        }
        self.crashes(state, acts);
        can_move
    }

    fn captures(&self, state: &State, acts: &mut Vec<Act>) {
        let end = len(&state.log);
        let resume = Resume::of(&state.journal);
        if state.visible < end {
            acts.push(Act::Publish);
        }
        if resume.wanted {
            let durable = &state.journal[..usize::from(state.journal_durable)];
            if state.slot.is_some() && state.exported.is_some() {
                acts.push(Act::Start);
            } else if state.slot.is_none() && Resume::of(durable).wanted {
                acts.push(Act::CreateSlot);
            }
        } else if resume.started {
            self.reads(state, &resume, acts);
            if state.next > 0 && state.next <= end {
                acts.push(Act::Ingest);
            }
            let went_by = state.next > 0 && state.rows_done == 0 && state.next - 1 > resume.passed;
            if self.on(Rule::Heartbeat) && went_by {
                acts.push(Act::Heartbeat);
            }
        } else {
            acts.push(Act::Want);
        }
    }

    fn reads(&self, state: &State, resume: &Resume, acts: &mut Vec<Act>) {
        let at = |table: u8| usize::from(table);
        match state.reader {
            None => {
                let unread = (0..2).find(|&table| !resume.chunk[at(table)] && !resume.ready[at(table)]);
                let read = if state.exported.is_some() { Act::ReadExported } else { Act::MarkLow };
                acts.extend(unread.map(read));
            }
            Some(reader) => match reader.stage {
                Stage::LowMarked => acts.push(Act::ReadRows),
                Stage::Read => acts.push(Act::MarkHigh),
                Stage::HighMarked if !self.on(Rule::BehindHigh) || state.next > reader.high => {
                    acts.push(Act::AppendChunk);
                }
                Stage::HighMarked => {}
            },
        }
        let unready = (0..2).filter(|&table| resume.chunk[at(table)] && !resume.ready[at(table)]);
        acts.extend(unready.map(Act::AppendReady));
    }

    fn syncs(&self, state: &State, acts: &mut Vec<Act>) {
        if usize::from(state.journal_durable) < state.journal.len() {
            acts.push(Act::SyncJournal);
        }
        if usize::from(state.decisions_durable) < state.decisions.len() {
            acts.push(Act::SyncDecisions);
        }
        if !self.config.eager && state.folded.marked != 0 {
            acts.push(Act::Decide);
        }
        if !self.config.eager && self.can_fold(state) {
            acts.push(Act::Fold);
        }
    }

    fn delivers(&self, state: &State, acts: &mut Vec<Act>) {
        for name in 0..2 {
            let unit = usize::from(name);
            if matches!(state.flight[unit], Flight::Idle | Flight::NothingThere) {
                if self.sendable(state, unit).is_some() {
                    acts.push(Act::Send(name));
                } else if self.is_twin_due(state, unit) {
                    acts.push(Act::LookForTwin(name));
                }
            }
            if self.config.two_way && captured(state, name) < len(&state.history[unit]) {
                acts.push(Act::Capture(name));
            }
        }
        for (at, request) in (0..).zip(&state.net) {
            if request.late {
                acts.extend([Act::LateArrives(at), Act::LateDropped(at)]);
            } else {
                acts.push(Act::Arrive(at));
            }
        }
    }

    fn commits(&self, state: &State, acts: &mut Vec<Act>) {
        let end = len(&state.log);
        if end == self.config.transactions {
            return;
        }
        let [a, b] = self.rows_at(state, end);
        let possible = |kind: &&Tx| match kind {
            Tx::DeleteA | Tx::AUnchanged | Tx::DeleteASetB => a != 0,
            Tx::DeleteB => b != 0,
            Tx::A | Tx::B | Tx::Both | Tx::Empty => true,
        };
        acts.extend(self.config.kinds.iter().filter(possible).copied().map(Act::Transaction));
    }

    fn edits(&self, state: &State, acts: &mut Vec<Act>) {
        if state.edits == self.config.edits {
            return;
        }
        for unit in 0..2u8 {
            let history = &state.history[usize::from(unit)];
            let there = history.last().is_some_and(|top| !is_absence(top.by));
            let possible = |edit: &&Edit| match edit {
                Edit::Create => Model::is_missing(state, unit.into()),
                Edit::Undo => there && history.len() > 1,
                Edit::Set | Edit::Delete | Edit::Expunge => there,
            };
            acts.extend(self.config.edit_kinds.iter().filter(possible).map(|&edit| Act::Edit(unit, edit)));
        }
    }

    fn net_faults(&self, state: &State, acts: &mut Vec<Act>) {
        if state.faults == self.config.faults {
            return;
        }
        let late = state.net.iter().filter(|request| request.late).count();
        for (at, _) in (0..).zip(&state.net).filter(|(_, request)| !request.late) {
            acts.extend([Act::ReplyLost(at), Act::Lost(at)]);
            if late < usize::from(self.config.late) {
                acts.push(Act::Timeout(at));
            }
        }
    }

    fn crashes(&self, state: &State, acts: &mut Vec<Act>) {
        if state.crashes == self.config.crashes {
            return;
        }
        let codes: &[bool] = if self.config.upgrade && !state.other_code { &[false, true] } else { &[false] };
        let losses: &[bool] = if self.config.lose_slot && state.slot.is_some() { &[false, true] } else { &[false] };
        for journal in state.journal_durable..=len(&state.journal) {
            for decisions in state.decisions_durable..=len(&state.decisions) {
                for &other_code in codes {
                    let crash = |&slot_lost| Act::Crash { journal, decisions, other_code, slot_lost };
                    acts.extend(losses.iter().map(crash));
                }
            }
        }
    }

    /// The state behind the act.
    pub(crate) fn apply(&self, state: &State, act: &Act) -> State {
        let mut state = state.clone();
        self.act(&mut state, *act);
        loop {
            if !self.config.tails {
                all_durable(&mut state);
                self.take_outcomes(&mut state);
            }
            if !self.on(Rule::DurableAcked) {
                self.take_outcomes(&mut state);
            }
            if !self.config.eager || state.broken.is_some() {
                return state;
            }
            if state.folded.marked != 0 {
                self.decide(&mut state);
            } else if self.can_fold(&state) {
                self.fold_next(&mut state);
            } else {
                return state;
            }
        }
    }

    fn act(&self, state: &mut State, act: Act) {
        match act {
            Act::Transaction(kind) => self.transaction(state, kind),
            Act::Publish => state.visible += 1,
            Act::Want => state.journal.push(Entry::Wanted),
            Act::CreateSlot => Model::create_slot(state),
            Act::Start => Model::start(state),
            Act::ReadExported(table) => self.read_exported(state, table),
            Act::MarkLow(table) => Model::mark_low(state, table),
            Act::ReadRows => self.read_rows(state),
            Act::MarkHigh => Model::mark_high(state),
            Act::AppendChunk => self.append_chunk(state),
            Act::AppendReady(table) => state.journal.push(Entry::Ready { table }),
            Act::Ingest => Model::ingest(state),
            Act::Heartbeat => state.journal.push(Entry::Heartbeat { at: state.next - 1 }),
            Act::Confirm => state.slot = Some(self.confirmable(state)),
            Act::SyncJournal => {
                state.journal_durable = len(&state.journal);
                self.take_outcomes(state);
            }
            Act::SyncDecisions => state.decisions_durable = len(&state.decisions),
            Act::Fold => self.fold_next(state),
            Act::Decide => self.decide(state),
            Act::Checkpoint => state.checkpoint = state.folded.place,
            Act::Send(unit) => self.send(state, unit.into()),
            Act::LookForTwin(unit) => self.look_for_twin(state, unit.into()),
            Act::Capture(unit) => {
                let version = captured(state, unit) + 1;
                state.journal.push(Entry::Resource { unit, version });
            }
            Act::Edit(unit, edit) => Model::edit(state, unit.into(), edit),
            Act::Crash { journal, decisions, other_code, slot_lost } => {
                self.crash(state, Crash { journal, decisions, other_code, slot_lost });
            }
            Act::Arrive(at) | Act::ReplyLost(at) | Act::LateArrives(at) => {
                let request = state.net.remove(at.into());
                let taken = self.handle(state, request);
                match act {
                    Act::Arrive(_) => self.replied(state, request, taken),
                    Act::ReplyLost(_) => Model::unknown(state, request),
                    _ => {}
                }
            }
            Act::Lost(at) => {
                let request = state.net.remove(at.into());
                Model::unknown(state, request);
            }
            Act::Timeout(at) => {
                let request = &mut state.net[usize::from(at)];
                request.late = true;
                let request = *request;
                Model::unknown(state, request);
            }
            Act::LateDropped(at) => {
                state.net.remove(at.into());
            }
        }
    }

    fn transaction(&self, state: &mut State, kind: Tx) {
        let end = len(&state.log);
        let value: Row = 1 + (end % self.config.values);
        let (both, toasted) = (value | 0x10, value | (0x10 * (1 + (end & 1))));
        state.log.push(match kind {
            Tx::A => [toasted, NONE],
            Tx::B => [NONE, both],
            Tx::DeleteA => [0, NONE],
            Tx::DeleteB => [NONE, 0],
            Tx::Both => [toasted, both],
            Tx::AUnchanged => [value, NONE],
            Tx::Empty => [NONE, NONE],
            Tx::DeleteASetB => [0, both],
        });
        if !self.config.slow_visible {
            state.visible = end + 1;
        }
    }
}
