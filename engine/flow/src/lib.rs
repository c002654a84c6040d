//! The step machines: ingest, decide, deliver, recover. Inputs in, outputs out; the runtime and the simulator drive the same code.

pub mod config;
mod input;
mod query;

pub use config::{Config, Limits, SinkSettings, SourceSettings};
pub use input::{Act, AppendId, FlowInput, FlowOutput, Scope};
pub use query::{Blocked, Halt, HeldItem, ParkedItem, SourceStatus, Status, UnitView};
