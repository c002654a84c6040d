//! Answers as JSON: names, counts and texts, never a patient's value.

use crate::Show;
use flow::{Awaited, Blocked, HeldItem, ParkedItem, Status, UnitView, WaitingItem};
use model::{Answer, Verdict};
use runtime::{Looked, TargetView};
use serde_json::{Value, json};
use verify::{About, Finding, Progress, Report};

/// Where everything stands.
pub(crate) fn status(
    status: &Status,
    seen: &TargetView,
    full: Option<String>,
    progress: &[ports::TableProgress],
    show: &Show,
) -> Value {
    let source = &status.source;
    let tables = source.tables.iter().map(|(table, ready, chunks)| {
        let rows = progress.iter().find(|progress| progress.table == *table);
        json!({
            "table": table.as_str(), "ready": ready, "chunks": chunks, "known_by": status.grounds.known_by.get(table),
            "rows_done": rows.map(|rows| rows.rows_done), "rows_estimate": rows.map(|rows| rows.rows_estimate),
        })
    });
    let halts = status.halts.iter().map(|halt| json!({ "scope": runtime::scope_name(&halt.scope), "what": halt.what }));
    // A table that cannot be captured for now is a part that stopped, though the source goes on.
    let stopped = progress.iter().filter_map(|table| {
        let what = table.stopped.as_ref()?;
        Some(json!({ "scope": format!("table {}", table.table), "what": what }))
    });
    json!({
        "source": {
            "system": source.system.as_str(), "state": source.state, "incarnation": source.incarnation.0,
            "passed": source.passed.as_ref().map(|passed| show(passed)),
            "committed_at_us": source.committed_at.map(|at| at.0),
            "tables": tables.collect::<Vec<_>>(),
        },
        "target": target(seen),
        "journal": status.journal.to_string(), "decisions": status.decisions.to_string(),
        "folding": status.folding.to_string(), "folded_at_us": status.folded_at.0,
        "blocked": status.blocked.map(blocked),
        "unsettled": status.unsettled, "waiting": status.waiting, "in_flight": status.in_flight,
        "accepted": status.accepted, "stale": status.stale, "waiting_units": status.waiting_units.0, "waited_for": status.waiting_units.1, "parked": status.parked, "held": status.held,
        "map": match &status.map {
            Ok((name, hash)) => json!({ "name": name, "hash": hash.to_string() }),
            Err(why) => json!({ "none": why }),
        },
        "in_force": status.grounds.map.map(|hash| hash.to_string()),
        "disk_full": full,
        "halts": halts.chain(stopped).collect::<Vec<_>>(),
    })
}

/// The target, by its answers and by the heartbeat (J35).
fn target(seen: &TargetView) -> Value {
    let found = |(seconds, looked): &(u64, Looked)| {
        let written = looked.written.as_ref();
        json!({
            "seconds_ago": seconds, "verdict": looked.verdict(), "alarm": looked.alarm(),
            "unit": written.map(|written| written.unit.to_string()), "version": written.map(|written| &written.version),
            "what": looked.what(), "cure": looked.cure(),
        })
    };
    json!({
        "system": seen.system.as_str(), "heartbeat_seconds": seen.heartbeat_seconds,
        "answered_seconds_ago": seen.answered_seconds_ago,
        "looked": seen.looked.as_ref().map(found),
        "behind": seen.behind.as_ref().map(|looked| json!({ "what": looked.what(), "cure": looked.cure() })),
    })
}

/// What an engine is blocked by that folds what it had decided before.
pub const RECOVERY: &str = "recovery is folding";

fn blocked(blocked: Blocked) -> String {
    match blocked {
        Blocked::Transaction { rows } => format!("transaction of {rows} rows"),
        Blocked::EffectsAhead => "effects_ahead_max effects wait for their outcomes".to_owned(),
        Blocked::Checkpoint => "a checkpoint waits for the decisions log".to_owned(),
        Blocked::Recovery => RECOVERY.to_owned(),
    }
}

/// One unit.
pub(crate) fn unit(view: &UnitView) -> Value {
    let unsettled = view.unsettled.iter().map(|(n, what)| json!({ "n": n, "what": what }));
    json!({
        "unit": view.unit.to_string(), "entity": view.entity.as_str(), "n": view.n,
        "verdict": view.verdict.as_ref().map(verdict), "fields": view.fields, "version": view.version,
        "answers": view.answers.iter().map(|answer| answer_name(*answer)).collect::<Vec<_>>(),
        "unsettled": unsettled.collect::<Vec<_>>(),
    })
}

/// A verdict in words.
pub fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Write => "write".to_owned(),
        Verdict::Delete => "delete".to_owned(),
        Verdict::Unchanged => "unchanged".to_owned(),
        Verdict::Frozen => "frozen".to_owned(),
        Verdict::Parked(cause) => format!("parked: {cause}"),
        Verdict::Held(question) => format!("held: {question}"),
        Verdict::Waiting(on) => format!("waiting for {} {:?}", on.entity, on.key),
    }
}

/// Parked units by cause.
pub(crate) fn parked(items: &[ParkedItem]) -> Value {
    items
        .iter()
        .map(|item| {
            let answers: Vec<&str> = flow::answers_to(&item.cause).iter().map(|answer| answer_name(*answer)).collect();
            json!({ "cause": item.cause, "count": item.count, "first": item.first.to_string(), "answers": answers })
        })
        .collect()
}

/// What is waited for.
pub(crate) fn waiting(items: &[WaitingItem]) -> Value {
    let one = |item: &WaitingItem| {
        let (kind, on) = match &item.on {
            Awaited::Row { entity, unit } => {
                let unit = unit.as_ref().map_or_else(|| entity.to_string(), ToString::to_string);
                ("row", unit)
            }
            Awaited::Unit(unit) => ("unit", unit.to_string()),
        };
        json!({
            "on": on, "kind": kind, "why": item.why, "count": item.count, "first": item.first.to_string(),
            "since_us": item.since.map(|at| at.0), "entry": item.entry.map(|entry| entry.to_string()),
        })
    };
    items.iter().map(one).collect()
}

/// What waits for a person.
pub(crate) fn held(items: &[HeldItem]) -> Value {
    let answers = |item: &HeldItem| item.answers.iter().map(|answer| answer_name(*answer)).collect::<Vec<_>>();
    items.iter().map(|item| json!({ "hold": item.name, "question": item.question, "answers": answers(item) })).collect()
}

const ANSWERS: [(Answer, &str); 8] = [
    (Answer::Expand, "expand"),
    (Answer::ReadAgain, "read-again"),
    (Answer::Accept, "accept"),
    (Answer::Release, "release"),
    (Answer::Recreate, "recreate"),
    (Answer::KeepDeleted, "keep-deleted"),
    (Answer::Rebind, "rebind"),
    (Answer::Unbind, "unbind"),
];

/// An answer as people write it.
pub fn answer_name(answer: Answer) -> &'static str {
    ANSWERS.iter().find(|(known, _)| *known == answer).map_or("", |(_, name)| name)
}

/// The answer that people write like this.
pub(crate) fn answer_of(name: &str) -> Option<Answer> {
    ANSWERS.iter().find(|(_, known)| *known == name).map(|(answer, _)| *answer)
}

/// Every answer there is.
pub fn answer_names() -> [&'static str; 8] {
    ANSWERS.map(|(_, name)| name)
}

/// How far a verification is.
pub(crate) fn progress(progress: &Progress) -> Value {
    json!({ "leg": progress.leg.as_str(), "what": progress.what, "done": progress.done })
}

/// What a verification found.
pub(crate) fn report(report: &Report, show: &Show) -> Value {
    let counts = report
        .counts
        .iter()
        .map(|((leg, class), n)| json!({ "leg": leg.as_str(), "class": class.as_str(), "count": n }));
    let left_out =
        report.left_out.iter().map(|one| json!({ "leg": one.leg.as_str(), "what": one.what, "why": one.why }));
    json!({
        "clean": report.clean(), "complete": report.complete(), "differences": report.differences(),
        "position": show(&report.position), "folding": report.folding.to_string(),
        "map": report.map.map(|hash| hash.to_string()),
        "rows": report.rows, "moved": report.moved, "dispositions": report.dispositions, "as_of_last_mapping": report.as_of_last_mapping,
        "equal": report.equal, "unsettled": report.unsettled, "open": report.open,
        "versions": report.versions, "ours": report.ours, "others": report.others, "in_flight": report.in_flight,
        "accepted": report.accepted, "wrote": report.wrote, "listed": report.listed, "references": report.references,
        "counts": counts.collect::<Vec<_>>(),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "left_out": left_out.collect::<Vec<_>>(),
    })
}

fn finding(finding: &Finding) -> Value {
    let mut object = json!({
        "leg": finding.leg.as_str(), "class": finding.class.as_str(), "version": finding.version,
        "fields": finding.fields,
        "entries": finding.entries.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    match &finding.about {
        About::Row { table, key } => {
            object["table"] = table.as_str().into();
            object["key"] = (**key).into();
        }
        About::Unit { unit, entity } => {
            object["unit"] = unit.to_string().into();
            object["entity"] = entity.as_str().into();
        }
        About::Resource { kind, id } => object["resource"] = format!("{kind}/{id}").into(),
    }
    object
}
