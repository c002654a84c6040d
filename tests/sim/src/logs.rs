//! Both logs of a run, by the journal's own code on a disk that loses what it may: what the world was told is durable must be
//! there after every power cut, in that order, under that number.

use crate::disk::SimDisk;
use journal::{Config, EmbeddedLog, Entropy, EntryCodec, EntryLog, RecordCodec, RecordLog, Recovered};
use model::{Entry, EntryId, Journaled, Pins, Record, Recorded, Timestamp};
use ports::{Appended, Class, Failure, Fault, Journal, StateTxn};
use std::{path::Path, sync::Arc};

const SEGMENT_BYTES: u64 = 16 << 10;
const RESERVE_BYTES: u64 = 32 << 10;

/// The logs, and their disk.
pub(crate) struct Logs {
    pub disk: SimDisk,
    open: Option<(EntryLog, RecordLog)>,
    births: u64,
}

impl Logs {
    pub(crate) fn new(disk: SimDisk) -> Logs {
        Logs { disk, open: None, births: 0 }
    }

    /// As the process does it: both are looked at, the tails compared with each other and with the state, and only then they
    /// are opened. Gives everything that they hold.
    pub(crate) fn open(
        &mut self,
        state: &dyn StateTxn,
        pins: Pins,
        now: Timestamp,
    ) -> Result<(Vec<Journaled>, Vec<Recorded>), Fault> {
        self.open = None;
        let disk = || Arc::new(self.disk.clone());
        let entries = Recovered::<EntryCodec>::recover_on(disk(), Path::new("journal"))?;
        let records = Recovered::<RecordCodec>::recover_on(disk(), Path::new("decisions"))?;
        let seq = |last: Option<EntryId>| last.map_or(0, |id| id.seq);
        flow::tails_hold(state, seq(entries.report().last), seq(records.report().last))?;
        let config = Config {
            segment_bytes: SEGMENT_BYTES,
            reserve_bytes: RESERVE_BYTES,
            spare_ahead: false,
            pins,
            ..Config::new("test", flow::BEHAVIOUR)
        };
        self.births += 2;
        let entries = entries.open(config.clone(), births(self.births), now)?;
        let records = records.open(config, births(self.births + 1), now)?;
        let all = (entries.read(EntryId::new(1, 1), usize::MAX)?, records.read(EntryId::new(1, 1), usize::MAX)?);
        self.open = Some((entries, records));
        Ok(all)
    }

    pub(crate) fn append(&mut self, entries: Arc<[Entry]>, class: Class, now: Timestamp) -> Result<Appended, Fault> {
        append(self.open.as_mut().map(|(journal, _)| journal), entries, class, now)
    }

    pub(crate) fn record(&mut self, records: Arc<[Record]>, now: Timestamp) -> Result<Appended, Fault> {
        let finished = records.iter().rev().find_map(finished);
        let appended = append(self.open.as_mut().map(|(_, decisions)| decisions), records, Class::Vital, now)?;
        if let (Some((journal, _)), Some(upto)) = (&mut self.open, finished) {
            journal.decided(upto);
        }
        Ok(appended)
    }

    /// Every checksum, number and chain of both logs: the first that does not hold.
    pub(crate) fn broken(&self) -> Option<String> {
        let disk = || Arc::new(self.disk.clone());
        let journal =
            journal::LogReader::<EntryCodec>::open_on(disk(), Path::new("journal")).and_then(|log| log.verify());
        let decisions =
            journal::LogReader::<RecordCodec>::open_on(disk(), Path::new("decisions")).and_then(|log| log.verify());
        [journal, decisions].into_iter().find_map(|found| match found {
            Ok(found) => found.broken.map(|broken| broken.what),
            Err(fault) => Some(fault.to_string()),
        })
    }
}

fn append<C: journal::Codec>(
    log: Option<&mut EmbeddedLog<C>>,
    bodies: Arc<[C::Body]>,
    class: Class,
    now: Timestamp,
) -> Result<Appended, Fault> {
    let log = log.ok_or_else(|| Fault::new(Failure::Corrupt, "the log is not open"))?;
    let appended = log.append(&[bodies], class, now)?;
    appended.first().copied().ok_or_else(|| Fault::new(Failure::Corrupt, "nothing was appended"))
}

/// The input that is finished with this record.
fn finished(record: &Record) -> Option<EntryId> {
    match record {
        Record::Decided(decided) => decided.last.then_some(decided.input),
        Record::Skipped { to, .. } => Some(*to),
        Record::Opened { .. } | Record::Unfolded { .. } => None,
    }
}

/// Rising numbers in the place of random ones, the same in every run.
fn births(opening: u64) -> Entropy {
    let mut next = opening << 32;
    Box::new(move || {
        next += 1;
        Ok(next.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    })
}
