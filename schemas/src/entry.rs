//! Entries of the journal on the wire: `format, header, entry` (`avro/entry.avsc`).
//!
//! The bytes are what the chain hashes (J2), so one entry has exactly one encoding. A format byte other than v0's is
//! refused before anything else is read (J5).

use crate::{
    codec::Wire,
    wire::{FORMAT, Reader, WireError, Writer},
    wire_record, wire_symbols, wire_union,
};
use model::{
    Acked, Activated, Answer, Author, Bound, Captured, Chunk, CommitEnd, Control, ControlAct, Deployment, Entry,
    Fingerprint, Header, Journaled, Kind, Outcome, PinnedLimits, Pins, Principal, ResourceEntry, RowChange, RowEntry,
    SnapshotMark,
};

/// The Avro schema of a journaled entry.
pub const ENTRY_AVSC: &str = include_str!("../avro/entry.avsc");

/// Its fingerprint; stands wherever entries are kept, and another one is refused (J5).
pub const ENTRY_FINGERPRINT: Fingerprint = Fingerprint(include!("../avro/entry.fingerprint"));

/// Appends the body of `entry` under `header` to `out`.
pub fn encode_journaled(header: &Header, entry: &Entry, out: &mut Vec<u8>) {
    put_header(header, out);
    entry.put(&mut Writer::new(out));
}

/// Reads a body that [`encode_journaled`] made.
pub fn decode_journaled(bytes: &[u8]) -> Result<Journaled, WireError> {
    let mut reader = Reader::new(bytes);
    let header = get_header(&mut reader)?;
    let entry = Entry::get(&mut reader)?;
    reader.end()?;
    Ok(Journaled { header, entry })
}

/// Reads the header alone, of an entry or of a record.
pub fn decode_header(bytes: &[u8]) -> Result<Header, WireError> {
    get_header(&mut Reader::new(bytes))
}

pub(crate) fn put_header(header: &Header, out: &mut Vec<u8>) {
    let mut out = Writer::new(out);
    out.long(i64::from(FORMAT));
    header.put(&mut out);
}

pub(crate) fn get_header(reader: &mut Reader<'_>) -> Result<Header, WireError> {
    match reader.byte("a format byte")? {
        FORMAT => Header::get(reader),
        found => Err(WireError::Format { found }),
    }
}

wire_union!(Entry {
    0 Opened { binary, behaviour, pins },
    1 Slot { source, incarnation, wanted },
    2 Snapshot { source, incarnation, mark },
    3 Chunk(chunk),
    4 Row(row),
    5 Commit { source, incarnation, position, commit },
    6 Schema { source, incarnation, position, fingerprint, schema },
    7 Truncate { source, incarnation, position, tables },
    8 Resource(resource),
    9 Message { source, incarnation, position, prefix, content },
    10 Heartbeat { source, incarnation, position },
    11 Acked(acked),
    12 Sending { system, request, effects },
    13 Reviewed { by, unit, answer, reason },
    14 Bound(bound),
    15 Unbound { system, unit, reason },
    16 Activated(activated),
    17 Control(control),
    18 Clock,
    19 Void { source, from, to },
    20 Passed { barrier },
    21 Placed { from },
    22 Leave { unit },
    23 Enter { unit },
});

wire_union!(SnapshotMark {
    0 Started { tables, at },
    1 Ready { table, at },
});

wire_record!(Pins { deployment, limits });

wire_record!(Deployment { pipeline, site, namespace, source, sink, stamp_uri });

wire_record!(PinnedLimits {
    step_units_max,
    inferred_deletes_percent,
    inferred_deletes_at_least,
    waiting_age_max_seconds,
});

wire_record!(Chunk { source, incarnation, schema, number, key_from, key_to, rows, low, high });

wire_record!(RowEntry { source, incarnation, position, schema, change, commit, author });

wire_union!(RowChange {
    0 Insert(row),
    1 Update { before, after },
    2 Delete { before },
});

wire_record!(CommitEnd { end, count, transaction, committed_at, partitions });

wire_record!(ResourceEntry { system, unit, version, deleted, body, author, stamp, captured });

wire_record!(Captured { incarnation, position });

wire_symbols!(Author { Human, Engine, System, Derived });

wire_record!(Acked { system, unit, effect, attempts, outcome });

wire_union!(Outcome {
    0 Accepted { version, by },
    1 Observed,
    2 Stale { version, current, over },
    3 Rejected { code, detail },
    4 Gone { version },
});

wire_record!(Bound { system, entity, table, key, key_version, unit });

wire_record!(Activated { by, kind, name, hash, bytes, behaviour });

wire_symbols!(Kind { Map, Rules, Elements, Zones });

wire_record!(Control { by, act, reason });

wire_union!(ControlAct {
    0 AcceptGap { source, passed, slot },
    1 Answered { hold, answer, about },
    2 Released { cause },
    3 Probed { system, profile, findings },
    4 Dropped { source },
});

wire_symbols!(Answer { Expand, ReadAgain, Accept, Release, Recreate, KeepDeleted, Rebind, Unbind });

wire_record!(Principal { issuer, subject, name, roles, how });
