//! Where a unit stands before a cause: what its last decision left to somebody else.

use crate::{ABSENCE_BENEATH, GONE_AT_TARGET};
use model::{AggregateState, Means, Presence, Rule, Verdict};

/// What the last decision left open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing.
    Free,
    /// The map cannot say, or a reference waits: the next candidate clears it (J31, J41).
    Stuck,
    /// The target refused: changed content is tried, the same is not (J23).
    Refused,
    /// It was there before its create: a person says whose it is (J48).
    Unexpected,
    /// It is gone at the target: a person says whether it shall come back (J23).
    Gone,
    /// Our update made it anew: a person says whether it shall stay (J26).
    Beneath,
    /// Somebody else's write needs a person's eyes.
    Met,
    /// A person keeps it deleted.
    KeptDeleted,
}

impl Standing {
    pub(crate) fn of(state: &AggregateState) -> Standing {
        match (state.verdict.as_ref(), state.rule) {
            (Some(Verdict::Held(question)), _) if **question == *GONE_AT_TARGET => Standing::Gone,
            (Some(Verdict::Held(question)), _) if **question == *ABSENCE_BENEATH => Standing::Beneath,
            (Some(Verdict::Held(_)), _) => Standing::Met,
            (Some(Verdict::Parked(_)), Some(Rule::ForeignMet)) => Standing::Unexpected,
            (Some(Verdict::Parked(_)), Some(Rule::Refused)) => Standing::Refused,
            (Some(Verdict::Parked(_) | Verdict::Waiting(_)), _) => Standing::Stuck,
            (Some(Verdict::Frozen), Some(Rule::Person)) => Standing::KeptDeleted,
            // A person's delete of what legacy still has; else the delete is legacy's own.
            (Some(Verdict::Delete), Some(Rule::Person)) if state.presence != Presence::Deleted(Means::Removed) => {
                Standing::KeptDeleted
            }
            (Some(Verdict::Write | Verdict::Delete | Verdict::Unchanged | Verdict::Frozen) | None, _) => Standing::Free,
        }
    }

    /// Whether only a person's answer ends it.
    pub(crate) fn holds(self) -> bool {
        match self {
            Standing::Free | Standing::Stuck | Standing::Refused => false,
            Standing::Unexpected | Standing::Gone | Standing::Beneath | Standing::Met | Standing::KeptDeleted => true,
        }
    }
}
