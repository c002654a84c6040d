//! From an entry's number to its bytes: segments by name, batches by a sparse index that grows as they are passed.
//!
//! Nothing of it is stored: names give the segment, and inside one the heads are walked from the nearest known batch.
//! Reads only what the caller calls durable; a break below that is corruption.

use crate::{
    batch::{self, Frames},
    codec::Codec,
    disk::Disk,
    error::LogError,
    frame::Break,
    segment::{self, HEADER_BYTES, Segment, SegmentId, SegmentName},
    walk::Walk,
};
use model::Fingerprint;
use std::{cell::RefCell, collections::BTreeMap, path::PathBuf, sync::Arc};

/// Bytes between two known batches of a segment.
const SPACING_BYTES: u64 = 64 << 10;
/// Segments whose batches are known: a thousand places each at most, so that a process that runs for years stays small.
const MARKED_MAX: usize = 64;
/// Open files kept.
const OPEN_MAX: usize = 8;

/// The segments of one log, and some of their batches.
pub(crate) struct Index {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    fingerprint: Fingerprint,
    known: RefCell<Known>,
}

#[derive(Default)]
struct Known {
    segments: Vec<SegmentName>,
    /// Per segment, first entry of a batch and where it begins; rising.
    marks: BTreeMap<SegmentId, Vec<(u64, u64)>>,
    open: BTreeMap<SegmentId, Segment>,
    /// Where the last read stopped: the next one mostly goes on from there.
    hint: Option<(SegmentId, u64, u64)>,
}

impl Index {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf, fingerprint: Fingerprint) -> Index {
        Index { disk, dir, fingerprint, known: RefCell::default() }
    }

    /// Looks which segments there are.
    pub(crate) fn refresh(&self) -> Result<(), LogError> {
        self.known.borrow_mut().segments = segment::list(&*self.disk, &self.dir)?;
        Ok(())
    }

    /// Takes a segment that was just opened or begun.
    pub(crate) fn add_segment(&self, segment: Segment) {
        let mut known = self.known.borrow_mut();
        let name = segment.header.name;
        if known.segments.last().is_none_or(|last| last.id < name.id) {
            known.segments.push(name);
        }
        known.keep_open(segment);
    }

    /// Takes the place of a batch.
    pub(crate) fn add_batch(&self, segment: SegmentId, first_seq: u64, at: u64) {
        self.known.borrow_mut().mark(segment, first_seq, at);
    }

    pub(crate) fn segments(&self) -> Vec<SegmentName> {
        self.known.borrow().segments.clone()
    }

    /// Opens a segment; a damaged header is corruption of everything in it up to `durable`.
    pub(crate) fn open(&self, name: SegmentName, durable: u64) -> Result<Segment, LogError> {
        if let Some(segment) = self.known.borrow().open.get(&name.id) {
            return Ok(segment.clone());
        }
        let opened = Segment::open(&*self.disk, &self.dir, name, self.fingerprint, false)?;
        let segment = opened.map_err(|what| corrupt(name.id, 0, what, name.first_seq, durable))?;
        self.known.borrow_mut().keep_open(segment.clone());
        Ok(segment)
    }

    /// Stands before the batch that holds `seq`, which is durable.
    pub(crate) fn walk_to(&self, seq: u64, durable: u64) -> Result<Walk, LogError> {
        let (name, place) = {
            let known = self.known.borrow();
            let behind = known.segments.partition_point(|name| name.first_seq <= seq);
            let Some(name) = behind.checked_sub(1).and_then(|n| known.segments.get(n)).copied() else {
                return Err(LogError::Missing { file: "the first segment".into(), from: seq, to: durable });
            };
            (name, known.nearest(name.id, seq))
        };
        let (first_seq, at) = place.unwrap_or((name.first_seq, HEADER_BYTES));
        let mut walk = Walk::from(self.open(name, durable)?, at, first_seq);
        loop {
            match walk.peek()? {
                Ok(head) if head.last_seq() >= seq => return Ok(walk),
                Ok(head) => {
                    self.known.borrow_mut().mark(name.id, head.first_seq, walk.at);
                    walk.pass(&head);
                }
                Err(what) => return Err(corrupt(name.id, walk.at, what, walk.next_seq, durable)),
            }
        }
    }

    /// Entries from `from` on, none beyond `durable`, of about `bytes_max` bytes.
    pub(crate) fn read<C: Codec>(&self, from: u64, durable: u64, bytes_max: usize) -> Result<Vec<C::Stored>, LogError> {
        let from = from.max(self.known.borrow().segments.first().map_or(1, |name| name.first_seq));
        let mut reading = Reading { out: Vec::new(), bytes: 0, from, durable, bytes_max };
        if from > durable {
            return Ok(reading.out);
        }
        let mut walk = self.walk_to(from, durable)?;
        while walk.next_seq <= durable {
            if let Some(next) = self.follower(&walk) {
                walk = Walk::begin(self.open(next, durable)?);
            }
            let (id, at) = (walk.segment.header.name.id, walk.at);
            let head = walk.peek()?.map_err(|what| corrupt(id, at, what, walk.next_seq, durable))?;
            let seed = walk.segment.header.seed();
            let batch = walk.load(&head)?;
            let more = batch.and_then(|batch| reading.take::<C>(Frames::new(batch, &head, seed)));
            let more = more.map_err(|what| corrupt(id, at, what, head.first_seq, durable))?;
            if !more {
                self.known.borrow_mut().hint = Some((id, head.first_seq, at));
                break;
            }
            walk.pass(&head);
            self.known.borrow_mut().hint = Some((id, walk.next_seq, walk.at));
        }
        Ok(reading.out)
    }

    /// The segment that begins where the walk stands, behind the walk's own.
    pub(crate) fn follower(&self, walk: &Walk) -> Option<SegmentName> {
        let known = self.known.borrow();
        let behind = known.segments.partition_point(|name| name.first_seq <= walk.next_seq);
        let last = known.segments.get(behind.checked_sub(1)?)?;
        (last.id > walk.segment.header.name.id).then_some(*last)
    }
}

impl Known {
    fn keep_open(&mut self, segment: Segment) {
        if self.open.len() >= OPEN_MAX {
            self.open.pop_first();
        }
        self.open.insert(segment.header.name.id, segment);
    }

    fn mark(&mut self, segment: SegmentId, first_seq: u64, at: u64) {
        let marks = self.marks.entry(segment).or_default();
        if marks.last().is_none_or(|(seq, place)| *seq < first_seq && at - place >= SPACING_BYTES) {
            marks.push((first_seq, at));
        }
        if self.marks.len() > MARKED_MAX {
            // The oldest but the one that is being read.
            let oldest = self.marks.keys().copied().find(|id| *id != segment);
            oldest.and_then(|oldest| self.marks.remove(&oldest));
        }
    }

    fn nearest(&self, segment: SegmentId, seq: u64) -> Option<(u64, u64)> {
        let marked = self.marks.get(&segment).and_then(|marks| {
            let behind = marks.partition_point(|(first, _)| *first <= seq);
            behind.checked_sub(1).and_then(|n| marks.get(n)).copied()
        });
        let hint = self.hint.filter(|(id, first, _)| *id == segment && *first <= seq).map(|(_, first, at)| (first, at));
        marked.max(hint)
    }
}

/// Entries gathered by one read.
struct Reading<S> {
    out: Vec<S>,
    bytes: usize,
    from: u64,
    durable: u64,
    bytes_max: usize,
}

impl<S> Reading<S> {
    /// Takes what fits; false when the read is done inside this batch.
    fn take<C: Codec<Stored = S>>(&mut self, mut frames: Frames<'_>) -> Result<bool, Break> {
        while let Some((seq, body)) = frames.next()? {
            if seq < self.from {
                continue;
            }
            let full = !self.out.is_empty() && self.bytes + body.len() > self.bytes_max;
            if full || seq > self.durable {
                return Ok(false);
            }
            self.bytes += body.len();
            self.out.push(batch::decode::<C>(seq, body)?);
        }
        frames.close().map(|_| true)
    }
}

pub(crate) fn corrupt(segment: SegmentId, offset: u64, what: Break, from: u64, to: u64) -> LogError {
    LogError::Corrupt { segment, offset, what, from, to: to.max(from) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_does_not_grow_with_the_log() {
        let mut known = Known::default();
        for id in 1..=1_000 {
            known.mark(SegmentId(id), id * 10, HEADER_BYTES);
        }
        assert_eq!(known.marks.len(), MARKED_MAX);
        known.mark(SegmentId(1), 10, HEADER_BYTES);
        assert_eq!(known.marks.len(), MARKED_MAX);
        assert_eq!(known.nearest(SegmentId(1), 11), Some((10, HEADER_BYTES)), "an old segment is read");
        assert_eq!(known.nearest(SegmentId(1_000), 10_000), Some((10_000, HEADER_BYTES)));
    }
}
