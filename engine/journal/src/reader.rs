//! A log read by a process that does not write it: `journal ls`, `show`, `verify`, `replay check`.
//!
//! Never writes, takes no lock, and never shows an entry beyond the durable tail (J16). Where the `tail` file is missing
//! (a copied directory), everything is shown that a later batch calls durable.

use crate::{
    batch::{self, Chain, Frames},
    codec::Codec,
    disk::{Disk, LocalDisk},
    error::LogError,
    index::{Index, corrupt},
    segment::{Segment, SegmentId},
    tail,
    walk::Walk,
};
use model::{EntryId, Hash, Offset, WriterId};
use ports::Fault;
use std::{
    cell::Cell,
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The only writer of an embedded log (J42).
pub(crate) const WRITER: WriterId = WriterId(1);

/// A log, open for reading.
pub struct LogReader<C: Codec> {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    index: Index,
    /// The highest tail seen: it never goes back.
    seen: Cell<u64>,
    writer: Cell<WriterId>,
    codec: PhantomData<fn() -> C>,
}

/// Where an entry lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its segment.
    pub segment: SegmentId,
    /// Its offset: in the embedded log the seq (J42).
    pub offset: Offset,
    /// First entry of its batch.
    pub batch_first: EntryId,
    /// Last entry of its batch.
    pub batch_last: EntryId,
    /// The chain at the batch's end, recomputed over the batch from the chain before it.
    pub chain: Hash,
}

/// What [`LogReader::verify`] went through, and where it stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verification {
    /// Segments read.
    pub segments: u64,
    /// Whole batches.
    pub batches: u64,
    /// Entries in them.
    pub entries: u64,
    /// The last whole entry; none in an empty log.
    pub through: Option<EntryId>,
    /// The durable tail.
    pub tail: Option<EntryId>,
    /// The chain at `through`.
    pub chain: Hash,
    /// The first break below the durable tail; none if everything holds.
    pub broken: Option<Broken>,
}

/// The first break of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// In which segment.
    pub segment: SegmentId,
    /// At which byte of it the batch begins that does not hold.
    pub offset_bytes: u64,
    /// The entry that should begin there.
    pub expected: EntryId,
    /// What is wrong, without content.
    pub what: String,
}

impl<C: Codec> LogReader<C> {
    /// Opens the log in `dir`; an absent or empty directory is an empty log.
    pub fn open(dir: &Path) -> Result<LogReader<C>, Fault> {
        LogReader::open_on(Arc::new(LocalDisk), dir)
    }

    /// The same on another disk.
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path) -> Result<LogReader<C>, Fault> {
        let index = Index::new(disk.clone(), dir.to_path_buf(), C::fingerprint());
        index.refresh()?;
        Ok(LogReader {
            disk,
            dir: dir.to_path_buf(),
            index,
            seen: Cell::new(0),
            writer: Cell::new(WRITER),
            codec: PhantomData,
        })
    }

    /// Takes this for the tail as long as nothing higher is told.
    pub(crate) fn goes_to(&self, last: Option<EntryId>) {
        if let Some(last) = last {
            self.seen.set(last.seq);
            self.writer.set(last.writer);
        }
    }

    /// The last durable entry, as of now; none in an empty log.
    pub fn tail(&self) -> Result<Option<EntryId>, Fault> {
        let seq = self.durable()?;
        Ok((seq > 0).then(|| self.id(seq)))
    }

    /// At most about `bytes_max` bytes of entries (at least one, if there is one) from `from` on, in order.
    pub fn read(&self, from: EntryId, bytes_max: usize) -> Result<Vec<C::Stored>, Fault> {
        let durable = self.durable()?;
        Ok(self.index.read::<C>(from.seq, durable, bytes_max)?)
    }

    /// One entry with its place; none if it is not there or not durable. The chain is verified over its batch.
    pub fn locate(&self, id: EntryId) -> Result<Option<(Place, C::Stored)>, Fault> {
        let durable = self.durable()?;
        let first = self.index.segments().first().map_or(u64::MAX, |name| name.first_seq);
        if id.seq > durable || id.seq < first {
            return Ok(None);
        }
        Ok(self.locate_durable(id.seq, durable)?)
    }

    /// Checks every segment, checksum, number and chain up to the durable tail, in order, and stops at the first break.
    /// Only a disk that cannot be read is a fault.
    pub fn verify(&self) -> Result<Verification, Fault> {
        self.index.refresh()?;
        let durable = match self.durable() {
            // Without a tail file the last segment tells the tail. Its damage is an answer, not a fault: it is met below.
            Err(LogError::Corrupt { from, .. }) => from - 1,
            durable => durable?,
        };
        let mut done = Verification {
            segments: 0,
            batches: 0,
            entries: 0,
            through: None,
            tail: (durable > 0).then(|| self.id(durable)),
            chain: Hash::default(),
            broken: None,
        };
        let names = self.index.segments();
        let mut next_seq = names.first().map_or(1, |name| name.first_seq);
        for (n, name) in names.iter().enumerate() {
            let end = names.get(n + 1).map_or(durable + 1, |next| next.first_seq.min(durable + 1));
            // Opened anew, not from the index: a header that went bad since then is a break too.
            let opened = Segment::open(&*self.disk, &self.dir, *name, C::fingerprint(), false)?;
            let broken = match opened {
                Ok(segment) if n > 0 && segment.header.prev_chain != done.chain => {
                    Some((0, crate::frame::Break::Chain.to_string()))
                }
                Ok(segment) => self.verify_segment(segment, end, &mut next_seq, &mut done)?,
                Err(damage) => Some((0, damage.to_string())),
            };
            if let Some((offset_bytes, what)) = broken {
                done.broken = Some(Broken { segment: name.id, offset_bytes, expected: self.id(next_seq), what });
                return Ok(done);
            }
            done.segments += 1;
        }
        if next_seq <= durable {
            let segment = names.last().map_or(SegmentId(1), |name| name.id);
            let what = "the log ends here, below its durable tail".to_owned();
            done.broken = Some(Broken { segment, offset_bytes: 0, expected: self.id(next_seq), what });
        }
        Ok(done)
    }

    fn verify_segment(
        &self,
        segment: Segment,
        end: u64,
        next_seq: &mut u64,
        done: &mut Verification,
    ) -> Result<Option<(u64, String)>, LogError> {
        let mut walk = Walk::begin(segment);
        if done.batches == 0 {
            done.chain = walk.segment.header.prev_chain;
        }
        while walk.next_seq < end {
            let at = walk.at;
            let mut entries = 0;
            match walk.check::<C>(done.chain, &mut |_| entries += 1)? {
                Ok(checked) => done.chain = checked.chain,
                Err(damage) => return Ok(Some((at, damage.to_string()))),
            }
            *next_seq = walk.next_seq;
            done.batches += 1;
            done.entries += entries;
            done.through = Some(self.id(walk.next_seq - 1));
        }
        Ok(None)
    }

    fn locate_durable(&self, seq: u64, durable: u64) -> Result<Option<(Place, C::Stored)>, LogError> {
        let mut walk = self.index.walk_to(seq, durable)?;
        let (segment, at, seed) = (walk.segment.header.name.id, walk.at, walk.segment.header.seed());
        let head = walk.peek()?.map_err(|what| corrupt(segment, at, what, seq, durable))?;
        let found = walk.load(&head)?.and_then(|batch| {
            let mut chain = Chain::new(head.prev_chain, C::fingerprint());
            let mut frames = Frames::new(batch, &head, seed);
            let mut found = None;
            while let Some((n, body)) = frames.next()? {
                chain.add(body);
                if n == seq {
                    found = Some(batch::decode::<C>(n, body)?);
                }
            }
            if frames.close()? == chain.hash() { Ok((chain.hash(), found)) } else { Err(crate::frame::Break::Chain) }
        });
        let (chain, found) = found.map_err(|what| corrupt(segment, at, what, head.first_seq, durable))?;
        let (batch_first, batch_last) = (self.id(head.first_seq), self.id(head.last_seq()));
        let place = Place { segment, offset: Offset(seq), batch_first, batch_last, chain };
        Ok(found.map(|stored| (place, stored)))
    }

    /// The seq of the durable tail, and the segments up to there known.
    fn durable(&self) -> Result<u64, LogError> {
        let told = tail::read(&*self.disk, &self.dir)?;
        let newest = self.index.segments().last().map(|name| name.id);
        if told.is_none_or(|mark| newest.is_none_or(|id| id < mark.segment)) {
            self.index.refresh()?;
        }
        let durable = match told {
            Some(mark) => {
                self.writer.set(mark.writer);
                mark.seq
            }
            None => self.durable_by_heads()?,
        };
        self.seen.set(self.seen.get().max(durable));
        Ok(self.seen.get())
    }

    fn durable_by_heads(&self) -> Result<u64, LogError> {
        let Some(last) = self.index.segments().last().copied() else { return Ok(0) };
        let mut durable = last.first_seq.saturating_sub(1);
        let mut walk = Walk::begin(self.index.open(last, durable)?);
        while let Ok(head) = walk.peek()? {
            durable = durable.max(head.durable_upto);
            walk.pass(&head);
        }
        Ok(durable)
    }

    fn id(&self, seq: u64) -> EntryId {
        EntryId { writer: self.writer.get(), seq }
    }
}
