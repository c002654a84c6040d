//! Opens a log for writing, in two steps: look, and only then touch.
//!
//! Between the two the caller compares the tails of its logs (J16): decisions ahead of the journal mean that acknowledged
//! bytes are gone, and then nothing may be cut.

use crate::{
    codec::{Codec, Resumes},
    disk::{Disk, Entropy, LocalDisk},
    error::LogError,
    index::Index,
    log::{Active, Config, EmbeddedLog},
    reader::{LogReader, WRITER},
    recover::{self, Found},
    reserve::Reserve,
    segment::{Segment, SegmentId},
    spare::Spare,
    tail::TailFile,
};
use model::{EntryId, Hash, Term, Timestamp, WriterId};
use ports::{Class, Fault};
use std::{
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What recovery found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovery {
    /// The last whole entry; none in an empty log.
    pub last: Option<EntryId>,
    /// The term of the last opening; 0 if there was none.
    pub term: Term,
    /// The chain at `last`.
    pub chain: Hash,
    /// How many segments there are.
    pub segments: usize,
    /// A torn tail that opening cuts.
    pub cut: Option<Cut>,
}

/// A torn tail: bytes of an append that was never acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// In which segment.
    pub segment: SegmentId,
    /// Where it begins in the file.
    pub offset_bytes: u64,
    /// How long it is.
    pub bytes: u64,
}

/// A log that was looked at and not touched.
pub struct Recovered<C: Codec> {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    found: Found,
    report: Recovery,
    codec: PhantomData<fn() -> C>,
}

impl<C: Codec> Recovered<C> {
    /// Looks at the log in `dir`; an absent or empty directory is a new log. Writes nothing.
    pub fn recover(dir: &Path) -> Result<Recovered<C>, Fault> {
        Recovered::recover_on(Arc::new(LocalDisk), dir)
    }

    /// The same on another disk.
    pub fn recover_on(disk: Arc<dyn Disk>, dir: &Path) -> Result<Recovered<C>, Fault> {
        let found = recover::find::<C>(&*disk, dir)?;
        let report = Recovery {
            last: found.last.map(|header| header.id),
            term: found.last.map_or(Term(0), |header| header.term),
            chain: found.chain,
            segments: found.segments.len(),
            cut: found.torn.zip(found.active.as_ref()).map(|(torn, active)| Cut {
                segment: active.header.name.id,
                offset_bytes: torn.from,
                bytes: torn.to - torn.from,
            }),
        };
        Ok(Recovered { disk, dir: dir.to_path_buf(), found, report, codec: PhantomData })
    }

    /// What was found.
    pub fn report(&self) -> &Recovery {
        &self.report
    }

    /// The resume fold of every source up to the last whole entry (J6).
    pub fn resumes(&self) -> &Resumes {
        &self.found.resumes
    }

    /// For reading up to the last whole entry, whatever the `tail` file says: that may be behind after a power cut, and only
    /// a log that nobody writes may be read so. What is kept of it must be made durable first ([`Recovered::settle`]).
    pub fn reader(&self) -> Result<LogReader<C>, Fault> {
        let reader = LogReader::open_on(self.disk.clone(), &self.dir)?;
        reader.goes_to(self.report.last);
        Ok(reader)
    }

    /// Cuts the torn tail and makes sure of what stands, as an opening does, but appends nothing.
    pub fn settle(&self) -> Result<(), Fault> {
        Ok(self.found.active.as_ref().map_or(Ok(()), |active| settle(active, &self.found))?)
    }

    /// Cuts the torn tail, makes sure of what stands, and appends `Opened` under the next term.
    pub fn open(self, config: Config, entropy: Entropy, now: Timestamp) -> Result<EmbeddedLog<C>, Fault> {
        Ok(self.try_open(config, entropy, now)?)
    }

    fn try_open(self, config: Config, entropy: Entropy, now: Timestamp) -> Result<EmbeddedLog<C>, LogError> {
        let Recovered { disk, dir, found, report, .. } = self;
        disk.create_dir(&dir).map_err(LogError::io("cannot make", dir.display().to_string()))?;
        if let Some(active) = &found.active {
            // A process that died between the segment's name and its directory's flush left a name that only the kernel has.
            disk.sync_dir(&dir).map_err(LogError::flush(dir.display().to_string()))?;
            settle(active, &found)?;
        }
        let index = Index::new(disk.clone(), dir.clone(), C::fingerprint());
        index.refresh()?;
        let last_segment = found.segments.last().map_or(SegmentId(0), |name| name.id);
        if let Some(active) = &found.active {
            index.add_segment(active.clone());
        }
        for (first_seq, at) in &found.marks {
            index.add_batch(last_segment, *first_seq, *at);
        }
        let opened = C::opened(&config);
        let mut log = EmbeddedLog {
            index,
            last_segment,
            active: found.active.map(|segment| Active { segment, end: found.end, begun: found.begun }),
            writer: report.last.map_or(WRITER, |id: EntryId| -> WriterId { id.writer }),
            term: Term(report.term.0 + 1),
            next_seq: found.next_seq,
            chain: found.chain,
            appended_at: found.last.map_or(Timestamp(i64::MIN), |header| header.appended_at),
            resumes: found.resumes,
            tail: TailFile::open(&*disk, &dir)?,
            // The reserve before the spare: what is vital comes first.
            reserve: Reserve::open(disk.clone(), &dir, config.reserve_bytes)?,
            owed: Default::default(),
            spare: Spare::open(disk.clone(), &dir, config.segment_bytes),
            buf: Vec::new(),
            poisoned: None,
            codec: PhantomData,
            disk,
            dir,
            config,
            entropy,
        };
        log.try_append(&[Arc::new([opened])], Class::Vital, now)?;
        Ok(log)
    }
}

impl<C: Codec> EmbeddedLog<C> {
    /// Recovers the log in `dir` and opens it for writing at once; for one log alone, without others to compare with.
    pub fn open(dir: &Path, config: Config, entropy: Entropy, now: Timestamp) -> Result<(Self, Recovery), Fault> {
        EmbeddedLog::open_on(Arc::new(LocalDisk), dir, config, entropy, now)
    }

    /// The same on another disk.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: Config,
        entropy: Entropy,
        now: Timestamp,
    ) -> Result<(Self, Recovery), Fault> {
        let recovered = Recovered::recover_on(disk, dir)?;
        let report = recovered.report().clone();
        Ok((recovered.open(config, entropy, now)?, report))
    }
}

/// Makes the last segment what recovery took it for, durably.
///
/// The whole batches of the last append are written again: if a flush failed before, the kernel may hold them as clean
/// pages that never reached the disk, and only a new write makes it try.
fn settle(active: &Segment, found: &Found) -> Result<(), LogError> {
    let name = active.header.name.file();
    if let Some(torn) = found.torn {
        crate::disk::write_zeros(&*active.file, torn.from, torn.to, &mut || Ok(()))
            .map_err(LogError::io("cannot cut the torn tail of", &name))?;
    }
    let len = usize::try_from(found.end.saturating_sub(found.unconfirmed)).unwrap_or(0);
    if len > 0 {
        let mut last = vec![0; len];
        let read = active.file.read_at(&mut last, found.unconfirmed).map_err(LogError::io("cannot read", &name))?;
        active.file.write_at(&last[..read], found.unconfirmed).map_err(LogError::io("cannot write", &name))?;
    }
    active.file.sync_data().map_err(LogError::flush(&name))
}
