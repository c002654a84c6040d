//! The effects of a unit reach the target in the order in which they were decided, outcomes name rising versions, and in the
//! end the last values stand.

use super::shown::{self, Kind};
use crate::history::{Event, History};
use model::{Entry, Outcome, RequestId};
use std::collections::BTreeMap;

pub(crate) fn check(history: &History) -> Result<(), String> {
    let effects = history.decided().flat_map(|decided| &decided.effects);
    let numbers: BTreeMap<RequestId, u64> = effects.map(|effect| (effect.id.request(), effect.n)).collect();
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    let mut acked: BTreeMap<String, u64> = BTreeMap::new();
    for event in &history.events {
        match event {
            Event::Applied { unit, version, request: Some(request), .. } => {
                let n = numbers.get(request).copied().unwrap_or(u64::MAX);
                if last.insert(unit, n).is_some_and(|before| before >= n) {
                    return Err(format!("version {version} of {unit} is of decision {n}, behind a later one"));
                }
            }
            Event::Journaled(entry) => {
                let Entry::Acked(outcome) = &entry.entry else { continue };
                let Outcome::Accepted { version, .. } = &outcome.outcome else { continue };
                let Ok(version) = version.parse::<u64>() else { continue };
                if acked.insert(outcome.unit.to_string(), version).is_some_and(|before| before >= version) {
                    return Err(format!("{} acknowledges version {version} behind a later one", entry.header.id));
                }
            }
            _ => {}
        }
    }
    shown::first(history, Kind::Differs)
}
