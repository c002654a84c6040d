//! What people ask a running flow: answers hold names, counts and texts, never a patient's value.

use crate::input::Scope;
use model::{EntityName, EntryId, Incarnation, SourcePosition, SystemId, TableName, Timestamp, Unit, Verdict};

/// Where everything stands.
#[derive(Clone, Debug)]
pub struct Status {
    /// The source.
    pub source: SourceStatus,
    /// The journal is durable through here.
    pub journal: EntryId,
    /// The decisions log is durable through here.
    pub decisions: EntryId,
    /// The next entry to be folded.
    pub folding: EntryId,
    /// `appended_at` of the entry that is being folded, or was last.
    pub folded_at: Timestamp,
    /// Why nothing is decided at the moment, if nothing is.
    pub blocked: Option<Blocked>,
    /// Effects decided and durable, without an outcome.
    pub unsettled: u64,
    /// .. of which wait for another unit's first acknowledgement.
    pub waiting: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Effects accepted since this process began.
    pub accepted: u64,
    /// Changes dropped as `stale` since this process began: an alarm if not 0 (J7).
    pub stale: u64,
    /// Units parked.
    pub parked: u64,
    /// Units, tables and entities held.
    pub held: u64,
    /// The map in force: name and hash, or why there is none.
    pub map: Result<(Box<str>, model::Hash), String>,
    /// Parts that stopped.
    pub halts: Vec<Halt>,
}

/// The source's state.
#[derive(Clone, Debug)]
pub struct SourceStatus {
    /// Its system.
    pub system: SystemId,
    /// `opening`, `streaming`, `down`, `stopped`.
    pub state: &'static str,
    /// The life of its log.
    pub incarnation: Incarnation,
    /// Durable up to here.
    pub passed: Option<SourcePosition>,
    /// When the source committed what was folded last, by its own clock.
    pub committed_at: Option<Timestamp>,
    /// Tables and whether they were read whole (`ready`), with rows' chunks so far.
    pub tables: Vec<(TableName, bool, u64)>,
}

/// Why the fold does not go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blocked {
    /// A transaction of so many rows is being folded.
    Transaction { rows: u64 },
    /// `effects_ahead_max` effects wait for their outcomes.
    EffectsAhead,
    /// A checkpoint waits for the decisions log.
    Checkpoint,
    /// Recovery is still folding.
    Recovery,
}

/// A part that stopped, and the plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Halt {
    /// Which part.
    pub scope: Scope,
    /// What happened, and what a person can do.
    pub what: String,
}

/// Parked units of one cause.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParkedItem {
    /// The cause.
    pub cause: Box<str>,
    /// How many units.
    pub count: u64,
    /// The first of them.
    pub first: Unit,
}

/// Something that waits for a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldItem {
    /// Names the hold in `held answer`: `source:legacy`, `table:public.patient`, `entity:patient`, `unit:Patient/…`.
    pub name: Box<str>,
    /// What is asked.
    pub question: Box<str>,
    /// The answers that are possible.
    pub answers: Vec<model::Answer>,
}

/// What is known of one unit.
#[derive(Clone, Debug)]
pub struct UnitView {
    /// Which.
    pub unit: Unit,
    /// Which entity of the map made it.
    pub entity: EntityName,
    /// Decisions so far.
    pub n: u64,
    /// The last verdict.
    pub verdict: Option<Verdict>,
    /// Addresses of its mapped fields, keys hashed away.
    pub fields: Vec<String>,
    /// The version last acknowledged at the target.
    pub version: Option<Box<str>>,
    /// Effects without an outcome: decision number and what they wait for.
    pub unsettled: Vec<(u64, String)>,
}
