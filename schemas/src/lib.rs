//! Wire formats: what a log, a row and the store hold, as bytes.
//!
//! Depends on the model alone. Invariants:
//! * A value is written in one way only: hashes and chains are over these bytes (J2).
//! * Decoding arbitrary bytes gives a value or an error that names a place, never a panic and never the bytes.
//! * A field of the model that the codec's list lacks does not compile. Put it into the list, then run this crate's tests
//!   with `UPDATE_SCHEMAS=1`: they write `avro/`, and from there on journals of the old revision are refused.
//! * Format v0 until two-way replication stands; anything else is refused with what to do about it (J5).

pub mod codec;
pub mod entry;
pub mod fingerprint;
pub mod keys;
mod nouns;
pub mod plan;
pub mod profile;
pub mod r4;
pub mod record;
pub mod row;
pub mod state;
pub mod wire;

#[cfg(test)]
mod tests;

pub use codec::{Wire, decode, encode};
pub use entry::{ENTRY_AVSC, ENTRY_FINGERPRINT, decode_header, decode_journaled, encode_journaled};
pub use fingerprint::fingerprint;
pub use plan::Plan;
pub use profile::{Profile, ProfileError};
pub use record::{RECORD_AVSC, RECORD_FINGERPRINT, decode_recorded, encode_recorded};
pub use row::{OpenRow, RowError, RowWriter};
pub use state::{decode_state, encode_state};
pub use wire::{FORMAT, Reader, WireError, Writer};
