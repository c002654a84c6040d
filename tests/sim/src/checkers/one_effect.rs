//! Every version at the target is ours by the ledger, or foreign; ours are as many as effects that were accepted, each of
//! another effect that was decided.

use crate::history::{Event, History};
use model::{EffectId, Entry, Outcome, RequestId};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn check(history: &History) -> Result<(), String> {
    let mut decided: BTreeMap<EffectId, String> = BTreeMap::new();
    for effect in history.decided().flat_map(|decided| &decided.effects) {
        if decided.insert(effect.id, effect.unit.to_string()).is_some() {
            return Err(format!("one effect of {} was decided twice", effect.unit));
        }
    }
    let mut accepted: BTreeMap<String, u64> = BTreeMap::new();
    let mut settled: BTreeSet<EffectId> = BTreeSet::new();
    for entry in history.journal() {
        let Entry::Acked(acked) = &entry.entry else { continue };
        if !decided.contains_key(&acked.effect) {
            return Err(format!("{} is the outcome of an effect that nobody decided", entry.header.id));
        }
        if !settled.insert(acked.effect) {
            return Err(format!("{} is a second outcome of one effect of {}", entry.header.id, acked.unit));
        }
        if let Outcome::Accepted { .. } = acked.outcome {
            *accepted.entry(acked.unit.to_string()).or_default() += 1;
        }
    }
    let requests: BTreeMap<RequestId, &String> = decided.iter().map(|(id, unit)| (id.request(), unit)).collect();
    let mut applied = BTreeSet::new();
    for event in &history.events {
        let Event::Applied { unit, version, request: Some(request), .. } = event else { continue };
        if requests.get(request).is_none_or(|known| ***known != **unit) {
            return Err(format!("version {version} of {unit} is of an effect that nobody decided"));
        }
        if !applied.insert(request) {
            return Err(format!("version {version} of {unit} is a second one of its effect"));
        }
    }
    if history.rest().is_none() {
        return Ok(());
    }
    for (unit, versions) in history.versions() {
        let ours = versions.iter().filter(|(request, _)| request.is_some()).count() as u64;
        let known = accepted.get(unit).copied().unwrap_or(0);
        if ours != known {
            return Err(format!("{unit} has {ours} versions of ours, and {known} effects of it were accepted"));
        }
    }
    Ok(())
}
