//! The whole check after a run: rows and resources agree, every version is ours by the ledger, replay is equal, nothing leaked.

use crate::expected::{self, Rows};
use crate::target::{Everything, Flag};
use crate::world::World;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checked {
    /// Resources at the target.
    pub units: usize,
    /// Their versions.
    pub versions: usize,
    /// Effects that were decided.
    pub effects: usize,
    /// Those without an outcome: what they refer to never came.
    pub waiting: usize,
}

/// Stops the engine when everything is settled, and checks all of it.
#[track_caller]
pub fn check(world: &mut World) -> Checked {
    let lsn = world.cluster.lsn();
    let status = world.engine.settle(lsn);
    assert_eq!(status["halts"].as_array().map(Vec::len), Some(0), "{status}");
    assert_eq!(status["stale"], 0, "changes older than their rows: {status}");
    assert_eq!((&status["parked"], &status["held"]), (&Value::from(0), &Value::from(0)), "{status}");
    world.engine.cli(&["verify", "--json"]).exits(0);
    world.engine.stop();
    let checked = check_stopped(world);
    assert_eq!(status["waiting"], checked.waiting, "effects without an outcome: {status}");
    checked
}

/// The part of the check that needs no engine.
#[track_caller]
pub fn check_stopped(world: &mut World) -> Checked {
    let everything = world.target.everything();
    let differences = expected::differences(&Rows::read(&world.cluster), &everything);
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), first(&differences));
    let checked = ledger(world, &everything);
    world.engine.cli(&["journal", "verify", "--json"]).exits(0);
    world.engine.cli(&["replay", "check", "--json"]).exits(0);
    let confirmed = confirmed(world);
    assert!(confirmed <= world.passed(), "confirmed {confirmed:X} is ahead of what is durable");
    world.engine.transcript().is_private();
    checked
}

fn first(differences: &[String]) -> String {
    differences.iter().take(12).cloned().collect::<Vec<_>>().join("\n")
}

fn confirmed(world: &World) -> u64 {
    let text =
        world.cluster.value("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'lockstep_clinic'");
    crate::postgres::lsn(&text)
}

/// Every effect has one outcome, and it was accepted; every version is the outcome of one effect of its own unit.
fn ledger(world: &World, everything: &Everything) -> Checked {
    let effects =
        effects(&world.engine.cli(&["journal", "ls", "--decisions", "--json", "--max", "100000000"]).exits(0).json());
    let entries = world.engine.cli(&["journal", "ls", "--json", "--max", "100000000"]).exits(0).json();
    let slots = entries.iter().filter(|entry| entry["kind"] == "Slot").count();
    assert_eq!(slots, world.slots, "an alarm without a cause: the slot was made {slots} times");
    let outcomes = outcomes(&entries);
    let mut ours: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let (mut faults, mut waiting) = (Vec::new(), 0);
    for (effect, unit) in &effects {
        match outcomes.get(effect).map(|all| &all[..]) {
            None => waiting += 1,
            Some([version]) => ours.entry(unit).or_default().push(version),
            Some(all) => faults.push(format!("effect {effect} of {unit} has {} outcomes", all.len())),
        }
    }
    for unit in ours.keys().filter(|unit| !everything.contains_key(**unit)) {
        faults.push(format!("{unit} was acknowledged, and is not at the target"));
    }
    for (unit, versions) in everything {
        let mut theirs: Vec<&str> = versions.iter().map(|version| &*version.id).collect();
        let mut acked = ours.remove(&**unit).unwrap_or_default();
        theirs.sort_unstable();
        acked.sort_unstable();
        // A server like HAPI makes no new version of an equal body.
        if world.target.flag() == Flag::Hapi {
            acked.dedup();
        }
        if theirs != acked {
            faults.push(format!("{unit}: versions {theirs:?}, ours by the ledger {acked:?}"));
        }
        let unstamped = versions.iter().filter_map(|version| version.body.as_ref()).filter(|body| {
            let source = body.get("meta").and_then(|meta| meta.get("source")).and_then(model::Json::as_str);
            !source.is_some_and(|source| source.starts_with("https://ids.hospital.example/lockstep/clinic#"))
        });
        faults.extend(unstamped.map(|_| format!("{unit} has a version without our stamp")));
    }
    let unknown = outcomes.keys().filter(|effect| !effects.contains_key(*effect)).count();
    assert_eq!(unknown, 0, "outcomes of effects that nobody decided");
    assert!(faults.is_empty(), "{} faults of the ledger:\n{}", faults.len(), first(&faults));
    let versions = everything.values().map(Vec::len).sum();
    Checked { units: everything.len(), versions, effects: effects.len(), waiting }
}

/// Effects by name with their unit, as the decisions log lists them.
pub fn effects(records: &[Value]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for record in records.iter().filter(|record| record["kind"] == "Decided") {
        let what = record["what"].as_str().unwrap_or_default();
        let decisions = what.split_once(": ").map_or("", |(_, decisions)| decisions);
        for decision in decisions.split("; ") {
            if let Some((about, effect)) = decision.rsplit_once(", effect ") {
                let unit = about.split(' ').next().unwrap_or_default();
                found.insert(effect.to_owned(), unit.to_owned());
            }
        }
    }
    found
}

/// The final outcomes of effects: their versions, `?…` for anything but an acceptance.
fn outcomes(entries: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry["kind"] == "Acked") {
        let what = entry["what"].as_str().unwrap_or_default();
        let Some((effect, outcome)) = what.strip_prefix("effect ").and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        let version = outcome.strip_prefix("accepted, version ").and_then(|rest| rest.split(',').next());
        let version = version.map_or_else(|| format!("?{outcome}"), str::to_owned);
        found.entry(effect.to_owned()).or_default().push(version);
    }
    found
}

/// The effects that got an outcome, for tests that stop in between.
pub fn settled_effects(entries: &[Value]) -> BTreeSet<String> {
    outcomes(entries).into_keys().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn effects_and_outcomes_are_read_from_what_is_printed() {
        let decided = json!({"kind": "Decided", "what": "input 1:9 step 1 last, behaviour 1: Patient/a write [active], rule one_way, n=1, effect AB; Patient/b unchanged [], rule equal, n=2"});
        assert_eq!(effects(&[decided]), BTreeMap::from([("AB".to_owned(), "Patient/a".to_owned())]));
        let acked = json!({"kind": "Acked", "what": "effect AB accepted, version 3, by reply, 1 attempts"});
        assert_eq!(outcomes(&[acked])["AB"], ["3"]);
        let stale = json!({"kind": "Acked", "what": "effect AB stale, version 3, other content, 1 attempts"});
        assert!(outcomes(&[stale])["AB"][0].starts_with('?'));
    }
}
