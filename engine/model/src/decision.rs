//! What is decided, why, and what shall be written.
//!
//! A decision holds the changed fields and their values: recovery folds it and never decides again (J17, J18).

use crate::{
    act::Answer,
    field::{FieldAddress, Fields},
    id::{Aggregate, EffectId, EntityName, EntryId, Hash, SystemId, Unit},
    json::Json,
    key::RowKey,
    outcome::{Acked, ResourceEntry},
    record::Mark,
    state::Presence,
};
use alloc::{boxed::Box, vec::Vec};

/// What a decision rests on: an entry, or one row of a chunk entry (J2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cite {
    /// The entry.
    pub entry: EntryId,
    /// The row's place inside a chunk.
    pub row: Option<u32>,
}

/// Which class of author made the fact (clinical S13). Where nobody knows, none stands in its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Author {
    /// A person, by an application.
    Human,
    /// We.
    Engine,
    /// A machine: an interface, a batch.
    System,
    /// Computed from other facts.
    Derived,
}

/// What a map made of rows (or, later, of a resource).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Which unit.
    pub unit: Unit,
    /// Which entity of the map.
    pub entity: EntityName,
    /// Whose view this is.
    pub system: SystemId,
    /// What it says.
    pub content: Content,
    /// The rows it rests on.
    pub cites: Vec<Cite>,
    /// The author's class; none if it is not known.
    pub author: Option<Author>,
}

/// What a candidate says of its unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// The unit as it is now: every mapped field with a value. A mapped field that is absent is removed.
    Present(Fields),
    /// The row is gone or a flag says so; what that means (clinical S2), and the fields that say it in FHIR:
    /// a patch over the last present content (`None` removes a field).
    Deleted {
        /// The meaning the map declares.
        means: Means,
        /// Which line of `delete_means`: `row`, `when`, or the flag's name.
        flag: Box<str>,
        /// How FHIR says it.
        patch: Vec<FieldChange>,
    },
}

/// What a deletion in the legacy database means (clinical S2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Means {
    /// It was never true: entered in error.
    Retracted,
    /// It stopped: ended, cancelled, inactive.
    Ended,
    /// The row left the database, the fact stands: the cloud is untouched, the unit frozen.
    Purged,
    /// HTTP DELETE.
    Removed,
}

/// One field set to a value, or removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldChange {
    /// Which field.
    pub address: FieldAddress,
    /// Its new value; none removes it.
    pub value: Option<Json>,
}

/// Why `decide` is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cause {
    /// A map made a candidate.
    Candidate(Candidate),
    /// The map could not: the unit is parked with this cause (a fixed text without values).
    Unmappable {
        /// Which unit.
        unit: Unit,
        /// Which entity.
        entity: EntityName,
        /// Names the element and the reason, holds no value.
        cause: Box<str>,
        /// The rows.
        cites: Vec<Cite>,
    },
    /// A reference points at a key without a row (J41).
    Waiting {
        /// Which unit waits.
        unit: Unit,
        /// Which entity.
        entity: EntityName,
        /// For what.
        on: Waiting,
        /// The rows.
        cites: Vec<Cite>,
    },
    /// An effect had a final outcome; `id` names the entry.
    Acked {
        /// The entry.
        id: EntryId,
        /// What it says.
        acked: Acked,
    },
    /// A version of somebody else was found (J27).
    Foreign {
        /// The entry.
        id: EntryId,
        /// What it says.
        found: ResourceEntry,
    },
    /// A person answered.
    Reviewed {
        /// The entry.
        id: EntryId,
        /// Which unit.
        unit: Unit,
        /// What.
        answer: Answer,
    },
}

/// A key that has no row yet (J41).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Waiting {
    /// The entity referred to.
    pub entity: EntityName,
    /// Its key.
    pub key: RowKey,
}

/// The rule that decided; its name stands in the record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rule {
    /// The legacy system is the system of record (v0's only rule of content).
    OneWay,
    /// Content at the target is the same by the canonical form.
    Equal,
    /// Somebody else's write was met (J48).
    ForeignMet,
    /// The target refused the content (J23).
    Refused,
    /// Somebody deleted it at the target (J23).
    GoneStands,
    /// The map could not say (J31).
    Unmappable,
    /// A reference waits for its key (J41).
    WaitsFor,
    /// A purge changes nothing at the cloud (clinical S2).
    Purge,
    /// A person decided.
    Person,
}

/// What follows for the unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// One effect writes the new content.
    Write,
    /// One effect deletes the resource.
    Delete,
    /// Equal by the canonical form: no effect.
    Unchanged,
    /// The row was purged: the cloud stays as it is.
    Frozen,
    /// The engine cannot; the cause is a fixed text without values.
    Parked(Box<str>),
    /// A person must; the question is a fixed text without values.
    Held(Box<str>),
    /// Something must come first.
    Waiting(Waiting),
}

/// A value that did not win: kept, cited, never discarded (`nothing_discarded`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loser {
    /// Whose.
    pub system: SystemId,
    /// Which field.
    pub address: FieldAddress,
    /// What it was; none = absent there.
    pub value: Option<Json>,
}

/// What was decided of one unit by one cause.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// Which unit.
    pub unit: Unit,
    /// Which entity of the map made it.
    pub entity: EntityName,
    /// What it was decided together with; none: the unit alone.
    pub aggregate: Option<Aggregate>,
    /// The unit's decision number, dense from 1.
    pub n: u64,
    /// Changed mapped fields with their values.
    pub fields: Vec<FieldChange>,
    /// Changed elements of the target that are not ours and stay (J25, J48).
    pub foreign: Vec<FieldChange>,
    /// What follows.
    pub verdict: Verdict,
    /// With an effect: what it stands on. Without one: what the next effect stands on from here; none = as before.
    pub base: Option<Base>,
    /// The effect that this decision issues, where it issues one (J22).
    pub effect: Option<EffectId>,
    /// What it rests on.
    pub cites: Vec<Cite>,
    /// Who made what it rests on; none if that is not known, or nobody in particular did.
    pub author: Option<Author>,
    /// Which rule decided.
    pub rule: Rule,
    /// In words, without values: the steps that led here.
    pub trace: Vec<Box<str>>,
    /// Values that lost.
    pub losers: Vec<Loser>,
    /// The unit's presence behind this decision.
    pub presence: Presence,
    /// Hash of the aggregate's state behind this decision (J21).
    pub post: Hash,
    /// Hash of the map and rules in force.
    pub ruleset: Hash,
    /// Epoch of the scope; 0 in v0.
    pub epoch: u64,
}

/// One record a decided step (J17).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decided {
    /// The entry that was decided.
    pub input: EntryId,
    /// From 1.
    pub step: u32,
    /// The last mark that the step covered; none for a step without marks.
    pub upto: Option<Mark>,
    /// Whether the input is finished.
    pub last: bool,
    /// What was decided, in mark order.
    pub decisions: Vec<Decision>,
    /// What shall be written, in the same order.
    pub effects: Vec<Effect>,
    /// The behaviour number that decided (J38).
    pub behaviour: u32,
}

/// A write we intend. Durable before it is sent (J24).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    /// Its name.
    pub id: EffectId,
    /// Where to.
    pub system: SystemId,
    /// Which unit.
    pub unit: Unit,
    /// Which derivation of the target it belongs to: a rewind (J33) or a promotion (J46) begins the next one. 0 in v0.
    pub generation: u64,
    /// The unit's decision number.
    pub n: u64,
    /// On what it stands (J22).
    pub base: Base,
    /// Canonical hash of the body (zeros for a delete).
    pub body: Hash,
    /// What to do.
    pub write: Write,
    /// The group that is written whole or not at all; none: this effect alone.
    pub group: Option<EffectGroup>,
}

/// Effects of one record that one transaction of the target writes (clinical S8). No rule of v0 makes one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EffectGroup {
    /// Its first member names it.
    pub first: EffectId,
    /// How many members it has.
    pub members: u32,
}

/// The kind of write.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Write {
    /// PUT of the whole resource.
    Put,
    /// DELETE.
    Delete,
}

/// What an effect stands on; symbolic, resolved in the ledger at send (J22).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Base {
    /// Nothing is there yet.
    Create,
    /// The version which that effect made. If that effect is void or was refused, what was last acknowledged beneath it.
    After(EffectId),
    /// This version, named by an outcome.
    Version(Box<str>),
}
