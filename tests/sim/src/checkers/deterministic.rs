//! The journal alone, decided again by a fresh flow, gives the same records; the state folded from nothing is the same.

use crate::{history::History, rebuild, replay};
use model::{Journaled, Recorded};

pub(crate) fn check(history: &History) -> Result<(), String> {
    let journal: Vec<Journaled> = history.journal().cloned().collect();
    let decisions: Vec<Recorded> = history.decisions().cloned().collect();
    let (recorded, replayed) = (replay::steps(decisions.iter()), replay::decide(&journal, &decisions));
    for (ours, theirs) in recorded.iter().zip(&replayed) {
        if ours != theirs {
            return Err(format!("a replay decides step {} of {} otherwise", ours.step, ours.input));
        }
    }
    let Some(rest) = history.rest() else { return Ok(()) };
    if recorded.len() != replayed.len() {
        return Err(format!("{} steps were decided, and a replay decides {}", recorded.len(), replayed.len()));
    }
    let folded = rebuild::rebuilt(&journal, &decisions);
    for (key, value) in &rest.state {
        if folded.get(key) != Some(value) {
            let (ours, theirs) = (value.len(), folded.get(key).map(Vec::len));
            return Err(format!("key {key:02x?} has {ours} bytes, and folded from nothing {theirs:?}"));
        }
    }
    match folded.keys().find(|key| !rest.state.contains_key(*key)) {
        Some(more) => Err(format!("folded from nothing there is also {more:02x?}")),
        None => Ok(()),
    }
}
