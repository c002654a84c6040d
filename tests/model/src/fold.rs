//! The fold and decide: rows to shadow, shadow to marks, marks to decisions (J7, J8, J11–J13, J17, J30).

use crate::{
    Model,
    property::Property,
    rules::Rule,
    seen::Event,
    state::{
        Base, By, Decision, Effect, Entry, Folded, INACTIVE, JOIN, Lsn, NONE, Number, OTHER_CODE, Outcome, Place, Row,
        State, Version, len, map, merge, reads,
    },
};

impl Model {
    pub(crate) fn can_fold(&self, state: &State) -> bool {
        let upto = if self.on(Rule::DurableJournal) { state.journal_durable } else { len(&state.journal) };
        state.folded.marked == 0 && state.folded.place < upto
    }

    pub(crate) fn fold_next(&self, state: &mut State) {
        let mut folded = state.folded.clone();
        let broken = self.fold(state, &mut folded, state.folded.place);
        state.broken = state.broken.or(broken);
        state.folded = folded;
    }

    /// Folds one entry; marks units, and never decides.
    pub(crate) fn fold(&self, state: &State, folded: &mut Folded, place: Place) -> Option<Property> {
        folded.place = place + 1;
        match state.journal[usize::from(place)] {
            Entry::Wanted => {}
            Entry::Started { at } => (folded.ready, folded.passed) = ([false; 2], at),
            Entry::Chunk { table, row, low, high } => self.chunk(folded, table.into(), row, low, high),
            Entry::Ready { table } => {
                folded.ready[usize::from(table)] = true;
                self.mark(folded, table.into());
            }
            Entry::Row { table, event } => {
                folded.open.push((table, event));
                if !self.on(Rule::WholeTransaction) {
                    self.row(folded, table.into(), event, folded.passed + 1);
                }
            }
            Entry::Commit { at, count, table, event } => return self.commit(folded, at, count, (table, event)),
            Entry::Void => folded.open.clear(),
            Entry::Heartbeat { at } => folded.passed = folded.passed.max(at),
            Entry::Acked { unit, number, version } => {
                let known = &mut folded.units[usize::from(unit)];
                (known.settled, known.taken) = (number, known.taken.max(version));
                self.release(state, folded, unit.into());
            }
            Entry::Stale { unit, current, cite, gone, .. } => {
                self.stale_outcome(folded, unit.into(), current, cite, gone);
                self.release(state, folded, unit.into());
            }
            Entry::Resource { unit, version } => self.captured_version(state, folded, unit.into(), version, place),
        }
        None
    }

    fn commit(&self, folded: &mut Folded, at: Lsn, count: u8, own: (u8, Row)) -> Option<Property> {
        if own.0 != NONE {
            folded.open.push(own);
        }
        if folded.open.len() != usize::from(count) {
            return Some(Property::Count);
        }
        for (table, event) in std::mem::take(&mut folded.open) {
            self.row(folded, table.into(), event, at);
        }
        folded.passed = at;
        None
    }

    fn row(&self, folded: &mut Folded, table: usize, event: Row, at: Lsn) {
        if self.on(Rule::AsOf) && at <= folded.as_of[table] {
            self.saw(Event::StaleRow);
            return;
        }
        folded.shadow[table] = merge(folded.shadow[table], event);
        folded.as_of[table] = if event == 0 && !self.on(Rule::Tombstone) { 0 } else { at };
        self.mark(folded, table);
    }

    fn mark(&self, folded: &mut Folded, table: usize) {
        for unit in 0..2 {
            let ready = !self.on(Rule::Ready) || (folded.ready[1] && (unit != JOIN || folded.ready[0]));
            if reads(unit, table) && ready {
                folded.marked |= 1 << unit;
            }
        }
    }

    fn chunk(&self, folded: &mut Folded, table: usize, row: Row, low: Lsn, high: Lsn) {
        let (touched, newer) = (folded.as_of[table] > low, folded.as_of[table] > high);
        let protected = if row == 0 {
            touched && (self.on(Rule::ChunkLack) || !newer)
        } else if self.on(Rule::ChunkRow) {
            touched
        } else {
            newer
        };
        if self.on(Rule::AsOf) && protected {
            self.saw(Event::ChunkLost);
            let unknown = folded.shadow[table] != 0 && folded.shadow[table] >> 4 == 0;
            if self.on(Rule::Fill) && unknown && row != 0 {
                folded.shadow[table] |= row & 0xf0;
                self.saw(Event::Filled);
            }
        } else if row != 0 {
            (folded.shadow[table], folded.as_of[table]) = (row, high);
        } else if self.on(Rule::Range) {
            if folded.shadow[table] != 0 {
                self.saw(Event::InferredDelete);
            }
            folded.shadow[table] = 0;
            folded.as_of[table] = if self.on(Rule::Tombstone) { high } else { 0 };
        }
    }

    fn stale_outcome(&self, folded: &mut Folded, unit: usize, current: Version, cite: Version, gone: bool) {
        let known = &mut folded.units[unit];
        (known.settled, known.taken, known.base) = (known.number, known.taken.max(current), Base::Version(current));
        if gone {
            known.gone = true;
            self.saw(Event::Gone);
        } else {
            self.saw(Event::Stale);
            force(folded, unit, cite);
        }
    }

    fn captured_version(&self, state: &State, folded: &mut Folded, unit: usize, version: Version, place: Place) {
        let known = &mut folded.units[unit];
        match self.own(state, state.history[unit][usize::from(version) - 1].by) {
            Some(number) => {
                // Our echo. Another version of the same effect was acknowledged, or the effect has failed: a late twin (J29).
                let before = &state.journal[..usize::from(place)];
                let is_twin = before.iter().any(|entry| match *entry {
                    Entry::Acked { unit: u, number: n, version: v } => (u.into(), n) == (unit, number) && v != version,
                    Entry::Stale { unit: u, number: n, current, .. } => {
                        (u.into(), n) == (unit, number) && current < version
                    }
                    _ => false,
                });
                if is_twin && self.on(Rule::Twin) && version > known.taken {
                    (known.taken, known.base) = (version, Base::Version(version));
                    force(folded, unit, 0);
                }
            }
            None if self.on(Rule::WaitForEcho) && known.settled < known.number => {
                known.waiting.push((version, known.number));
                self.saw(Event::Waited);
            }
            None => self.foreign(state, folded, unit, version),
        }
    }

    fn foreign(&self, state: &State, folded: &mut Folded, unit: usize, version: Version) {
        let known = &mut folded.units[unit];
        if self.on(Rule::TakenOnce) && version <= known.taken {
            return;
        }
        known.taken = version;
        if is_absence(state.history[unit][usize::from(version) - 1].by) {
            known.gone = true;
            return;
        }
        known.base = Base::Version(version);
        force(folded, unit, version);
    }

    fn release(&self, state: &State, folded: &mut Folded, unit: usize) {
        let settled = folded.units[unit].settled;
        let waiting = std::mem::take(&mut folded.units[unit].waiting);
        let (free, held): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, behind)| *behind <= settled);
        folded.units[unit].waiting = held;
        for (version, _) in free {
            self.foreign(state, folded, unit, version);
        }
    }

    /// Folds a decision that is recorded, or has just been made.
    pub(crate) fn evolve(folded: &mut Folded, decision: &Decision) {
        let unit = usize::from(decision.unit);
        let known = &mut folded.units[unit];
        (known.number, known.content, known.base) = (decision.number, decision.content, Base::After(decision.number));
        folded.marked &= !((2 << unit) - 1);
        folded.forced &= folded.marked;
        if decision.is_last {
            (folded.marked, folded.forced) = (0, 0);
        }
    }

    /// Decides the first marked unit: one step, one record (J13, J17).
    pub(crate) fn decide(&self, state: &mut State) {
        let unit = state.folded.marked.trailing_zeros() as usize;
        let forced = state.folded.forced & (1 << unit) != 0;
        let cite = if forced { state.folded.cite[unit] } else { 0 };
        let clean = map(unit, state.folded.shadow);
        let mut committed = (state.folded.passed..=len(&state.log)).map(|at| map(unit, self.rows_at(state, at)));
        if !committed.any(|content| content == clean) {
            state.broken = Some(Property::CommittedRows);
        }
        let content = clean | if state.other_code { OTHER_CODE } else { 0 };
        state.folded.marked &= !(1 << unit);
        state.folded.forced &= state.folded.marked;
        let known = &state.folded.units[unit];
        let nothing_new = content == known.content || (known.number == 0 && clean == INACTIVE);
        if known.gone || (!forced && nothing_new) {
            return;
        }
        if cite != 0 && matches!(state.history[unit][usize::from(cite) - 1].by, By::Ours { .. }) {
            state.broken = Some(Property::OwnIsOwn);
        }
        let base = if self.on(Rule::SymbolicBase) { known.base } else { base_in_ledger(state, unit) };
        let decision = Decision {
            input: state.folded.place - 1,
            is_last: state.folded.marked == 0,
            unit: u8::try_from(unit).expect("two units"),
            number: known.number + 1,
            base,
            content,
            cite,
        };
        let at = len(&state.decisions);
        state.decisions.push(decision);
        state.ledger[unit].push(Effect { decision, at, outcome: Outcome::Open });
        Model::evolve(&mut state.folded, &decision);
    }

    /// The number of our effect that made this version, as far as the stamp tells.
    pub(crate) fn own(&self, state: &State, by: By) -> Option<Number> {
        let By::Ours { number, start } = by else { return None };
        match self.config.stamp {
            crate::config::Stamp::Effect => Some(number),
            crate::config::Stamp::Start => (start == state.crashes).then_some(number),
            crate::config::Stamp::Nothing => None,
        }
    }
}

/// Marks a unit to be decided even if the map makes nothing new of it.
fn force(folded: &mut Folded, unit: usize, cite: Version) {
    folded.cite[unit] = cite;
    folded.forced |= 1 << unit;
    folded.marked |= 1 << unit;
}

pub(crate) fn is_absence(by: By) -> bool {
    matches!(by, By::Deleted | By::Expunged)
}

/// What J22 forbids: the base as the ledger has it now.
fn base_in_ledger(state: &State, unit: usize) -> Base {
    let acked = |effect: &Effect| match effect.outcome {
        Outcome::Acked(version) => Some(Base::Version(version)),
        Outcome::Open | Outcome::Failed { .. } => None,
    };
    state.ledger[unit].iter().rev().find_map(acked).unwrap_or(Base::Create)
}
