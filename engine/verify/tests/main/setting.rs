//! A world that came to rest, with a fence behind it: what verify is given, open to planting.

use lockstep_verify::{About, Class, Leg, Report, VerifyInput, verify};
use model::{AggregateState, Entry, EntryId, Journaled, Json, Recorded, RowKey, TableName, Unit};
use ports::{StateTxn, Version};
use schemas::keys;
use sim::{
    World,
    fenced::{MemoryFence, MemoryReadback, run},
};
use std::sync::Arc;

pub struct Setting {
    pub fence: MemoryFence,
    pub state: Box<dyn StateTxn + Send>,
    pub target: MemoryReadback,
    pub journal: Vec<Journaled>,
    pub decisions: Vec<Recorded>,
}

/// The world stands still; its state, sides and journal are as of now.
pub fn setting(world: &mut World) -> Setting {
    let (fence, state) = world.fence();
    Setting {
        fence,
        state,
        target: MemoryReadback::from(&world.target),
        journal: world.journal.clone(),
        decisions: world.decisions.clone(),
    }
}

/// A world with patients, names and observations, at rest.
pub fn rested(seed: u64) -> World {
    let mut world = World::new(seed, flow::Limits::default());
    world.open();
    world.activate();
    for _ in 0..40 {
        world.source.commit(4);
        world.drain();
    }
    world
}

impl Setting {
    pub fn verify(self) -> Report {
        let journal = self.journal;
        let read = move |from: EntryId| {
            let rest = journal.iter().filter(|entry| entry.header.id >= from);
            Ok(rest.take(7).cloned().collect())
        };
        let decisions = self.decisions;
        let read_decisions = move |from: EntryId| {
            let rest = decisions.iter().filter(|record| record.header.id >= from);
            Ok(rest.take(7).cloned().collect())
        };
        let tables = self.fence.tables.keys().cloned().collect();
        let input = VerifyInput {
            fence: Box::new(self.fence),
            state: self.state,
            target: Arc::new(self.target),
            journal: Box::new(read),
            decisions: Box::new(read_decisions),
            before: EntryId::new(1, 1),
            source: "legacy".into(),
            sink: "cloud".into(),
            tables,
            secret: [7; 32],
            concurrency: 5,
            findings_max: 100,
        };
        let mut steps = 0;
        let mut progress = |_| steps += 1;
        let verified = verify(input, &mut progress);
        let report = run(sendable(verified)).expect("memory does not fail");
        assert!(steps > 0, "a person sees how far it is");
        report
    }

    /// Units of a type whose current version is shown, with their `Type/id` at the target.
    pub fn shown(&self, kind: &str) -> Vec<String> {
        let there = |versions: &Vec<Version>| versions.last().is_some_and(|version| version.body.is_some());
        let of_kind = self.target.0.iter().filter(|(unit, versions)| unit.starts_with(kind) && there(versions));
        of_kind.map(|(unit, _)| unit.clone()).collect()
    }

    pub fn current(&mut self, unit: &str) -> &mut Version {
        self.target.0.get_mut(unit).and_then(|versions| versions.last_mut()).expect("a shown unit")
    }

    /// Somebody else writes on top of what stands, the stamp copied or not.
    pub fn foreign(&mut self, unit: &str, stamp: bool, change: impl FnOnce(&mut Json)) {
        let versions = self.target.0.get_mut(unit).expect("a shown unit");
        let mut version = versions.last().cloned().expect("a version");
        version.version = (versions.len() + 1).to_string().into();
        version.request = version.request.filter(|_| stamp);
        change(version.body.as_mut().expect("it is shown"));
        versions.push(version);
    }

    /// The key under which a unit was bound.
    pub fn bound(&self, unit: &str) -> (model::EntityName, TableName, RowKey) {
        let bound = self.journal.iter().find_map(|entry| match &entry.entry {
            Entry::Bound(bound) if bound.unit.to_string() == unit => {
                Some((bound.entity.clone(), bound.table.clone(), bound.key.clone()))
            }
            _ => None,
        });
        bound.expect("every unit is bound")
    }

    pub fn change_state(&mut self, unit: &str, change: impl FnOnce(&mut AggregateState)) {
        let (entity, _, key) = self.bound(unit);
        let at = keys::aggregate(&entity, &key);
        let mut state: AggregateState = schemas::decode(&self.state.get(&at).expect("decided")).expect("a state");
        change(&mut state);
        let mut bytes = Vec::new();
        schemas::encode(&state, &mut bytes);
        self.state.put(&at, &bytes);
    }
}

/// Verify runs on a task of the runtime: its future must be able to move between threads.
fn sendable<T: Send>(future: T) -> T {
    future
}

/// Sets a member of an object.
pub fn set(body: &mut Json, name: &str, value: Json) {
    let Json::Object(members) = body else { panic!("a resource is an object") };
    members.retain(|(member, _)| &**member != name);
    members.push((name.into(), value));
}

pub fn reference(to: &str) -> Json {
    Json::object([("reference", Json::text(to))])
}

/// Whether a finding of this kind names this unit, and these fields.
pub fn names(report: &Report, leg: Leg, class: Class, unit: &str, fields: &[&str]) -> bool {
    report.findings.iter().any(|finding| {
        let about = matches!(&finding.about, About::Unit { unit: it, .. } if Unit::to_string(it) == unit);
        about && finding.leg == leg && finding.class == class && finding.fields == fields
    })
}

/// Every kind of finding with its count, in short.
pub fn counts(report: &Report) -> Vec<(&'static str, &'static str, u64)> {
    report.counts.iter().map(|((leg, class), n)| (leg.as_str(), class.as_str(), *n)).collect()
}
