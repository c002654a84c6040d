//! Fingerprints: the first eight bytes of BLAKE3 over our own schema bytes (J2: Avro's canonical form drops `logicalType`).

use crate::wire::WireError;
use model::{Fingerprint, Hash};

/// The fingerprint of a schema's bytes.
pub fn fingerprint(schema: &[u8]) -> Fingerprint {
    let hash = Hash::of(schema).0;
    Fingerprint(u64::from_be_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]]))
}

/// Refuses a log or store that was written in another revision of format v0 (J5).
pub fn require(found: Fingerprint, ours: Fingerprint) -> Result<(), WireError> {
    if found == ours { Ok(()) } else { Err(WireError::Revision { found, ours }) }
}
