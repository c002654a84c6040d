//! Every flipped bit, every torn position, every truncation of a small journal: found, or cut where nothing acknowledged
//! can be.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod support;

use lockstep_journal::{LogReader, Recovered, Recovery};
use model::{EntryId, Header, Timestamp};
use ports::{Class, Failure, Fault, Journal};
use proptest::prelude::*;
use std::{
    path::Path,
    sync::{Arc, LazyLock},
};
use support::{Blob, BlobCodec, DIR, MemDisk, config, open};

const SEGMENT_BYTES: u64 = 16 << 10;

type Stored = (Header, Blob);

/// A journal of several segments, about 64 KiB of batches; every append was acknowledged.
fn journal() -> (MemDisk, Vec<Stored>) {
    let disk = MemDisk::default();
    let (mut log, _) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, 0)).unwrap();
    for n in 0..130 {
        let batch = |from: u64, len: u64| -> Arc<[Blob]> { (from..from + len).map(|k| Blob(k, 60)).collect() };
        log.append(&[batch(n, 1), batch(n + 7, 3)], Class::Capture, Timestamp(5)).unwrap();
    }
    let all = log.read(EntryId::new(1, 1), usize::MAX).unwrap();
    (disk, all)
}

fn recover(disk: &MemDisk) -> Result<Recovery, Fault> {
    Recovered::<BlobCodec>::recover_on(Arc::new(disk.clone()), Path::new(DIR)).map(|found| found.report().clone())
}

fn reader(disk: &MemDisk) -> LogReader<BlobCodec> {
    LogReader::open_on(Arc::new(disk.clone()), Path::new(DIR)).unwrap()
}

fn first_of(segment: &str) -> u64 {
    segment[9..29].parse().unwrap()
}

/// Where what was written ends: batches are padded to multiples of 8.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1).next_multiple_of(8)
}

#[test]
fn every_flipped_bit_of_a_finished_segment_is_found_when_it_is_read() {
    let (disk, all) = journal();
    let segments = disk.segments();
    assert!(segments.len() >= 5);
    std::thread::scope(|scope| {
        for pair in segments.windows(2) {
            let (disk, all) = (disk.copy(), &all);
            scope.spawn(move || {
                let (first, end) = (first_of(&pair[0]), first_of(&pair[1]));
                let whole = &all[first as usize - 1..end as usize - 1];
                let written = used(&disk.bytes(&pair[0]));
                let size = whole.iter().map(|(_, blob)| 32 + blob.1).sum();
                for bit in 0..SEGMENT_BYTES as usize * 8 {
                    disk.change(&pair[0], |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
                    match reader(&disk).read(EntryId::new(1, first), size) {
                        Ok(read) => assert!(bit / 8 >= written && read == whole, "bit {bit} passed"),
                        Err(fault) => assert!(bit / 8 < written && named(&fault, &pair[0]), "bit {bit}: {fault}"),
                    }
                    disk.change(&pair[0], |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
                }
            });
        }
    });
}

#[test]
fn verify_names_the_first_break_and_what_holds_before_it() {
    let (disk, all) = journal();
    let whole = reader(&disk).verify().unwrap();
    assert_eq!((whole.entries, whole.through.map(|id| id.seq)), (all.len() as u64, Some(all.len() as u64)));
    for (n, segment) in disk.segments().iter().enumerate() {
        for byte in (0..used(&disk.bytes(segment))).step_by(97) {
            disk.change(segment, |bytes| bytes[byte] ^= 16);
            let found = reader(&disk).verify().unwrap();
            let broken = found.broken.unwrap();
            assert_eq!((broken.segment.0, found.segments), (n as u64 + 1, n as u64));
            assert!(broken.offset_bytes <= byte as u64 && !broken.what.is_empty());
            assert_eq!(found.through.map_or(0, |id| id.seq) + 1, broken.expected.seq);
            assert_eq!(found.entries + 1, broken.expected.seq);
            disk.change(segment, |bytes| bytes[byte] ^= 16);
        }
    }
    assert_eq!(reader(&disk).verify().unwrap(), whole);
}

#[test]
fn every_flipped_bit_of_the_last_segment_is_found_when_the_log_is_opened() {
    let (disk, all) = journal();
    let last = disk.segments().pop().unwrap();
    let written = used(&disk.bytes(&last));
    let lost_tail = disk.copy();
    lost_tail.remove("tail");
    let acknowledged = all.len() as u64;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for bit in 0..SEGMENT_BYTES as usize * 8 {
                disk.change(&last, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
                match recover(&disk) {
                    Ok(report) => {
                        assert!(bit / 8 >= written, "bit {bit} passed");
                        assert_eq!(report.last, Some(EntryId::new(1, acknowledged)));
                        assert!(report.cut.is_some());
                    }
                    Err(fault) => assert!(bit / 8 < written && named(&fault, &last), "bit {bit}: {fault}"),
                }
                disk.change(&last, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            }
        });
        // Without the tail file only the last append can be in doubt, as after a power cut in the middle of it.
        scope.spawn(|| {
            for bit in 0..SEGMENT_BYTES as usize * 8 {
                lost_tail.change(&last, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
                match recover(&lost_tail) {
                    Ok(report) => {
                        let kept = report.last.unwrap().seq;
                        assert!(report.cut.is_some(), "bit {bit} passed");
                        assert!(kept >= acknowledged - 4, "bit {bit} cost {} entries", acknowledged - kept);
                    }
                    Err(fault) => assert!(named(&fault, &last), "bit {bit}: {fault}"),
                }
                lost_tail.change(&last, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            }
        });
    });
}

#[test]
fn every_torn_position_of_an_append_is_cut_and_the_log_goes_on() {
    let disk = MemDisk::default();
    let (mut log, _) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, 0)).unwrap();
    log.append(&[Arc::new([Blob(1, 60)])], Class::Capture, Timestamp(5)).unwrap();
    let (before, acknowledged) = (disk.copy(), log.tail().unwrap());
    let batches: Vec<Arc<[Blob]>> = vec![Arc::new([Blob(2, 90), Blob(3, 400)]), Arc::new([Blob(4, 300)])];
    log.append(&batches, Class::Capture, Timestamp(5)).unwrap();
    let segment = disk.segments().pop().unwrap();
    let (old, new) = (before.bytes(&segment), disk.bytes(&segment));
    let (start, end) = (used(&old), used(&new));

    let acknowledging = disk.bytes("tail");
    let mut ends = std::collections::BTreeSet::new();
    for place in start..=end {
        // What reached the disk: the first part of the write, the last part, or one part and garbage for the other.
        let first = [&new[..place], &old[place..]].concat();
        let last = [&old[..place], &new[place..]].concat();
        let mut garbage = first.clone();
        garbage[place..end].fill(0x4c);
        for (torn, kind) in [(first, "first"), (last, "last"), (garbage, "garbage")] {
            let disk = before.copy();
            disk.put(&segment, torn.clone());
            let (mut log, report) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, 0)).unwrap();
            let kept = report.last.unwrap();
            assert!(kept >= acknowledged, "{kind} at {place}: {kept} of {acknowledged}");
            ends.insert(kept.seq);
            log.append(&[Arc::new([Blob(9, 2_000)])], Class::Capture, Timestamp(6)).unwrap();
            let all = log.read(EntryId::new(1, 1), usize::MAX).unwrap();
            assert_eq!(all.len() as u64, kept.seq + 2);
            drop(log);
            assert_eq!(recover(&disk).unwrap().cut, None, "{kind} at {place}: the cut is durable");
            assert_eq!(reader(&disk).verify().unwrap().broken, None);

            // Had it been acknowledged, the same bytes are corruption.
            let told = before.copy();
            let complete = torn == new;
            told.put(&segment, torn);
            told.put("tail", acknowledging.clone());
            assert_eq!(recover(&told).is_ok(), complete, "{kind} at {place}");
        }
    }
    assert_eq!(ends, [acknowledged.seq, acknowledged.seq + 2, acknowledged.seq + 3].into(), "whole batches only");
}

#[test]
fn every_subset_of_an_appends_sectors_leaves_what_was_acknowledged() {
    const SECTOR: usize = 512;
    let disk = MemDisk::default();
    let (mut log, _) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, 0)).unwrap();
    log.append(&[Arc::new([Blob(1, 60)])], Class::Capture, Timestamp(5)).unwrap();
    let (before, acknowledged) = (disk.copy(), log.tail().unwrap());
    let batches: Vec<Arc<[Blob]>> = (0..9).map(|n| Arc::from([Blob(n, 100), Blob(n, 200)])).collect();
    log.append(&batches, Class::Capture, Timestamp(5)).unwrap();
    let segment = disk.segments().pop().unwrap();
    let (old, new) = (before.bytes(&segment), disk.bytes(&segment));
    let (start, end) = (used(&old) / SECTOR, used(&new).div_ceil(SECTOR));
    assert!((8..14).contains(&(end - start)));
    for subset in 0..1_u32 << (end - start) {
        let mut torn = old.clone();
        for sector in (start..end).filter(|sector| subset >> (sector - start) & 1 == 1) {
            torn[sector * SECTOR..(sector + 1) * SECTOR].copy_from_slice(&new[sector * SECTOR..(sector + 1) * SECTOR]);
        }
        let disk = before.copy();
        disk.put(&segment, torn);
        assert!(recover(&disk).unwrap().last.unwrap() >= acknowledged, "sectors {subset:b}");
    }
}

#[test]
fn every_truncation_of_a_segment_is_found() {
    let (disk, all) = journal();
    let segments = disk.segments();
    for segment in [&segments[1], segments.last().unwrap()] {
        let whole = disk.bytes(segment);
        for len in 0..whole.len() {
            disk.put(segment, whole[..len].to_vec());
            let fault = reader(&disk).read(EntryId::new(1, first_of(segment)), usize::MAX).unwrap_err();
            assert!(named(&fault, segment), "{len}: {fault}");
            if segment == segments.last().unwrap() {
                assert!(named(&recover(&disk).unwrap_err(), segment));
            }
        }
        disk.put(segment, whole);
    }
    assert_eq!(reader(&disk).read(EntryId::new(1, 1), usize::MAX).unwrap(), all);
}

#[test]
fn a_missing_segment_is_found_and_its_entries_are_named() {
    let (disk, all) = journal();
    let segments = disk.segments();
    for gone in &segments[1..] {
        let disk = disk.copy();
        disk.remove(gone);
        let fault = recover(&disk).unwrap_err();
        assert_eq!(fault.failure, Failure::Corrupt);
    }
    for segment in &segments {
        disk.remove(segment);
    }
    let fault = recover(&disk).unwrap_err();
    assert!(fault.what.contains(&format!("entries 1 to {} are gone", all.len())), "{fault}");
}

fn named(fault: &Fault, segment: &str) -> bool {
    fault.failure == Failure::Corrupt && fault.what.contains(&segment[..8])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_the_bytes_nothing_panics_and_nothing_is_invented(
        damage in prop::collection::vec((0..SEGMENT_BYTES as usize, prop::collection::vec(any::<u8>(), 1..600)), 1..5),
        copied in prop::option::of((4_096..14_000_usize, 4_096..14_000_usize, 1..2_000_usize)),
        tail in any::<bool>(),
    ) {
        let (disk, all) = &*WHOLE;
        let disk = disk.copy();
        let last = disk.segments().pop().unwrap();
        if !tail {
            disk.remove("tail");
        }
        disk.change(&last, |bytes| {
            if let Some((from, to, len)) = copied {
                // Whole frames at another place of the same segment: their checksums are right.
                bytes.copy_within(from / 8 * 8..from / 8 * 8 + len, to / 8 * 8);
            }
            for (at, content) in damage {
                let end = (at + content.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&content[..end - at]);
            }
        });
        if let Ok(report) = recover(&disk) {
            let kept = report.last.unwrap().seq as usize;
            prop_assert!(kept <= all.len() && (!tail || kept == all.len()));
            let (log, _) = open::<BlobCodec>(&disk, config(SEGMENT_BYTES, 0)).unwrap();
            let read = log.read(EntryId::new(1, 1), usize::MAX).unwrap();
            prop_assert_eq!(&read[..kept], &all[..kept]);
            prop_assert_eq!(read.len(), kept + 1);
        }
        let _ = reader(&disk).verify().unwrap();
    }
}

static WHOLE: LazyLock<(MemDisk, Vec<Stored>)> = LazyLock::new(journal);
