//! What must hold, in every state and where the system has nothing left to do.

use crate::{
    Model,
    property::Property,
    state::{Base, By, Content, Entry, INACTIVE, OTHER_CODE, State, Stored, Version, len, map},
};

/// Entries that no configuration needs: the journal grows without a cause.
const ENTRIES_MAX: usize = 28;

impl Model {
    /// The first promise that the state breaks; `at_rest` where the system cannot move.
    pub(crate) fn broken(&self, state: &State, at_rest: bool) -> Option<Property> {
        if state.broken.is_some() {
            return state.broken;
        }
        if state.journal.len() > ENTRIES_MAX {
            return Some(Property::Ends);
        }
        if !at_rest {
            return None;
        }
        (0..2).find_map(|unit| self.broken_at_rest(state, unit))
    }

    fn broken_at_rest(&self, state: &State, unit: usize) -> Option<Property> {
        let known = &state.folded.units[unit];
        if !known.waiting.is_empty() {
            return Some(Property::AtRestWaiting);
        }
        if known.gone {
            return None;
        }
        let wanted = map(unit, self.rows_at(state, len(&state.log)));
        let never_there = known.number == 0 && wanted == INACTIVE;
        if !is_same(known.content, wanted) && !never_there {
            return Some(Property::AtRestLoss);
        }
        if !self.config.target {
            return None;
        }
        if state.ledger[unit].iter().any(|effect| self.is_owed(state, unit, effect)) {
            return Some(Property::AtRestOutcome);
        }
        let history = &state.history[unit];
        // Nobody can see below an expunge.
        let wiped = history.iter().rposition(|stored| stored.by == By::Expunged).unwrap_or(0);
        (wiped..history.len())
            .find_map(|at| self.unaccounted(state, unit, at))
            .or_else(|| self.differs(state, unit, wanted))
    }

    /// What is wrong about the version at that place of the history.
    fn unaccounted(&self, state: &State, unit: usize, at: usize) -> Option<Property> {
        let history = &state.history[unit];
        let (stored, version) = (history[at], len(&history[..=at]));
        let is_named = names(state, unit, version);
        if let By::Ours { number, .. } = stored.by {
            let of_it = |other: &&Stored| matches!(other.by, By::Ours { number: n, .. } if n == number);
            let has_twin = history.iter().filter(of_it).count() > 1;
            let is_counted = has_twin && is_below_stale(state, unit, version);
            return (!is_named && !is_counted).then_some(Property::AtRestOwn);
        }
        let overwritten = history.get(at + 1).is_some_and(|above| match above.by {
            By::Ours { number, .. } => {
                let base = state.ledger[unit][usize::from(number) - 1].decision.base;
                stored.by != By::Expunged || base != Base::Create
            }
            By::Foreign | By::Deleted | By::Expunged => false,
        });
        if overwritten && !is_named {
            return Some(Property::AtRestForeign);
        }
        let undecided = self.config.two_way && version > state.folded.units[unit].taken;
        undecided.then_some(Property::AtRestCaptured)
    }

    fn differs(&self, state: &State, unit: usize, wanted: Content) -> Option<Property> {
        let acked = |entry: &Entry| match *entry {
            Entry::Acked { unit: of, version, .. } if usize::from(of) == unit => Some(version),
            _ => None,
        };
        let acked = state.journal.iter().filter_map(acked).max().unwrap_or(0);
        let fine = match state.history[unit].last() {
            None => state.folded.units[unit].number == 0,
            Some(top) => {
                // A foreign edit that no later effect of ours has met yet.
                let is_unmet =
                    !matches!(top.by, By::Ours { .. }) && !self.config.two_way && len(&state.history[unit]) > acked;
                is_same(top.content, wanted) || is_unmet
            }
        };
        (!fine).then_some(Property::AtRestTarget)
    }
}

fn is_same(content: Content, other: Content) -> bool {
    content & !OTHER_CODE == other & !OTHER_CODE
}

/// Whether an entry names that version of the unit.
fn names(state: &State, unit: usize, named: Version) -> bool {
    state.journal.iter().any(|entry| match *entry {
        Entry::Acked { unit: of, version, .. } | Entry::Resource { unit: of, version } => {
            usize::from(of) == unit && version == named
        }
        Entry::Stale { unit: of, current, cite, .. } => usize::from(of) == unit && (current == named || cite == named),
        _ => false,
    })
}

fn is_below_stale(state: &State, unit: usize, version: Version) -> bool {
    let counts = |entry: &Entry| matches!(*entry, Entry::Stale { unit: of, current, .. } if usize::from(of) == unit && current >= version);
    state.journal.iter().any(counts)
}
