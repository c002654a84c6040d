//! Where the fold stands: one value in the store, written with every checkpoint.

use model::{EntryId, Timestamp, WriterId};
use schemas::{wire_record, wire_union};

/// The place of a fold, also inside a commit or a step (J19).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// The entry that is folded next, or the one in whose phase the fold is.
    pub input: EntryId,
    /// `appended_at` of `input`, if the fold is inside it.
    pub at: Timestamp,
    /// How far inside.
    pub phase: Phase,
    /// The first entry of the transaction that is open before `input`.
    pub open: Option<EntryId>,
    /// Outcomes up to here are in the ledger.
    pub ledger: u64,
    /// The decisions log is folded up to here.
    pub decisions: u64,
}

/// How far the fold of one input is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Not begun.
    Fresh,
    /// Rows of its transaction before this entry are in the shadow.
    Rows { next: EntryId },
    /// Its rows are folded and marked; so many steps are decided.
    Steps { done: u32 },
    /// Something as large as a table is done first, a page at a time.
    Work,
}

/// The place's name in the store.
pub(crate) const PLACE: &str = "place";
/// The first entry of a log.
pub(crate) const FIRST: EntryId = EntryId { writer: WriterId(1), seq: 1 };

impl Default for Place {
    fn default() -> Place {
        Place { input: FIRST, at: Timestamp(0), phase: Phase::Fresh, open: None, ledger: 0, decisions: 0 }
    }
}

wire_union!(Phase {
    0 Fresh,
    1 Rows { next },
    2 Steps { done },
    3 Work,
});

wire_record!(Place { input, at, phase, open, ledger, decisions });
