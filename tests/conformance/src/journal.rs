//! What every log must do, whatever it is made of (`ports::Journal`).
//!
//! Each function is one behaviour and begins with a new log; a panic is its report.

use crate::random::Random;
use model::{
    CommitEnd, Entry, EntryId, Fingerprint, Header, Incarnation, RowKey, SnapshotMark, SourcePosition, SystemId, Term,
    Timestamp,
};
use ports::{Appended, Class, Journal, Resume, TableResume};
use std::{fmt::Debug, sync::Arc};

/// A log that can die and be opened again.
pub trait Harness {
    /// What is appended.
    type Body: Clone + PartialEq + Debug;
    /// What is read.
    type Stored;
    /// The log.
    type Log: Journal<Body = Self::Body, Stored = Self::Stored>;

    /// Opens the log, the first time or again after a crash; the log opened before is gone by then.
    fn open(&mut self, last: Option<Self::Log>, now: Timestamp) -> Self::Log;

    /// A body that differs for every `n` and takes about as many bytes as `n` has hundreds.
    fn body(&self, n: u64) -> Self::Body;

    /// Header and body of what was read.
    fn split(&self, stored: Self::Stored) -> (Header, Self::Body);
}

/// Runs every behaviour that does not depend on what is appended.
pub fn all<H: Harness>(mut harness: impl FnMut() -> H) {
    opening_appends_one_entry_under_the_next_term(&mut harness());
    numbers_are_dense_and_in_the_order_given(&mut harness());
    what_was_returned_survives_a_crash(&mut harness());
    an_idle_reopen_adds_nothing_but_opened(&mut harness());
    time_never_goes_back(&mut harness());
    reads_begin_anywhere_and_respect_their_size(&mut harness());
    an_empty_batch_is_refused_and_changes_nothing(&mut harness());
    for seed in 1..=6 {
        any_history_equals_its_model(&mut harness(), seed);
    }
}

fn opening_appends_one_entry_under_the_next_term<H: Harness>(harness: &mut H) {
    let mut log = None;
    for opening in 1..4 {
        let opened = harness.open(log.take(), Timestamp(opening));
        assert_eq!(opened.tail(), Some(EntryId::new(1, opening.cast_unsigned())));
        let all = read_all(harness, &opened);
        let (header, _) = all.last().expect("it was just opened");
        assert_eq!(header.term, Term(opening.cast_unsigned()));
        log = Some(opened);
    }
}

fn numbers_are_dense_and_in_the_order_given<H: Harness>(harness: &mut H) {
    let mut log = harness.open(None, Timestamp(0));
    let batches = [batch(harness, 1..2), batch(harness, 2..40), batch(harness, 40..43)];
    let appended = log.append(&batches, Class::Capture, Timestamp(5)).expect("room");
    let ranges: Vec<(u64, u64)> = appended.iter().map(|Appended { first, last, .. }| (first.seq, last.seq)).collect();
    assert_eq!(ranges, [(2, 2), (3, 40), (41, 43)]);
    assert_eq!(log.append(&[], Class::Vital, Timestamp(5)).expect("nothing to do"), []);

    let all = read_all(harness, &log);
    let seqs: Vec<u64> = all.iter().map(|(header, _)| header.id.seq).collect();
    assert_eq!(seqs, (1..=43).collect::<Vec<u64>>());
    for (n, (_, body)) in (1..43).zip(&all[1..]) {
        assert_eq!(*body, harness.body(n));
    }
    assert!(all[1..].iter().all(|(header, _)| header.appended_at == Timestamp(5)));
}

fn what_was_returned_survives_a_crash<H: Harness>(harness: &mut H) {
    let mut log = harness.open(None, Timestamp(0));
    let mut expected = Vec::new();
    for round in 0..6 {
        for n in 0..20 {
            let number = round * 100 + n;
            log.append(&[batch(harness, number..number + 1)], Class::Vital, Timestamp(0)).expect("room");
        }
        expected = read_all(harness, &log);
        log = harness.open(Some(log), Timestamp(0));
        let again = read_all(harness, &log);
        assert_eq!(again.len(), expected.len() + 1, "one Opened more");
        assert_eq!(again[..expected.len()], expected[..]);
    }
    assert_eq!(expected.len(), 6 * 21);
}

fn an_idle_reopen_adds_nothing_but_opened<H: Harness>(harness: &mut H) {
    let mut log = harness.open(None, Timestamp(0));
    let opened = read_all(harness, &log).pop().expect("opened").1;
    for n in 2..8 {
        log = harness.open(Some(log), Timestamp(0));
        let all = read_all(harness, &log);
        assert_eq!(all.len(), n);
        assert!(all.iter().all(|(_, body)| *body == opened));
    }
}

fn time_never_goes_back<H: Harness>(harness: &mut H) {
    let mut log = harness.open(None, Timestamp(1_000));
    for now in [2_000, 1_500, 3_000, 0] {
        log.append(&[batch(harness, 0..2)], Class::Capture, Timestamp(now)).expect("room");
    }
    let log = harness.open(Some(log), Timestamp(-5));
    let times: Vec<i64> = read_all(harness, &log).iter().map(|(header, _)| header.appended_at.0).collect();
    assert_eq!(times, [1_000, 2_000, 2_000, 2_000, 2_000, 3_000, 3_000, 3_000, 3_000, 3_000]);
}

fn reads_begin_anywhere_and_respect_their_size<H: Harness>(harness: &mut H) {
    let mut log = harness.open(None, Timestamp(0));
    for n in 0..40 {
        log.append(&[batch(harness, n * 5..n * 5 + 5)], Class::Capture, Timestamp(0)).expect("room");
    }
    let all = read_all(harness, &log);
    // Backwards, so that no read helps the next one.
    for from in (1..=all.len()).rev() {
        let one = read(harness, &log, from as u64, 1);
        assert_eq!(one, all[from - 1..from], "at least one entry, and not a second one for one byte");
        let some = read(harness, &log, from as u64, 1_000);
        assert!(!some.is_empty() && some[..] == all[from - 1..from - 1 + some.len()]);
    }
    assert_eq!(read(harness, &log, all.len() as u64 + 1, 1_000), []);
    assert_eq!(read(harness, &log, 0, usize::MAX), all);
}

fn an_empty_batch_is_refused_and_changes_nothing<H: Harness>(harness: &mut H) {
    let mut log = harness.open(None, Timestamp(0));
    let nothing: Arc<[H::Body]> = Arc::new([]);
    assert!(log.append(&[batch(harness, 1..2), nothing], Class::Vital, Timestamp(0)).is_err());
    assert_eq!(log.tail(), Some(EntryId::new(1, 1)));
    log.append(&[batch(harness, 1..2)], Class::Vital, Timestamp(0)).expect("the log is as it was");
}

/// Random appends, reads anywhere and crashes, against a list.
fn any_history_equals_its_model<H: Harness>(harness: &mut H, seed: u64) {
    let mut random = Random(seed);
    let mut log = harness.open(None, Timestamp(0));
    let mut model = read_all(harness, &log);
    let mut now = Timestamp(0);
    for _ in 0..50 {
        now = Timestamp(now.0 + random.below(9) as i64 - 2);
        let (last, _) = model.last().expect("it was opened");
        let Header { term, appended_at, .. } = *last;
        match random.below(8) {
            0..=3 => {
                let appended_at = appended_at.max(now);
                let (mut batches, mut expected) = (Vec::new(), Vec::new());
                for _ in 0..1 + random.below(3) {
                    let (first, count) = (model.len() as u64 + 1, 1 + random.below(6) as u64);
                    for seq in first..first + count {
                        model.push((Header { id: EntryId::new(1, seq), term, appended_at }, harness.body(seq)));
                    }
                    let (first, last) = (EntryId::new(1, first), EntryId::new(1, first + count - 1));
                    batches.push(batch(harness, first.seq..last.seq + 1));
                    expected.push(Appended { first, last, appended_at });
                }
                let class = if random.below(2) == 0 { Class::Capture } else { Class::Vital };
                assert_eq!(log.append(&batches, class, now).expect("room"), expected, "seed {seed}");
            }
            4..=6 => {
                let from = 1 + random.below(model.len() + 2);
                let some = read(harness, &log, from as u64, random.below(3_000));
                let behind = model.get(from - 1..).unwrap_or_default();
                assert_eq!((some.is_empty(), &some[..]), (behind.is_empty(), &behind[..some.len()]), "seed {seed}");
            }
            _ => {
                log = harness.open(Some(log), now);
                let all = read_all(harness, &log);
                let (opened, before) = all.split_last().expect("it was opened");
                assert!(before == model, "seed {seed}");
                assert_eq!((opened.0.term, opened.0.appended_at), (Term(term.0 + 1), appended_at.max(now)));
                model = all;
            }
        }
        assert_eq!(log.tail(), Some(EntryId::new(1, model.len() as u64)), "seed {seed}");
    }
}

/// The resume of a source is the fold of its entries, before a crash and after it (J6). For the journal only.
pub fn resume_is_the_fold_of_the_sources_entries<H: Harness<Body = Entry>>(harness: &mut H) {
    let mut log = harness.open(None, Timestamp(0));
    let mut expected = Resume::default();
    let source = SystemId::from("legacy");
    let entries = story(&source);
    for entry in &entries {
        log.append(&[Arc::new([entry.clone()])], Class::Capture, Timestamp(0)).expect("room");
        expected.fold(entry);
        assert_eq!(log.resume().get(&source), Some(&expected));
        log = harness.open(Some(log), Timestamp(0));
        assert_eq!(log.resume(), [(source.clone(), expected.clone())].into());
    }
    assert_eq!(expected.passed, Some(position(9)));
    assert_eq!(expected.tables.get(&"public.a".into()), Some(&TableResume::Ready));
}

fn story(source: &SystemId) -> Vec<Entry> {
    let (source, incarnation) = (source.clone(), Incarnation(1));
    let schema = model::TableSchema { table: "public.a".into(), columns: Vec::new(), key: Vec::new() };
    let fingerprint = Fingerprint(7);
    let chunk = |number, key_to: Option<i64>| {
        Entry::Chunk(model::Chunk {
            source: source.clone(),
            incarnation,
            schema: fingerprint,
            number,
            key_from: None,
            key_to: key_to.and_then(|key| RowKey::encode([model::Cell::Int(key)])),
            rows: Vec::new(),
            low: position(2),
            high: position(2),
        })
    };
    let (transaction, committed_at, partitions) = ("7".into(), Timestamp(0), Vec::new());
    let commit = CommitEnd { end: position(5), count: 0, transaction, committed_at, partitions };
    let started = SnapshotMark::Started { tables: vec!["public.a".into(), "public.b".into()], at: position(2) };
    let ready = SnapshotMark::Ready { table: "public.a".into(), at: position(2) };
    vec![
        Entry::Slot { source: source.clone(), incarnation, wanted: "lockstep_clinic".into() },
        Entry::Snapshot { source: source.clone(), incarnation, mark: started },
        Entry::Schema { source: source.clone(), incarnation, position: position(2), fingerprint, schema },
        chunk(0, Some(10)),
        Entry::Clock,
        Entry::Commit { source: source.clone(), incarnation, position: position(4), commit },
        chunk(1, None),
        Entry::Snapshot { source: source.clone(), incarnation, mark: ready },
        Entry::Heartbeat { source: source.clone(), incarnation, position: position(9) },
    ]
}

fn position(n: u8) -> SourcePosition {
    SourcePosition::new(&[n]).expect("short")
}

fn batch<H: Harness>(harness: &H, numbers: std::ops::Range<u64>) -> Arc<[H::Body]> {
    numbers.map(|n| harness.body(n)).collect()
}

fn read<H: Harness>(harness: &H, log: &H::Log, from: u64, bytes_max: usize) -> Vec<(Header, H::Body)> {
    let read = log.read(EntryId::new(1, from), bytes_max).expect("it is there");
    read.into_iter().map(|stored| harness.split(stored)).collect()
}

/// Every entry, in reads of a few.
fn read_all<H: Harness>(harness: &H, log: &H::Log) -> Vec<(Header, H::Body)> {
    let mut all = Vec::new();
    loop {
        let some = read(harness, log, all.len() as u64 + 1, 700);
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}
