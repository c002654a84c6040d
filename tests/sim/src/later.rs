//! Accepted outcomes that came later: the same journal with them further on decides the same.
//!
//! No decision depends on when an acknowledgement came (J22, J44). Entries get other names by the move, so decisions are
//! compared behind a renaming.

use crate::{Chance, history::History, replay};
use model::{Decided, Entry, EntryId, Journaled, Outcome, Recorded};
use std::collections::BTreeMap;

/// Decides a copy of the journal in which accepted outcomes stand up to 40 entries later, and compares. Gives how many moved.
pub fn check(history: &History, chance: &mut Chance) -> Result<usize, String> {
    let journal: Vec<Journaled> = history.journal().cloned().collect();
    let decisions: Vec<Recorded> = history.decisions().cloned().collect();
    let (later, names) = outcomes_later(&journal, chance);
    let (ours, theirs) = (replay::decide(&journal, &decisions), replay::decide(&later, &decisions));
    if ours.len() != theirs.len() {
        return Err(format!("{} steps, and {} where outcomes came later", ours.len(), theirs.len()));
    }
    for (ours, theirs) in ours.into_iter().zip(theirs) {
        let input = ours.input;
        if renamed(ours, &names) != theirs {
            return Err(format!("{input} is decided otherwise where outcomes came later"));
        }
    }
    Ok(names.iter().filter(|(old, new)| old != new).count())
}

fn outcomes_later(journal: &[Journaled], chance: &mut Chance) -> (Vec<Journaled>, BTreeMap<EntryId, EntryId>) {
    let mut order: Vec<(u64, usize)> = Vec::with_capacity(journal.len());
    for (at, entry) in journal.iter().enumerate() {
        let accepted = matches!(&entry.entry, Entry::Acked(acked) if matches!(acked.outcome, Outcome::Accepted { .. }));
        let by = if accepted { 2 * chance.below(40) + 1 } else { 0 };
        order.push((2 * at as u64 + by, at));
    }
    order.sort_unstable();
    let names: BTreeMap<EntryId, EntryId> =
        order.iter().zip(journal).map(|((_, at), place)| (journal[*at].header.id, place.header.id)).collect();
    let later = order.iter().zip(journal).map(|((_, at), place)| {
        let mut entry = journal[*at].entry.clone();
        if let Entry::Void { from, to, .. } = &mut entry {
            (*from, *to) = (names[from], names[to]);
        }
        Journaled { header: place.header, entry }
    });
    (later.collect(), names)
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
