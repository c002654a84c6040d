//! Loss, repeats, zombies and races, record by record.

use super::*;
use model::{Header, Pins};

/// A writer as it sees the partition; what it makes may be read or not.
#[derive(Clone)]
struct Writer {
    term: Term,
    next: u64,
    chain: Hash,
}

type Record = (Vec<u8>, Hash);

impl Writer {
    /// Looks at the partition as it is now, and opens.
    fn open(reading: &Reading) -> (Writer, Record) {
        let term = Term(reading.term().0 + 1);
        let mut writer = Writer { term, next: reading.next().seq, chain: reading.chain() };
        let opened = writer.write(Entry::Opened { binary: "test".into(), behaviour: 1, pins: Pins::default() });
        (writer, opened)
    }

    fn write(&mut self, entry: Entry) -> Record {
        let id = EntryId { writer: WRITER, seq: self.next };
        let header = Header { id, term: self.term, appended_at: Timestamp(self.next.cast_signed()) };
        let (mut body, prev) = (Vec::new(), self.chain);
        schemas::encode_journaled(&header, &entry, &mut body);
        (self.next, self.chain) = (self.next + 1, step(prev, &body));
        (body, prev)
    }

    fn clock(&mut self) -> Record {
        self.write(Entry::Clock)
    }
}

/// A partition and its reader.
#[derive(Default)]
struct Partition {
    reading: Reading,
    offset: i64,
}

impl Partition {
    fn put(&mut self, (body, prev): &Record) -> Result<Verdict, Broken> {
        self.offset += 1;
        self.reading.read(self.offset, Some(&stamp(*prev)), body)
    }

    fn opened() -> (Partition, Writer) {
        let mut partition = Partition::default();
        let (writer, record) = Writer::open(&partition.reading);
        partition.takes(&record);
        (partition, writer)
    }

    fn takes(&mut self, record: &Record) {
        assert_eq!(self.put(record), Ok(Verdict::Taken));
    }
}

#[test]
fn entries_are_taken_in_their_order() {
    let (mut partition, mut writer) = Partition::opened();
    for seq in 2..6 {
        partition.takes(&writer.clock());
        assert_eq!(partition.reading.tail(), Some(EntryId::new(1, seq)));
        assert_eq!(partition.reading.taken(seq).map(|taken| taken.offset), Some(seq.cast_signed()));
    }
    assert_eq!((partition.reading.taken(0), partition.reading.taken(6)), (None, None));
}

#[test]
fn a_lost_entry_stops_the_reader_by_its_number() {
    let (mut partition, mut writer) = Partition::opened();
    let _lost = [writer.clock(), writer.clock()];
    assert_eq!(partition.put(&writer.clock()), Err(Broken::Gap { expected: 2, found: 4, offset: 2 }));
    let fault = Fault::from(Broken::Gap { expected: 2, found: 4, offset: 2 });
    assert_eq!(fault.failure, Failure::Corrupt);
    assert!(fault.what.contains("entries 2 to 3 are missing"), "{fault}");
}

#[test]
fn a_lost_opening_stops_the_reader() {
    let (mut partition, _) = Partition::opened();
    let (mut second, _lost) = Writer::open(&partition.reading);
    assert_eq!(partition.put(&second.clock()), Err(Broken::Unopened { term: Term(2), offset: 2 }));
}

#[test]
fn a_lost_entry_before_an_opening_stops_the_reader() {
    let (mut partition, mut writer) = Partition::opened();
    let mut whole = Partition::default();
    let (_, first) = Writer::open(&whole.reading);
    whole.takes(&first);
    whole.takes(&writer.clock());
    let (_, opened) = Writer::open(&whole.reading);
    assert_eq!(partition.put(&opened), Err(Broken::Gap { expected: 2, found: 3, offset: 2 }));
}

#[test]
fn a_repeat_is_dropped_and_a_changed_one_is_not_taken_for_it() {
    let (mut partition, mut writer) = Partition::opened();
    let mut other = writer.clone();
    let first = writer.clock();
    partition.takes(&first);
    assert_eq!(partition.put(&first), Ok(Verdict::Repeated));
    let void = Entry::Void { source: "legacy".into(), from: EntryId::new(1, 1), to: EntryId::new(1, 1) };
    let changed = other.write(void);
    assert_eq!(partition.put(&changed), Err(Broken::Changed { seq: 2, offset: 4 }));
    partition.takes(&writer.clock());
}

#[test]
fn what_a_zombie_appends_is_void() {
    let (mut partition, mut zombie) = Partition::opened();
    partition.takes(&zombie.clock());
    let (mut second, opened) = Writer::open(&partition.reading);
    partition.takes(&opened);
    for _ in 0..2 {
        assert_eq!(partition.put(&zombie.clock()), Ok(Verdict::Void));
    }
    partition.takes(&second.clock());
    assert_eq!(partition.reading.tail(), Some(EntryId::new(1, 4)));
}

#[test]
fn an_opening_that_lost_the_race_is_void_and_ends_the_zombie_all_the_same() {
    let (mut partition, mut zombie) = Partition::opened();
    let (_, late) = Writer::open(&partition.reading);
    partition.takes(&zombie.clock());
    assert_eq!(partition.put(&late), Ok(Verdict::Void));
    assert_eq!(partition.put(&zombie.clock()), Ok(Verdict::Void));
    let (mut third, opened) = Writer::open(&partition.reading);
    assert_eq!(third.term, Term(3));
    partition.takes(&opened);
    partition.takes(&third.clock());
}

#[test]
fn of_two_openings_of_one_term_the_first_counts() {
    let (mut partition, _) = Partition::opened();
    let (_, one) = Writer::open(&partition.reading);
    let (mut second, _) = Writer::open(&partition.reading);
    second.next -= 1;
    second.chain = partition.reading.chain();
    let other = second.write(Entry::Opened { binary: "other".into(), behaviour: 1, pins: Pins::default() });
    partition.takes(&one);
    assert_eq!(partition.put(&other), Ok(Verdict::Void));
}

#[test]
fn a_rewritten_entry_breaks_the_chain_of_the_next() {
    let (mut partition, mut writer) = Partition::opened();
    let mut other = writer.clone();
    let _replaced = other.clock();
    let source = "legacy".into();
    partition.takes(&writer.write(Entry::Void { source, from: EntryId::new(1, 1), to: EntryId::new(1, 1) }));
    assert_eq!(partition.put(&other.clock()), Err(Broken::Chain { seq: 3, offset: 3 }));
}

#[test]
fn a_record_of_somebody_else_is_refused_without_its_bytes() {
    let (mut partition, mut writer) = Partition::opened();
    let (body, prev) = writer.clock();
    for stamp in [None, Some(&b"short"[..]), Some(&[0; 40][..])] {
        assert!(matches!(partition.reading.read(9, stamp, &body), Err(Broken::Foreign { offset: 9, .. })));
    }
    let refused = partition.reading.read(9, Some(&stamp(prev)), b"Mrs Miller").expect_err("no entry");
    assert!(!refused.to_string().contains("Miller"), "{refused}");
}
