//! What became of an effect, carried by `Acked` once and for good; and what somebody else wrote at the target.
#![expect(
    missing_docs,
    reason = "fields are named by the field's standard terms; types and variants say what they promise"
)]

use crate::{
    decision::Author,
    id::{EffectId, RequestId, SystemId, Unit},
    json::Json,
    position::{Incarnation, SourcePosition},
};
use alloc::boxed::Box;

/// What became of an effect, for good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acked {
    pub system: SystemId,
    pub unit: Unit,
    pub effect: EffectId,
    pub attempts: u32,
    pub outcome: Outcome,
}

/// Final outcomes; "unknown" is none of them: it is settled first (J27).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It stands at the target as this version; `by` says how we know: `reply`, `stamp` or `hash`.
    Accepted { version: Box<str>, by: Box<str> },
    /// Nothing was sent, on purpose (J46; no code in v0).
    Observed,
    /// Another version stands there: `current` (none: nothing to show), `over` what lay beneath a write that stands
    /// all the same (J26): a version's body, or `Json::Null` for an absence or a deletion.
    Stale { version: Box<str>, current: Option<Json>, over: Option<Json> },
    /// The target refused the content; `code` and `detail` hold no patient value.
    Rejected { code: Box<str>, detail: Box<str> },
    /// Somebody deleted or purged it (J23).
    Gone { version: Option<Box<str>> },
}

/// A version that an effect of ours did not make, as far as the ledger knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResourceEntry {
    pub system: SystemId,
    pub unit: Unit,
    pub version: Box<str>,
    pub deleted: bool,
    pub body: Json,
    /// Who made it, where that is known (clinical S13).
    pub author: Option<Author>,
    /// The request whose stamp it carries: an echo (J30), or a late twin (J29). No code of v0 looks for either.
    pub stamp: Option<RequestId>,
    /// Where it stands in its system's own log; none if it was found while settling. v0 captures no target.
    pub captured: Option<Captured>,
}

/// The place of a captured version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Captured {
    pub incarnation: Incarnation,
    pub position: SourcePosition,
}
