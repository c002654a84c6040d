//! Names: who a system, a writer, an entry, a unit, an effect is.
//!
//! Names are not patient data: they may be displayed. A row's key may be patient data and lives in `key`.

use alloc::{string::String, sync::Arc};
use core::fmt;
use uuid::Uuid;

/// BLAKE3-256 of something; printed as hex, short in tables (J2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Hash of the concatenation of `parts`, each preceded by its length, so that no two lists of parts collide.
    pub fn of_parts(parts: &[&[u8]]) -> Hash {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Hash(*hasher.finalize().as_bytes())
    }

    /// Plain BLAKE3-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(*blake3::hash(bytes).as_bytes())
    }

    /// The first eight hex digits, for people.
    pub fn short(&self) -> String {
        let mut text = String::with_capacity(8);
        for byte in &self.0[..4] {
            push_hex(&mut text, *byte);
        }
        text
    }
}

fn push_hex(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.push(DIGITS[usize::from(byte >> 4)] as char);
    text.push(DIGITS[usize::from(byte & 15)] as char);
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.short())
    }
}

/// RFC 4648 base32 without padding: letters and digits that survive every header and URL.
pub fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut window, mut bits) = (0u32, 0u32);
    for byte in bytes {
        window = (window << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(ALPHABET[((window >> bits) & 31) as usize] as char);
        }
        window &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(ALPHABET[((window << (5 - bits)) & 31) as usize] as char);
    }
    text
}

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                $name(Arc::from(name))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_name!(
    /// A system of the configuration (`legacy`, `cloud`): has a source, a sink, or both; a side in the rules.
    SystemId
);
text_name!(
    /// A table of a source, with its schema: `public.patient`.
    TableName
);
text_name!(
    /// An entity of a map: `patient`, `observation`.
    EntityName
);
text_name!(
    /// A FHIR R4 resource type: `Patient`.
    ResourceType
);

/// A writer of a log; small, given by `Opened` (J42).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WriterId(pub u32);

/// How often a log was opened for writing (J42): a lower term behind a higher one's `Opened` is void.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Term(pub u64);

/// An entry's name, for ever (J1). `Display` is `writer:seq`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// Who appended it.
    pub writer: WriterId,
    /// Dense per writer and log, from 1.
    pub seq: u64,
}

impl EntryId {
    /// The name of entry `seq` of the one writer of an embedded log (J42).
    pub const fn new(writer: u32, seq: u64) -> EntryId {
        EntryId { writer: WriterId(writer), seq }
    }

    /// The entry right behind this one.
    pub const fn next(self) -> EntryId {
        EntryId { writer: self.writer, seq: self.seq + 1 }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.writer.0, self.seq)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A place in a log: increasing, not dense, changed by a copy (J1). In the embedded log it is the seq (J42).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Offset(pub u64);

/// Which of the two logs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Log {
    /// What happened: captured changes, outcomes, acts of people.
    Journal,
    /// What was decided, one record a step.
    Decisions,
}

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(pub i64);

/// First eight bytes of the BLAKE3 of a schema's own bytes (J2: Avro's canonical form drops `logicalType`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fingerprint(pub u64);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:08x}", self.0 >> 32)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:016x}", self.0)
    }
}

/// A unit's minted id: minted once, at first sight, then only looked up (clinical S1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitId(pub Uuid);

impl UnitId {
    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> UnitId {
        UnitId(Uuid::from_bytes(bytes))
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Mints the id of a legacy-born unit: UUIDv5 over the deployment's namespace and the surrogate key.
    /// `parts` are site, system, table, key bytes, key version and part, in this order.
    pub fn mint(namespace: Uuid, parts: &[&[u8]]) -> UnitId {
        UnitId(Uuid::new_v5(&namespace, &Hash::of_parts(parts).0))
    }
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// One clinical fact: a FHIR R4 resource instance. `Display` is `Type/id`, the form of a literal reference.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit {
    /// `Patient`, `Observation`, ..
    pub resource_type: ResourceType,
    /// Its minted id.
    pub id: UnitId,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.resource_type, self.id)
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is decided together beyond one unit (clinical S8): a logical record of one subject that a rule declares. No rule of
/// v0 does: there a unit is its own aggregate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Aggregate {
    /// The rule's name for it: `patient.allergies`.
    pub kind: EntityName,
    /// Its subject.
    pub subject: UnitId,
}

/// Names one intended write: `H(pipeline, system, unit, generation, n)` (J22).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId(pub Hash);

impl EffectId {
    /// Derives the id; `n` is the unit's decision number.
    pub fn derive(pipeline: &str, system: &SystemId, unit: &Unit, generation: u64, n: u64) -> EffectId {
        EffectId(Hash::of_parts(&[
            b"effect",
            pipeline.as_bytes(),
            system.as_str().as_bytes(),
            unit.resource_type.as_str().as_bytes(),
            unit.id.0.as_bytes(),
            &generation.to_be_bytes(),
            &n.to_be_bytes(),
        ]))
    }

    /// The request that carries this effect alone (J28): the same at every attempt and after a crash.
    pub fn request(&self) -> RequestId {
        let text = base32(&Hash::of(&self.0.0).0);
        let mut id = [0u8; 16];
        id.copy_from_slice(&text.as_bytes()[..16]);
        RequestId(id)
    }
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&base32(&self.0.0[..10]))
    }
}

impl fmt::Debug for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The stamp of a request: 16 characters of base32, in `meta.source` and `X-Request-Id` (J28).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub [u8; 16]);

impl RequestId {
    /// The stamp as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).expect("base32 is ASCII")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn base32_is_rfc_4648_without_padding() {
        assert_eq!(base32(b""), "");
        assert_eq!(base32(b"f"), "MY");
        assert_eq!(base32(b"foobar"), "MZXW6YTBOI");
    }

    #[test]
    fn no_two_lists_of_parts_share_a_hash() {
        assert_ne!(Hash::of_parts(&[b"ab", b"c"]), Hash::of_parts(&[b"a", b"bc"]));
    }

    #[test]
    fn an_effects_request_is_the_same_at_every_attempt() {
        let unit = Unit { resource_type: "Patient".into(), id: UnitId(Uuid::from_u128(7)) };
        let effect = |n| EffectId::derive("clinic", &"cloud".into(), &unit, 0, n);
        assert_eq!(effect(1).request(), effect(1).request());
        assert_ne!(effect(1).request(), effect(2).request());
        assert_eq!(effect(1).request().to_string().len(), 16);
    }
}
