//! A crash, and the start behind it (J6, J10, J11, J16, J18).

use crate::{
    Model,
    property::Property,
    rules::Rule,
    seen::Event,
    source::Resume,
    state::{Effect, Entry, Flight, Folded, Outcome, Place, State, len},
};

/// What a crash leaves of the logs, and what else happens while we are down.
#[derive(Clone, Copy)]
pub(crate) struct Crash {
    pub(crate) journal: Place,
    pub(crate) decisions: Place,
    pub(crate) other_code: bool,
    pub(crate) slot_lost: bool,
}

impl Model {
    pub(crate) fn crash(&self, state: &mut State, crash: Crash) {
        if !self.die(state, crash) {
            return;
        }
        if !self.on(Rule::FoldDecisions) {
            state.decisions.clear();
        }
        if state.decisions.last().is_some_and(|last| usize::from(last.input) >= state.journal.len()) {
            state.broken = Some(Property::Tails);
            return;
        }
        if !self.recover(state, crash.other_code) {
            return;
        }
        (state.journal_durable, state.decisions_durable) = (crash.journal, crash.decisions.min(len(&state.decisions)));
        self.take_outcomes(state);
        if crash.slot_lost {
            state.slot = None;
        }
        self.open_source(state);
    }

    /// What is volatile is gone; false if the tails that are left contradict each other.
    fn die(&self, state: &mut State, crash: Crash) -> bool {
        let (journal, decisions) = (usize::from(crash.journal), usize::from(crash.decisions));
        if journal < state.journal.len() || decisions < state.decisions.len() {
            self.saw(Event::TailLost);
        }
        for unit in 0..2 {
            if state.flight[unit] == Flight::Waiting {
                self.saw(Event::CrashInFlight);
                state.suspect[unit] = true;
            }
        }
        let lost_input = |lost: &crate::state::Decision| lost.input < state.checkpoint;
        if state.checkpoint > crash.journal || state.decisions[decisions..].iter().any(lost_input) {
            state.broken = Some(Property::Tails);
            return false;
        }
        state.crashes += 1;
        state.journal.truncate(journal);
        state.decisions.truncate(decisions);
        state.other_code |= crash.other_code;
        state.net.truncate(self.config.late.into());
        state.net.iter_mut().for_each(|request| request.late = true);
        (state.exported, state.reader, state.flight) = (None, None, [Flight::Idle; 2]);
        (state.rows_done, state.ledger_place) = (0, 0);
        true
    }

    /// Folds inputs and recorded decisions up to the end of the decisions (J18).
    fn recover(&self, state: &mut State, other_code: bool) -> bool {
        let mut folded = Folded::nothing();
        state.ledger = [Vec::new(), Vec::new()];
        if let Some(last) = state.decisions.last().copied() {
            if other_code {
                self.saw(Event::OtherCode);
            }
            let mut recorded = (0..).zip(state.decisions.clone()).peekable();
            for input in 0..=last.input {
                if let Some(broken) = self.fold(state, &mut folded, input) {
                    state.broken = Some(broken);
                    return false;
                }
                while let Some((at, decision)) = recorded.next_if(|(_, decision)| decision.input == input) {
                    Model::evolve(&mut folded, &decision);
                    let effect = Effect { decision, at, outcome: Outcome::Open };
                    state.ledger[usize::from(decision.unit)].push(effect);
                }
                if input < last.input {
                    (folded.marked, folded.forced) = (0, 0);
                }
            }
            if folded.marked != 0 {
                self.saw(Event::CrashBetweenSteps);
            }
        }
        state.folded = folded;
        true
    }

    fn open_source(&self, state: &mut State) {
        let resume = Resume::of(&state.journal);
        if resume.open_rows {
            self.saw(Event::CrashInTransaction);
            if self.on(Rule::Void) {
                state.journal.push(Entry::Void);
            }
        }
        state.next = 0;
        let only_wanted = !resume.started || resume.wanted;
        match state.slot {
            None if only_wanted => {}
            None if self.on(Rule::Gap) => {
                self.saw(Event::GapSeen);
                state.journal.push(Entry::Wanted);
            }
            None => {
                let end = len(&state.log);
                (state.slot, state.folded.passed, state.next) = (Some(end), end, end + 1);
            }
            Some(_) if only_wanted && self.on(Rule::Wanted) => state.slot = None,
            Some(confirmed) if confirmed > resume.passed => state.broken = Some(Property::NoFalseAlarm),
            Some(_) if !resume.started => state.slot = None,
            Some(_) => state.next = resume.passed + 1,
        }
        if !self.on(Rule::FoldResume) && resume.started {
            let unread = (0..2).filter(|&table| !resume.ready[usize::from(table)]);
            state.journal.extend(unread.map(|table| Entry::Ready { table }));
        }
    }
}
