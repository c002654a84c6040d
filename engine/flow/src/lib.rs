//! The step machines: ingest, decide, deliver, recover. Inputs in, outputs out; the runtime and the simulator drive the same code.
//!
//! Has no I/O, no clock, no randomness. `now` serves retries and batching only: it reaches no entry, decision or hash (J34).
//! Reading the state inside a step is pure, because the state is a function of history.
//!
//! ```text
//!  captured ─► ingest ─► append ─► (durable) ─► fold ─► shadow, marks ─► map ─► decide ─► record ─► (durable) ─► deliver ─► send
//!                                                 ▲                                                                │
//!                                                 └───────────────────────── Acked, durable ◄──────────────────────┘
//! ```

mod admit;
mod again;
mod apply;
mod ask;
mod awaited;
mod bind;
mod body;
mod chunk;
pub mod config;

mod decide;
mod deliver;
mod fold;
mod grounds;
mod heads;
mod hold;
mod identity;
mod index;
mod ingest;
mod input;
mod inspect;
mod lane;
mod ledger;
mod marks;
mod meta;
mod pins;
mod quarantine;
mod query;
mod readable;
mod readiness;
mod rebuild;
mod records;
mod recover;
mod reopen;
mod replied;
mod reshape;
mod rows;
mod shadow;
mod step;
mod stored;
mod tables;
mod types;
mod visible;
mod waiting;
mod work;
mod written;

pub use config::{Config, Limits, SinkSettings, SourceSettings};
pub use grounds::Grounds;
pub use heads::identities_stand;
pub use input::{Act, AppendId, FlowInput, FlowOutput, Scope};
pub use inspect::{Aggregates, INTERNAL, Inspect, LedgerView, TableView, WAITED_TOO_LONG};
pub use quarantine::{AfterPanic, Panics, Quarantine, Suspect};
pub use query::{Awaited, Blocked, Halt, HeldItem, ParkedItem, SourceStatus, Status, UnitView, WaitingItem};
pub use reconcile::answers as answers_to;
pub use recover::tails_hold;
pub use shadow::ShadowRow;
pub use step::Flow;

/// The number of this engine's behaviour: it changes with every change that can alter one byte of a decision (J38).
pub const BEHAVIOUR: u32 = 1;
