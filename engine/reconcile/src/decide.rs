//! One cause, one unit: what follows. Each path is a line of the truth table in `tests/`.

use crate::{
    GONE_AT_TARGET, NOT_SYSTEM_OF_RECORD, RuleSet,
    draft::Draft,
    met::{self, Met},
    review::review,
    standing::Standing,
};
use alloc::{format, vec, vec::Vec};
use model::{
    Acked, AggregateState, Base, Candidate, Cause, Content, Decision, Entry, FieldAddress, FieldChange, Fields, Means,
    Outcome, Presence, Rule, Verdict,
};

/// What `cause` does to the unit whose state this is: at most one decision in v0. Total.
pub fn decide(state: &AggregateState, cause: &Cause, rules: &RuleSet<'_>) -> Vec<Decision> {
    match cause {
        Cause::Candidate(candidate) => decide_candidate(state, candidate, rules),
        Cause::Unmappable { entity, cause, cites, .. } => {
            let mut draft = Draft::new(state, rules, cites.clone());
            draft.entity = entity.clone();
            if Standing::of(state).holds() {
                return draft.stay("the map could not say; it is mapped again when the unit is released");
            }
            draft.trace("the map could not say");
            draft.finish(Verdict::Parked(cause.clone()), Rule::Unmappable)
        }
        Cause::Waiting { entity, on, cites, .. } => {
            let mut draft = Draft::new(state, rules, cites.clone());
            draft.entity = entity.clone();
            if Standing::of(state).holds() {
                return draft.stay("a reference has no row yet; it is mapped again when the unit is released");
            }
            draft.trace("a reference has no row yet");
            draft.finish(Verdict::Waiting(on.clone()), Rule::WaitsFor)
        }
        Cause::Acked { id, acked } if acked.system == *rules.system => {
            decide_acked(Draft::new(state, rules, vec![Entry::cite(*id)]), acked)
        }
        Cause::Foreign { id, found } if found.system == *rules.system => {
            let mut draft = Draft::new(state, rules, vec![Entry::cite(*id)]);
            draft.author = found.author;
            if found.deleted {
                return gone(draft);
            }
            let (version, current) = (&found.version, Some(&found.body));
            met::meet(draft, &Met { version, current, over: None, create: false, last: false })
        }
        Cause::Reviewed { id, answer, .. } => review(Draft::new(state, rules, vec![Entry::cite(*id)]), *answer),
        // Of a system that this pipeline does not write to: no effect of ours is meant.
        Cause::Acked { .. } | Cause::Foreign { .. } => Vec::new(),
    }
}

fn decide_candidate(state: &AggregateState, candidate: &Candidate, rules: &RuleSet<'_>) -> Vec<Decision> {
    let mut draft = Draft::new(state, rules, candidate.cites.clone());
    draft.entity = candidate.entity.clone();
    draft.author = candidate.author;
    if candidate.system != *rules.legacy {
        draft.trace("the candidate is not of the system of record");
        return draft.finish(Verdict::Parked(NOT_SYSTEM_OF_RECORD.into()), Rule::OneWay);
    }
    match &candidate.content {
        Content::Present(fields) => present(draft, fields),
        Content::Deleted { means, patch, .. } => deleted(draft, *means, patch),
    }
}

fn present(mut draft: Draft<'_>, fields: &Fields) -> Vec<Decision> {
    let state = draft.state;
    draft.presence = Presence::Present;
    for (address, value) in &fields.0 {
        draft.change(address, Some(value));
    }
    for address in state.fields.0.keys().filter(|address| !fields.0.contains_key(*address)) {
        draft.change(address, None);
    }
    draft.displace_overlapped();
    let changed = draft.fields.len();
    draft.trace(format!("legacy is the system of record: {changed} fields changed"));
    let removed = state.presence == Presence::Deleted(Means::Removed);
    if removed {
        draft.trace("the row is back after a delete");
    }
    settle(draft, changed > 0 || removed)
}

fn deleted(mut draft: Draft<'_>, means: Means, patch: &[FieldChange]) -> Vec<Decision> {
    let state = draft.state;
    draft.presence = Presence::Deleted(means);
    draft.trace(match means {
        Means::Retracted => "deleted in legacy: it was never true",
        Means::Ended => "deleted in legacy: it ended",
        Means::Purged => "purged in legacy: the cloud stays as it is",
        Means::Removed => "deleted in legacy: removed",
    });
    if state.base == Base::Create && !Standing::of(state).holds() {
        draft.trace("nothing of it stands at the target");
        return draft.finish(Verdict::Unchanged, Rule::OneWay);
    }
    let before = state.presence;
    match means {
        Means::Purged if Standing::of(state).holds() => draft.stay("a person must answer first"),
        Means::Purged => draft.finish(Verdict::Frozen, Rule::Purge),
        Means::Removed => settle(draft, before != Presence::Deleted(Means::Removed)),
        Means::Retracted | Means::Ended => {
            draft.patch(patch);
            draft.displace_overlapped();
            let changed = !draft.fields.is_empty() || before == Presence::Deleted(Means::Removed);
            settle(draft, changed)
        }
    }
}

/// What follows of a candidate that says something new (`changed`), or not.
fn settle(mut draft: Draft<'_>, changed: bool) -> Vec<Decision> {
    let state = draft.state;
    let standing = Standing::of(state);
    match standing {
        Standing::Unexpected | Standing::Gone | Standing::Beneath | Standing::Met | Standing::KeptDeleted => {
            return draft.stay("a person must answer first");
        }
        Standing::Refused if !changed => return draft.stay("the target refused this content before"),
        Standing::Free | Standing::Stuck | Standing::Refused => {}
    }
    if !changed && !state.owed && state.base != Base::Create {
        return draft.finish(Verdict::Unchanged, Rule::Equal);
    }
    if state.owed {
        draft.trace("owed since an earlier decision");
    }
    if draft.presence != Presence::Deleted(Means::Removed) && met::has_narrative(&draft.foreign_after()) {
        return met::hold_narrative(draft);
    }
    draft.assert_present(Rule::OneWay)
}

fn decide_acked(draft: Draft<'_>, acked: &Acked) -> Vec<Decision> {
    let create = draft.state.create == Some(acked.effect);
    match &acked.outcome {
        Outcome::Accepted { .. } | Outcome::Observed => Vec::new(),
        Outcome::Stale { version, current, over } => {
            let last = draft.state.last_effect == Some(acked.effect);
            met::meet(draft, &Met { version, current: current.as_ref(), over: over.as_ref(), create, last })
        }
        Outcome::Rejected { code, .. } => rejected(draft, acked, create, code),
        Outcome::Gone { .. } => gone(draft),
    }
}

/// J23: parked; a single new effect first, if decisions stood behind the refused one.
fn rejected(mut draft: Draft<'_>, acked: &Acked, create: bool, code: &str) -> Vec<Decision> {
    let state = draft.state;
    // A version that was met since then is what stands at the target, whatever the refused effect stood on.
    if !matches!(state.base, Base::Version(_)) {
        draft.base = Some(if create { Base::Create } else { Base::After(acked.effect) });
    }
    draft.trace("the target refused the content");
    let standing = Standing::of(state);
    if standing.holds() {
        return draft.stay("a person must answer first");
    }
    if standing == Standing::Stuck {
        return draft.stay("nothing newer can be tried");
    }
    if state.last_effect != Some(acked.effect) && !state.retried {
        draft.trace("decisions stood behind it: the present content is tried once");
        return draft.assert_present(Rule::Refused);
    }
    draft.finish(Verdict::Parked(code.into()), Rule::Refused)
}

/// J23: the deletion stands; re-creating is a person's decision.
fn gone(mut draft: Draft<'_>) -> Vec<Decision> {
    draft.base = Some(Base::Create);
    draft.trace("somebody deleted it at the target");
    match (draft.presence, Standing::of(draft.state)) {
        (Presence::Deleted(Means::Removed), _) => draft.finish(Verdict::Unchanged, Rule::GoneStands),
        (_, Standing::KeptDeleted) => draft.finish(Verdict::Frozen, Rule::Person),
        _ => draft.finish(Verdict::Held(GONE_AT_TARGET.into()), Rule::GoneStands),
    }
}

/// The address of the narrative.
pub(crate) fn narrative() -> FieldAddress {
    FieldAddress::new("text")
}
