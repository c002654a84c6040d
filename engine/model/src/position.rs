//! A place in a source's own log.
//!
//! Byte order is the order in which the connector emitted (J3). A connector's `position` module gives the bytes their meaning.

use core::{cmp::Ordering, fmt};

/// Most bytes a position may have: two 64-bit numbers and seven to spare.
pub const POSITION_BYTES_MAX: usize = 23;

/// A place in THEIR log; compared as bytes (J3). Small enough to live without an allocation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SourcePosition {
    len: u8,
    bytes: [u8; POSITION_BYTES_MAX],
}

impl SourcePosition {
    /// Takes the connector's bytes; `None` if they are longer than [`POSITION_BYTES_MAX`].
    pub fn new(bytes: &[u8]) -> Option<SourcePosition> {
        let mut position = SourcePosition { len: u8::try_from(bytes.len()).ok()?, ..SourcePosition::default() };
        position.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(position)
    }

    /// The connector's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl Ord for SourcePosition {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl PartialOrd for SourcePosition {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for SourcePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A life of a source's log: a re-created slot, another timeline, a restored server is another incarnation (J4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Incarnation(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_order_as_bytes_and_a_prefix_comes_first() {
        let place = |bytes: &[u8]| SourcePosition::new(bytes).expect("short");
        assert!(place(&[1, 2]) < place(&[1, 2, 0]));
        assert!(place(&[1, 255]) < place(&[2]));
        assert!(SourcePosition::new(&[0; POSITION_BYTES_MAX + 1]).is_none());
    }
}
