//! Accepted outcomes that came later: the same journal with them further on decides the same.
//!
//! No decision depends on when an acknowledgement came (J22, J44). Entries get other names by the move, so decisions are
//! compared behind a renaming.

use crate::World;
use model::{Decided, Entry, EntryId, Journaled, Outcome};
use std::collections::BTreeMap;

impl World {
    /// Decides a copy of the journal in which accepted outcomes stand up to 40 entries later, and compares.
    pub fn check_outcomes_later(&mut self) {
        let (later, names) = self.outcomes_later();
        let moved = names.iter().filter(|(old, new)| old != new).count();
        assert!(moved > 0, "something moved");
        let (ours, theirs) = (self.replay(), self.replay_of(&later));
        assert_eq!(ours.len(), theirs.len(), "as much is decided");
        for (ours, theirs) in ours.into_iter().zip(theirs) {
            assert_eq!(renamed(ours, &names), theirs, "an accepted outcome that came later changes no decision");
        }
    }

    fn outcomes_later(&mut self) -> (Vec<Journaled>, BTreeMap<EntryId, EntryId>) {
        let mut order: Vec<(u64, usize)> = Vec::with_capacity(self.journal.len());
        for (at, entry) in self.journal.iter().enumerate() {
            let accepted =
                matches!(&entry.entry, Entry::Acked(acked) if matches!(acked.outcome, Outcome::Accepted { .. }));
            let by = if accepted { 2 * self.chance.below(40) + 1 } else { 0 };
            order.push((2 * at as u64 + by, at));
        }
        order.sort_unstable();
        let names: BTreeMap<EntryId, EntryId> = order
            .iter()
            .zip(&self.journal)
            .map(|((_, at), place)| (self.journal[*at].header.id, place.header.id))
            .collect();
        let later = order.iter().zip(&self.journal).map(|((_, at), place)| {
            let mut entry = self.journal[*at].entry.clone();
            if let Entry::Void { from, to, .. } = &mut entry {
                (*from, *to) = (names[from], names[to]);
            }
            Journaled { header: place.header, entry }
        });
        (later.collect(), names)
    }
}

/// The same step, in the names of the other journal.
fn renamed(mut decided: Decided, names: &BTreeMap<EntryId, EntryId>) -> Decided {
    decided.input = names[&decided.input];
    if let Some(upto) = &mut decided.upto {
        upto.cause = names[&upto.cause];
    }
    for decision in &mut decided.decisions {
        for cite in &mut decision.cites {
            cite.entry = names[&cite.entry];
        }
    }
    decided
}
