//! Frames: the smallest thing that is whole or not there.
//!
//! ```text
//!  ┌────────────┬───────────┬──────┬────────┐
//!  │ CRC32C u32 │ length u32│ kind │ body … │   little-endian; length counts kind and body
//!  └────────────┴───────────┴──────┴────────┘
//! ```
//! The CRC covers the segment's id and birth number, the length, the kind and the body: a frame of a recycled segment's
//! former life, or at another place of another segment, does not pass (J21). Parsing never panics, whatever the bytes.

use crate::segment::SegmentId;
use thiserror::Error;

/// Bytes before the kind.
pub(crate) const FRAME_HEAD: usize = 8;

/// What a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Opens a batch.
    Head = b'H' as isize,
    /// One entry or record.
    Entry = b'E' as isize,
    /// Closes a batch with its chain hash.
    Close = b'C' as isize,
}

/// Why bytes are not what the log would have written next.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum Break {
    #[error("nothing is written here")]
    Blank,
    #[error("a frame's length does not fit the segment")]
    Length,
    #[error("a frame's checksum is wrong")]
    Checksum,
    #[error("a frame is of another kind than its place asks for")]
    Kind,
    #[error("the entry's number is not the one before plus one")]
    Sequence,
    #[error("the chain hash differs: history before or in this batch was rewritten")]
    Chain,
    #[error("an entry cannot be decoded: {0}")]
    Undecodable(String),
    #[error("the segment's header page is damaged")]
    Header,
    #[error("the segment is {found} bytes long in the place of {planned}")]
    Short { found: u64, planned: u64 },
    #[error("the log ends here")]
    Ended,
}

/// CRC of a segment's id and birth number: where every frame's CRC begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seed(u32);

impl Seed {
    pub(crate) fn new(segment: SegmentId, birth: u64) -> Seed {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&segment.0.to_le_bytes());
        bytes[8..].copy_from_slice(&birth.to_le_bytes());
        Seed(crc32c::crc32c(&bytes))
    }

    fn of(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.0, bytes)
    }
}

/// Begins a frame at the end of `out`; the body is pushed behind it. Returns what [`finish`] wants.
pub(crate) fn begin(out: &mut Vec<u8>, kind: Kind) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEAD]);
    out.push(kind as u8);
    start
}

/// Fills in length and CRC of the frame that begins at `start` and ends where `out` does.
pub(crate) fn finish(out: &mut [u8], start: usize, seed: Seed) -> Option<()> {
    let len = u32::try_from(out.len().checked_sub(start + FRAME_HEAD)?).ok()?;
    seal(out.get_mut(start..)?, len, seed);
    Some(())
}

/// Fills in length and CRC of the frame at the beginning of `bytes` with `len` bytes of kind and body.
pub(crate) fn seal(bytes: &mut [u8], len: u32, seed: Seed) {
    bytes[4..8].copy_from_slice(&len.to_le_bytes());
    let crc = seed.of(&bytes[4..FRAME_HEAD + len as usize]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
}

/// How many bytes the frame that begins with these takes, as its length says; nothing is checked yet.
pub(crate) fn announced(head: &[u8]) -> Result<u64, Break> {
    let (crc, len) = (u32_at(head, 0)?, u32_at(head, 4)?);
    match (crc, len) {
        (0, 0) => Err(Break::Blank),
        (_, 0) => Err(Break::Length),
        (_, len) => Ok(FRAME_HEAD as u64 + u64::from(len)),
    }
}

/// The frame at the beginning of `bytes`: its body, and how many bytes it takes.
pub(crate) fn parse(bytes: &[u8], kind: Kind, seed: Seed) -> Result<(&[u8], usize), Break> {
    let size = usize::try_from(announced(bytes)?).map_err(|_| Break::Length)?;
    let frame = bytes.get(..size).ok_or(Break::Length)?;
    if seed.of(&frame[4..]) != u32_at(frame, 0)? {
        return Err(Break::Checksum);
    }
    match frame.get(FRAME_HEAD) {
        Some(found) if *found == kind as u8 => Ok((&frame[FRAME_HEAD + 1..], size)),
        _ => Err(Break::Kind),
    }
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Break> {
    let four = bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).ok_or(Break::Length)?;
    Ok(u32::from_le_bytes(four))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Result<u64, Break> {
    let eight = bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).ok_or(Break::Length)?;
    Ok(u64::from_le_bytes(eight))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(seed: Seed) -> Vec<u8> {
        let mut out = Vec::new();
        let start = begin(&mut out, Kind::Entry);
        out.extend_from_slice(b"body");
        finish(&mut out, start, seed).unwrap();
        out
    }

    #[test]
    fn every_flipped_bit_of_a_frame_is_noticed() {
        let seed = Seed::new(SegmentId(1), 7);
        let good = frame(seed);
        assert_eq!(parse(&good, Kind::Entry, seed), Ok((&b"body"[..], good.len())));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&bad, Kind::Entry, seed).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_frame_of_another_segment_or_another_life_does_not_pass() {
        let good = frame(Seed::new(SegmentId(1), 7));
        assert_eq!(parse(&good, Kind::Entry, Seed::new(SegmentId(2), 7)), Err(Break::Checksum));
        assert_eq!(parse(&good, Kind::Entry, Seed::new(SegmentId(1), 8)), Err(Break::Checksum));
    }

    #[test]
    fn zeros_are_blank() {
        assert_eq!(parse(&[0; 64], Kind::Head, Seed::new(SegmentId(1), 7)), Err(Break::Blank));
    }
}
