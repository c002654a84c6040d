//! A person answered.
//!
//! An answer that does not fit the question changes nothing and says so. What the map could not say is no question: on
//! release the unit is mapped again, and the candidate decides (J31).

use crate::{
    ABSENCE_BENEATH, FOREIGN_UNREADABLE, GONE_AT_TARGET, NARRATIVE_ADDITIONAL, RECREATED_AT_TARGET,
    UNEXPECTED_EXISTING, decide::narrative, draft::Draft, standing::Standing,
};
use alloc::vec::Vec;
use model::{AggregateState, Answer, Base, Decision, Means, Presence, Rule, Verdict};

/// The answers that fit a unit's question, or the cause under which it is parked; each of them changes something.
pub fn answers(question: &str) -> &'static [Answer] {
    match question {
        GONE_AT_TARGET => &[Answer::Recreate, Answer::KeepDeleted],
        ABSENCE_BENEATH => &[Answer::Accept, Answer::KeepDeleted],
        RECREATED_AT_TARGET => &[Answer::Accept, Answer::KeepDeleted, Answer::Release],
        NARRATIVE_ADDITIONAL | FOREIGN_UNREADABLE => &[Answer::Accept, Answer::Release],
        UNEXPECTED_EXISTING => &[Answer::Accept, Answer::Release],
        _ => &[Answer::Release],
    }
}

/// The answers that fit a unit as it stands: to its question, or to what a person has answered before and may take back.
pub fn answers_of(state: &AggregateState) -> &'static [Answer] {
    match &state.verdict {
        Some(Verdict::Held(question) | Verdict::Parked(question)) => answers(question),
        _ if Standing::of(state) == Standing::KeptDeleted => &[Answer::Recreate],
        _ => &[],
    }
}

pub(crate) fn review(draft: Draft<'_>, answer: Answer) -> Vec<Decision> {
    let standing = Standing::of(draft.state);
    match (standing, answer) {
        (Standing::Free | Standing::Stuck, _) => Vec::new(),
        (Standing::Gone | Standing::KeptDeleted, Answer::Recreate) => recreate(draft),
        (Standing::Gone, Answer::KeepDeleted | Answer::Accept) => keep_deleted(draft),
        (Standing::Beneath, Answer::Recreate | Answer::Accept | Answer::Release) => {
            write(draft, None, "a person lets it stand")
        }
        (Standing::Beneath, Answer::KeepDeleted) => delete(draft),
        (Standing::Met, Answer::KeepDeleted) if came_back(&draft) => delete(draft),
        (Standing::Met, Answer::Accept) => accept(draft),
        (Standing::Met, Answer::Release) => {
            write(draft, None, "a person lets the narrative and all others' elements stand")
        }
        (Standing::Unexpected, Answer::Accept) => accept(draft),
        (Standing::Unexpected, Answer::Release | Answer::Recreate) => create_again(draft),
        (Standing::Refused, Answer::Release | Answer::Accept) => write(draft, None, "a person has it tried again"),
        (
            Standing::Gone
            | Standing::Beneath
            | Standing::Met
            | Standing::Unexpected
            | Standing::Refused
            | Standing::KeptDeleted,
            Answer::Expand
            | Answer::ReadAgain
            | Answer::Accept
            | Answer::Release
            | Answer::Recreate
            | Answer::KeepDeleted
            | Answer::Rebind
            | Answer::Unbind,
        ) => draft.stay("this answer does not fit the question"),
    }
}

fn write(mut draft: Draft<'_>, base: Option<Base>, words: &str) -> Vec<Decision> {
    draft.base = base;
    draft.trace(words);
    draft.assert_present(Rule::Person)
}

/// The legacy content takes the place, without the narrative of others.
fn accept(mut draft: Draft<'_>) -> Vec<Decision> {
    let text = narrative();
    if let Some(value) = draft.state.foreign.get(&text) {
        draft.displace(&text, value);
    }
    write(draft, None, "a person has the legacy content written over it")
}

/// Nothing of what was there before goes into our create.
fn create_again(mut draft: Draft<'_>) -> Vec<Decision> {
    for (address, value) in &draft.state.foreign.0 {
        draft.displace(address, value);
    }
    write(draft, Some(Base::Create), "a person has the create tried again")
}

fn recreate(draft: Draft<'_>) -> Vec<Decision> {
    if draft.presence == Presence::Deleted(Means::Removed) {
        return keep_deleted(draft);
    }
    write(draft, Some(Base::Create), "a person has it made again")
}

/// It stays deleted: candidates change the state, and write nothing, until a person has it made again.
fn keep_deleted(mut draft: Draft<'_>) -> Vec<Decision> {
    if draft.presence == Presence::Deleted(Means::Removed) {
        draft.trace("it is removed in legacy as well");
        return draft.finish(Verdict::Unchanged, Rule::GoneStands);
    }
    draft.trace("a person keeps it deleted");
    draft.finish(Verdict::Frozen, Rule::Person)
}

fn delete(mut draft: Draft<'_>) -> Vec<Decision> {
    draft.trace("a person keeps it deleted");
    draft.finish(Verdict::Delete, Rule::Person)
}

fn came_back(draft: &Draft<'_>) -> bool {
    matches!(&draft.state.verdict, Some(Verdict::Held(question)) if **question == *RECREATED_AT_TARGET)
}
