//! Delivery: an effect leaves when its decision is durable, everything before it of its unit has an outcome, and
//! everything that it refers to is acknowledged. Its outcome is durable before the ledger moves.
//!
//! * One request of a unit at a time; units go side by side (lanes).
//! * A reply that never came is settled, never sent blind (J27).
//! * Only success releases the unit's next effect; any other outcome voids what was decided before it (J23).
//! * What refers to a unit that is not there waits for it by name. If the process before may have sent it, that is settled
//!   first: no other effect is read for after a restart (J27).

use crate::{
    input::{AppendId, FlowOutput},
    lane::{Lane, LaneState, Queued, request},
    ledger::{self, Unsettled},
    types::Types,
};
use model::{Acked, EntryId, Outcome, SystemId, Timestamp, Unit};
use ports::{Fault, StateTxn};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The delivery of one sink.
pub(crate) struct Deliver {
    pub system: SystemId,
    pub concurrency: usize,
    pub(crate) lanes: BTreeMap<Unit, Lane>,
    pub(crate) ready: VecDeque<Unit>,
    /// Who waits for the first acknowledgement of a unit.
    pub(crate) followers: BTreeMap<Unit, BTreeSet<Unit>>,
    /// Effects of records that are not durable yet.
    pub(crate) gated: BTreeMap<AppendId, Vec<Unit>>,
    pub(crate) backoff: BTreeSet<(Timestamp, Unit)>,
    pub(crate) paused_until: Option<Timestamp>,
    pub(crate) failures: u32,
    pub fault: Option<Fault>,
    pub(crate) types: Types,
    pub(crate) live: bool,
    pub in_flight: usize,
    pub unsettled: usize,
    pub waiting: usize,
    pub accepted: u64,
}

impl Deliver {
    pub(crate) fn new(system: SystemId, concurrency: usize) -> Deliver {
        Deliver {
            system,
            concurrency: concurrency.max(1),
            lanes: BTreeMap::new(),
            ready: VecDeque::new(),
            followers: BTreeMap::new(),
            gated: BTreeMap::new(),
            backoff: BTreeSet::new(),
            paused_until: None,
            failures: 0,
            fault: None,
            types: Types::default(),
            live: false,
            in_flight: 0,
            unsettled: 0,
            waiting: 0,
            accepted: 0,
        }
    }

    /// Sendable effects without an outcome (J44): those that wait for another unit do not count.
    pub(crate) fn ahead(&self) -> usize {
        self.unsettled - self.waiting
    }

    /// Takes a decided effect; `gate` is the append of its record, none if that is durable. What is durable when a
    /// process opens may have been sent by the one before: it counts as attempted once (J29).
    pub(crate) fn enqueue(&mut self, effect: &Unsettled, gate: Option<AppendId>, attempted: bool) {
        let lane = self.lanes.entry(effect.unit.clone()).or_insert_with(|| Lane::new(effect.key.clone(), attempted));
        lane.queue.push_back(Queued { id: effect.id, n: effect.n, input: effect.input, gate });
        self.unsettled += 1;
        self.waiting += usize::from(lane.state.waits());
        if let Some(gate) = gate {
            self.gated.entry(gate).or_default().push(effect.unit.clone());
        }
    }

    /// The records of this append are durable: their effects may leave (J24).
    pub(crate) fn recorded(&mut self, append: AppendId, state: &dyn StateTxn) {
        for unit in self.gated.remove(&append).unwrap_or_default() {
            if let Some(lane) = self.lanes.get_mut(&unit) {
                lane.queue
                    .iter_mut()
                    .filter(|queued| queued.gate == Some(append))
                    .for_each(|queued| queued.gate = None);
            }
            self.examine(&unit, state);
        }
    }

    /// Recovery is over: every lane is looked at, and from here on each at its turn.
    pub(crate) fn go_live(&mut self, state: &dyn StateTxn) {
        self.live = true;
        for unit in self.lanes.keys().cloned().collect::<Vec<_>>() {
            self.examine(&unit, state);
        }
    }

    /// Makes the lane ready, if its first effect may leave.
    pub(crate) fn examine(&mut self, unit: &Unit, state: &dyn StateTxn) {
        let Some(lane) = self.lanes.get_mut(unit) else { return };
        if !self.live || !matches!(lane.state, LaneState::Idle | LaneState::Waiting(_)) {
            return;
        }
        self.leave_wait(unit);
        let Some(lane) = self.lanes.get_mut(unit) else { return };
        let Some(first) = lane.queue.front() else {
            self.lanes.remove(unit);
            return;
        };
        if first.gate.is_some() {
            return;
        }
        let effect =
            ledger::unsettled(&self.system, &lane.key, first.n, state).expect("a queued effect is in the ledger");
        let missing = if lane.settle { None } else { self.waits_for(&effect, state) };
        let lane = self.lanes.get_mut(unit).expect("looked up above");
        match missing {
            Some((target, stood)) if !lane.unsure || stood.is_none() => {
                self.waiting += lane.queue.len();
                lane.state = LaneState::Waiting(target.clone());
                self.followers.entry(target).or_default().insert(unit.clone());
            }
            found => {
                lane.settle |= found.is_some();
                lane.state = LaneState::Ready;
                self.ready.push_back(unit.clone());
            }
        }
    }

    /// A lane's time has come: what it refers to may be gone since.
    fn try_again(&mut self, due: Timestamp, unit: &Unit, state: &dyn StateTxn) {
        let Some(lane) = self.lanes.get_mut(unit) else { return };
        if lane.state == LaneState::Backoff(due) {
            lane.state = LaneState::Idle;
        } else if lane.dangling.take_if(|again| *again == due).is_none() {
            return;
        }
        self.examine(unit, state);
    }

    /// Sends what may leave.
    pub(crate) fn pump(&mut self, now: Timestamp, state: &dyn StateTxn, out: &mut Vec<FlowOutput>) {
        while let Some((due, unit)) = self.backoff.first().filter(|(due, _)| *due <= now).cloned() {
            self.backoff.remove(&(due, unit.clone()));
            self.try_again(due, &unit, state);
        }
        if self.paused_until.is_some_and(|until| now < until) {
            return;
        }
        self.try_types(now);
        // A sink that failed is probed with one request until one comes through.
        let room = if self.paused_until.is_some() { 1 } else { self.concurrency };
        while self.in_flight < room {
            let Some(unit) = self.next_ready() else { return };
            let Some(lane) = self.lanes.get_mut(&unit).filter(|lane| lane.state == LaneState::Ready) else { continue };
            let first = lane.queue.front().expect("a ready lane has an effect");
            let effect =
                ledger::unsettled(&self.system, &lane.key, first.n, state).expect("a queued effect is in the ledger");
            let base = ledger::resolve(&effect.base, &ledger::held(&self.system, &lane.key, state));
            lane.attempts += u32::from(!lane.settle);
            lane.unsure &= lane.settle;
            lane.state = LaneState::InFlight;
            self.in_flight += 1;
            let request = request(effect, base, lane.attempts);
            out.push(if lane.settle { FlowOutput::Settle(request) } else { FlowOutput::Send(request) });
        }
    }

    /// The outcome in the durable entry `id` is in the ledger: the unit's line moves on, and who waited for it is looked at.
    pub(crate) fn settled(&mut self, id: EntryId, acked: &Acked, state: &dyn StateTxn) {
        let succeeded = matches!(acked.outcome, Outcome::Accepted { .. } | Outcome::Observed);
        self.accepted += u64::from(succeeded);
        if let Some(lane) = self.lanes.get_mut(&acked.unit) {
            let before = lane.queue.len();
            lane.queue.retain(|queued| queued.id != acked.effect && (succeeded || queued.input >= id));
            let gone = before - lane.queue.len();
            self.unsettled -= gone;
            self.waiting -= if lane.state.waits() { gone } else { 0 };
            if lane.state == LaneState::Acking {
                lane.begin_anew();
            }
            self.examine(&acked.unit, state);
        }
        for follower in self.followers.get(&acked.unit).cloned().unwrap_or_default() {
            if let Some(lane) = self.lanes.get_mut(&follower) {
                lane.dangling = None;
            }
            self.examine(&follower, state);
        }
    }
}
