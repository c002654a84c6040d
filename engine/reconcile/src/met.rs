//! Somebody else's write was met (J48, clinical S7).
//!
//! Mapped fields take the legacy value, the foreign value is kept as a loser; unmapped elements stay; a generated
//! narrative goes, any other is a person's business. What was there before its create parks the unit.

use crate::{
    ABSENCE_BENEATH, FOREIGN_UNREADABLE, NARRATIVE_ADDITIONAL, NOT_TAKEN, RECREATED_AT_TARGET, UNEXPECTED_EXISTING,
    body, decide::narrative, draft::Draft, standing::Standing,
};
use alloc::{format, vec::Vec};
use model::{
    Base, Decision, FieldAddress, FieldChange, Fields, Json, Means, Presence, Rule, Verdict, canonically_equal,
};

/// What was met.
pub(crate) struct Met<'a> {
    /// The version that stands now.
    pub version: &'a str,
    /// Its content; none beside an `over`: our deletion.
    pub current: Option<&'a Json>,
    /// What lay beneath a write of ours that stands all the same: null for nothing (J26).
    pub over: Option<&'a Json>,
    /// Whether our write was meant as a create.
    pub create: bool,
    /// Whether our write was the last one decided.
    pub last: bool,
}

impl Met<'_> {
    /// Whether it is a deletion of ours that stands, over what somebody else wrote in between.
    fn is_deleted(&self) -> bool {
        self.current.is_none() && self.over.is_some()
    }
}

pub(crate) fn meet(mut draft: Draft<'_>, met: &Met<'_>) -> Vec<Decision> {
    let standing = Standing::of(draft.state);
    let deleted = met.is_deleted();
    if deleted {
        // As over any deletion: nothing of it stands, and what comes next is made anew.
        draft.base = Some(Base::Create);
        draft.trace("our deletion stands, over what somebody else wrote");
    } else {
        draft.base = Some(Base::Version(met.version.into()));
        draft.trace("another version stands at the target");
    }
    let Some(theirs) = met.over.or(met.current) else { return unreadable(draft, met, standing) };
    if *theirs == Json::Null && !deleted {
        return absence(draft, standing);
    }
    let equal = same_as_ours(&draft, theirs);
    if *theirs != Json::Null {
        let fields = Fields::from_resource(theirs, draft.rules.elements);
        merge(&mut draft, &fields);
    }
    let mended = met.current.is_some_and(|current| stands_already(&draft, current));
    match (standing, draft.presence) {
        (Standing::Free | Standing::Stuck | Standing::Refused, _) if met.create && equal => {
            draft.trace("it was there before our create, and says the same");
            draft.finish(Verdict::Unchanged, Rule::Equal)
        }
        _ if met.create => {
            draft.trace("it was there before our create");
            draft.finish(Verdict::Parked(UNEXPECTED_EXISTING.into()), Rule::ForeignMet)
        }
        (Standing::KeptDeleted, _) if deleted => draft.finish(Verdict::Frozen, Rule::Person),
        (Standing::Gone, _) if deleted => draft.stay("a person must answer first"),
        (Standing::Gone | Standing::KeptDeleted, _) => {
            draft.trace("it came back at the target");
            draft.finish(Verdict::Held(RECREATED_AT_TARGET.into()), Rule::ForeignMet)
        }
        (Standing::Unexpected | Standing::Beneath | Standing::Met, _) => draft.stay("a person must answer first"),
        (Standing::Stuck | Standing::Refused, _) => draft.stay("what was open before stays open"),
        (Standing::Free, Presence::Deleted(Means::Purged)) => draft.finish(Verdict::Frozen, Rule::Purge),
        (Standing::Free, Presence::Deleted(Means::Removed)) => {
            lose_all(&mut draft);
            draft.finish(if deleted { Verdict::Unchanged } else { Verdict::Delete }, Rule::ForeignMet)
        }
        (Standing::Free, _) if mended => {
            draft.trace("what stands there says the same");
            draft.finish(Verdict::Unchanged, Rule::Equal)
        }
        (Standing::Free, _) if has_narrative(&draft.foreign_after()) => hold_narrative(draft),
        (Standing::Free, _) if met.last && draft.state.met.as_deref() == Some(met.version) => {
            draft.trace("we wrote over this very version, and the target kept it");
            draft.finish(Verdict::Parked(NOT_TAKEN.into()), Rule::Refused)
        }
        (Standing::Free, _) => draft.finish(Verdict::Write, Rule::ForeignMet),
    }
}

/// Whether the elements of others hold a narrative, which is then not a generated one.
pub(crate) fn has_narrative(foreign: &Fields) -> bool {
    foreign.get(&narrative()).is_some()
}

/// A changed fact never keeps its old narrative, and a narrative that says more than the elements is not thrown away.
pub(crate) fn hold_narrative(mut draft: Draft<'_>) -> Vec<Decision> {
    draft.trace("its narrative is not generated: a person compares it with the change");
    draft.finish(Verdict::Held(NARRATIVE_ADDITIONAL.into()), Rule::ForeignMet)
}

fn unreadable(mut draft: Draft<'_>, met: &Met<'_>, standing: Standing) -> Vec<Decision> {
    draft.trace("its content is not known");
    if standing.holds() {
        return draft.stay("a person must answer first");
    }
    match met.create {
        true => draft.finish(Verdict::Parked(UNEXPECTED_EXISTING.into()), Rule::ForeignMet),
        false => draft.finish(Verdict::Held(FOREIGN_UNREADABLE.into()), Rule::ForeignMet),
    }
}

/// Our write stands, and nothing was beneath it.
fn absence(mut draft: Draft<'_>, standing: Standing) -> Vec<Decision> {
    draft.trace("nothing lay beneath our write");
    if standing.holds() {
        return draft.stay("a person must answer first");
    }
    draft.finish(Verdict::Held(ABSENCE_BENEATH.into()), Rule::GoneStands)
}

fn same_as_ours(draft: &Draft<'_>, theirs: &Json) -> bool {
    canonically_equal(&body(draft.state), theirs, draft.rules.elements)
}

/// Whether what stands at the target is what we would write behind this decision.
fn stands_already(draft: &Draft<'_>, current: &Json) -> bool {
    let unit = &draft.state.unit;
    let id = format!("{}", unit.id);
    let ours = draft.state.fields.to_resource_with(&draft.foreign_after(), &unit.resource_type, &id);
    canonically_equal(&ours, current, draft.rules.elements)
}

/// Whose field this is: ours if it lies in or around a field of ours, or if the map owns it.
fn is_ours(draft: &Draft<'_>, address: &FieldAddress) -> bool {
    let held = draft.state.fields.0.keys().any(|ours| ours.covers(address) || address.covers(ours));
    held || (draft.rules.mapped)(&draft.entity, address)
}

/// Sorts their fields into losers and elements that stay.
fn merge(draft: &mut Draft<'_>, theirs: &Fields) {
    let state = draft.state;
    for (address, value) in &theirs.0 {
        if is_ours(draft, address) {
            if !draft.same(address, state.fields.get(address), Some(value)) {
                draft.lose(address, Some(value));
            }
        } else if *address == narrative() && is_generated(value) {
            draft.trace("its generated narrative goes");
        } else if state.foreign.get(address) != Some(value) {
            draft.foreign.push(FieldChange { address: address.clone(), value: Some(value.clone()) });
        }
    }
    for address in state.fields.0.keys() {
        if !theirs.0.keys().any(|there| there.covers(address) || address.covers(there)) {
            draft.lose(address, None);
        }
    }
    for address in state.foreign.0.keys() {
        let kept = theirs.0.contains_key(address) && !is_ours(draft, address);
        let goes = *address == narrative() && theirs.get(address).is_some_and(is_generated);
        if !kept || goes {
            draft.foreign.push(FieldChange { address: address.clone(), value: None });
        }
    }
}

/// Everything of theirs goes with a delete.
fn lose_all(draft: &mut Draft<'_>) {
    let foreign = draft.foreign_after();
    for (address, value) in &foreign.0 {
        draft.lose(address, Some(value));
    }
}

fn is_generated(narrative: &Json) -> bool {
    matches!(narrative.get("status").and_then(Json::as_str), Some("generated" | "empty"))
}
