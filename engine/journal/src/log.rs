//! The embedded log: appends, and makes durable, with one write and one flush a call.
//!
//! * `append` returns when everything is on the disk. A failed flush is never repeated: what the kernel then holds is
//!   unknown, so the log refuses everything until it is opened, and recovered, again.
//! * A full disk met by captured rows changes nothing; something vital gets the reserve first (J24). Captured rows are
//!   refused already while reserve and free space together do not cover what will follow of them (`owed`).
//! * Numbers, term and time are given here and nowhere else (J34, J42).

use crate::{
    batch::Encoder,
    codec::{Codec, Resumes},
    disk::{Disk, Entropy},
    error::LogError,
    index::Index,
    owed::Owed,
    reserve::Reserve,
    segment::{self, HEADER_BYTES, Segment, SegmentHeader, SegmentId, SegmentName},
    spare::Spare,
    tail::{Mark, TailFile},
};
use model::{EntryId, Hash, Pins, SystemId, Term, Timestamp, WriterId};
use ports::{Appended, Class, Fault, Journal, Resume};
use std::{collections::BTreeMap, marker::PhantomData, path::PathBuf, sync::Arc};

const UNFINISHED: &str = "segment.new";
const PAGE_BYTES: u64 = 4_096;
/// The next segment's file is filled from this part of the present one on: a quarter, so that three are left to do it in.
const SPARE_FROM_PART: u64 = 4;

/// How a log is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Length of a segment. 64 MiB: recovery reads one whole, and a file's zeros are written in well under a second.
    pub segment_bytes: u64,
    /// Bytes kept for what is vital when the disk is full (J24); 0 keeps none.
    pub reserve_bytes: u64,
    /// Whether a thread fills the next segment's file ahead of its use.
    pub spare_ahead: bool,
    /// This binary's name and version, for `Opened`.
    pub binary: Box<str>,
    /// This binary's behaviour number, for `Opened` (J38).
    pub behaviour: u32,
    /// What it decides by, for the journal's `Opened` (J38).
    pub pins: Pins,
}

impl Config {
    /// The defaults.
    pub fn new(binary: impl Into<Box<str>>, behaviour: u32) -> Config {
        let (binary, pins) = (binary.into(), Pins::default());
        Config { segment_bytes: 64 << 20, reserve_bytes: 64 << 20, spare_ahead: true, binary, behaviour, pins }
    }
}

/// A log in a directory, open for appending: the only one in the world, by `data_dir/lock` (not taken here).
pub struct EmbeddedLog<C: Codec> {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) config: Config,
    pub(crate) entropy: Entropy,
    pub(crate) active: Option<Active>,
    pub(crate) last_segment: SegmentId,
    pub(crate) writer: WriterId,
    pub(crate) term: Term,
    pub(crate) next_seq: u64,
    pub(crate) chain: Hash,
    pub(crate) appended_at: Timestamp,
    pub(crate) resumes: Resumes,
    pub(crate) index: Index,
    pub(crate) tail: TailFile,
    pub(crate) spare: Spare,
    pub(crate) reserve: Reserve,
    pub(crate) owed: Owed,
    pub(crate) buf: Vec<u8>,
    pub(crate) poisoned: Option<String>,
    pub(crate) codec: PhantomData<fn() -> C>,
}

/// The segment that is written, and where.
pub(crate) struct Active {
    pub segment: Segment,
    pub end: u64,
    /// Whether it has a batch; the first one carries the resume.
    pub begun: bool,
}

/// What an append will have done, once it is durable.
struct Plan {
    appended: Vec<Appended>,
    /// First entry of each batch and its place in the buffer.
    places: Vec<(u64, usize)>,
    next_seq: u64,
    chain: Hash,
}

impl<C: Codec> Journal for EmbeddedLog<C> {
    type Body = C::Body;
    type Stored = C::Stored;

    fn append(&mut self, batches: &[Arc<[C::Body]>], class: Class, now: Timestamp) -> Result<Vec<Appended>, Fault> {
        if let Some(why) = &self.poisoned {
            return Err(LogError::Poisoned(why.clone()).into());
        }
        self.try_append(batches, class, now).map_err(|error| self.judge(error))
    }

    fn read(&self, from: EntryId, bytes_max: usize) -> Result<Vec<C::Stored>, Fault> {
        Ok(self.index.read::<C>(from.seq, self.next_seq - 1, bytes_max)?)
    }

    fn tail(&self) -> Option<EntryId> {
        (self.next_seq > 1).then(|| EntryId { writer: self.writer, seq: self.next_seq - 1 })
    }

    fn resume(&self) -> BTreeMap<SystemId, Resume> {
        self.resumes.clone()
    }
}

impl<C: Codec> EmbeddedLog<C> {
    /// The term of this opening.
    pub fn term(&self) -> Term {
        self.term
    }

    /// The chain at the tail (J2).
    pub fn chain(&self) -> Hash {
        self.chain
    }

    /// Bytes of the disk reserve that something vital uses at present; captured rows stop while it is not 0.
    pub fn reserve_missing(&self) -> u64 {
        self.reserve.missing()
    }

    /// Gives `bytes` of the reserve back to the disk, for a checkpoint that met a full one (J24); false if none is left.
    pub fn release_reserve(&mut self, bytes: u64) -> Result<bool, Fault> {
        self.reserve.give_up(bytes).map_err(|error| self.judge(error))
    }

    /// Everything up to this entry is decided, and its decisions are durable: no more room is kept for it.
    pub fn decided(&mut self, upto: EntryId) {
        self.owed.decided(upto.seq);
    }

    /// Whether decisions, outcomes and the state's growth will find room when these rows, too, are captured.
    fn covered(&self) -> Result<(), LogError> {
        let wanted = self.owed.wants(self.buf.len() as u64);
        match self.disk.free_bytes(&self.dir) {
            Some(free) if free.saturating_add(self.reserve.bytes()) < wanted => Err(LogError::Owed { free, wanted }),
            _ => Ok(()),
        }
    }

    /// Remembers an error that leaves the log in an unknown state.
    fn judge(&mut self, error: LogError) -> Fault {
        if !error.harmless() {
            self.poisoned = Some(error.to_string());
        }
        error.into()
    }

    pub(crate) fn try_append(
        &mut self,
        batches: &[Arc<[C::Body]>],
        class: Class,
        now: Timestamp,
    ) -> Result<Vec<Appended>, LogError> {
        if batches.iter().any(|batch| batch.is_empty()) {
            return Err(LogError::Refused("a batch without entries cannot be appended".into()));
        }
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        if class == Class::Capture && !self.reserve.refill(self.config.segment_bytes)? {
            return Err(LogError::Reserved { missing: self.reserve.missing() });
        }
        let now = now.max(self.appended_at);
        let plan = match self.encode(batches, now)? {
            Some(plan) => plan,
            None => {
                self.roll(class)?;
                let plan = self.encode(batches, now)?;
                plan.ok_or_else(|| LogError::Refused("an append does not fit a segment made for it".into()))?
            }
        };
        if class == Class::Capture {
            self.covered()?;
        }
        self.write(class)?;
        if class == Class::Capture {
            self.owed.captured(plan.next_seq - 1, self.buf.len() as u64);
        }
        self.commit(batches, plan, now)
    }

    /// Encodes everything into the buffer as it will stand in the active segment; none if it does not fit there.
    fn encode(&mut self, batches: &[Arc<[C::Body]>], now: Timestamp) -> Result<Option<Plan>, LogError> {
        let mut buf = std::mem::take(&mut self.buf);
        buf.clear();
        let plan = self.encode_into(&mut buf, batches, now);
        self.buf = buf;
        let plan = plan?;
        let fits = self
            .active
            .as_ref()
            .is_some_and(|active| active.end + self.buf.len() as u64 <= active.segment.header.bytes);
        Ok(fits.then_some(plan))
    }

    fn encode_into(
        &self,
        buf: &mut Vec<u8>,
        batches: &[Arc<[C::Body]>],
        appended_at: Timestamp,
    ) -> Result<Plan, LogError> {
        let (writer, term, durable_upto) = (self.writer, self.term, self.next_seq - 1);
        let seed = match &self.active {
            Some(active) => active.segment.header.seed(),
            // Of a segment that is not there only the size is wanted.
            None => crate::frame::Seed::new(SegmentId(0), 0),
        };
        let encoder = Encoder { seed, fingerprint: C::fingerprint(), durable_upto, writer, term, appended_at };
        let mut resumes = self.active.as_ref().is_none_or(|active| !active.begun).then_some(&self.resumes);
        let mut plan = Plan {
            appended: Vec::with_capacity(batches.len()),
            places: Vec::with_capacity(batches.len()),
            next_seq: self.next_seq,
            chain: self.chain,
        };
        for batch in batches {
            let first = EntryId { writer, seq: plan.next_seq };
            plan.places.push((first.seq, buf.len()));
            plan.chain = encoder.push::<C>(buf, batch, first.seq, plan.chain, resumes.take())?;
            plan.next_seq += batch.len() as u64;
            let last = EntryId { writer, seq: plan.next_seq - 1 };
            plan.appended.push(Appended { first, last, appended_at });
        }
        Ok(plan)
    }

    /// Begins a segment with room for the buffer and a resume. Something vital may use the reserve.
    fn roll(&mut self, class: Class) -> Result<(), LogError> {
        let mut resume = Vec::new();
        crate::resume::encode(&self.resumes, &mut resume);
        let needed = (HEADER_BYTES + (self.buf.len() + resume.len()) as u64 + PAGE_BYTES).next_multiple_of(PAGE_BYTES);
        let mut bytes = needed.max(self.config.segment_bytes.next_multiple_of(PAGE_BYTES));
        loop {
            let made = self.begin_segment(bytes);
            let full = matches!(made, Err(LogError::Full { .. }));
            if !full || class == Class::Capture {
                return made;
            }
            // A small one: the reserve is for many.
            bytes = needed.max(self.config.segment_bytes.min(self.reserve.bytes() / 8).next_multiple_of(PAGE_BYTES));
            if !self.reserve.give_up(bytes * 2)? {
                return made;
            }
        }
    }

    fn begin_segment(&mut self, bytes: u64) -> Result<(), LogError> {
        let name = SegmentName { id: SegmentId(self.last_segment.0 + 1), first_seq: self.next_seq };
        let spare = if bytes == self.config.segment_bytes { self.spare.take() } else { None };
        let (path, file) = match spare {
            Some(spare) => spare,
            None => {
                let path = self.dir.join(UNFINISHED);
                let file = segment::prepare(&*self.disk, &path, bytes, &mut |_| Ok(()))
                    .map_err(LogError::io("cannot fill", name.file()))?;
                (path, file)
            }
        };
        let birth = (self.entropy)().map_err(LogError::io("cannot draw a birth number for", name.file()))?;
        let header = SegmentHeader { name, birth, bytes, prev_chain: self.chain, fingerprint: C::fingerprint() };
        let segment = segment::put_into_place(&*self.disk, &self.dir, &path, file, header)?;
        self.index.add_segment(segment.clone());
        self.last_segment = name.id;
        self.active = Some(Active { segment, end: HEADER_BYTES, begun: false });
        Ok(())
    }

    /// Has the next segment's file filled once a part of the present one is used: a log that was just opened has the disk
    /// to itself, and an idle one never takes the space.
    fn fill_ahead(&mut self) {
        let due = |active: &Active| active.end >= active.segment.header.bytes / SPARE_FROM_PART;
        if self.config.spare_ahead && self.reserve.missing() == 0 && self.active.as_ref().is_some_and(due) {
            self.spare.begin();
        }
    }

    /// One write, one flush.
    fn write(&mut self, class: Class) -> Result<(), LogError> {
        let Some(active) = &self.active else { return Err(LogError::Refused("no segment is open".into())) };
        let name = active.segment.header.name;
        loop {
            match active.segment.file.write_at(&self.buf, active.end) {
                Ok(()) => break,
                Err(error) if crate::disk::is_full(&error) && class == Class::Vital => {
                    if !self.reserve.give_up(self.buf.len() as u64 + PAGE_BYTES)? {
                        return Err(LogError::Full { file: name.file() });
                    }
                }
                Err(error) => return Err(LogError::io("cannot write", name.file())(error)),
            }
        }
        active.segment.file.sync_data().map_err(LogError::flush(name.file()))
    }

    /// Everything is durable: moves on, tells the readers.
    fn commit(&mut self, batches: &[Arc<[C::Body]>], plan: Plan, now: Timestamp) -> Result<Vec<Appended>, LogError> {
        if let Some(active) = &mut self.active {
            let id = active.segment.header.name.id;
            for (first_seq, place) in &plan.places {
                self.index.add_batch(id, *first_seq, active.end + *place as u64);
            }
            active.end += self.buf.len() as u64;
            active.begun = true;
        }
        self.next_seq = plan.next_seq;
        self.chain = plan.chain;
        self.appended_at = now;
        for body in batches.iter().flat_map(|batch| batch.iter()) {
            C::fold(&mut self.resumes, body);
        }
        let mark = Mark { seq: self.next_seq - 1, segment: self.last_segment, writer: self.writer };
        self.tail.write(mark)?;
        self.fill_ahead();
        if self.buf.capacity() > BUFFER_KEPT_MAX {
            self.buf = Vec::new();
        }
        Ok(plan.appended)
    }
}

/// A buffer that one huge append made is not kept for the life of the process.
const BUFFER_KEPT_MAX: usize = 8 << 20;
