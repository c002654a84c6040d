//! What people do: they answer holds, release what is parked, activate maps; and what happens to the source's connection.

use crate::{MAP, World, nurse};
use flow::{Act, FlowInput};
use model::{Answer, ControlAct, EntryId, Hash, Kind, ResourceType, SourcePosition, Unit, UnitId};
use ports::{Failure, Fault, OpenFault, Resume, StateStore};

pub(crate) fn gap(resume: &Resume) -> OpenFault {
    OpenFault::Gap { passed: resume.passed, slot: None, what: "the slot is gone".into(), plan: "a new one".into() }
}

/// Activates this map, runs to rest, and gives what the flow answered.
pub fn activate_text(world: &mut World, text: &str) -> Result<EntryId, Fault> {
    world.answers.clear();
    world.act(Act::Activate { kind: Kind::Map, name: "legacy".into(), bytes: text.as_bytes().into() });
    world.drain();
    world.answers.pop().expect("an activation is answered")
}

impl World {
    /// Another version of the map: other content, again the first, or one that fits nothing and is refused.
    pub fn activate_another(&mut self) {
        let text = match self.chance.below(4) {
            0 => MAP.replace("      birthDate: \"=born\"\n", ""),
            1 if self.flow.status(self.store.txn()).map.is_ok() => MAP.replace("=addr.city", "=addr.nowhere"),
            _ => MAP.to_string(),
        };
        self.act(Act::Activate { kind: Kind::Map, name: "legacy".into(), bytes: text.into_bytes().into() });
    }

    pub(crate) fn act(&mut self, act: Act) {
        self.inputs.push_back(FlowInput::Act { token: 2, by: nurse(), act, reason: "test".into() });
    }

    /// The connection to the source is cut.
    pub fn cut_source(&mut self) {
        if self.source.is_open() {
            self.source.close();
            let fault = Fault::new(Failure::Transient, "the connection is cut");
            self.inputs.push_back(FlowInput::SourceFailed(fault.into()));
        }
    }

    /// Somebody drops the slot.
    pub fn lose_slot(&mut self) {
        if self.source.is_open() && self.source.confirmed.is_some() {
            self.source.slot_lost = true;
            self.cut_source();
        }
    }

    /// Somebody looks at what waits for people. `last`: what ends it is answered.
    pub fn look_at_holds(&mut self, last: bool) -> bool {
        let held = self.flow.held(self.store.txn());
        for item in &held {
            let chosen = self.chance.below(item.answers.len() as u64) as usize;
            let answer = item.answers[if last && !item.name.starts_with("unit:") { 0 } else { chosen }];
            self.answer(&item.name, answer);
        }
        !held.is_empty()
    }

    /// Somebody wants a table to be read again that nobody asked about.
    pub fn read_a_table_again(&mut self) {
        let table = self.source.any_table();
        self.answer(&format!("table:{table}"), Answer::ReadAgain);
    }

    fn answer(&mut self, name: &str, answer: Answer) {
        if let Some(unit) = name.strip_prefix("unit:") {
            let (kind, id) = unit.split_once('/').expect("Type/id");
            let id = UnitId(uuid::Uuid::parse_str(id).expect("a unit's id"));
            let answer = if self.chance.one_in(2) { Answer::Recreate } else { Answer::KeepDeleted };
            return self.act(Act::Review { unit: Unit { resource_type: ResourceType::from(kind), id }, answer });
        }
        self.act(Act::Control(match name.strip_prefix("source:") {
            Some(source) => {
                ControlAct::AcceptGap { source: source.into(), passed: SourcePosition::default(), slot: None }
            }
            None => ControlAct::Answered { hold: name.into(), answer, about: Hash::default() },
        }));
    }

    /// Somebody releases everything that is parked.
    pub fn release_parked(&mut self) {
        for item in self.flow.parked(self.store.txn()) {
            self.act(Act::Control(ControlAct::Released { cause: item.cause }));
        }
    }

    /// Runs to the end of everything that people can end.
    pub fn settle_everything(&mut self) {
        self.moody = false;
        for round in 0..100 {
            self.drain();
            if round == 0 {
                self.release_parked();
            } else if !self.look_at_holds(true) {
                return;
            }
        }
        panic!("holds do not end: {:?}", self.flow.held(self.store.txn()));
    }
}
