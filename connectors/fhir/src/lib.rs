//! A FHIR R4 server as a sink: guarded writes, settled outcomes, its versions read back.
//!
//! Sees ports, model and schemas, and no other connector. Invariants:
//! * A write is guarded: a create overwrites nothing, an update replaces only the version that it was decided on (J26).
//!   The one exception is a DELETE where the server ignores `If-Match`: there we look, compare and delete.
//! * A reply that never came is settled by the instance's own history, never sent blind (J27).
//! * What servers do differently is read in the profile; no code asks for a server's name.
//! * No text of an error, log or `Debug` holds a patient's value: of an OperationOutcome only codes go on.

mod client;
mod config;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod later;
mod look;
mod outcome;
mod prerequisites;
mod probe;
mod readback;
mod request;
mod settle;
mod sink;
mod standing;
mod token;

pub use config::{Auth, Config, Options, ProbePlace};
pub use error::Error;
pub use ports::Secret;
pub use sink::FhirSink;
