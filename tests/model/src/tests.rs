//! The model's resume is the engine's: in every state of some configurations, `ports::Resume` folds the same journal to
//! the same answers.

use crate::{
    Model, config,
    explore::visit,
    source,
    state::{Entry, NONE, Table},
};
use model::{
    Chunk, CommitEnd, Fingerprint, Incarnation, Row, RowChange, RowEntry, SnapshotMark, SourcePosition, SystemId,
    TableName, TableSchema, Timestamp,
};
use ports::{Resume, TableResume};

#[test]
fn the_engine_resumes_where_the_model_does() {
    let mut compared = 0;
    for name in ["capture", "capture-gap", "capture-keepalive"] {
        let config = config::bounded().into_iter().find(|config| config.name == name).expect("there is one");
        let report = visit(&Model::new(config), &mut |state| {
            compared += 1;
            compare(&state.journal);
        });
        assert!(report.violation.is_none());
    }
    assert!(compared > 100_000, "{compared} states");
}

fn compare(journal: &[Entry]) {
    let ours = source::Resume::of(journal);
    let mut engine = Resume::default();
    let mut incarnation = 0u32;
    for entry in journal {
        incarnation += u32::from(*entry == Entry::Wanted);
        real(*entry, Incarnation(incarnation)).iter().for_each(|entry| engine.fold(entry));
    }
    let wanted = engine.wanted.is_some() && !engine.started;
    // A journal that begins behind its first read has no Slot.
    if incarnation == 0 {
        assert!(!ours.wanted, "{journal:?}");
    } else {
        assert_eq!(wanted, ours.wanted, "{journal:?}");
    }
    if ours.wanted {
        return; // the engine has forgotten the slot before; the model forgets when the new one is started
    }
    assert_eq!(engine.started, ours.started, "{journal:?}");
    assert_eq!(engine.passed, ours.started.then(|| at(ours.passed)), "{journal:?}");
    for table in [0, 1] {
        let state = match (ours.started, ours.ready[table], ours.chunk[table]) {
            (false, ..) => None,
            (_, true, _) => Some(TableResume::Ready),
            (_, false, read) => Some(TableResume::Open { next_chunk: read.into(), done_upto: None }),
        };
        assert_eq!(engine.tables.get(&name(table)), state.as_ref(), "{journal:?}");
    }
}

/// What the engine writes for the model's entry; outcomes are no entries of a source.
fn real(entry: Entry, incarnation: Incarnation) -> Vec<model::Entry> {
    let source = SystemId::from("legacy");
    let end = |lsn, count: u8| CommitEnd {
        end: at(lsn),
        count: count.into(),
        transaction: "1".into(),
        committed_at: Timestamp(0),
        partitions: Vec::new(),
    };
    let row = |table: Table, lsn, commit| {
        let change = RowChange::Insert(Row(Box::new([])));
        let schema = print(table.into());
        let (source, author) = (source.clone(), None);
        model::Entry::Row(RowEntry { source, incarnation, position: at(lsn), schema, change, commit, author })
    };
    let mark = |mark| model::Entry::Snapshot { source: source.clone(), incarnation, mark };
    let entry = match entry {
        Entry::Wanted => model::Entry::Slot { source, incarnation, wanted: "lockstep_clinic".into() },
        Entry::Started { at: lsn } => {
            let shapes = [0, 1].map(|table| {
                let schema = TableSchema { table: name(table), columns: Vec::new(), key: Vec::new() };
                let (source, fingerprint) = (source.clone(), print(table));
                model::Entry::Schema { source, incarnation, position: at(lsn), fingerprint, schema }
            });
            let started = mark(SnapshotMark::Started { tables: vec![name(0), name(1)], at: at(lsn) });
            return [started].into_iter().chain(shapes).collect();
        }
        Entry::Chunk { table, low, high, .. } => model::Entry::Chunk(Chunk {
            source,
            incarnation,
            schema: print(table.into()),
            number: 0,
            key_from: None,
            key_to: None,
            rows: Vec::new(),
            low: at(low),
            high: at(high),
        }),
        Entry::Ready { table } => mark(SnapshotMark::Ready { table: name(table.into()), at: at(0) }),
        Entry::Row { table, .. } => row(table, 0, None),
        Entry::Commit { at: lsn, count, table: NONE, .. } => {
            model::Entry::Commit { source, incarnation, position: at(lsn), commit: end(lsn, count) }
        }
        Entry::Commit { at: lsn, count, table, .. } => row(table, lsn, Some(end(lsn, count))),
        Entry::Heartbeat { at: lsn } => model::Entry::Heartbeat { source, incarnation, position: at(lsn) },
        Entry::Void | Entry::Acked { .. } | Entry::Stale { .. } | Entry::Resource { .. } => return Vec::new(),
    };
    vec![entry]
}

fn at(lsn: u8) -> SourcePosition {
    SourcePosition::new(&[lsn]).expect("short")
}

fn name(table: usize) -> TableName {
    ["public.a", "public.b"][table].into()
}

fn print(table: usize) -> Fingerprint {
    Fingerprint(table as u64 + 1)
}
