//! Nothing from a transaction that was rolled back, nothing that the source never committed, no half transaction.

use super::rows;
use crate::history::{Event, History};
use model::{Entry, SourcePosition};
use std::collections::BTreeMap;

pub(crate) fn check(history: &History) -> Result<(), String> {
    let live = rows::live(history.journal());
    // Places of committed changes, so far; a log that went back gives some of them anew.
    let mut committed: BTreeMap<SourcePosition, (SourcePosition, u64)> = BTreeMap::new();
    let mut aborted: Vec<(SourcePosition, SourcePosition)> = Vec::new();
    let mut open = 0;
    for event in &history.events {
        match event {
            Event::Committed(transaction) => {
                let rows = transaction.changes.iter().filter(|(_, _, key)| key.is_some()).count() as u64;
                committed.extend(transaction.changes.iter().map(|(at, ..)| (*at, (transaction.end, rows))));
            }
            Event::Aborted { from, to } => aborted.push((*from, *to)),
            Event::WentBack { to } => aborted.retain(|(from, _)| from <= to),
            Event::Journaled(entry) => {
                if let Entry::Commit { commit, .. } = &entry.entry {
                    if commit.count != std::mem::take(&mut open) {
                        return Err(format!(
                            "{} closes {} rows, and others stand before it",
                            entry.header.id, commit.count
                        ));
                    }
                    continue;
                }
                if let Entry::Void { .. } = &entry.entry {
                    open = 0;
                }
                let Some(change) = live.get(&entry.header.id) else { continue };
                if aborted.iter().any(|(from, to)| (from..=to).contains(&&change.position)) {
                    return Err(format!("{} is of a transaction that was rolled back", change.id));
                }
                let Some((end, rows)) = committed.get(&change.position) else {
                    return Err(format!("{} was never committed", change.id));
                };
                let Some(row) = change.row else { continue };
                match &row.commit {
                    Some(commit) if (commit.end, commit.count) != (*end, *rows) => {
                        return Err(format!("{} closes a transaction that has {rows} rows", change.id));
                    }
                    Some(_) => {}
                    None => open += 1,
                }
            }
            _ => {}
        }
    }
    Ok(())
}
