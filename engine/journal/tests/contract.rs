//! The suite of the port, on the log and on its twin in memory.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod support;

use conformance::journal::{Harness, all, resume_is_the_fold_of_the_sources_entries};
use lockstep_journal::{
    Codec, Config, EmbeddedLog, EntryCodec, EntryLog, LogReader, MemoryLog, RecordCodec, RecordLog, Recovered,
    kernel_entropy,
};
use model::{Entry, EntryId, Header, Journaled, Record, Recorded, Timestamp};
use ports::{Class, Journal};
use std::{marker::PhantomData, path::Path, sync::Arc};
use support::{MemDisk, births, message};

/// What the suite appends to each kind of log.
trait Sample: Codec<Body: Clone + PartialEq + std::fmt::Debug> {
    fn sample(n: u64) -> Self::Body;
    fn split(stored: Self::Stored) -> (Header, Self::Body);
}

impl Sample for EntryCodec {
    fn sample(n: u64) -> Entry {
        message(n)
    }
    fn split(stored: Journaled) -> (Header, Entry) {
        (stored.header, stored.entry)
    }
}

impl Sample for RecordCodec {
    fn sample(n: u64) -> Record {
        Record::Skipped { from: EntryId::new(1, n), to: EntryId::new(1, n + 1) }
    }
    fn split(stored: Recorded) -> (Header, Record) {
        (stored.header, stored.record)
    }
}

struct OnDisk<C> {
    disk: MemDisk,
    config: Config,
    openings: u64,
    codec: PhantomData<C>,
}

fn on_disk<C>(segment_bytes: u64) -> OnDisk<C> {
    let config = support::config(segment_bytes, 0);
    OnDisk { disk: MemDisk::default(), config, openings: 0, codec: PhantomData }
}

impl<C: Sample> Harness for OnDisk<C> {
    type Body = C::Body;
    type Stored = C::Stored;
    type Log = EmbeddedLog<C>;

    fn open(&mut self, last: Option<EmbeddedLog<C>>, now: Timestamp) -> EmbeddedLog<C> {
        drop(last);
        self.openings += 1;
        let (disk, births) = (Arc::new(self.disk.clone()), births(self.openings * 1_000));
        let opened = EmbeddedLog::open_on(disk, Path::new(support::DIR), self.config.clone(), births, now);
        let (log, report) = opened.unwrap();
        assert_eq!(report.cut, None);
        log
    }
    fn body(&self, n: u64) -> C::Body {
        C::sample(n)
    }
    fn split(&self, stored: C::Stored) -> (Header, C::Body) {
        C::split(stored)
    }
}

struct InMemory<C>(PhantomData<C>);

impl<C: Sample> Harness for InMemory<C> {
    type Body = C::Body;
    type Stored = C::Stored;
    type Log = MemoryLog<C>;

    fn open(&mut self, last: Option<MemoryLog<C>>, now: Timestamp) -> MemoryLog<C> {
        match last {
            None => MemoryLog::create("lockstep test", 1, now),
            Some(mut log) => {
                log.crash(now);
                log
            }
        }
    }
    fn body(&self, n: u64) -> C::Body {
        C::sample(n)
    }
    fn split(&self, stored: C::Stored) -> (Header, C::Body) {
        C::split(stored)
    }
}

#[test]
fn the_journal_keeps_the_contract_in_one_segment_and_in_many() {
    all(|| on_disk::<EntryCodec>(1 << 20));
    all(|| on_disk::<EntryCodec>(6 << 10));
    // Smaller than most appends: each gets a segment of its own size.
    all(|| on_disk::<EntryCodec>(1));
}

#[test]
fn the_decisions_log_keeps_the_contract() {
    all(|| on_disk::<RecordCodec>(1 << 20));
    all(|| on_disk::<RecordCodec>(6 << 10));
}

#[test]
fn the_twins_keep_the_contract() {
    all(|| InMemory::<EntryCodec>(PhantomData));
    all(|| InMemory::<RecordCodec>(PhantomData));
}

#[test]
fn the_resume_survives_crashes_in_one_segment_in_many_and_in_memory() {
    resume_is_the_fold_of_the_sources_entries(&mut on_disk::<EntryCodec>(1 << 20));
    resume_is_the_fold_of_the_sources_entries(&mut on_disk::<EntryCodec>(1));
    resume_is_the_fold_of_the_sources_entries(&mut InMemory::<EntryCodec>(PhantomData));
}

#[test]
fn a_real_directory_keeps_its_files_and_a_reader_sees_them_beside_the_writer() {
    use ports::{Class, Journal};
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("data/journal");
    let config = Config { segment_bytes: 64 << 10, reserve_bytes: 128 << 10, ..Config::new("lockstep test", 7) };
    let open = || EntryLog::open(&dir, config.clone(), kernel_entropy(), Timestamp(1)).unwrap();
    let reader = LogReader::<EntryCodec>::open(&dir).unwrap();
    assert_eq!(reader.tail().unwrap(), None);
    for round in 0..3 {
        let (mut log, report) = open();
        assert_eq!((report.term.0, report.cut), (round, None));
        for n in 0..40 {
            let batch: Arc<[Entry]> = (0..20).map(|k| message(n * 300 + k)).collect();
            log.append(&[batch], Class::Capture, Timestamp(2)).unwrap();
            assert_eq!(reader.tail().unwrap(), log.tail());
        }
    }
    let all = reader.read(EntryId::new(1, 1), usize::MAX).unwrap();
    assert_eq!(all.len(), 3 * 801);
    let verified = reader.verify().unwrap();
    assert_eq!((verified.entries, verified.broken), (3 * 801, None));
    assert!(verified.segments > 3);

    let (place, found) = reader.locate(EntryId::new(1, 30)).unwrap().unwrap();
    assert_eq!(found, all[29]);
    assert_eq!((place.batch_first.seq, place.batch_last.seq, place.segment.0), (22, 41, 1));
    assert_eq!(reader.locate(EntryId::new(1, 2_404)).unwrap(), None);
    let opened = Entry::Opened { binary: "lockstep test".into(), behaviour: 7, pins: Default::default() };
    assert_eq!((&all[0].entry, &all[801].entry), (&opened, &opened));
}

#[test]
fn a_log_of_the_other_kind_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let config = support::config(64 << 10, 0);
    drop(EntryLog::open(dir.path(), config.clone(), kernel_entropy(), Timestamp(1)).unwrap());
    let fault = RecordLog::open(dir.path(), config, kernel_entropy(), Timestamp(1)).err().unwrap();
    assert_eq!(fault.failure, ports::Failure::Misconfigured);
    assert!(fault.what.contains("format v0 is not converted"), "{fault}");
}

#[test]
fn a_log_recovered_beside_its_writer_is_no_false_alarm() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { segment_bytes: 65_536, reserve_bytes: 0, ..Config::new("test", 1) };
    let (mut log, _) = EntryLog::open(dir.path(), config, kernel_entropy(), Timestamp(1)).unwrap();
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || {
            for n in 0..1_500 {
                let batch: Arc<[Entry]> = Arc::from([message(n)]);
                log.append(&[batch], Class::Capture, Timestamp(2)).unwrap();
            }
        });
        while !writing.is_finished() {
            // What a command does: it reads beside the engine, and takes no lock.
            Recovered::<EntryCodec>::recover(dir.path()).unwrap();
        }
    });
}
