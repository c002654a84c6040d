//! A disk that is full, a disk that fails, files of a former life, a tail file that is wrong.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod support;

use lockstep_journal::{EmbeddedLog, LogReader, Recovered};
use model::{EntryId, Timestamp};
use ports::{Class, Failure, Journal};
use std::{
    io::ErrorKind,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use support::{Blob, BlobCodec, Call, DIR, MemDisk, births, config, open};

const SEGMENT_BYTES: u64 = 16 << 10;
const RESERVE_BYTES: u64 = 64 << 10;

type Log = EmbeddedLog<BlobCodec>;

fn one(n: u64, bytes: usize) -> [Arc<[Blob]>; 1] {
    [Arc::new([Blob(n, bytes)])]
}

fn append(log: &mut Log, n: u64, class: Class) -> Result<EntryId, ports::Fault> {
    log.append(&one(n, 1_000), class, Timestamp(0)).map(|done| done[0].last)
}

fn all(log: &Log) -> Vec<u64> {
    log.read(EntryId::new(1, 1), usize::MAX).unwrap().into_iter().map(|(_, blob)| blob.0).collect()
}

fn reader(disk: &MemDisk) -> LogReader<BlobCodec> {
    LogReader::open_on(Arc::new(disk.clone()), Path::new(DIR)).unwrap()
}

#[test]
fn a_full_disk_stops_captured_rows_and_leaves_the_log_as_it_was() {
    let disk = MemDisk::default();
    let (mut log, _) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, RESERVE_BYTES)).unwrap();
    disk.set_capacity(Some(disk.used()));
    let refused = (0..100).find_map(|n| {
        let appended = append(&mut log, n, Class::Capture);
        appended.map(|entry| log.decided(entry)).err()
    });
    let refused = refused.expect("the segment is full some time");
    assert_eq!(refused.failure, Failure::Transient);
    assert!(refused.to_string().starts_with("disk full") && refused.cure.contains("free space"), "{refused}");
    let (tail, before) = (log.tail(), all(&log));
    assert!(append(&mut log, 0, Class::Capture).is_err());
    assert_eq!((log.tail(), all(&log), log.reserve_missing()), (tail, before, 0));
    assert_eq!(reader(&disk).verify().unwrap().tail, tail);

    disk.set_capacity(None);
    assert_eq!(append(&mut log, 7, Class::Capture).unwrap(), tail.unwrap().next());
}

#[test]
fn a_full_disk_lets_what_is_vital_use_the_reserve_and_makes_it_whole_again_later() {
    let disk = MemDisk::default();
    let (mut log, _) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, RESERVE_BYTES)).unwrap();
    disk.set_capacity(Some(disk.used() + 100));
    while append(&mut log, 1, Class::Capture).is_ok() {}
    let mut vital = 0;
    while append(&mut log, 2, Class::Vital).is_ok() {
        vital += 1;
        // What is vital has a segment now, and captured rows must not eat it.
        assert!(append(&mut log, 1, Class::Capture).is_err());
    }
    assert!(vital * 1_000 > RESERVE_BYTES as usize / 4, "only {vital} of a reserve of {RESERVE_BYTES} bytes");
    assert!(log.reserve_missing() > RESERVE_BYTES / 2);
    let before = all(&log);
    drop(log);

    // Nothing at all is left, not even for `Opened`.
    let fault = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, RESERVE_BYTES)).err().unwrap();
    assert_eq!(fault.failure, Failure::Transient);
    // Room for one segment: the log opens, for outcomes must be recorded, and captured rows still wait.
    disk.set_capacity(Some(disk.used() + SEGMENT_BYTES as usize));
    let (mut log, report) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, RESERVE_BYTES)).unwrap();
    assert_eq!(report.last.unwrap().seq, before.len() as u64);
    assert!(append(&mut log, 1, Class::Capture).is_err());
    append(&mut log, 2, Class::Vital).unwrap();

    disk.set_capacity(Some(disk.used() + 2 * RESERVE_BYTES as usize));
    append(&mut log, 1, Class::Capture).unwrap();
    assert_eq!(log.reserve_missing(), 0);
    assert_eq!(disk.bytes("reserve").len() as u64, RESERVE_BYTES);
}

#[test]
fn captured_rows_wait_while_what_follows_of_undecided_ones_may_not_find_room() {
    let disk = MemDisk::default();
    let (mut log, _) = open::<BlobCodec>(&disk, config(1 << 20, RESERVE_BYTES)).unwrap();
    append(&mut log, 0, Class::Capture).unwrap();
    // The segment has room for hundreds; the reserve alone covers what follows of a few.
    disk.set_capacity(Some(disk.used()));
    let mut last = log.tail().unwrap();
    let refused = (1..100).find_map(|n| match append(&mut log, n, Class::Capture) {
        Ok(entry) => {
            last = entry;
            None
        }
        Err(fault) => Some(fault),
    });
    let refused = refused.expect("the reserve would not cover all of them");
    assert_eq!((refused.failure, log.tail()), (Failure::Transient, Some(last)));
    assert!(refused.to_string().contains("disk nearly full") && refused.cure.contains("free space"), "{refused}");
    append(&mut log, 7, Class::Vital).unwrap();
    // What is decided has had its room.
    log.decided(last);
    append(&mut log, 8, Class::Capture).unwrap();
    // Free space covers more.
    disk.set_capacity(Some(disk.used() + (1 << 20)));
    for n in 0..30 {
        append(&mut log, n, Class::Capture).unwrap();
    }
    assert_eq!(log.reserve_missing(), 0);
}

#[test]
fn a_checkpoint_may_take_from_the_reserve_and_capture_waits_until_it_is_whole() {
    let disk = MemDisk::default();
    let (mut log, _) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, RESERVE_BYTES)).unwrap();
    disk.set_capacity(Some(disk.used()));
    assert!(log.release_reserve(8_192).unwrap());
    assert_eq!(log.reserve_missing(), 8_192);
    disk.set_capacity(Some(disk.used()));
    assert_eq!(append(&mut log, 1, Class::Capture).unwrap_err().failure, Failure::Transient);
    append(&mut log, 1, Class::Vital).unwrap();
    assert!(log.release_reserve(u64::MAX).unwrap());
    assert!(!log.release_reserve(1).unwrap(), "nothing is left");
}

#[test]
fn a_failed_flush_poisons_and_is_never_repeated() {
    for (call, kind) in
        [(Call::Sync, ErrorKind::Other), (Call::Sync, ErrorKind::StorageFull), (Call::Write, ErrorKind::Other)]
    {
        let disk = MemDisk::default();
        let (mut log, _) = open::<BlobCodec>(&disk, config(1 << 20, 0)).unwrap();
        let acknowledged = append(&mut log, 1, Class::Capture).unwrap();
        disk.fail(Some((call, kind)));
        assert_eq!(append(&mut log, 2, Class::Capture).unwrap_err().failure, Failure::Corrupt);
        disk.fail(None);
        let flushes = disk.calls(Call::Sync);
        for class in [Class::Capture, Class::Vital] {
            let fault = append(&mut log, 3, class).unwrap_err();
            assert!(fault.what.starts_with("the log stopped at an earlier failure"), "{fault}");
        }
        assert_eq!(disk.calls(Call::Sync), flushes);
        assert_eq!(log.tail(), Some(acknowledged), "nobody sees what is not durable");
        assert_eq!(reader(&disk).tail().unwrap(), Some(acknowledged));
        drop(log);

        let (log, report) = open::<BlobCodec>(&disk, config(1 << 20, 0)).unwrap();
        assert!(report.last.unwrap() >= acknowledged);
        assert_eq!(all(&log)[..2], [u64::MAX, 1]);
    }
}

#[test]
fn a_full_disk_met_behind_the_flush_never_looks_as_if_nothing_was_appended() {
    // A file system that copies on write can be full for a page that is there already.
    let disk = MemDisk::default();
    let (mut log, _) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, 0)).unwrap();
    append(&mut log, 1, Class::Capture).unwrap();
    disk.fail_behind(1, Call::Write, ErrorKind::StorageFull);
    assert_eq!(append(&mut log, 2, Class::Capture).unwrap_err().failure, Failure::Corrupt);
    disk.fail(None);
    assert!(append(&mut log, 2, Class::Capture).is_err(), "asked again, it would stand there twice");
    drop(log);
    let (log, _) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, 0)).unwrap();
    assert_eq!(all(&log).iter().filter(|n| **n == 2).count(), 1);
}

#[test]
fn a_directory_that_cannot_be_made_durable_poisons_at_the_change_of_segments() {
    for call in [Call::SyncDir, Call::Rename] {
        let disk = MemDisk::default();
        let (mut log, _) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, 0)).unwrap();
        disk.fail(Some((call, ErrorKind::Other)));
        let mut kept = 0;
        while append(&mut log, 1, Class::Vital).is_ok() {
            kept += 1;
        }
        disk.fail(None);
        assert!(append(&mut log, 1, Class::Vital).is_err());
        drop(log);
        let (log, _) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, 0)).unwrap();
        assert_eq!(all(&log).len(), kept + 2);
    }
}

#[test]
fn opening_flushes_the_names_that_a_killed_process_may_have_left_unflushed() {
    let disk = MemDisk::default();
    let (mut log, _) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, 0)).unwrap();
    append(&mut log, 1, Class::Capture).unwrap();
    drop(log);
    // What is appended to a segment whose name is not durable is gone with it when the power is.
    let flushed = disk.calls(Call::SyncDir);
    let (log, _) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, 0)).unwrap();
    assert!(disk.calls(Call::SyncDir) > flushed);
    drop(log);
    disk.fail(Some((Call::SyncDir, ErrorKind::Other)));
    assert!(open::<BlobCodec>(&disk, config(SEGMENT_BYTES, 0)).is_err());
}

#[test]
fn an_append_is_one_write_and_one_flush_and_one_word_to_the_readers() {
    let disk = MemDisk::default();
    let (mut log, _) = open::<BlobCodec>(&disk, config(1 << 20, 0)).unwrap();
    let (writes, flushes) = (disk.calls(Call::Write), disk.calls(Call::Sync));
    let batches: Vec<Arc<[Blob]>> = (0..10).map(|n| (0..10).map(|k| Blob(n * k, 100)).collect()).collect();
    log.append(&batches, Class::Capture, Timestamp(0)).unwrap();
    assert_eq!((disk.calls(Call::Write) - writes, disk.calls(Call::Sync) - flushes), (2, 1));
}

#[test]
fn frames_of_a_recycled_segments_former_life_never_pass() {
    let disk = MemDisk::default();
    let (mut log, _) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, 0)).unwrap();
    while disk.segments().len() < 2 {
        append(&mut log, 1, Class::Capture).unwrap();
    }
    // The spare is a former segment, full of whole batches.
    disk.put("spare", disk.bytes(&disk.segments()[0]));
    drop(log);
    let (mut log, _) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, 0)).unwrap();
    while disk.segments().len() < 3 {
        append(&mut log, 2, Class::Capture).unwrap();
    }
    assert!(!disk.names().contains(&"spare".into()), "it was used");
    let before = all(&log);
    drop(log);
    let (log, report) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, 0)).unwrap();
    assert!(report.cut.is_some(), "the former life is no part of the log");
    assert_eq!(all(&log)[..before.len()], before[..]);
    assert_eq!(all(&log).len(), before.len() + 1);
    assert_eq!(reader(&disk).verify().unwrap().broken, None);
}

#[test]
fn a_crash_between_a_new_segment_and_its_first_batch_loses_nothing() {
    let disk = MemDisk::default();
    let (mut log, _) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, 0)).unwrap();
    let mut before = disk.copy();
    while disk.segments().len() < 2 {
        before = disk.copy();
        append(&mut log, 1, Class::Capture).unwrap();
    }
    let term = log.term();
    // The new segment's name is durable, its batch is not.
    let name = disk.segments().pop().unwrap();
    let mut page = disk.bytes(&name);
    page[4_096..].fill(0);
    before.put(&name, page);
    let acknowledged = reader(&before).tail().unwrap();
    for opening in 1..4 {
        let (log, report) = open::<BlobCodec>(&before, config(SEGMENT_BYTES, 0)).unwrap();
        assert_eq!(log.term().0, term.0 + opening);
        assert_eq!(report.last.unwrap().seq, acknowledged.unwrap().seq + opening - 1);
    }
    assert_eq!(reader(&before).verify().unwrap().broken, None);
}

#[test]
fn a_tail_file_may_be_missing_or_behind_and_never_ahead() {
    let disk = MemDisk::default();
    let (mut log, _) = open::<BlobCodec>(&disk, config(1 << 20, 0)).unwrap();
    append(&mut log, 1, Class::Capture).unwrap();
    let behind = disk.bytes("tail");
    for n in 2..9 {
        append(&mut log, n, Class::Capture).unwrap();
    }
    let (last, now) = (log.tail(), disk.bytes("tail"));
    let mut damaged = now.clone();
    damaged[9] ^= 1;
    for tail in [None, Some(behind), Some(damaged), Some(Vec::new())] {
        let disk = disk.copy();
        match &tail {
            None => disk.remove("tail"),
            Some(bytes) => disk.put("tail", bytes.clone()),
        }
        let shown = reader(&disk).tail().unwrap().unwrap();
        assert!(shown < last.unwrap(), "a reader shows what is known to be durable and no more");
        let (log, report) = open::<BlobCodec>(&disk, config(1 << 20, 0)).unwrap();
        assert_eq!(report.last, last);
        assert_eq!(reader(&disk).tail().unwrap(), log.tail(), "opening writes it anew");
    }
    append(&mut log, 9, Class::Capture).unwrap();
    let ahead = disk.bytes("tail");
    let segment = disk.segments().pop().unwrap();
    let copy = disk.copy();
    copy.change(&segment, |bytes| {
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[end - 900..].fill(0);
    });
    copy.put("tail", ahead);
    let fault = Recovered::<BlobCodec>::recover_on(Arc::new(copy), Path::new(DIR)).err().unwrap();
    assert_eq!(fault.failure, Failure::Corrupt);
    assert!(fault.what.contains("entries 10 to 10"), "{fault}");
}

#[test]
fn looking_at_a_log_writes_nothing() {
    let disk = MemDisk::default();
    let (mut log, _) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, 0)).unwrap();
    append(&mut log, 1, Class::Capture).unwrap();
    drop(log);
    let segment = disk.segments().pop().unwrap();
    disk.change(&segment, |bytes| bytes[12_000..12_100].fill(9));
    let (writes, before) = (disk.calls(Call::Write), disk.bytes(&segment));
    let found = Recovered::<BlobCodec>::recover_on(Arc::new(disk.clone()), Path::new(DIR)).unwrap();
    let cut = found.report().cut.unwrap();
    assert_eq!((cut.segment.0, cut.offset_bytes + cut.bytes), (1, 12_100));
    assert_eq!((disk.calls(Call::Write), disk.bytes(&segment)), (writes, before));
    found.open(config(SEGMENT_BYTES, 0), births(9), Timestamp(0)).unwrap();
    assert!(disk.bytes(&segment)[12_000..12_100].iter().all(|byte| *byte == 0), "opening cuts");
}

#[test]
fn the_next_segments_file_is_filled_ahead_and_taken() {
    const LENGTH: u64 = 2 * SEGMENT_BYTES;
    let disk = MemDisk::default();
    let ahead = lockstep_journal::Config { spare_ahead: true, ..config(LENGTH, 0) };
    let (mut log, _) = open::<BlobCodec>(&disk, ahead.clone()).unwrap();
    assert!(!disk.names().iter().any(|name| name.starts_with("spare")), "an idle log takes no space for more");
    for n in 0..10 {
        append(&mut log, n, Class::Capture).unwrap();
    }
    let patience = Instant::now() + Duration::from_secs(20);
    while !disk.names().contains(&"spare".into()) {
        assert!(Instant::now() < patience, "no spare after 20 s");
        std::thread::yield_now();
    }
    assert_eq!(disk.bytes("spare"), vec![0; LENGTH as usize]);
    for n in 10..120 {
        append(&mut log, n, Class::Capture).unwrap();
    }
    let before = all(&log);
    drop(log);
    let (log, report) = open::<BlobCodec>(&disk, ahead).unwrap();
    assert_eq!((report.cut, all(&log)[..before.len()].to_vec()), (None, before));
    assert!(disk.segments().len() > 4);
}

#[test]
fn a_far_entry_is_found_without_reading_other_segments() {
    let disk = MemDisk::default();
    let (mut log, _) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, 0)).unwrap();
    for n in 0..60 {
        append(&mut log, n, Class::Capture).unwrap();
    }
    let segments = disk.segments();
    for segment in &segments[..segments.len() - 2] {
        disk.change(segment, |bytes| bytes.fill(0xff));
    }
    let first: u64 = segments[segments.len() - 2][9..29].parse().unwrap();
    assert_eq!(reader(&disk).read(EntryId::new(1, first), 1).unwrap()[0].1, Blob(first - 2, 1_000));
    assert_eq!(reader(&disk).read(EntryId::new(1, 1), 1).unwrap_err().failure, Failure::Corrupt);
}
