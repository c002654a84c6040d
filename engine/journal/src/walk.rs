//! Walks a segment's batches in order: the one way in which recovery, readers and verify look at bytes.
//!
//! Says where and why the walk ends, never what that means: a torn tail for one is corruption for another.

use crate::{
    batch::{self, Chain, Frames, Head},
    codec::Codec,
    disk::DiskFile,
    error::LogError,
    frame::{self, Break, FRAME_HEAD},
    segment::{HEADER_BYTES, Segment},
};
use model::Hash;
use std::sync::Arc;

/// Bytes read at once; a larger batch is read whole.
const WINDOW_BYTES: usize = 256 << 10;

/// A piece of a file in memory.
struct Window {
    file: Arc<dyn DiskFile>,
    end: u64,
    start: u64,
    buf: Vec<u8>,
}

impl Window {
    /// The bytes `at..at + len`; a break if the segment ends before.
    fn bytes(&mut self, at: u64, len: u64) -> Result<Result<&[u8], Break>, std::io::Error> {
        if at.checked_add(len).is_none_or(|end| end > self.end) {
            return Ok(Err(Break::Length));
        }
        let Ok(len) = usize::try_from(len) else { return Ok(Err(Break::Length)) };
        let held = at >= self.start && at - self.start + len as u64 <= self.buf.len() as u64;
        if !held {
            let most = usize::try_from(self.end - at).unwrap_or(usize::MAX);
            self.buf.resize(len.max(WINDOW_BYTES.min(most)), 0);
            self.start = at;
            let read = self.file.read_at(&mut self.buf, at)?;
            self.buf.truncate(read);
        }
        let from = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        Ok(self.buf.get(from..from + len).ok_or(Break::Length))
    }
}

/// A place between two batches of a segment, and how to go on from there.
pub(crate) struct Walk {
    pub segment: Segment,
    window: Window,
    /// Where the next batch begins.
    pub at: u64,
    /// The number its first entry must have.
    pub next_seq: u64,
}

impl Walk {
    /// Stands before the segment's first batch.
    pub(crate) fn begin(segment: Segment) -> Walk {
        let first = segment.header.name.first_seq;
        Walk::from(segment, HEADER_BYTES, first)
    }

    /// Stands before the batch at `at`, which begins with `next_seq`.
    pub(crate) fn from(segment: Segment, at: u64, next_seq: u64) -> Walk {
        let (file, end) = (segment.file.clone(), segment.header.bytes);
        Walk { segment, window: Window { file, end, start: 0, buf: Vec::new() }, at, next_seq }
    }

    /// Forgets the bytes at hand: somebody may have written there since.
    pub(crate) fn look_again(&mut self) {
        self.window.buf.clear();
    }

    /// The head of the batch that begins here.
    pub(crate) fn peek(&mut self) -> Result<Result<Head, Break>, LogError> {
        if self.at == self.segment.header.bytes {
            return Ok(Err(Break::Blank));
        }
        let seed = self.segment.header.seed();
        let head = match self.read(self.at, FRAME_HEAD as u64)?.and_then(frame::announced) {
            Ok(len) => self.read(self.at, len)?.and_then(|bytes| Head::parse(bytes, seed)),
            Err(damage) => Err(damage),
        };
        Ok(head.and_then(|head| if head.first_seq == self.next_seq { Ok(head) } else { Err(Break::Sequence) }))
    }

    /// The whole batch of `head`, which [`Walk::peek`] returned.
    pub(crate) fn load(&mut self, head: &Head) -> Result<Result<&[u8], Break>, LogError> {
        self.read(self.at, head.bytes)
    }

    /// Goes on behind the batch of `head`.
    pub(crate) fn pass(&mut self, head: &Head) {
        self.at += head.bytes;
        self.next_seq = head.last_seq() + 1;
    }

    /// Reads the batch that begins here, checks all of it against the chain `prev`, hands over every entry with its
    /// number, and stands behind it. A break leaves the walk before the batch.
    pub(crate) fn check<C: Codec>(
        &mut self,
        prev: Hash,
        visit: &mut dyn FnMut(C::Stored),
    ) -> Result<Result<Checked, Break>, LogError> {
        let head = match self.peek()? {
            Ok(head) => head,
            Err(damage) => return Ok(Err(damage)),
        };
        let seed = self.segment.header.seed();
        let checked = self.load(&head)?.and_then(|batch| {
            if head.prev_chain != prev {
                return Err(Break::Chain);
            }
            let mut chain = Chain::new(prev, C::fingerprint());
            let mut frames = Frames::new(batch, &head, seed);
            let mut entries = Vec::with_capacity(head.count.min(4_096) as usize);
            while let Some((seq, body)) = frames.next()? {
                chain.add(body);
                entries.push(batch::decode::<C>(seq, body)?);
            }
            if frames.close()? != chain.hash() {
                return Err(Break::Chain);
            }
            let resumes = head.resumes(batch)?;
            Ok((entries, Checked { chain: chain.hash(), resumes, head: head.clone() }))
        });
        Ok(checked.map(|(entries, checked)| {
            // Handed over only now: a batch counts whole or not at all.
            entries.into_iter().for_each(visit);
            self.pass(&checked.head);
            checked
        }))
    }

    fn read(&mut self, at: u64, len: u64) -> Result<Result<&[u8], Break>, LogError> {
        let name = self.segment.header.name;
        self.window.bytes(at, len).map_err(|error| LogError::io("cannot read", name.file())(error))
    }
}

/// A batch that was read and checked whole.
pub(crate) struct Checked {
    pub head: Head,
    /// The chain behind it.
    pub chain: Hash,
    pub resumes: Option<crate::codec::Resumes>,
}

/// What lies behind a break, up to the end of the segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Behind {
    /// The highest `durable_upto` of a valid head.
    pub durable_upto: u64,
    /// Where the last byte that is not zero ends; the break itself if all are zero.
    pub dirty_end: u64,
}

/// Looks through everything from `at` on. Batches begin at multiples of 8, so only those places are tried.
pub(crate) fn look_behind(segment: &Segment, at: u64) -> Result<Behind, LogError> {
    const OVERLAP: usize = 1 << 10;
    let name = segment.header.name;
    let (seed, end) = (segment.header.seed(), segment.header.bytes);
    let mut behind = Behind { durable_upto: 0, dirty_end: at };
    let mut window = Window { file: segment.file.clone(), end, start: 0, buf: Vec::new() };
    let mut from = at;
    while from < end {
        let len = (end - from).min(WINDOW_BYTES as u64);
        let read = window.bytes(from, len).map_err(LogError::io("cannot read", name.file()))?;
        let Ok(piece) = read else { break };
        if let Some(dirty) = dirty_bytes(piece) {
            behind.dirty_end = from + dirty as u64;
            let heads: Vec<usize> =
                (0..piece.len()).step_by(8).filter(|place| Head::looks_like(&piece[*place..])).collect();
            for place in heads {
                behind.durable_upto = behind.durable_upto.max(durable_upto(segment, from + place as u64, seed)?);
            }
        }
        // The next piece overlaps this one, so that a head across the seam is seen; it stays a multiple of 8.
        from += if from + len == end { len } else { len - OVERLAP as u64 };
    }
    Ok(behind)
}

/// How many bytes there are up to the last one that is not zero; none if all are zero. Each start looks through a whole
/// segment, most of it zeros, so they are passed in blocks that the compiler makes vectors of.
fn dirty_bytes(piece: &[u8]) -> Option<usize> {
    const BLOCK: usize = 1 << 10;
    let dirty = |block: &[u8]| block.iter().fold(0, |all, byte| all | byte) != 0;
    let block = piece.chunks(BLOCK).rposition(dirty)? * BLOCK;
    piece[block..].iter().rposition(|byte| *byte != 0).map(|last| block + last + 1)
}

/// `durable_upto` of the head at `at`, zero if it is none. Read by itself: a head may be longer than a window.
fn durable_upto(segment: &Segment, at: u64, seed: frame::Seed) -> Result<u64, LogError> {
    let mut window = Window { file: segment.file.clone(), end: segment.header.bytes, start: 0, buf: Vec::new() };
    let mut read = |len| window.bytes(at, len).map(|bytes| bytes.map(<[u8]>::to_vec));
    let io = || LogError::io("cannot read", segment.header.name.file());
    let size = match read(FRAME_HEAD as u64).map_err(io())?.and_then(|head| frame::announced(&head)) {
        Ok(size) => size,
        Err(_) => return Ok(0),
    };
    let head = read(size).map_err(io())?.and_then(|bytes| Head::parse(&bytes, seed));
    Ok(head.map_or(0, |head| head.durable_upto))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_byte_that_is_not_zero_is_found_wherever_it_lies() {
        assert_eq!((dirty_bytes(&[]), dirty_bytes(&[0; 3_000])), (None, None));
        for last in [0, 1, 1_023, 1_024, 2_047, 2_048, 2_999] {
            let mut piece = [0; 3_000];
            (piece[0], piece[last]) = (7, 1);
            assert_eq!(dirty_bytes(&piece), Some(last + 1));
        }
    }
}
