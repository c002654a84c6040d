//! When faults have stopped and people have answered, everything decided is settled or waits for a unit that is not there,
//! and the target shows every row.

use super::shown::{self, Kind};
use crate::history::{Event, History};
use flow::Scope;
use std::collections::BTreeMap;

pub(crate) fn check(history: &History) -> Result<(), String> {
    if history.rest().is_none() {
        return Ok(());
    }
    let mut halts: BTreeMap<&Scope, &str> = BTreeMap::new();
    for event in &history.events {
        match event {
            Event::Halted { scope, what } if what.is_empty() => drop(halts.remove(scope)),
            Event::Halted { scope, what } => drop(halts.insert(scope, what)),
            // A process tells what stops it anew.
            Event::Crashed { .. } => halts.clear(),
            _ => {}
        }
    }
    let stopped = halts.iter().find(|(scope, _)| matches!(scope, Scope::Source(_) | Scope::Sink(_)));
    if let Some((scope, what)) = stopped {
        return Err(format!("{scope:?} does not go on: {what}"));
    }
    shown::first(history, Kind::Missing)
}
