//! What the fold knows of one aggregate. In v0 an aggregate is one unit.

use alloc::boxed::Box;

use crate::{
    decision::{Base, Means, Rule, Verdict},
    field::Fields,
    id::{EffectId, EntityName, Unit},
};

/// Whether the legacy side still has the unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Presence {
    /// Never decided.
    #[default]
    Unknown,
    /// Its row is there.
    Present,
    /// Its row or a flag says it is not, with the declared meaning.
    Deleted(Means),
}

/// The state of one aggregate: a function of the decisions folded so far, nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AggregateState {
    /// Which unit.
    pub unit: Unit,
    /// Which entity of the map.
    pub entity: EntityName,
    /// Decisions so far.
    pub n: u64,
    /// The mapped fields as last decided: the content the cloud shall show.
    pub fields: Fields,
    /// Elements at the target that are not ours and stay (J25).
    pub foreign: Fields,
    /// Whether the legacy side has it.
    pub presence: Presence,
    /// The verdict of the last decision; none before the first.
    pub verdict: Option<Verdict>,
    /// The rule of the last decision: says which hold or parking a `Held` or `Parked` is.
    pub rule: Option<Rule>,
    /// The last effect that was issued, whatever became of it.
    pub last_effect: Option<EffectId>,
    /// What the next effect stands on: `Create` until one was issued, then `After` it, or a `Version` an outcome named.
    pub base: Base,
    /// The last effect that stood on `Create`: only its `Stale` is an unexpected existing resource (J48).
    pub create: Option<EffectId>,
    /// Whether no effect asks the target for the present content: it changed while nothing could be written, or was refused.
    pub owed: bool,
    /// The version at the target that `last_effect` stood on, where an outcome had named one. Met again, it says that the
    /// target took our write and kept its own.
    pub met: Option<Box<str>>,
    /// Whether the effect in `last_effect` already was the one retry that J23 allows after a refusal.
    pub retried: bool,
}

impl AggregateState {
    /// The state before the first decision.
    pub fn new(unit: Unit, entity: EntityName) -> AggregateState {
        AggregateState {
            unit,
            entity,
            n: 0,
            fields: Fields::default(),
            foreign: Fields::default(),
            presence: Presence::Unknown,
            verdict: None,
            rule: None,
            last_effect: None,
            base: Base::Create,
            create: None,
            owed: false,
            met: None,
            retried: false,
        }
    }
}
