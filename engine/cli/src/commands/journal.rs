//! `journal`: reads both logs beside the engine, through the durable tail. Prints types, lengths and keyed hashes only.

use crate::{
    args::Journal,
    config::Settings,
    connect, describe,
    describe::Words,
    error::CliError,
    exit::Exit,
    output::{Output, fields},
    progress::Bar,
    stores::{self, EntryReader, RecordReader},
};
use journal::{Codec, EntryCodec, LogReader, Recovered};
use model::{Entry, EntryId, Fingerprint, Journaled, Recorded, Row, RowChange};
use ports::Fault;
use schemas::Plan;
use serde_json::{Value, json};
use std::sync::Arc;

/// Lists, shows or verifies.
pub fn run(settings: &Settings, command: &Journal, output: Output) -> Result<Exit, CliError> {
    match command {
        Journal::Ls { from, max, decisions: false } => list_entries(settings, *from, *max, output),
        Journal::Ls { from, max, decisions: true } => list_records(settings, *from, *max, output),
        Journal::Show { entry, decisions: false } => show_entry(settings, *entry, output),
        Journal::Show { entry, decisions: true } => show_record(settings, *entry, output),
        Journal::Verify => verify(settings, output),
    }
}

/// What descriptions need, with the schemas in force.
pub fn words(settings: &Settings) -> Result<Words, Fault> {
    let recovered = Recovered::<EntryCodec>::recover(&settings.data("journal"))?;
    let schemas = recovered.resumes().values().flat_map(|resume| resume.schemas.values());
    let plans = schemas.map(|(print, schema)| (*print, Arc::new(Plan::new(schema)))).collect();
    Ok(Words {
        secret: settings.tag_secret(),
        show: connect::show(settings),
        kind: settings.source.kind.clone(),
        plans,
    })
}

/// Learns every schema before `upto`, if an older one than those in force is needed.
pub fn learn(words: &mut Words, reader: &EntryReader, needed: &[Fingerprint], upto: EntryId) -> Result<(), Fault> {
    if needed.iter().all(|print| words.plans.contains_key(print)) {
        return Ok(());
    }
    stores::visit(reader, EntryId { seq: 1, ..upto }, |entry| {
        words.learn(&entry.entry);
        entry.header.id < upto
    })
}

fn schema_of(entry: &Entry) -> Option<Fingerprint> {
    match entry {
        Entry::Row(row) => Some(row.schema),
        Entry::Chunk(chunk) => Some(chunk.schema),
        _ => None,
    }
}

fn list_entries(settings: &Settings, from: Option<EntryId>, max: u64, output: Output) -> Result<Exit, CliError> {
    let reader = stores::read_journal(settings)?;
    let mut words = words(settings)?;
    let page = page(&reader, from, max)?;
    let needed: Vec<Fingerprint> = page.iter().filter_map(|entry| schema_of(&entry.entry)).collect();
    if let Some(first) = page.first() {
        learn(&mut words, &reader, &needed, first.header.id)?;
    }
    let rows = page.iter().map(|entry| {
        words.learn(&entry.entry);
        let mut line = words.entry(&entry.entry);
        if let Entry::Opened { .. } = &entry.entry {
            line.what = format!("writer {} term {}, {}", entry.header.id.writer.0, entry.header.term.0, line.what);
        }
        let (id, at) = (entry.header.id.to_string(), entry.header.appended_at);
        let object = json!({
            "entry": id, "term": entry.header.term.0, "appended_at": describe::time(at), "kind": line.kind,
            "source": line.source, "position": line.position, "what": line.what,
        });
        (vec![id, describe::table_time(at), line.kind.to_owned(), line.source, line.position, line.what], object)
    });
    output.table(&["entry", "appended (UTC)", "kind", "source", "position", "what"], rows.collect());
    durable(&reader, output)
}

fn list_records(settings: &Settings, from: Option<EntryId>, max: u64, output: Output) -> Result<Exit, CliError> {
    let reader = stores::read_decisions(settings)?;
    let words = words(settings)?;
    let rows = page(&reader, from, max)?.into_iter().map(|recorded| {
        let (kind, what) = words.record(&recorded.record);
        let (id, at) = (recorded.header.id.to_string(), recorded.header.appended_at);
        let object = json!({ "record": id, "appended_at": describe::time(at), "kind": kind, "what": what });
        (vec![id, describe::table_time(at), kind.to_owned(), what], object)
    });
    output.table(&["record", "appended (UTC)", "kind", "what"], rows.collect());
    durable(&reader, output)
}

/// At most `max` of a log, from there on; the last ones if no place is named.
fn page<C: Codec>(reader: &LogReader<C>, from: Option<EntryId>, max: u64) -> Result<Vec<C::Stored>, Fault> {
    let Some(tail) = reader.tail()? else { return Ok(Vec::new()) };
    let from = from.unwrap_or(EntryId { seq: (tail.seq + 1).saturating_sub(max).max(1), ..tail });
    let mut page = Vec::new();
    if max > 0 {
        stores::visit(reader, from, |stored| {
            page.push(stored);
            (page.len() as u64) < max
        })?;
    }
    Ok(page)
}

fn durable<C: Codec>(reader: &LogReader<C>, output: Output) -> Result<Exit, CliError> {
    let tail = reader.tail()?.map_or_else(|| "nothing".to_owned(), |id| id.to_string());
    output.note(&format!("durable through {tail}"));
    Ok(Exit::Done)
}

fn none(id: EntryId) -> CliError {
    CliError::new(Exit::Usage, format!("{id} is not there, or not durable yet"), "lockstep journal ls")
}

fn show_entry(settings: &Settings, id: EntryId, output: Output) -> Result<Exit, CliError> {
    let reader = stores::read_journal(settings)?;
    let (place, Journaled { header, entry }) =
        reader.locate(id)?.filter(|(_, entry)| entry.header.id == id).ok_or_else(|| none(id))?;
    let mut words = words(settings)?;
    learn(&mut words, &reader, &schema_of(&entry).into_iter().collect::<Vec<_>>(), id)?;
    let line = words.entry(&entry);
    let rows = rows_of(&entry);
    let (visible, decided) = fate(settings, &reader, id, &entry)?;
    let cells = |row: &Row| schema_of(&entry).map(|schema| words.cells(schema, row)).unwrap_or_default();
    let object = json!({
        "entry": id.to_string(), "term": header.term.0, "offset": place.offset.0, "segment": place.segment.to_string(),
        "batch": [place.batch_first.to_string(), place.batch_last.to_string()], "chain": place.chain.to_string(),
        "appended_at": describe::time(header.appended_at), "kind": line.kind, "source": line.source,
        "position": line.position, "what": line.what, "visible": visible.map(|id| id.to_string()),
        "rows": rows.iter().map(|(name, row)| json!({ "image": name, "cells": cells(row) })).collect::<Vec<Value>>(),
        "decided": decided,
    });
    output.say(object, || {
        let mut out = fields(&[
            (
                "entry",
                format!(
                    "{id}    writer {}, term {}, offset {}, segment {}, batch {}–{}",
                    id.writer.0, header.term.0, place.offset.0, place.segment, place.batch_first, place.batch_last
                ),
            ),
            (
                "chain",
                format!("{} at {}, verified over the batch", short_chain(&place.chain.to_string()), place.batch_last),
            ),
            ("appended", describe::time(header.appended_at)),
            ("source", format!("{}    position {}", line.source, line.position)),
            (&line.kind.to_lowercase(), line.what.clone()),
        ]);
        for (name, row) in &rows {
            let cells = cells(row);
            let width = cells.iter().map(|(column, _)| column.len()).max().unwrap_or(0);
            if rows.len() > 1 {
                out += &format!("           {name}\n");
            }
            cells.iter().for_each(|(column, cell)| out += &format!("           {column:width$}  {cell}\n"));
        }
        out += &visible.map(|id| format!("visible    at commit {id}\n")).unwrap_or_default();
        decided.iter().for_each(|line| out += &format!("decided    {line}\n"));
        out
    });
    Ok(Exit::Done)
}

fn short_chain(chain: &str) -> String {
    format!("{}…{}", chain.get(..6).unwrap_or_default(), chain.get(62..).unwrap_or_default())
}

/// The rows of an entry that may be shown cell by cell; a chunk's are too many.
fn rows_of(entry: &Entry) -> Vec<(&'static str, &Row)> {
    let Entry::Row(row) = entry else { return Vec::new() };
    match &row.change {
        RowChange::Insert(row) => vec![("row", row)],
        RowChange::Update { before, after } => {
            before.iter().map(|before| ("before", before)).chain([("after", after)]).collect()
        }
        RowChange::Delete { before } => vec![("before", before)],
    }
}

/// The commit that makes a row visible, and what was decided from there.
fn fate(
    settings: &Settings,
    reader: &EntryReader,
    id: EntryId,
    entry: &Entry,
) -> Result<(Option<EntryId>, Vec<String>), Fault> {
    let input = match entry {
        Entry::Row(row) if row.commit.is_none() => commit_behind(reader, id)?,
        _ => Some(id),
    };
    let Some(input) = input else { return Ok((None, Vec::new())) };
    let visible = matches!(entry, Entry::Row(_)).then_some(input);
    let mut decided = Vec::new();
    decisions_citing(settings, id, input, &mut |record, line| decided.push(format!("decisions {record} ({line})")))?;
    Ok((visible, decided))
}

fn commit_behind(reader: &EntryReader, id: EntryId) -> Result<Option<EntryId>, Fault> {
    let mut found = None;
    stores::visit(reader, id.next(), |entry| {
        match &entry.entry {
            Entry::Commit { .. } => found = Some(entry.header.id),
            Entry::Void { from, to, .. } if *from <= id && id <= *to => {}
            _ => return true,
        }
        false
    })?;
    Ok(found)
}

fn decisions_citing(
    settings: &Settings,
    cited: EntryId,
    input: EntryId,
    tell: &mut dyn FnMut(EntryId, String),
) -> Result<(), Fault> {
    /// Decisions of an input are appended soon behind it; further on only other units cite it.
    const FURTHER: u64 = 100_000;
    let reader: RecordReader = stores::read_decisions(settings)?;
    stores::visit(&reader, EntryId::new(1, 1), |Recorded { header, record }| {
        let model::Record::Decided(decided) = record else { return true };
        for decision in &decided.decisions {
            if decision.cites.iter().any(|cite| cite.entry == cited) || (decided.input == input && cited == input) {
                tell(
                    header.id,
                    format!("input {}, step {}: {}", decided.input, decided.step, describe::decision(decision)),
                );
            }
        }
        decided.input.seq < input.seq + FURTHER
    })
}

fn show_record(settings: &Settings, id: EntryId, output: Output) -> Result<Exit, CliError> {
    let reader = stores::read_decisions(settings)?;
    let (place, Recorded { header, record }) =
        reader.locate(id)?.filter(|(_, record)| record.header.id == id).ok_or_else(|| none(id))?;
    let (kind, what) = words(settings)?.record(&record);
    let (decisions, effects) = match &record {
        model::Record::Decided(decided) => (
            decided
                .decisions
                .iter()
                .map(|decision| {
                    let cites: Vec<String> = decision.cites.iter().map(|cite| cite.entry.to_string()).collect();
                    format!("{}, cites {}", describe::decision(decision), cites.join(" "))
                })
                .collect(),
            decided.effects.iter().map(describe::effect).collect(),
        ),
        model::Record::Opened { .. } | model::Record::Skipped { .. } | model::Record::Unfolded { .. } => {
            (Vec::new(), Vec::new())
        }
    };
    let object = json!({
        "record": id.to_string(), "term": header.term.0, "segment": place.segment.to_string(), "chain": place.chain.to_string(),
        "appended_at": describe::time(header.appended_at), "kind": kind, "what": what,
        "decisions": decisions, "effects": effects,
    });
    output.say(object, || {
        let mut out = fields(&[
            ("record", format!("{id}    term {}, segment {}", header.term.0, place.segment)),
            (
                "chain",
                format!("{} at {}, verified over the batch", short_chain(&place.chain.to_string()), place.batch_last),
            ),
            ("appended", describe::time(header.appended_at)),
            (kind, what.clone()),
        ]);
        decisions.iter().for_each(|line| out += &format!("decision   {line}\n"));
        effects.iter().for_each(|line: &String| out += &format!("effect     {line}\n"));
        out
    });
    Ok(Exit::Done)
}

fn verify(settings: &Settings, output: Output) -> Result<Exit, CliError> {
    let journal = verify_log("journal", &stores::read_journal(settings)?, output)?;
    let decisions = verify_log("decisions", &stores::read_decisions(settings)?, output)?;
    Ok(if journal && decisions { Exit::Done } else { Exit::No })
}

fn verify_log<C: Codec>(name: &str, reader: &LogReader<C>, output: Output) -> Result<bool, Fault> {
    let bar = Bar::spinner("checking every byte");
    let found = reader.verify()?;
    drop(bar);
    let through = found.through.map_or_else(|| "nothing".to_owned(), |id| id.to_string());
    let broken = found.broken.as_ref().map(|broken| {
        format!(
            "segment {}, byte {}: entry {} does not hold: {}",
            broken.segment, broken.offset_bytes, broken.expected, broken.what
        )
    });
    let object = json!({
        "log": name, "segments": found.segments, "batches": found.batches, "entries": found.entries,
        "through": through, "chain": found.chain.to_string(), "broken": broken,
    });
    output.say(object, || match &broken {
        None => format!(
            "{name}: holds through {through}: {} entries, {} batches, {} segments, chain {}",
            found.entries,
            found.batches,
            found.segments,
            short_chain(&found.chain.to_string())
        ),
        Some(broken) => format!("{name}: BROKEN behind {through}: {broken}"),
    });
    Ok(broken.is_none())
}
