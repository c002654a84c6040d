//! `replay check`: decides every input again, from nothing, and compares with what is recorded (J17, J38).
//!
//! Reads both logs beside the engine and writes nothing. Runs of inputs that decided nothing are merged before they are
//! compared; decisions are compared by content. A difference is named by unit and field, never by value.

use crate::{
    args::Replay,
    config::Settings,
    describe, dry,
    dry::Dry,
    error::CliError,
    exit::Exit,
    output::Output,
    progress::Bar,
    stores::{self, READ_BYTES_MAX, RecordReader},
};
use flow::Flow;
use model::{Decided, Decision, EntryId, FieldChange, Record, Recorded};
use ports::Fault;
use serde_json::json;
use std::collections::VecDeque;
use store::{MemoryDisk, MemoryStore};

/// Replays and compares.
pub fn run(settings: &Settings, command: &Replay, output: Output) -> Result<Exit, CliError> {
    let Replay::Check = command;
    let (journal, decisions) = (stores::read_journal(settings)?, stores::read_decisions(settings)?);
    stores::same_deployment(settings, &journal)?;
    let mut flow = settings.flow_config(flow::BEHAVIOUR);
    stores::visit(&decisions, EntryId::new(1, 1), |recorded| {
        flow.quarantine.recorded(&recorded);
        true
    })?;
    flow.limits.effects_ahead_max = usize::MAX;
    let store = Box::new(MemoryStore::open(&MemoryDisk::default()));
    let mut dry = Dry::open(Flow::replaying(flow), store, (&journal, &decisions))?.ok_or_else(dry::empty)?;
    let tail = dry.tail;
    let mut recorded = Recordings::new(&decisions);
    let mut compared = 0u64;
    let bar = Bar::entries("deciding again", tail.seq);
    while let Some(round) = dry.step()? {
        bar.at(dry.read);
        for record in round.records.iter().flat_map(|records| records.iter()) {
            let Record::Decided(again) = record else { continue };
            let Some((at, before)) = recorded.next()? else {
                // Everything that is recorded was equal; what follows was not decided before the engine stopped.
                return equal(compared, recorded.oldest, output);
            };
            if let Some(what) = difference(&before, again) {
                return Ok(differs(at, &what, recorded.oldest, output));
            }
            compared += 1;
        }
    }
    match recorded.next()? {
        None => equal(compared, recorded.oldest, output),
        // Decided while we read: behind what was replayed.
        Some((_, before)) if before.input > tail => equal(compared, recorded.oldest, output),
        Some((at, before)) => Ok(differs(
            at,
            &format!("input {} step {} is not decided again", before.input, before.step),
            recorded.oldest,
            output,
        )),
    }
}

fn equal(compared: u64, oldest: Option<u32>, output: Output) -> Result<Exit, CliError> {
    output.say(json!({ "equal": true, "records": compared, "oldest_behaviour": oldest }), || {
        format!(
            "equal: {compared} decided steps; oldest behaviour {}",
            oldest.map_or_else(|| "none".to_owned(), |oldest| oldest.to_string())
        )
    });
    Ok(Exit::Done)
}

fn differs(at: EntryId, what: &str, oldest: Option<u32>, output: Output) -> Exit {
    output.say(
        json!({ "equal": false, "record": at.to_string(), "difference": what, "oldest_behaviour": oldest }),
        || format!("DIFFERENT at decisions {at}: {what}"),
    );
    Exit::No
}

/// The recorded steps, one after the other.
struct Recordings<'a> {
    reader: &'a RecordReader,
    from: EntryId,
    page: VecDeque<Recorded>,
    oldest: Option<u32>,
}

impl<'a> Recordings<'a> {
    fn new(reader: &'a RecordReader) -> Recordings<'a> {
        Recordings { reader, from: EntryId::new(1, 1), page: VecDeque::new(), oldest: None }
    }

    fn next(&mut self) -> Result<Option<(EntryId, Decided)>, Fault> {
        loop {
            while let Some(Recorded { header, record }) = self.page.pop_front() {
                self.from = header.id.next();
                if let Record::Decided(decided) = record {
                    self.oldest = Some(self.oldest.map_or(decided.behaviour, |oldest| oldest.min(decided.behaviour)));
                    return Ok(Some((header.id, decided)));
                }
            }
            self.page = self.reader.read(self.from, READ_BYTES_MAX)?.into();
            if self.page.is_empty() {
                return Ok(None);
            }
        }
    }
}

/// The first difference of two steps, in words without values.
fn difference(before: &Decided, again: &Decided) -> Option<String> {
    if (before.input, before.step) != (again.input, again.step) {
        return Some(format!(
            "input {} step {} was decided, now input {} step {}",
            before.input, before.step, again.input, again.step
        ));
    }
    let place = format!("input {} step {}", before.input, before.step);
    for (one, other) in before.decisions.iter().zip(&again.decisions) {
        if let Some(what) = decision_difference(one, other) {
            return Some(format!("{place}: {}: {what}", one.unit));
        }
    }
    if before.decisions.len() != again.decisions.len() {
        return Some(format!("{place}: {} decisions, now {}", before.decisions.len(), again.decisions.len()));
    }
    if before.effects != again.effects {
        return Some(format!("{place}: effects differ"));
    }
    if (&before.upto, before.last) != (&again.upto, again.last) {
        return Some(format!("{place}: the step ends elsewhere"));
    }
    None
}

fn decision_difference(before: &Decision, again: &Decision) -> Option<String> {
    if before == again {
        return None;
    }
    if before.unit != again.unit {
        return Some(format!("now {}", again.unit));
    }
    if before.n != again.n {
        return Some(format!("decision n={}, now n={}", before.n, again.n));
    }
    if before.verdict != again.verdict || before.rule != again.rule {
        return Some(format!("was {}, now {}", describe::decision(before), describe::decision(again)));
    }
    let fields = |list: &[FieldChange], other: &[FieldChange]| {
        list.iter().find(|field| !other.contains(field)).map(|field| format!("{:?}", field.address))
    };
    let field = fields(&before.fields, &again.fields).or_else(|| fields(&again.fields, &before.fields));
    let field =
        field.or_else(|| fields(&before.foreign, &again.foreign)).or_else(|| fields(&again.foreign, &before.foreign));
    if let Some(field) = field {
        return Some(format!("field {field} differs"));
    }
    let part = [
        ("base", before.base != again.base),
        ("effect", before.effect != again.effect),
        ("cites", before.cites != again.cites),
        ("trace", before.trace != again.trace),
        ("losers", before.losers != again.losers),
        ("presence", before.presence != again.presence),
        ("post hash", before.post != again.post),
        ("ruleset", before.ruleset != again.ruleset),
    ];
    let part = part.iter().find(|(_, differs)| *differs).map_or("order of fields", |(name, _)| name);
    Some(format!("{part} differs"))
}
