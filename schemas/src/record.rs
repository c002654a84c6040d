//! Records of the decisions log on the wire: `format, header, record` (`avro/record.avsc`).

use crate::{
    codec::Wire,
    entry::{get_header, put_header},
    wire::{Reader, WireError, Writer},
    wire_record, wire_symbols, wire_union,
};
use model::{
    Aggregate, Base, Cite, Decided, Decision, Effect, EffectGroup, FieldChange, Fingerprint, Header, Loser, Mark,
    Means, Presence, Record, Recorded, Rule, Verdict, Waiting, Write,
};

/// The Avro schema of a record.
pub const RECORD_AVSC: &str = include_str!("../avro/record.avsc");

/// Its fingerprint.
pub const RECORD_FINGERPRINT: Fingerprint = Fingerprint(include!("../avro/record.fingerprint"));

/// Appends the body of `record` under `header` to `out`.
pub fn encode_recorded(header: &Header, record: &Record, out: &mut Vec<u8>) {
    put_header(header, out);
    record.put(&mut Writer::new(out));
}

/// Reads a body that [`encode_recorded`] made.
pub fn decode_recorded(bytes: &[u8]) -> Result<Recorded, WireError> {
    let mut reader = Reader::new(bytes);
    let header = get_header(&mut reader)?;
    let record = Record::get(&mut reader)?;
    reader.end()?;
    Ok(Recorded { header, record })
}

wire_union!(Record {
    0 Opened { binary, behaviour },
    1 Decided(decided),
    2 Skipped { from, to },
    3 Unfolded { input, entry },
});

wire_record!(Decided { input, step, upto, last, decisions, effects, behaviour });

wire_record!(Mark { cause, entity, key });

wire_record!(Decision {
    unit,
    entity,
    aggregate,
    n,
    fields,
    foreign,
    verdict,
    base,
    effect,
    cites,
    author,
    rule,
    trace,
    losers,
    presence,
    post,
    ruleset,
    epoch,
});

wire_record!(FieldChange { address, value });

wire_union!(Verdict {
    0 Write,
    1 Delete,
    2 Unchanged,
    3 Frozen,
    4 Parked(cause),
    5 Held(question),
    6 Waiting(on),
});

wire_record!(Waiting { entity, key });

wire_union!(Base {
    0 Create,
    1 After(effect),
    2 Version(version),
});

wire_record!(Cite { entry, row });

wire_symbols!(Rule { OneWay, Equal, ForeignMet, Refused, GoneStands, Unmappable, WaitsFor, Purge, Person });

wire_record!(Loser { system, address, value });

wire_symbols!(Means { Retracted, Ended, Purged, Removed });

wire_union!(Presence {
    0 Unknown,
    1 Present,
    2 Deleted(means),
});

wire_record!(Effect { id, system, unit, generation, n, base, body, write, group });

wire_record!(EffectGroup { first, members });

wire_record!(Aggregate { kind, subject });

wire_symbols!(Write { Put, Delete });
