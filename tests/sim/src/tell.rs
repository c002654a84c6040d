//! A history as a person reads it: one line an event, names for hashes, no values.

use crate::{
    history::{Event, History},
    names::{Names, position},
};
use model::{Outcome, Write};
use ports::{NotApplied, SendBase, SinkReply};
use std::fmt::Write as _;

/// The lines of a history.
pub fn lines(history: &History) -> String {
    let (mut names, mut out) = (Names::default(), String::new());
    for (at, event) in history.events.iter().enumerate() {
        let (head, rest) = line(event, &mut names);
        writeln!(out, "{:>5}  {head:<12}{rest}", at + 1).expect("a string takes it");
    }
    out
}

fn line(event: &Event, names: &mut Names) -> (&'static str, String) {
    match event {
        Event::Committed(transaction) => {
            let change = |(at, table, key): &(_, model::TableName, Option<model::RowKey>)| match key {
                Some(key) => format!("{} {table}/{}", position(at), crate::names::key(key)),
                None => format!("{} {table} emptied", position(at)),
            };
            let changes: Vec<String> = transaction.changes.iter().map(change).collect();
            ("commit", format!("end {}: {}", position(&transaction.end), changes.join("; ")))
        }
        Event::Aborted { from, to } => ("rollback", format!("{} to {}", position(from), position(to))),
        Event::WentBack { to } => ("source", format!("its log ends at {} again", position(to))),
        Event::Journaled(entry) => ("journal", format!("{} {}", entry.header.id, names.entry(&entry.entry))),
        Event::Recorded(record) => {
            let text = names.record(&record.record);
            ("decisions", format!("{} {}", record.header.id, text.trim_start_matches("append decisions").trim()))
        }
        Event::Confirmed(at) => ("confirm", position(at)),
        Event::Sent(request) => {
            let guard = match &request.base {
                SendBase::Create => "create".to_owned(),
                SendBase::Version(version) => format!("over version {version}"),
                SendBase::Deleted(version) => format!("over deletion {version}"),
            };
            let verb = if request.write == Write::Put { "put" } else { "delete" };
            let (effect, unit) = (names.of_effect(&request.effect), names.of_unit(&request.unit));
            let stamp = names.of_request(&request.request);
            ("send", format!("{effect} {verb} {unit} {guard} {stamp} attempt {}", request.attempt))
        }
        Event::Settling(request) => {
            ("settle", format!("{} {}", names.of_effect(&request.effect), names.of_unit(&request.unit)))
        }
        Event::Applied { unit, version, request, body } => {
            let by = request.map_or("somebody else".to_owned(), |request| names.of_request(&request));
            let what = if body.is_some() { "" } else { ", a deletion" };
            ("target", format!("{} version {version} by {by}{what}", names.of_unit_text(unit)))
        }
        Event::Replied { effect, reply } => ("reply", format!("{} {}", names.of_effect(effect), of_reply(reply))),
        Event::Checkpointed => ("checkpoint", String::new()),
        Event::Crashed { durable: (entries, records) } => {
            ("CRASH", format!("{entries} entries and {records} records are durable"))
        }
        Event::Reopened { found: (entries, records) } => {
            ("reopened", format!("{entries} entries and {records} records are found"))
        }
        Event::Injected(fault) => ("FAULT", (*fault).to_owned()),
        Event::Halted { scope, what } if what.is_empty() => ("go on", format!("{scope:?}")),
        Event::Halted { scope, what } => ("halt", format!("{scope:?}: {what}")),
        Event::Corrupt(what) => ("corrupt", what.clone()),
        Event::Stale(n) => ("stale", n.to_string()),
        Event::Rest(_) => ("rest", String::new()),
    }
}

fn of_reply(reply: &SinkReply) -> String {
    match reply {
        SinkReply::Final { outcome, foreign } => {
            let outcome = match outcome {
                Outcome::Accepted { version, by } => format!("accepted, version {version}, by {by}"),
                Outcome::Observed => "observed".to_owned(),
                Outcome::Stale { version, .. } => format!("stale: version {version} stands there"),
                Outcome::Rejected { code, .. } => format!("rejected, {code}"),
                Outcome::Gone { version } => format!("gone, version {}", version.as_deref().unwrap_or("none")),
            };
            if foreign.is_empty() { outcome } else { format!("{outcome}; {} of others", foreign.len()) }
        }
        SinkReply::Unknown { .. } => "none came".to_owned(),
        SinkReply::NotApplied { why: NotApplied::Busy, .. } => "not applied: busy".to_owned(),
        SinkReply::NotApplied { why: NotApplied::Refused, .. } => "not applied: refused".to_owned(),
        SinkReply::NotApplied { why: NotApplied::Dependency, .. } => "not applied: a reference is missing".to_owned(),
        SinkReply::Failed(_) => "failed".to_owned(),
        SinkReply::TypeFailed(_) => "not taken: its whole type".to_owned(),
    }
}
