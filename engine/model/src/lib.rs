//! The nouns of Lockstep: names, places, values, entries, decisions, and the one equality.
//!
//! Never reads a clock, a file or a socket (`no_std`). Invariants:
//! * Nothing that can hold a patient's value implements `Display` or `Serialize`; its `Debug` prints type and length.
//! * Equal inputs give equal bytes: ordered maps only, hashes are BLAKE3-256.
//! * An entry's name never changes; an offset is only a place (J1).
//!
//! ```compile_fail,E0277
//! // A value cannot be formatted with its content.
//! let value = lockstep_model::Value::Text("Ada".into());
//! let leaked = format!("{value}");
//! ```
//! ```
//! let value = lockstep_model::Value::Text("Ada".into());
//! assert_eq!(format!("{value:?}"), "text[3]");
//! ```
#![no_std]
extern crate alloc;

pub mod act;
pub mod canonical;
pub mod decision;
pub mod elements;
pub mod entry;
pub mod field;
pub mod id;
pub mod json;
pub mod key;
pub mod outcome;
pub mod pins;
pub mod position;
pub mod record;
mod scalar;
pub mod state;
pub mod value;
pub mod words;

pub use act::{Activated, Answer, Control, ControlAct, Kind, Principal};
pub use canonical::{canonical_hash, canonically_equal, field_equal};
pub use decision::{
    Author, Base, Candidate, Cause, Cite, Content, Decided, Decision, Effect, EffectGroup, FieldChange, Loser, Means,
    Rule, Verdict, Waiting, Write,
};
pub use elements::{Element, Elements, Node};
pub use entry::{Bound, Chunk, CommitEnd, Entry, Header, Journaled, RowChange, RowEntry, SnapshotMark};
pub use field::{FieldAddress, Fields};
pub use id::{
    Aggregate, EffectId, EntityName, EntryId, Fingerprint, Hash, Log, Offset, RequestId, ResourceType, SystemId,
    TableName, Term, Timestamp, Unit, UnitId, WriterId,
};
pub use json::{Json, JsonError, JsonErrorKind};
pub use key::RowKey;
pub use outcome::{Acked, Captured, Outcome, ResourceEntry};
pub use pins::{Deployment, PinnedLimits, Pins};
pub use position::{Incarnation, SourcePosition};
pub use record::{Mark, Record, Recorded};
pub use state::{AggregateState, Presence};
pub use value::{Cell, Column, ColumnType, Row, TableSchema, Value};
