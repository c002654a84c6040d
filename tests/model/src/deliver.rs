//! Deliver: which effect may leave, over which base, and what became of it (J22–J29).

use crate::{
    Model,
    config::Stamp,
    property::Property,
    rules::Rule,
    seen::Event,
    state::{
        Base, By, Decision, Effect, Entry, Flight, Guard, Number, OTHER_CODE, Outcome, Place, Request, State, Unit,
        Version, len, map,
    },
    target::Taken,
};

impl Model {
    /// Takes outcomes into the ledger, as far as they are durable (J24).
    pub(crate) fn take_outcomes(&self, state: &mut State) {
        let upto = if self.on(Rule::DurableAcked) { state.journal_durable } else { len(&state.journal) };
        for at in state.ledger_place..upto {
            let (unit, number, outcome) = match state.journal[usize::from(at)] {
                Entry::Acked { unit, number, version } => (unit, number, Outcome::Acked(version)),
                Entry::Stale { unit, number, current, .. } => (unit, number, Outcome::Failed { current, at }),
                _ => continue,
            };
            let unit = usize::from(unit);
            if let Some(effect) = state.ledger[unit].get_mut(usize::from(number) - 1) {
                effect.outcome = outcome;
            }
            if state.flight[unit] == Flight::Done {
                state.flight[unit] = Flight::Idle;
            }
        }
        state.ledger_place = state.ledger_place.max(upto);
    }

    /// Whether an outcome before it took the effect away (J23).
    pub(crate) fn is_void(&self, state: &State, unit: usize, effect: &Effect) -> bool {
        let own = effect.decision;
        let takes = |failed: &Effect| match failed.outcome {
            Outcome::Failed { at, .. } => {
                let number = failed.decision.number;
                let reached = || self.on(Rule::VoidByInput) || stands_on(state, unit, own, number);
                number < own.number && own.input < at && reached()
            }
            Outcome::Open | Outcome::Acked(_) => false,
        };
        let void = self.on(Rule::Release) && state.ledger[unit].iter().any(takes);
        if void {
            self.saw(Event::Voided);
        }
        void
    }

    pub(crate) fn is_owed(&self, state: &State, unit: usize, effect: &Effect) -> bool {
        effect.outcome == Outcome::Open && !self.is_void(state, unit, effect)
    }

    /// The unit's next effect with its guard, if it may leave now.
    pub(crate) fn sendable(&self, state: &State, unit: usize) -> Option<(Effect, Guard)> {
        let effect = *state.ledger[unit].iter().find(|effect| self.is_owed(state, unit, effect))?;
        if self.on(Rule::DurableDecision) && effect.at >= state.decisions_durable {
            return None;
        }
        let guard = match effect.decision.base {
            Base::Create => Guard::Create,
            Base::Version(version) => Guard::Match(version),
            Base::After(number) => match state.ledger[unit][usize::from(number) - 1].outcome {
                Outcome::Acked(version) | Outcome::Failed { current: version, .. } => Guard::Match(version),
                Outcome::Open => return None,
            },
        };
        let under_way = || state.net.iter().any(|request| usize::from(request.unit) == unit);
        let waits = guard == Guard::Create && !self.config.guard && self.on(Rule::Lifetime) && under_way();
        (!waits).then_some((effect, guard))
    }

    pub(crate) fn send(&self, state: &mut State, unit: usize) {
        let Some((effect, mut guard)) = self.sendable(state, unit) else { return };
        let Decision { unit: name, number, content, .. } = effect.decision;
        let before = state.sent.iter().find(|sent| (sent.0, sent.1) == (name, number)).map(|sent| sent.2);
        if guard == Guard::Create && !self.config.guard {
            if state.flight[unit] == Flight::Idle && self.on(Rule::Lifetime) {
                if Model::is_missing(state, unit) {
                    state.flight[unit] = Flight::NothingThere;
                } else {
                    self.settle(state, unit, &effect, 0);
                }
                return;
            }
            guard = Guard::Bare;
        }
        let unguarded = (guard == Guard::Create && !self.on(Rule::CreateGuard))
            || (before.is_some() && !self.on(Rule::GuardedResend));
        if unguarded {
            guard = Guard::Bare;
        }
        let made_again = || map(unit, state.folded.shadow) | if state.other_code { OTHER_CODE } else { 0 };
        let content = if self.on(Rule::BodyKept) { content } else { made_again() };
        match before {
            Some(before) if before != content => state.broken = Some(Property::OneBody),
            Some(_) => {}
            None => state.sent.push((name, number, content)),
        }
        state.net.push(Request { unit: name, number, guard, content, start: state.crashes, late: false });
        state.flight[unit] = Flight::Waiting;
    }

    /// The reply to a request arrives.
    pub(crate) fn replied(&self, state: &mut State, request: Request, taken: Option<Taken>) {
        let unit = usize::from(request.unit);
        let effect = state.ledger[unit][usize::from(request.number) - 1];
        let base = if let Guard::Match(version) = request.guard { version } else { 0 };
        let Some(Taken { version, created }) = taken else { return self.settle(state, unit, &effect, base) };
        let not_meant = created == (base != 0) && self.lies_on_foreign(state, unit, version, base);
        // "Unchanged", although the body differs from the base's: the number is the same, the resource is another one.
        let unchanged = !created
            && base != 0
            && Model::shown(state, unit, version) == Model::shown(state, unit, base)
            && state.history[unit][usize::from(base) - 1].content != request.content;
        if self.on(Rule::Meant) && (not_meant || unchanged) {
            return self.stale(state, unit, request.number, version, version - 1);
        }
        self.append_outcome(state, Entry::Acked { unit: request.unit, number: request.number, version });
    }

    /// What became of the effect, by the versions since its base (J27).
    fn settle(&self, state: &mut State, unit: usize, effect: &Effect, base: Version) {
        let (name, number, content) = (effect.decision.unit, effect.decision.number, effect.decision.content);
        let current = len(&state.history[unit]);
        state.flight[unit] = Flight::Idle;
        if current == 0 {
            return;
        }
        let stored = |version: Version| state.history[unit][usize::from(version) - 1];
        let by = |version: Version| self.own(state, stored(version).by);
        let no_stamp = self.config.stamp == Stamp::Nothing;
        let is_mine =
            |version: Version| by(version) == Some(number) || (no_stamp && stored(version).content == content);
        let first = current - Model::shown(state, unit, current) + 1; // an expunge takes the history with it
        let mine = if self.on(Rule::History) {
            (first.max(base + 1)..=current).find(|&version| is_mine(version))
        } else {
            (by(current) == Some(number)).then_some(current)
        };
        if let Some(version) = mine {
            self.saw(if version == current { Event::OwnFound } else { Event::OwnBelow });
            if self.on(Rule::History) && self.lies_on_foreign(state, unit, version, base) {
                return self.stale(state, unit, number, current, version - 1);
            }
            return self.append_outcome(state, Entry::Acked { unit: name, number, version });
        }
        if current == base && !Model::is_gone(state, unit, current) {
            return; // nothing happened: send again
        }
        if no_stamp && stored(current).content == content {
            return self.append_outcome(state, Entry::Acked { unit: name, number, version: current });
        }
        let base_content = if base == 0 { 0 } else { stored(base).content };
        if no_stamp && base_content == stored(current).content {
            self.saw(Event::SameContent);
            if !self.on(Rule::SameVersion) {
                let guard = Guard::Match(current);
                state.net.push(Request { unit: name, number, guard, content, start: state.crashes, late: false });
                state.flight[unit] = Flight::Waiting;
                return;
            }
        }
        let line = by(current).and_then(|number| state.ledger[unit].get(usize::from(number) - 1));
        let is_twin = self.on(Rule::Twin) && by(current).is_some();
        let beneath = (base + 1..current).rev().find(|&version| by(version).is_none()).unwrap_or(0);
        let beneath = if self.on(Rule::History) { beneath } else { 0 };
        if line.is_some_and(|line| line.outcome == Outcome::Acked(current)) {
            state.broken = Some(Property::OwnIsOwn);
        }
        self.stale(state, unit, number, current, if is_twin { beneath } else { current });
    }

    /// Our version lies on something that is neither the base of its effect nor ours.
    fn lies_on_foreign(&self, state: &State, unit: usize, version: Version, base: Version) -> bool {
        if version <= 1 || version - 1 == base {
            return false;
        }
        let beneath = state.history[unit][usize::from(version) - 2].by;
        self.own(state, beneath).is_none() && (base != 0 || beneath != By::Expunged)
    }

    /// An attempt has no reply.
    pub(crate) fn unknown(state: &mut State, request: Request) {
        let unit = usize::from(request.unit);
        state.faults += 1;
        state.suspect[unit] = true;
        state.flight[unit] = Flight::Idle;
    }

    /// Whether the one read-back behind an attempt of unknown outcome is due (J29).
    pub(crate) fn is_twin_due(&self, state: &State, unit: usize) -> bool {
        self.on(Rule::LookForTwin)
            && state.suspect[unit]
            && !state.net.iter().any(|request| usize::from(request.unit) == unit)
            && !state.ledger[unit].iter().any(|effect| self.is_owed(state, unit, effect))
            && usize::from(state.folded.place) == state.journal.len()
    }

    pub(crate) fn look_for_twin(&self, state: &mut State, unit: usize) {
        state.suspect[unit] = false;
        let acked = state.ledger[unit].iter().rev().find_map(|effect| match effect.outcome {
            Outcome::Acked(version) => Some(version),
            Outcome::Open | Outcome::Failed { .. } => None,
        });
        let Some(acked) = acked else { return };
        let (current, known) = (len(&state.history[unit]), &state.folded.units[unit]);
        if current == acked || known.gone || current <= known.taken {
            return;
        }
        let is_ours = |version: Version| self.own(state, state.history[unit][usize::from(version) - 1].by).is_some();
        let first = (acked + 1).max(current - Model::shown(state, unit, current) + 1);
        if (first..=current).any(is_ours) {
            let cite = (first..=current).rev().find(|&version| !is_ours(version)).unwrap_or(0);
            self.stale(state, unit, known.number, current, cite);
        }
    }

    fn stale(&self, state: &mut State, unit: usize, number: Number, current: Version, cite: Version) {
        let gone = Model::is_gone(state, unit, current) || (cite != 0 && Model::is_gone(state, unit, cite));
        let unit = u8::try_from(unit).expect("two units");
        self.append_outcome(state, Entry::Stale { unit, number, current, cite, gone });
    }

    fn append_outcome(&self, state: &mut State, outcome: Entry) {
        let unit = match outcome {
            Entry::Acked { unit, number, version } => {
                judge_acked(state, unit, number, version);
                unit
            }
            Entry::Stale { unit, current, .. } => {
                // A system that is a source, too, is captured up to there first (J25).
                if self.config.two_way {
                    let missing = captured(state, unit) + 1..=current;
                    state.journal.extend(missing.map(|version| Entry::Resource { unit, version }));
                }
                unit
            }
            _ => return,
        };
        state.journal.push(outcome);
        state.flight[usize::from(unit)] = Flight::Done;
    }
}

/// The highest version of the unit that the journal has as captured.
pub(crate) fn captured(state: &State, unit: Unit) -> Version {
    let version = |entry: &Entry| match *entry {
        Entry::Resource { unit: of, version } if of == unit => Some(version),
        _ => None,
    };
    state.journal.iter().filter_map(version).max().unwrap_or(0)
}

fn judge_acked(state: &mut State, unit: Unit, number: Number, version: Version) {
    let goes_back = |entry: &Entry| matches!(*entry, Entry::Acked { unit: u, number: n, version: v } if u == unit && (n >= number || v > version));
    if state.journal.iter().any(goes_back) {
        state.broken = Some(Property::AckedRises);
    }
    let stored = state.history[usize::from(unit)][usize::from(version) - 1];
    if stored.content != state.ledger[usize::from(unit)][usize::from(number) - 1].decision.content {
        state.broken = Some(Property::AckedBody);
    }
}

/// Whether the decision's base is that effect, directly or through others.
fn stands_on(state: &State, unit: usize, decision: Decision, number: Number) -> bool {
    let Base::After(below) = decision.base else { return false };
    below == number || stands_on(state, unit, state.ledger[unit][usize::from(below) - 1].decision, number)
}

/// Where the journal's durable tail is taken for its end.
pub(crate) fn all_durable(state: &mut State) {
    let ends: (Place, Place) = (len(&state.journal), len(&state.decisions));
    (state.journal_durable, state.decisions_durable) = ends;
}
