//! PostgreSQL's places in the log as source positions, and back.
//!
//! * A change stands at (commit LSN, ordinal in its transaction): 12 bytes. LSNs alone are not unique per row.
//! * What is confirmed and compared (`Commit.end`, `passed`, heartbeats) is a bare LSN: 8 bytes.
//! * Byte order is commit order, and a bare LSN stands before every change of the transaction that commits there. So a
//!   transaction is a repeat exactly if its commit LSN is below `passed`.

use model::SourcePosition;
use std::fmt;

/// A byte position in the write-ahead log. `Display` is PostgreSQL's own form, `0/1A2B3C0`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Reads `0/1A2B3C0`.
    pub fn parse(text: &str) -> Option<Lsn> {
        let (high, low) = text.split_once('/')?;
        let half = |digits| u32::from_str_radix(digits, 16).ok();
        Some(Lsn((u64::from(half(high)?) << 32) | u64::from(half(low)?)))
    }

    /// As a bare position.
    pub fn position(self) -> SourcePosition {
        SourcePosition::new(&self.0.to_be_bytes()).expect("eight bytes fit")
    }

    /// The place of the `ordinal`-th change of the transaction that commits at this LSN.
    pub fn change(self, ordinal: u32) -> SourcePosition {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.0.to_be_bytes());
        bytes[8..].copy_from_slice(&ordinal.to_be_bytes());
        SourcePosition::new(&bytes).expect("twelve bytes fit")
    }

    /// The LSN of a position that this module made.
    pub fn of(position: &SourcePosition) -> Option<Lsn> {
        let bytes = position.as_bytes();
        Some(Lsn(u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?)))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A position for people: `0/1A2B3C0:2`, or `0/1A2B3C0` without an ordinal. Bytes that are not ours are shown as hex.
pub fn show(position: &SourcePosition) -> String {
    let bytes = position.as_bytes();
    match (Lsn::of(position), bytes.len()) {
        (Some(lsn), 8) => lsn.to_string(),
        (Some(lsn), 12) => {
            let ordinal = bytes[8..].iter().fold(0u32, |n, byte| (n << 8) | u32::from(*byte));
            format!("{lsn}:{ordinal}")
        }
        _ => format!("{position:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn positions_print_as_the_server_prints_them() {
        let lsn = Lsn::parse("0/1A2B3C0").unwrap();
        assert_eq!(show(&lsn.change(2)), "0/1A2B3C0:2");
        assert_eq!(show(&lsn.position()), "0/1A2B3C0");
        assert_eq!(show(&SourcePosition::new(&[7]).unwrap()), "0x07");
        assert_eq!(Lsn::parse("16/B374D848").unwrap().to_string(), "16/B374D848");
        assert!(Lsn::parse("0-1").is_none() && Lsn::parse("1/1FFFFFFFF").is_none());
    }

    proptest! {
        #[test]
        fn byte_order_is_commit_order_and_a_bare_lsn_stands_before_its_transaction(a: (u64, u32), b: (u64, u32)) {
            let (pa, pb) = (Lsn(a.0).change(a.1), Lsn(b.0).change(b.1));
            prop_assert_eq!(pa.cmp(&pb), a.cmp(&b));
            prop_assert!(Lsn(a.0).position() < pa);
            prop_assert_eq!(pa <= Lsn(b.0).position(), a.0 < b.0);
            prop_assert_eq!(Lsn::of(&pa), Some(Lsn(a.0)));
        }
    }
}
