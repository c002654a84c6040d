//! What a log says. An entry is named once, for ever, and never changed; everything else in Lockstep is a fold over entries.
//!
//! * A source's rows become visible together, at their `Commit` (J11); a one-row transaction is one entry with both.
//! * Who writes what is fixed (J43). Acts of people carry a `Principal`, never an anonymous one (clinical U1).
//! * Variants that no code of format v0 writes (`Sending`, `Passed`, `Placed`, `Leave`, `Enter`) hold their place (ADR 0007).

#![expect(
    missing_docs,
    reason = "fields are named by the field's standard terms; types and variants say what they promise"
)]

use crate::{
    act::{Activated, Answer, Control, Principal},
    decision::{Author, Cite},
    id::{EffectId, EntityName, EntryId, Fingerprint, RequestId, SystemId, TableName, Term, Timestamp, Unit},
    key::RowKey,
    outcome::{Acked, ResourceEntry},
    pins::Pins,
    position::{Incarnation, SourcePosition},
    value::{Row, TableSchema},
};
use alloc::{boxed::Box, vec::Vec};

/// The header of an entry or record: its name, the term of its writer, when it was appended (monotone, J34).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub id: EntryId,
    pub term: Term,
    pub appended_at: Timestamp,
}

/// An entry with its header: what a reader of the journal gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Journaled {
    pub header: Header,
    pub entry: Entry,
}

/// One entry of the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// The log was opened for writing: a new term, by this binary with this behaviour number and what it decides by (J38, J42).
    Opened { binary: Box<str>, behaviour: u32, pins: Pins },
    /// A slot of this name is about to be made; whatever stands there now holds nothing of ours (J6).
    Slot { source: SystemId, incarnation: Incarnation, wanted: Box<str> },
    /// A step of the first read.
    Snapshot { source: SystemId, incarnation: Incarnation, mark: SnapshotMark },
    /// A range of a table as read between two marks (J8).
    Chunk(Chunk),
    /// One row change.
    Row(RowEntry),
    /// Closes the rows of one transaction (J11).
    Commit { source: SystemId, incarnation: Incarnation, position: SourcePosition, commit: CommitEnd },
    /// The shape of a table from here on; the incarnation's rows cite it by fingerprint.
    Schema {
        source: SystemId,
        incarnation: Incarnation,
        position: SourcePosition,
        fingerprint: Fingerprint,
        schema: TableSchema,
    },
    /// Tables were emptied without a row event each; they are held until a person answers (J9).
    Truncate { source: SystemId, incarnation: Incarnation, position: SourcePosition, tables: Vec<TableName> },
    /// A version at a target that is not ours, found while settling (J27).
    Resource(ResourceEntry),
    /// A logical message of a source's log: a mark, a fence, a heartbeat.
    Message {
        source: SystemId,
        incarnation: Incarnation,
        position: SourcePosition,
        prefix: Box<str>,
        content: Box<[u8]>,
    },
    /// The source was idle and its log moved this far (J10, J35).
    Heartbeat { source: SystemId, incarnation: Incarnation, position: SourcePosition },
    /// The final outcome of an effect (J24).
    Acked(Acked),
    /// A request is about to leave (J27, J28); not written by v0.
    Sending { system: SystemId, request: RequestId, effects: Vec<EffectId> },
    /// A person answered a held or parked unit.
    Reviewed { by: Principal, unit: Unit, answer: Answer, reason: Box<str> },
    /// A unit id was minted for a key (J41, clinical S1).
    Bound(Bound),
    /// A binding ended.
    Unbound { system: SystemId, unit: Unit, reason: Box<str> },
    /// A map or another pinned content is in force from here on (J38, J47).
    Activated(Activated),
    /// An act of a person on a source, table, entity or system.
    Control(Control),
    /// Time passed and the partition was silent (J34).
    Clock,
    /// That source's `Row`, `Truncate` and `Message` entries in `from..=to` are void: their `Commit` never came (J11).
    Void { source: SystemId, from: EntryId, to: EntryId },
    /// Reserved for several partitions (J37, J39).
    Passed { barrier: EntryId },
    /// Reserved (J37).
    Placed { from: EntryId },
    /// Reserved (J37).
    Leave { unit: Unit },
    /// Reserved (J37).
    Enter { unit: Unit },
}

/// The end of a source's transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitEnd {
    /// Where the source's log stands behind it: what is confirmed and compared (J3).
    pub end: SourcePosition,
    /// How many row entries it closes; readers check it.
    pub count: u64,
    /// The source's own transaction number, as text.
    pub transaction: Box<str>,
    /// When the source committed, by its clock.
    pub committed_at: Timestamp,
    /// Its rows in each partition (J37); empty where there is one.
    pub partitions: Vec<u64>,
}

/// A row change at its position. `commit` is set where the row is its whole transaction, `author` where the source knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RowEntry {
    pub source: SystemId,
    pub incarnation: Incarnation,
    pub position: SourcePosition,
    pub schema: Fingerprint,
    pub change: RowChange,
    pub commit: Option<CommitEnd>,
    pub author: Option<Author>,
}

/// What happened to the row. A delete carries what the log gave: often only the key's columns, the rest `Unchanged` (J15).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RowChange {
    Insert(Row),
    Update { before: Option<Row>, after: Row },
    Delete { before: Row },
}

/// A range of one table read between `low` and `high` (J8); speaks only about keys whose as-of is at or below `low`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunk {
    pub source: SystemId,
    pub incarnation: Incarnation,
    pub schema: Fingerprint,
    /// Dense per table from 0; the resume fold asks for the next one.
    pub number: u64,
    /// The range is `key_from < key <= key_to`; none is the table's end on that side.
    pub key_from: Option<RowKey>,
    pub key_to: Option<RowKey>,
    pub rows: Vec<Row>,
    pub low: SourcePosition,
    pub high: SourcePosition,
}

/// Steps of a first read (J6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SnapshotMark {
    /// The slot exists and its log is readable from `at`; these tables will be read.
    Started { tables: Vec<TableName>, at: SourcePosition },
    /// Every chunk of the table is appended.
    Ready { table: TableName, at: SourcePosition },
}

/// `unit` is what `entity` of the map made of the row of `table` with this key; never changes (clinical S1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bound {
    pub system: SystemId,
    pub entity: EntityName,
    pub table: TableName,
    pub key: RowKey,
    pub key_version: u32,
    pub unit: Unit,
}

impl Entry {
    /// The source whose log this entry came from, where it came from one.
    pub fn source(&self) -> Option<(&SystemId, Incarnation)> {
        match self {
            Entry::Slot { source, incarnation, .. }
            | Entry::Snapshot { source, incarnation, .. }
            | Entry::Commit { source, incarnation, .. }
            | Entry::Schema { source, incarnation, .. }
            | Entry::Truncate { source, incarnation, .. }
            | Entry::Message { source, incarnation, .. }
            | Entry::Heartbeat { source, incarnation, .. } => Some((source, *incarnation)),
            Entry::Chunk(chunk) => Some((&chunk.source, chunk.incarnation)),
            Entry::Row(row) => Some((&row.source, row.incarnation)),
            Entry::Opened { .. }
            | Entry::Resource(_)
            | Entry::Acked(_)
            | Entry::Sending { .. }
            | Entry::Reviewed { .. }
            | Entry::Bound(_)
            | Entry::Unbound { .. }
            | Entry::Activated(_)
            | Entry::Control(_)
            | Entry::Clock
            | Entry::Void { .. }
            | Entry::Passed { .. }
            | Entry::Placed { .. }
            | Entry::Leave { .. }
            | Entry::Enter { .. } => None,
        }
    }

    /// A citation of this entry as a whole.
    pub fn cite(id: EntryId) -> Cite {
        Cite { entry: id, row: None }
    }
}
