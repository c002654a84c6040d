//! From entries to decisions: a commit makes its rows visible and marks units; marked units are mapped in mark order, in
//! steps; each step is one record (J11–J13, J17).
//!
//! * Nothing of the partition is decided between the steps of one input; memory does not depend on its transaction.
//! * What is recorded is folded, never decided again (J18).
//! * A panic inside is the caller's to catch: it throws the state away; the second on one input parks its units (J32).

use crate::{
    apply::Applied,
    ask::subject,
    hold,
    input::{AppendId, FlowOutput},
    marks::Binding,
    meta::Phase,
    quarantine::Suspect,
    query::Blocked,
    records::Found,
    recover::Stage,
    step::Flow,
    stored,
    visible::Taken,
};
use model::{AggregateState, Cause, Decided, Decision, Effect, Entry, Header, Outcome, Record};
use ports::StateTxn;
use schemas::keys;

impl Flow {
    /// One unit of work. False: something must come first (an input, a read, a durable record).
    pub(crate) fn work_once(&mut self, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) -> bool {
        if !matches!(self.stage, Stage::Folding | Stage::Live) || self.is_stuck(out) {
            return false;
        }
        self.suspect = Suspect::Entry { input: self.place.input, entry: self.place.input };
        match self.place.phase {
            Phase::Fresh => self.begin(state, out),
            Phase::Rows { next } => self.rows_read_back(next, out),
            Phase::Work => self.work_on(state),
            Phase::Steps { done } => self.decide(done, state, out),
        }
    }

    /// Folds the next durable entry.
    fn begin(&mut self, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) -> bool {
        if self.needs_records(out) || self.fenced(state, out) || !self.may_fold(state, out) {
            return false;
        }
        let Some((header, entry)) = self.visible.take() else {
            out.extend(self.visible.wants_read().map(FlowOutput::ReadJournal));
            return self.caught_up(state, out);
        };
        if header.id < self.refolded_upto {
            self.refold_open(header.id, entry);
            return true;
        }
        self.place.input = header.id;
        self.place.at = header.appended_at;
        self.blocked = None;
        if self.stage == Stage::Folding {
            self.ingest.note(header.id, &entry);
        }
        self.fold_entry(header, entry, state, out);
        if self.place.phase == Phase::Fresh {
            if self.causes.is_empty() && !self.marked && !self.timers_left() {
                self.finish_input(false);
            } else {
                self.place.phase = Phase::Steps { done: 0 };
            }
        }
        true
    }

    /// What an entry changes, and whom it dirties.
    fn fold_entry(&mut self, header: Header, entry: Taken, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) {
        let id = header.id;
        self.folded_to = hold::ends_at(&entry).or(self.folded_to);
        match &*entry {
            Entry::Row(row) if row.commit.is_none() => self.open_row(id, entry),
            Entry::Row(row) => {
                self.committed_at = row.commit.as_ref().map(|commit| commit.committed_at);
                self.fold_row(id, row, state, out);
            }
            Entry::Truncate { .. } => self.open_row(id, entry),
            Entry::Commit { commit, .. } => {
                self.committed_at = Some(commit.committed_at);
                self.commit(id, commit.count, state, out);
            }
            Entry::Void { .. } => self.forget_transaction(),
            Entry::Chunk(chunk) => self.fold_chunk(id, chunk, state, out),
            Entry::Schema { fingerprint, schema, .. } => self.learn_schema(*fingerprint, schema, state, out),
            Entry::Slot { .. } => {
                // Positions of another log are not compared with this one's.
                self.folded_to = None;
                self.new_slot(state);
            }
            Entry::Snapshot { incarnation, mark, .. } => self.snapshot_mark(*incarnation, mark, state),
            Entry::Bound(bound) => self.bound(bound, state),
            Entry::Activated(activated) => self.activated(activated, state, out),
            Entry::Acked(acked) => {
                self.settle(id, &entry, state);
                if !matches!(acked.outcome, Outcome::Accepted { .. } | Outcome::Observed) {
                    self.causes.push(Cause::Acked { id, acked: acked.clone() });
                }
            }
            Entry::Resource(found) => self.causes.push(Cause::Foreign { id, found: found.clone() }),
            Entry::Reviewed { unit, answer, .. } => self.reviewed(id, unit, *answer, state),
            Entry::Control(control) => self.controlled(&control.act, state, out),
            Entry::Opened { pins, .. } => self.opened_with(pins, state),
            Entry::Message { .. }
            | Entry::Heartbeat { .. }
            | Entry::Clock
            | Entry::Unbound { .. }
            | Entry::Sending { .. }
            | Entry::Passed { .. }
            | Entry::Placed { .. }
            | Entry::Leave { .. }
            | Entry::Enter { .. } => {}
        }
    }

    /// The next step of the present input.
    fn decide(&mut self, done: u32, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) -> bool {
        match self.find_recorded(done + 1) {
            Found::Reading => out.extend(self.wants_decisions().map(FlowOutput::ReadDecisions)),
            Found::Step(upto) => return self.fold_found(upto.as_ref(), state, out),
            Found::Skipped => return self.end_input(state, out),
            Found::Nothing if self.stage == Stage::Folding => return self.recorded_all(state, out),
            Found::Nothing
                if self.causes.is_empty() && self.deliver.ahead() >= self.config.limits.effects_ahead_max =>
            {
                self.blocked = Some(Blocked::EffectsAhead);
            }
            Found::Nothing => return self.decide_live(done, state, out),
        }
        false
    }

    fn decide_live(&mut self, done: u32, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) -> bool {
        self.suspect = Suspect::Units(self.place.input);
        self.take_timers(state);
        let (input, gate) = (self.place.input, self.next_append_id());
        let (mut decisions, mut upto) = (Vec::new(), None);
        let causes = std::mem::take(&mut self.causes);
        if causes.is_empty() {
            let binding = self.bind_marked(None, state, out);
            if binding != Binding::Done {
                return binding == Binding::More;
            }
            for (mark, released) in self.next_marks(self.config.limits.step_units_max, state) {
                let mapped = self.map_mark(&mark, state);
                let again = mapped.as_ref().filter(|_| released).and_then(|_| self.release(&mark, state));
                for cause in mapped.into_iter().chain(again) {
                    self.decide_cause(cause, gate, state, &mut decisions);
                }
                self.worked += 1;
                upto = Some(mark);
            }
        }
        for cause in causes {
            self.decide_cause(cause, gate, state, &mut decisions);
        }
        if let Some(upto) = &upto {
            self.clear_marks(upto, state);
        }
        let last = !self.any_left(state);
        if !decisions.is_empty() {
            let (decisions, effects) = decisions.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
            let effects: Vec<Effect> = effects.into_iter().flatten().collect();
            let behaviour = self.config.behaviour;
            let decided = Decided { input, step: done + 1, upto, last, decisions, effects, behaviour };
            // A record says that every input before its own, back to the last record, decided nothing.
            self.skipped = None;
            self.record(gate, vec![Record::Decided(decided)], out);
            self.place.phase = Phase::Steps { done: done + 1 };
        }
        if last {
            self.finish_input(matches!(self.place.phase, Phase::Steps { done } if done > 0));
        }
        true
    }

    /// Decides one cause and folds the decisions at once: the next cause of the step sees them.
    fn decide_cause(
        &mut self,
        cause: Cause,
        gate: AppendId,
        state: &mut dyn StateTxn,
        all: &mut Vec<(Decision, Option<Effect>)>,
    ) {
        let Some((unit, entity)) = subject(&cause, state) else { return };
        let cause = self.or_internal(cause, &unit, &entity.entity);
        let before = stored::get(state, &keys::aggregate(&entity.entity, &entity.key))
            .unwrap_or_else(|| AggregateState::new(unit, entity.entity.clone()));
        for decision in self.ruled(&before, &cause) {
            let Applied { effect, .. } = self.apply(&decision, Some(gate), state);
            all.push((decision, effect));
        }
    }

    /// Ends the present input; `recorded` = some step of it has a record.
    pub(crate) fn finish_input(&mut self, recorded: bool) {
        let input = self.place.input;
        if !recorded && input.seq > self.covered {
            let from = self.skipped.map_or(input, |(from, _)| from);
            self.skipped = Some((from, input));
        }
        (self.marked, self.ranged) = (false, false);
        self.place.phase = Phase::Fresh;
        self.place.input = input.next();
    }

    /// Writes down the inputs that decided nothing since the last record: before a checkpoint, for none may follow.
    pub(crate) fn flush_skipped(&mut self, out: &mut Vec<FlowOutput>) {
        if let Some((from, to)) = self.skipped.take() {
            let id = self.next_append_id();
            self.record(id, vec![Record::Skipped { from, to }], out);
        }
    }
}
