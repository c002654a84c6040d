//! The contract of a log: the journal and the decisions log are both one.
//!
//! ```text
//!  first segment                                     active segment
//!  ┌──────────────┐ ┌──────────────┐ ┌─────────────────────────────────────────┐
//!  │ 1 2 3 … 900  │ │ 901 … 1,800  │ │ 1,801 … 1,950 │ being written │ zeros … │
//!  └──────────────┘ └──────────────┘ └─────────────────────────────────────────┘
//!                                         durable tail ┘  nobody reads past it (J16)
//! ```

use crate::{Fault, Resume};
use model::{EntryId, SystemId, Timestamp};
use std::{collections::BTreeMap, sync::Arc};

/// What may use the disk reserve (J24).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Captured rows: the first to stop when the disk is full.
    Capture,
    /// Outcomes, acts of people, decisions: they have a reserve of their own.
    Vital,
}

/// Where a batch went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The name of the batch's first entry; the others follow without a gap.
    pub first: EntryId,
    /// Name of the last.
    pub last: EntryId,
    /// `appended_at` of all of them.
    pub appended_at: Timestamp,
}

/// One log of one writer. `Body` is `Entry` or `Record`, `Stored` the same with its header.
///
/// * `append` returns when everything is durable, in the given order, or not at all: a fault leaves the log poisoned
///   (every later call fails), except a full disk met by `Class::Capture`, which leaves it as it was.
/// * A seq is given once, dense, and never again for another body.
/// * `read` never returns what is not durable. Any process may read; one may append.
pub trait Journal: Send {
    /// What is appended.
    type Body;
    /// What is read.
    type Stored;

    /// Appends the batches as one durable write. `now` is the clock's time; `appended_at` never goes back (J34).
    fn append(&mut self, batches: &[Arc<[Self::Body]>], class: Class, now: Timestamp) -> Result<Vec<Appended>, Fault>;

    /// At most about `bytes_max` bytes of entries (at least one, if there is one) from `from` on, in order.
    fn read(&self, from: EntryId, bytes_max: usize) -> Result<Vec<Self::Stored>, Fault>;

    /// The last durable entry; none in an empty log.
    fn tail(&self) -> Option<EntryId>;

    /// The resume fold of every source that wrote to this log (J6); empty for the decisions log.
    fn resume(&self) -> BTreeMap<SystemId, Resume>;
}
