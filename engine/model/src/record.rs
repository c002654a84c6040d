//! What the decisions log says, one record a decided step (J17).
#![expect(
    missing_docs,
    reason = "fields are named by the field's standard terms; types and variants say what they promise"
)]

use crate::{decision::Decided, entry::Header, id::EntryId, key::RowKey};
use alloc::boxed::Box;

/// A record of the decisions log with its header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recorded {
    pub header: Header,
    pub record: Record,
}

/// One record of the decisions log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// As in the journal.
    Opened { binary: Box<str>, behaviour: u32 },
    /// One decided step (J17).
    Decided(Decided),
    /// Inputs that decide nothing, `from..=to`.
    Skipped { from: EntryId, to: EntryId },
    /// `entry` stopped the engine twice and was not folded (J32): the input itself, or a row of the transaction that it commits.
    Unfolded { input: EntryId, entry: EntryId },
}

/// A dirty unit: made by `cause`, of this entity (its place in the map), with this root key (J13).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mark {
    pub cause: EntryId,
    pub entity: u16,
    pub key: RowKey,
}
