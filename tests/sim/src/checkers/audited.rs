//! Every act has a principal and an entry.

use crate::history::History;
use model::Entry;

pub(crate) fn check(history: &History) -> Result<(), String> {
    for entry in history.journal() {
        let by = match &entry.entry {
            Entry::Activated(activated) => &activated.by,
            Entry::Control(control) => &control.by,
            Entry::Reviewed { by, .. } => by,
            _ => continue,
        };
        if by.issuer.is_empty() || by.subject.is_empty() {
            return Err(format!("{} is an act of nobody", entry.header.id));
        }
    }
    Ok(())
}
