//! Every committed change of a captured table has an entry, or its key was read again behind it; no change was dropped as
//! older than its row (J7, J8).

use super::rows;
use crate::history::{Event, History};
use model::{Chunk, Entry, Fingerprint, Incarnation, RowKey, SourcePosition, TableName};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn check(history: &History) -> Result<(), String> {
    let stale = history.events.iter().find_map(|event| if let Event::Stale(n) = event { Some(n) } else { None });
    if let Some(stale) = stale {
        return Err(format!("{stale} changes were dropped as older than their rows"));
    }
    if history.rest().is_none() {
        return Ok(());
    }
    let live = rows::live(history.journal());
    let mut known = Known::default();
    let mut wanted: Vec<(SourcePosition, SourcePosition, &TableName, Option<&RowKey>)> = Vec::new();
    for event in &history.events {
        match event {
            Event::Committed(transaction) => {
                let changes = transaction.changes.iter();
                wanted.extend(changes.map(|(at, table, key)| (*at, transaction.end, table, key.as_ref())));
            }
            Event::WentBack { to } => {
                wanted.retain(|(_, end, ..)| end <= to);
                known.go_back(*to);
            }
            Event::Journaled(entry) => known.take(&entry.entry, live.contains_key(&entry.header.id)),
            _ => {}
        }
    }
    match wanted.iter().find(|(at, end, table, key)| !known.has(*at, *end, table, *key)) {
        Some((at, _, table, _)) => Err(format!("the change of {table} at {at:?} has no entry, and was not read again")),
        None => Ok(()),
    }
}

/// What the journal knows of the source's log as it is now.
#[derive(Default)]
struct Known<'a> {
    positions: BTreeSet<SourcePosition>,
    schemas: BTreeMap<Fingerprint, &'a TableName>,
    chunks: BTreeMap<&'a TableName, Vec<&'a Chunk>>,
    incarnation: Incarnation,
    /// Above this, entries of this life of the log or an earlier one tell of a log that is no more.
    gone: Option<(Incarnation, SourcePosition)>,
}

impl<'a> Known<'a> {
    fn take(&mut self, entry: &'a Entry, live: bool) {
        let Some((_, incarnation)) = entry.source() else { return };
        self.incarnation = self.incarnation.max(incarnation);
        let told = |at: &SourcePosition| self.gone.is_none_or(|(gone, to)| incarnation > gone || *at <= to);
        match entry {
            Entry::Row(row) if live && told(&row.position) => {
                self.positions.insert(row.position);
            }
            Entry::Truncate { position, .. } if live && told(position) => {
                self.positions.insert(*position);
            }
            Entry::Schema { fingerprint, schema, .. } => {
                self.schemas.insert(*fingerprint, &schema.table);
            }
            Entry::Chunk(chunk) if told(&chunk.low) => {
                if let Some(table) = self.schemas.get(&chunk.schema) {
                    self.chunks.entry(table).or_default().push(chunk);
                }
            }
            _ => {}
        }
    }

    fn go_back(&mut self, to: SourcePosition) {
        self.positions.retain(|at| *at <= to);
        self.chunks.values_mut().for_each(|chunks| chunks.retain(|chunk| chunk.high <= to));
        self.gone = Some((self.incarnation, to));
    }

    fn has(&self, at: SourcePosition, end: SourcePosition, table: &TableName, key: Option<&RowKey>) -> bool {
        let behind = |chunk: &&&Chunk| {
            let inside = key.is_none_or(|key| {
                chunk.key_from.as_ref().is_none_or(|from| from < key)
                    && chunk.key_to.as_ref().is_none_or(|to| key <= to)
            });
            chunk.low >= end && inside
        };
        self.positions.contains(&at) || self.chunks.get(table).into_iter().flatten().find(behind).is_some()
    }
}
