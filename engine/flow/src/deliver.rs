//! Delivery: an effect leaves when its decision is durable, everything before it of its unit has an outcome, and
//! everything that it refers to is acknowledged. Its outcome is durable before the ledger moves.
//!
//! * One request of a unit at a time; units go side by side (lanes).
//! * A reply that never came is settled, never sent blind (J27).
//! * Only success releases the unit's next effect; any other outcome voids what was decided before it (J23).

use crate::{
    input::{AppendId, FlowOutput},
    lane::{BACKOFF_MAX_MS, BACKOFF_MIN_MS, Lane, LaneState, Queued, request},
    ledger::{self, Unsettled},
};
use model::{Acked, EffectId, EntryId, Outcome, SystemId, Timestamp, Unit};
use ports::{Fault, NotApplied, SinkReply, StateTxn};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A definite refusal over an unchanged base is tried again so often, then it is `Rejected` (J27).
const REFUSALS_MAX: u32 = 3;

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
        let lane = self.lanes.entry(effect.unit.clone()).or_insert_with(|| Lane {
            key: effect.key.clone(),
            queue: VecDeque::new(),
            state: LaneState::Idle,
            attempts: u32::from(attempted),
            refusals: 0,
            settle: false,
        });
        lane.queue.push_back(Queued { id: effect.id, n: effect.n, input: effect.input, gate });
        self.unsettled += 1;
        self.waiting += usize::from(matches!(lane.state, LaneState::Waiting(_)));
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
    fn examine(&mut self, unit: &Unit, state: &dyn StateTxn) {
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
        let missing = effect.refs.iter().find(|target| !self.acknowledged(target, unit, state)).cloned();
        let lane = self.lanes.get_mut(unit).expect("looked up above");
        if let Some(target) = missing {
            self.waiting += lane.queue.len();
            lane.state = LaneState::Waiting(target.clone());
            self.followers.entry(target).or_default().insert(unit.clone());
        } else {
            lane.state = LaneState::Ready;
            self.ready.push_back(unit.clone());
        }
    }

    /// Sends what may leave.
    pub(crate) fn pump(&mut self, now: Timestamp, state: &dyn StateTxn, out: &mut Vec<FlowOutput>) {
        while let Some((due, unit)) = self.backoff.first().filter(|(due, _)| *due <= now).cloned() {
            self.backoff.remove(&(due, unit.clone()));
            if let Some(lane) = self.lanes.get_mut(&unit) {
                lane.state = LaneState::Ready;
                self.ready.push_back(unit);
            }
        }
        if self.paused_until.is_some_and(|until| now < until) {
            return;
        }
        // A sink that failed is probed with one request until one comes through.
        let room = if self.paused_until.is_some() { 1 } else { self.concurrency };
        while self.in_flight < room {
            let Some(unit) = self.ready.pop_front() else { return };
            let Some(lane) = self.lanes.get_mut(&unit).filter(|lane| lane.state == LaneState::Ready) else { continue };
            let first = lane.queue.front().expect("a ready lane has an effect");
            let effect =
                ledger::unsettled(&self.system, &lane.key, first.n, state).expect("a queued effect is in the ledger");
            let base = ledger::resolve(&effect.base, &ledger::held(&self.system, &lane.key, state));
            lane.attempts += u32::from(!lane.settle);
            lane.state = LaneState::InFlight;
            self.in_flight += 1;
            let request = request(effect, base, lane.attempts);
            out.push(if lane.settle { FlowOutput::Settle(request) } else { FlowOutput::Send(request) });
        }
    }

    /// Takes a reply. A final outcome is given back as an entry to be appended; the ledger moves when that is durable.
    pub(crate) fn replied(&mut self, now: Timestamp, unit: &Unit, effect: EffectId, reply: SinkReply) -> Option<Final> {
        let lane = self.lanes.get_mut(unit).filter(|lane| lane.state == LaneState::InFlight)?;
        if lane.queue.front().is_none_or(|first| first.id != effect) {
            return None;
        }
        self.in_flight -= 1;
        match reply {
            SinkReply::Final { outcome, foreign } => return Some(self.finish(unit, effect, outcome, foreign)),
            SinkReply::Unknown { what } => {
                let again = std::mem::replace(&mut lane.settle, true);
                // The first look-up follows at once; one that failed itself waits.
                let wait = if again { self.pause(now, None, &what) } else { 0 };
                self.hold_back(unit, now, wait);
            }
            SinkReply::NotApplied { why: NotApplied::Refused, .. } => {
                lane.settle = false;
                lane.refusals += 1;
                if lane.refusals > REFUSALS_MAX {
                    let outcome =
                        Outcome::Rejected { code: "refused".into(), detail: "the target keeps refusing".into() };
                    return Some(self.finish(unit, effect, outcome, Vec::new()));
                }
                let wait = BACKOFF_MIN_MS << lane.refusals;
                self.hold_back(unit, now, wait);
            }
            SinkReply::NotApplied { why: NotApplied::Dependency, .. } => {
                lane.settle = false;
                let wait = BACKOFF_MAX_MS.min(BACKOFF_MIN_MS << lane.attempts.min(12));
                self.hold_back(unit, now, wait);
            }
            SinkReply::NotApplied { why: NotApplied::Busy, retry_after_ms, what } => {
                lane.settle = false;
                let wait = self.pause(now, retry_after_ms, &what);
                self.hold_back(unit, now, wait);
            }
            SinkReply::Failed(fault) => {
                let wait = self.pause(now, Some(BACKOFF_MAX_MS), &fault.what);
                self.fault = Some(fault);
                self.hold_back(unit, now, wait);
            }
        }
        None
    }

    fn finish(
        &mut self,
        unit: &Unit,
        effect: EffectId,
        outcome: Outcome,
        foreign: Vec<ports::ForeignVersion>,
    ) -> Final {
        let lane = self.lanes.get_mut(unit).expect("the caller looked it up");
        lane.state = LaneState::Acking;
        (self.failures, self.paused_until) = (0, None);
        let recovered = self.fault.take().is_some();
        let acked = Acked { system: self.system.clone(), unit: unit.clone(), effect, attempts: lane.attempts, outcome };
        Final { acked, foreign, recovered }
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
            if let LaneState::Waiting(_) = lane.state {
                self.waiting -= gone;
            }
            if lane.state == LaneState::Acking {
                (lane.state, lane.attempts, lane.refusals, lane.settle) = (LaneState::Idle, 0, 0, false);
            }
            self.examine(&acked.unit, state);
        }
        for follower in self.followers.get(&acked.unit).cloned().unwrap_or_default() {
            self.examine(&follower, state);
        }
    }
}

/// A final outcome on its way into the journal.
pub(crate) struct Final {
    pub acked: Acked,
    pub foreign: Vec<ports::ForeignVersion>,
    /// The sink had failed and goes on.
    pub recovered: bool,
}
