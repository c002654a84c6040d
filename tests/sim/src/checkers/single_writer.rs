//! Numbers are dense, a term begins with an opening and never goes back, and time does not either (J34, J42).

use crate::history::History;
use model::{Entry, Header, Record};

pub(crate) fn check(history: &History) -> Result<(), String> {
    let entries = history.journal().map(|entry| (entry.header, matches!(entry.entry, Entry::Opened { .. })));
    follow("journal", entries)?;
    let records = history.decisions().map(|record| (record.header, matches!(record.record, Record::Opened { .. })));
    follow("decisions", records)
}

fn follow(log: &str, headers: impl Iterator<Item = (Header, bool)>) -> Result<(), String> {
    let mut before: Option<Header> = None;
    for (header, opens) in headers {
        if let Some(before) = before {
            if header.id != before.id.next() {
                return Err(format!("{log}: {} follows {}", header.id, before.id));
            }
            if header.term.0 != before.term.0 + u64::from(opens) {
                return Err(format!("{log}: {} of term {} follows term {}", header.id, header.term.0, before.term.0));
            }
            if header.appended_at < before.appended_at {
                return Err(format!("{log}: time goes back at {}", header.id));
            }
        }
        before = Some(header);
    }
    Ok(())
}
