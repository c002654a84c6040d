//! The contract of a sink.

use crate::{Boxed, Fault, Look, Written};
use model::{EffectId, Hash, Json, Outcome, RequestId, Unit, Write};
use std::{fmt, sync::Arc};

/// Writes effects to a system.
///
/// * Never merges and never reads in order to decide (J25). Never two requests of one unit at a time: the caller sees to it.
/// * `send` makes one attempt. `settle` finds out what became of an earlier attempt and writes nothing (J27).
/// * A reply is final, or unknown and must be settled, or certainly without effect and may be sent again.
/// * `look` reads one unit and compares; it writes nothing, and what it finds decides nothing (J35).
pub trait Sink: Send + Sync {
    /// One guarded attempt.
    fn send(&self, request: SendRequest) -> Boxed<'_, SinkReply>;

    /// What became of it: the versions since the base, ours by stamp or hash (J27).
    fn settle(&self, request: SendRequest) -> Boxed<'_, SinkReply>;

    /// Whether the target answers and lets us in, and whether what was written last still stands there (J35). `None`: nothing
    /// to compare. Fails as the target does; a unit that is not there is no failure.
    fn look(&self, written: Option<Written>) -> Boxed<'_, Result<Look, Fault>>;

    /// A target that has answered no request for so long is looked at.
    fn heartbeat_seconds(&self) -> u32;

    /// Requests in flight at most.
    fn concurrency(&self) -> usize;

    /// How long a request of ours may still arrive after we gave it up (J27); resends of an unguarded create wait this long.
    fn request_lifetime_max_seconds(&self) -> u32;

    /// Every unmet prerequisite at once, each with its cure. Writes nothing unless `probe`, and then only at the place that
    /// the target's owner named (clinical S14).
    fn prerequisites(&self, probe: bool) -> Boxed<'_, Result<Vec<Fault>, Fault>>;
}

/// One write, as it leaves. `Debug` prints the body's length only.
#[derive(Clone, PartialEq, Eq)]
pub struct SendRequest {
    /// The effect.
    pub effect: EffectId,
    /// Its stamp, the same at every attempt (J28).
    pub request: RequestId,
    /// The resource.
    pub unit: Unit,
    /// PUT or DELETE.
    pub write: Write,
    /// The guard.
    pub base: SendBase,
    /// The bytes to send, made once (J18), with stamp and tag; empty for a delete.
    pub body: Arc<[u8]>,
    /// Canonical hash of the body.
    pub body_hash: Hash,
    /// From 1.
    pub attempt: u32,
}

impl fmt::Debug for SendRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SendRequest { effect, request, unit, write, base, body, body_hash, attempt } = self;
        let mut shown = f.debug_struct("SendRequest");
        shown.field("effect", effect).field("request", request).field("unit", unit).field("write", write);
        shown.field("base", base).field("body", &format_args!("[{}]", body.len()));
        shown.field("body_hash", body_hash).field("attempt", attempt).finish()
    }
}

/// The base, resolved in the ledger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SendBase {
    /// Nothing may be there.
    Create,
    /// This version must be the current one.
    Version(Box<str>),
    /// It was deleted, this is the deletion's version, and it shall be there again.
    Deleted(Box<str>),
}

/// What a sink says of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SinkReply {
    /// For good; versions of others since the base come with it, oldest first.
    Final {
        /// The outcome.
        outcome: Outcome,
        /// Versions of others, above ours and beneath what was met.
        foreign: Vec<ForeignVersion>,
    },
    /// It may or may not have been applied, or may yet be: settle it.
    Unknown {
        /// Why, without values.
        what: String,
    },
    /// It was certainly not applied: send it again, not before `retry_after_ms`.
    NotApplied {
        /// Why, without values.
        what: String,
        /// What the target asked for.
        retry_after_ms: Option<u64>,
        /// What kept it from being applied.
        why: NotApplied,
    },
    /// Nothing can be sent until a person changes something.
    Failed(Fault),
    /// Nothing of the unit's resource type can be sent until a person changes something; other types can (clinical S9).
    TypeFailed(Fault),
}

impl SinkReply {
    /// Whether the target answered that it wants to be asked later: nothing is wrong, and nobody is needed.
    pub fn asks_for_patience(&self) -> bool {
        matches!(self, SinkReply::NotApplied { why: NotApplied::Busy, retry_after_ms: Some(_), .. })
    }
}

/// What keeps a request from being applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotApplied {
    /// The target was not reached, or asks for patience: everything to it waits.
    Busy,
    /// The target refused it although the base stands: at most three times, then `Rejected` (J27).
    Refused,
    /// It refers to something that is not there: it waits alone (clinical S9).
    Dependency,
}

/// A version at the target that is not ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForeignVersion {
    /// Its version id.
    pub version: Box<str>,
    /// Whether it is a deletion.
    pub deleted: bool,
    /// Its content (`null` for a deletion).
    pub body: Json,
    /// Whether it lies beneath what the outcome names: then its entry stands before the outcome's.
    pub beneath: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::UnitId;

    #[test]
    fn a_request_shows_the_length_of_its_body_and_nothing_of_it() {
        let unit = Unit { resource_type: "Patient".into(), id: UnitId::from_bytes([7; 16]) };
        let effect = EffectId::derive("clinic", &"cloud".into(), &unit, 0, 1);
        let request = SendRequest {
            effect,
            request: effect.request(),
            unit,
            write: Write::Put,
            base: SendBase::Create,
            body: Arc::from(&b"zq"[..]),
            body_hash: Hash::default(),
            attempt: 1,
        };
        let shown = format!("{request:?}");
        assert!(shown.contains("body: [2]") && !shown.contains("122"), "{shown}");
    }
}
