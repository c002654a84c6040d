//! Finds where a log ends, and says whether it ends there by right.
//!
//! Reads only: the caller compares the tails of the logs before anything is written (J16, J21).
//! * A break at or below an entry that was acknowledged (the `tail` file says so, or a later head's `durable_upto`) is
//!   corruption: stop, and name it.
//! * A break above every acknowledged entry is a torn tail: it is cut when the log is opened for writing.
//! * Only the last segment is read, and the one before if the last is empty: a segment is begun when everything before it is durable.

use crate::{
    codec::{Codec, Resumes},
    disk::Disk,
    error::LogError,
    frame::Break,
    segment::{self, HEADER_BYTES, Segment, SegmentName},
    tail,
    walk::{Behind, Walk, look_behind},
};
use model::{Hash, Header};
use std::path::Path;

/// A torn tail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Torn {
    /// Where it begins.
    pub from: u64,
    /// Where its last byte that is not zero ends.
    pub to: u64,
}

/// Where a log ends.
pub(crate) struct Found {
    pub segments: Vec<SegmentName>,
    /// The last segment, where the log goes on; none in an empty log.
    pub active: Option<Segment>,
    /// Where the next batch goes.
    pub end: u64,
    /// Whether the last segment has a batch.
    pub begun: bool,
    pub next_seq: u64,
    pub chain: Hash,
    /// Header of the last entry.
    pub last: Option<Header>,
    pub resumes: Resumes,
    /// Batches from here on are whole, but nobody can know that they reached the disk.
    pub unconfirmed: u64,
    pub torn: Option<Torn>,
    /// First entry and place of batches in the last segment, for the index.
    pub marks: Vec<(u64, u64)>,
}

/// Reads the log's last segment, and the one before if the last is still empty.
pub(crate) fn find<C: Codec>(disk: &dyn Disk, dir: &Path) -> Result<Found, LogError> {
    // The tail first: beside a running writer, what it calls durable then lies in the segments listed after it.
    let told = tail::read(disk, dir)?;
    let segments = segment::list(disk, dir)?;
    let told_seq = told.map_or(0, |mark| mark.seq);
    let Some(last) = segments.last().copied() else {
        return match told_seq {
            0 => Ok(empty()),
            to => Err(LogError::Missing { file: "every segment".into(), from: 1, to }),
        };
    };
    let active = open::<C>(disk, dir, last, told_seq)?;
    let mut scan = Scan::new(active.clone());
    scan.run::<C>()?;
    // The last segments may be empty still: then only an earlier one tells the term and the resume.
    for name in segments.iter().rev().skip(1) {
        if scan.last.is_some() {
            break;
        }
        scan.adopt::<C>(open::<C>(disk, dir, *name, told_seq)?)?;
    }

    let behind = behind_the_end::<C>(&mut scan, &active, told_seq)?;
    let torn = (behind.dirty_end > scan.walk.at).then_some(Torn { from: scan.walk.at, to: behind.dirty_end });
    Ok(Found {
        segments,
        end: scan.walk.at,
        begun: scan.walk.at > HEADER_BYTES,
        next_seq: scan.walk.next_seq,
        chain: scan.chain,
        last: scan.last,
        resumes: scan.resumes,
        unconfirmed: scan.unconfirmed.unwrap_or(scan.walk.at),
        torn,
        marks: scan.marks,
        active: Some(active),
    })
}

/// What lies behind the last whole batch; an error if something acknowledged does.
///
/// A command reads beside a running engine: a batch that was not there yet may be followed by a head that calls it durable
/// before that head is looked for. So the end is looked at again: only a break that stays where it was is one.
fn behind_the_end<C: Codec>(scan: &mut Scan, active: &Segment, told: u64) -> Result<Behind, LogError> {
    loop {
        let at = scan.walk.at;
        let behind = look_behind(active, at)?;
        let acknowledged = told.max(behind.durable_upto);
        if acknowledged < scan.walk.next_seq {
            return Ok(behind);
        }
        scan.walk.look_again();
        scan.run::<C>()?;
        if scan.walk.at == at {
            let (from, segment) = (scan.walk.next_seq, active.header.name.id);
            return Err(LogError::Corrupt { segment, offset: at, what: scan.end.clone(), from, to: acknowledged });
        }
    }
}

fn empty() -> Found {
    Found {
        segments: Vec::new(),
        active: None,
        end: HEADER_BYTES,
        begun: false,
        next_seq: 1,
        chain: Hash::default(),
        last: None,
        resumes: Resumes::new(),
        unconfirmed: HEADER_BYTES,
        torn: None,
        marks: Vec::new(),
    }
}

fn open<C: Codec>(disk: &dyn Disk, dir: &Path, name: SegmentName, told: u64) -> Result<Segment, LogError> {
    Segment::open(disk, dir, name, C::fingerprint(), true)?.map_err(|what| LogError::Corrupt {
        segment: name.id,
        offset: 0,
        what,
        from: name.first_seq,
        to: told.max(name.first_seq),
    })
}

/// The batches of one segment, folded.
struct Scan {
    walk: Walk,
    chain: Hash,
    last: Option<Header>,
    resumes: Resumes,
    confirmed: u64,
    unconfirmed: Option<u64>,
    marks: Vec<(u64, u64)>,
    end: Break,
}

impl Scan {
    fn new(segment: Segment) -> Scan {
        let chain = segment.header.prev_chain;
        Scan {
            walk: Walk::begin(segment),
            chain,
            last: None,
            resumes: Resumes::new(),
            confirmed: 0,
            unconfirmed: None,
            marks: Vec::new(),
            end: Break::Ended,
        }
    }

    /// Goes as far as batches are whole.
    fn run<C: Codec>(&mut self) -> Result<(), LogError> {
        loop {
            let at = self.walk.at;
            let mut entries = Vec::new();
            match self.walk.check::<C>(self.chain, &mut |stored| entries.push(stored))? {
                Ok(checked) => {
                    if let Some(resumes) = checked.resumes {
                        self.resumes = resumes;
                    }
                    for stored in &entries {
                        self.last = Some(*C::header(stored));
                        C::fold(&mut self.resumes, C::body(stored));
                    }
                    self.chain = checked.chain;
                    // A head that calls more durable than before opens a new append; what lies before it is on the disk.
                    if checked.head.durable_upto > self.confirmed || self.unconfirmed.is_none() {
                        self.confirmed = checked.head.durable_upto;
                        self.unconfirmed = Some(at);
                    }
                    self.marks.push((checked.head.first_seq, at));
                }
                Err(end) => {
                    self.end = end;
                    return Ok(());
                }
            }
        }
    }

    /// Takes what only entries tell from the segment before: the active one has none yet.
    fn adopt<C: Codec>(&mut self, before: Segment) -> Result<(), LogError> {
        let name = before.header.name;
        let mut scan = Scan::new(before);
        scan.run::<C>()?;
        if scan.walk.next_seq != self.walk.next_seq || scan.chain != self.chain {
            let to = self.walk.next_seq - 1;
            let (from, offset) = (scan.walk.next_seq, scan.walk.at);
            return Err(LogError::Corrupt { segment: name.id, offset, what: scan.end, from, to });
        }
        self.last = scan.last;
        self.resumes = scan.resumes;
        Ok(())
    }
}
