//! PostgreSQL as a source: its change stream by logical replication, its tables by marked chunks, its rows at a fence.
//!
//! Sees ports, model and schemas, and no other connector. Invariants:
//! * Nothing is confirmed to the server that is not durable here (J10); what only a keepalive tells is first an entry.
//! * A value is exact or the server's own text, never wrong. The same row has the same bytes in stream, chunk and fence.
//! * The server is read, never written: logical messages and the slot are all that is ever ours there.
//! * No text of an error, log or `Debug` holds a value of a row.

mod batch;
mod catalog;
mod config;
mod copy;
mod error;
mod fence;
#[doc(hidden)]
pub mod fuzz;
mod handoff;
mod intake;
mod pace;
pub mod pgoutput;
pub mod position;
mod prerequisites;
mod relation;
mod session;
mod slot;
mod snapshot;
mod socket;
mod source;
mod status;
mod stream;
mod transaction;
pub mod values;
mod watch;
mod wire;

pub use catalog::table_schemas;
pub use config::{Address, Config, Options, Place, Tls, parse_url};
pub use error::Error;
pub use fence::PostgresFences;
pub use ports::Secret;
pub use slot::goes_on;
pub use source::PostgresSource;
