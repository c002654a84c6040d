//! What people do: they answer holds, release what is parked, activate maps; and what happens to the source's connection.

use crate::{MAP, World, fault::Fault, history::Event, nurse};
use flow::{Act, FlowInput};
use model::{Answer, ControlAct, EntryId, Hash, Kind, ResourceType, SourcePosition, Unit, UnitId};
use ports::{Failure, OpenFault, Resume, StateStore};

pub(crate) fn gap(resume: &Resume, what: &str) -> OpenFault {
    OpenFault::Gap { passed: resume.passed, slot: None, what: what.into(), plan: "a new one".into() }
}

/// Activates this map, runs to rest, and gives what the flow answered.
pub fn activate_text(world: &mut World, text: &str) -> Result<EntryId, ports::Fault> {
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
            self.inject(Fault::Cut);
            self.source.close();
            let fault = ports::Fault::new(Failure::Transient, "the connection is cut");
            self.inputs.push_back(FlowInput::SourceFailed(fault.into()));
        }
    }

    /// Somebody drops the slot.
    pub fn lose_slot(&mut self) {
        if self.source.is_open() && self.source.confirmed.is_some() {
            self.inject(Fault::SlotLost);
            self.source.lost = Some("the slot is gone");
            self.cut_source();
        }
    }

    /// The source becomes what it was before its last transactions: a standby that had not received them takes over, or a
    /// backup. The log of another life is never gone on from (J10).
    pub fn send_source_back(&mut self, transactions: usize) {
        self.hear();
        if self.source.is_open()
            && self.source.confirmed.is_some()
            && let Some(to) = self.source.go_back(transactions)
        {
            let long = transactions >= crate::past::KEPT;
            self.inject(if long { Fault::Restored } else { Fault::Failover });
            self.note(Event::WentBack { to });
            self.cut_source();
        }
    }

    /// The source rolls a transaction back.
    pub(crate) fn abort_one(&mut self) {
        self.hear();
        self.inject(Fault::Aborted);
        let (from, to) = self.source.abort();
        self.note(Event::Aborted { from, to });
    }

    fn any_unit(&mut self) -> Option<String> {
        let units = self.target.units.len() as u64;
        let at = self.chance.below(units) as usize;
        self.target.units.keys().nth(at).cloned()
    }

    /// Somebody else writes at the target.
    pub(crate) fn edit_one(&mut self) {
        if let Some(unit) = self.any_unit() {
            self.inject(Fault::ForeignEdit);
            self.target.edit(&unit);
            self.hear();
        }
    }

    /// Somebody else deletes there.
    pub(crate) fn delete_one(&mut self) {
        if let Some(unit) = self.any_unit() {
            self.inject(Fault::ForeignDelete);
            self.target.delete(&unit);
            self.hear();
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
        self.faults.clear();
        self.leave_on_disk(None);
        self.source.faults.clear();
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
