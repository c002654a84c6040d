//! Decides: what one cause does to one unit, one way (the legacy system is the system of record).
//!
//! `decide` is total: no `Result`, no clock, no I/O (`no_std`). A decision names the effect it issues and the hash of the
//! state behind it, so that recovery folds it with `evolve` and never decides again (J17, J18).
//! Invariants:
//! * The effect's body is a function of the state behind its decision, and of nothing else (J25).
//! * Every value that does not win stands in the decision as a loser (`nothing_discarded`).
//! * What a person must answer stays as it is until a person answers (`hold_means_hold`).
#![no_std]
extern crate alloc;

mod decide;
mod draft;
mod evolve;
mod met;
mod review;
mod standing;

pub use decide::decide;
pub use evolve::{evolve, state_hash};
pub use review::{answers, answers_of};

use model::{
    AggregateState, Decision, EntityName, FieldAddress, Hash, Json, SystemId, Verdict, Write, elements::Elements,
};

/// The question of a unit that somebody deleted at the target (J23).
pub const GONE_AT_TARGET: &str = "gone_at_target";
/// The question of a unit whose update found nothing beneath it, and so made it anew (J26).
pub const ABSENCE_BENEATH: &str = "absence_beneath";
/// The question of a unit that came back at the target after its deletion was found or kept.
pub const RECREATED_AT_TARGET: &str = "recreated_at_target";
/// The question of a unit whose narrative at the target says more than its elements (clinical S7).
pub const NARRATIVE_ADDITIONAL: &str = "narrative_additional";
/// The question of a unit whose version at the target has no content to show.
pub const FOREIGN_UNREADABLE: &str = "foreign_unreadable";
/// The cause under which a unit is parked whose content the target takes and does not keep: it would be written for ever.
pub const NOT_TAKEN: &str = "not_taken_by_target";
/// The cause under which a unit is parked that was there before its create (J48).
pub const UNEXPECTED_EXISTING: &str = "unexpected_existing";
/// The cause under which a unit is parked that a system other than the system of record speaks about.
pub const NOT_SYSTEM_OF_RECORD: &str = "not_system_of_record";

/// What is in force while one cause is decided.
#[derive(Clone, Copy)]
pub struct RuleSet<'a> {
    /// Hash of the map and rules in force; stands in each decision.
    pub ruleset: Hash,
    /// The behaviour number that decides (J38).
    pub behaviour: u32,
    /// The structure of R4.
    pub elements: &'a dyn Elements,
    /// Names effects, with the two below (J22).
    pub pipeline: &'a str,
    /// The system that is written to.
    pub system: &'a SystemId,
    /// Which re-derivation of that system this is.
    pub generation: u64,
    /// The system of record.
    pub legacy: &'a SystemId,
    /// Whether the entity's map owns this field, also while it has no value: then a value of somebody else loses to its
    /// absence (J48). Fields with a value of ours are ours without asking.
    pub mapped: &'a dyn Fn(&EntityName, &FieldAddress) -> bool,
}

/// The resource that the target shall show: our fields, and those of others that we leave room for. Without stamp (J28).
pub fn body(state: &AggregateState) -> Json {
    let id = alloc::format!("{}", state.unit.id);
    state.fields.to_resource_with(&state.foreign, &state.unit.resource_type, &id)
}

/// The write that a decision asks for.
pub fn effect_needed(decision: &Decision) -> Option<Write> {
    match &decision.verdict {
        Verdict::Write => Some(Write::Put),
        Verdict::Delete => Some(Write::Delete),
        Verdict::Unchanged | Verdict::Frozen | Verdict::Parked(_) | Verdict::Held(_) | Verdict::Waiting(_) => None,
    }
}

#[cfg(test)]
mod tests;
