//! A version of somebody else that we wrote over is in the journal: as an entry of its own, or in the outcome that met it
//! (J25, J27, J48).

use crate::history::{Event, History};
use model::{Entry, Outcome};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn check(history: &History) -> Result<(), String> {
    let mut known: BTreeSet<(String, usize)> = BTreeSet::new();
    for entry in history.journal() {
        let (unit, version) = match &entry.entry {
            Entry::Resource(found) => (&found.unit, &found.version),
            Entry::Acked(acked) => match &acked.outcome {
                Outcome::Stale { version, .. } | Outcome::Gone { version: Some(version) } => (&acked.unit, version),
                _ => continue,
            },
            _ => continue,
        };
        known.extend(version.parse().map(|version| (unit.to_string(), version)));
    }
    let mut tops: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &history.events {
        let Event::Applied { unit, version, request, .. } = event else { continue };
        match request {
            // The last of several is what was met; those beneath it stand in the target's own history.
            None => drop(tops.insert(unit, *version)),
            Some(_) => {
                if let Some(foreign) = tops.remove(&**unit)
                    && !known.contains(&(unit.to_string(), foreign))
                {
                    return Err(format!(
                        "version {foreign} of {unit} was written over by {version}, and no entry has it"
                    ));
                }
            }
        }
    }
    Ok(())
}
