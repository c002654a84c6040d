//! The rows that a journal holds, without those that are void.

use model::{Entry, EntryId, Journaled, SourcePosition};
use std::collections::BTreeMap;

/// A change as the journal has it.
pub(super) struct Live<'a> {
    pub id: EntryId,
    pub position: SourcePosition,
    /// None: a truncation.
    pub row: Option<&'a model::RowEntry>,
}

/// Rows and truncations that are not void, by their entries.
pub(super) fn live<'a>(journal: impl Iterator<Item = &'a Journaled>) -> BTreeMap<EntryId, Live<'a>> {
    let mut found = BTreeMap::new();
    for entry in journal {
        let id = entry.header.id;
        match &entry.entry {
            Entry::Row(row) => {
                let position = row.position;
                found.insert(id, Live { id, position, row: Some(row) });
            }
            Entry::Truncate { position, .. } => {
                found.insert(id, Live { id, position: *position, row: None });
            }
            Entry::Void { from, to, .. } => found.retain(|id, _| id < from || id > to),
            _ => {}
        }
    }
    found
}
