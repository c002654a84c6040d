//! What has no row any more does not look true, and what somebody deleted at the target is there again only if a person
//! said so (J23).

use super::shown::{self, Kind};
use crate::history::{Event, History};
use model::{Answer, Entry};
use std::collections::BTreeSet;

pub(crate) fn check(history: &History) -> Result<(), String> {
    let mut deleted: BTreeSet<&str> = BTreeSet::new();
    let mut again: BTreeSet<String> = BTreeSet::new();
    for event in &history.events {
        match event {
            Event::Applied { unit, request: None, body: None, .. } => {
                deleted.insert(unit);
                again.remove(&**unit);
            }
            Event::Applied { unit, version, body: Some(_), request: Some(_) } => {
                let asked = again.contains(&**unit);
                if deleted.remove(&**unit) && !asked {
                    return Err(format!("version {version} of {unit} is there again, and nobody asked for it"));
                }
            }
            Event::Journaled(entry) => {
                if let Entry::Reviewed { unit, answer: Answer::Recreate, .. } = &entry.entry {
                    again.insert(unit.to_string());
                }
            }
            _ => {}
        }
    }
    shown::first(history, Kind::Resurrected)
}
