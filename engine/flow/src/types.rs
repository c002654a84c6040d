//! A target that refuses a whole resource type stops that type alone (clinical S9): its effects wait, other types go on.
//!
//! * One request of a stopped type is tried every ten seconds; an outcome lets all of them go on.
//! * What waits here does not count as sent ahead: it must not keep other types from being decided (J44).

use crate::{
    deliver::Deliver,
    lane::{BACKOFF_MAX_MS, LaneState, after},
};
use model::{Outcome, ResourceType, Timestamp, Unit};
use ports::Fault;
use std::collections::{BTreeMap, VecDeque};

/// The types that are stopped.
#[derive(Default)]
pub(crate) struct Types {
    stopped: BTreeMap<ResourceType, Stopped>,
    /// What people were not told yet; an empty text when a type goes on.
    news: Vec<(ResourceType, String)>,
}

struct Stopped {
    try_at: Timestamp,
    /// The one that is tried.
    tried: Option<Unit>,
    lanes: VecDeque<Unit>,
}

impl Types {
    /// What stopped or went on since the last call.
    pub(crate) fn news(&mut self) -> Vec<(ResourceType, String)> {
        std::mem::take(&mut self.news)
    }

    /// A request of this unit was answered, whatever the answer; whether it was the one by which its stopped type was
    /// tried: then another one may be, later.
    pub(crate) fn heard(&mut self, now: Timestamp, unit: &Unit) -> bool {
        let stopped = self.stopped.get_mut(&unit.resource_type);
        let Some(stopped) = stopped.filter(|stopped| stopped.tried.as_ref() == Some(unit)) else { return false };
        (stopped.tried, stopped.try_at) = (None, after(now, BACKOFF_MAX_MS));
        true
    }

    /// When the next one shall be tried.
    pub(crate) fn next_wakeup(&self) -> Option<Timestamp> {
        let waits = |stopped: &&Stopped| stopped.tried.is_none() && !stopped.lanes.is_empty();
        self.stopped.values().filter(waits).map(|stopped| stopped.try_at).min()
    }
}

impl Deliver {
    /// The target takes nothing of this unit's type until a person changes something.
    pub(crate) fn stop_type(&mut self, now: Timestamp, unit: &Unit, fault: &Fault) {
        let (types, kind) = (&mut self.types, &unit.resource_type);
        let (try_at, lanes) = (after(now, BACKOFF_MAX_MS), VecDeque::new());
        if !types.stopped.contains_key(kind) {
            types.stopped.insert(kind.clone(), Stopped { try_at, tried: None, lanes });
            types.news.push((kind.clone(), fault.to_string()));
        }
        self.stop_lane(unit);
    }

    /// An outcome of this unit: unless it is a refusal of one that was under way before, its type is taken again.
    pub(crate) fn type_goes_on(&mut self, unit: &Unit, outcome: &Outcome, tried: bool) {
        if matches!(outcome, Outcome::Rejected { .. }) && !tried {
            return;
        }
        let Some(stopped) = self.types.stopped.remove(&unit.resource_type) else { return };
        self.types.news.push((unit.resource_type.clone(), String::new()));
        for unit in stopped.lanes {
            self.start_lane(&unit).then(|| self.ready.push_back(unit));
        }
    }

    /// Picks the lanes by which stopped types are tried now.
    pub(crate) fn try_types(&mut self, now: Timestamp) {
        let due = |stopped: &Stopped| stopped.tried.is_none() && stopped.try_at <= now;
        let kinds: Vec<ResourceType> =
            self.types.stopped.iter().filter(|(_, stopped)| due(stopped)).map(|(kind, _)| kind.clone()).collect();
        for kind in kinds {
            while let Some(unit) = self.types.stopped.get_mut(&kind).and_then(|stopped| stopped.lanes.pop_front()) {
                if self.start_lane(&unit) {
                    self.types.stopped.entry(kind).and_modify(|stopped| stopped.tried = Some(unit.clone()));
                    self.ready.push_front(unit);
                    break;
                }
            }
        }
    }

    /// The next lane whose turn it is; those of a stopped type are put aside.
    pub(crate) fn next_ready(&mut self) -> Option<Unit> {
        loop {
            let unit = self.ready.pop_front()?;
            let ready = self.lanes.get(&unit).is_some_and(|lane| lane.state == LaneState::Ready);
            let stopped = self.types.stopped.get(&unit.resource_type);
            if !ready || stopped.is_none_or(|stopped| stopped.tried.as_ref() == Some(&unit)) {
                return Some(unit);
            }
            self.stop_lane(&unit);
        }
    }

    fn stop_lane(&mut self, unit: &Unit) {
        if let (Some(lane), Some(stopped)) = (self.lanes.get_mut(unit), self.types.stopped.get_mut(&unit.resource_type))
        {
            lane.state = LaneState::Stopped;
            self.waiting += lane.queue.len();
            stopped.lanes.push_back(unit.clone());
        }
    }

    fn start_lane(&mut self, unit: &Unit) -> bool {
        let Some(lane) = self.lanes.get_mut(unit).filter(|lane| lane.state == LaneState::Stopped) else { return false };
        self.waiting -= lane.queue.len();
        lane.state = LaneState::Ready;
        true
    }
}
