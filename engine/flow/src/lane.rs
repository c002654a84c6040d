//! Lanes: the effects of one unit that have no outcome, and the pace at which a sink that fails is tried again.

use crate::{
    deliver::Deliver,
    input::AppendId,
    ledger::{self, Unsettled},
    waiting::UnitKey,
};
use model::{EffectId, EntryId, Timestamp, Unit};
use ports::{Failure, Fault, SendBase, SendRequest, StateTxn};
use std::collections::VecDeque;

/// So many failures in a row of requests that were not applied stop the whole sink for a while.
const FAILURES_IN_A_ROW: u32 = 4;
/// The first wait before another attempt; doubled with each failure.
pub(crate) const BACKOFF_MIN_MS: u64 = 50;
/// The longest, unless the target asks for more.
pub(crate) const BACKOFF_MAX_MS: u64 = 10_000;
/// The longest for what waits for another unit that the target has not: its outcome is looked at at once, this is for what
/// somebody else puts there again.
pub(crate) const DANGLING_MAX_MS: u64 = 300_000;

/// The effects of one unit without an outcome, in decision order.
pub(crate) struct Lane {
    pub key: UnitKey,
    pub queue: VecDeque<Queued>,
    pub state: LaneState,
    pub attempts: u32,
    pub refusals: u32,
    /// The next thing to do with the first effect is to settle an earlier attempt.
    pub settle: bool,
    /// The process before may have sent the first effect: that is settled before the lane waits for another unit.
    pub unsure: bool,
    /// The target itself said that what the first effect refers to is not there: it is tried again then.
    pub dangling: Option<Timestamp>,
}

impl Lane {
    pub(crate) fn new(key: UnitKey, attempted: bool) -> Lane {
        Lane {
            key,
            queue: VecDeque::new(),
            state: LaneState::Idle,
            attempts: u32::from(attempted),
            refusals: 0,
            settle: false,
            unsure: attempted,
            dangling: None,
        }
    }

    /// The first effect has its outcome.
    pub(crate) fn begin_anew(&mut self) {
        (self.state, self.attempts, self.refusals) = (LaneState::Idle, 0, 0);
        (self.settle, self.unsure, self.dangling) = (false, false, None);
    }
}

pub(crate) struct Queued {
    pub id: EffectId,
    pub n: u64,
    pub input: EntryId,
    pub gate: Option<AppendId>,
}

#[derive(PartialEq, Eq)]
pub(crate) enum LaneState {
    /// Nothing to do, or the decision is not durable.
    Idle,
    /// In `ready`.
    Ready,
    /// In `followers` of that unit.
    Waiting(Unit),
    /// A request is under way.
    InFlight,
    /// The outcome is on its way into the journal.
    Acking,
    /// In `backoff` until then.
    Backoff(Timestamp),
    /// Put aside: the target refuses its whole type.
    Stopped,
}

impl LaneState {
    /// Whether its effects wait for something else than their turn: they do not count as ahead (J44).
    pub(crate) fn waits(&self) -> bool {
        matches!(self, LaneState::Waiting(_) | LaneState::Stopped)
    }
}

impl Deliver {
    /// The lane no longer waits for another unit.
    pub(crate) fn leave_wait(&mut self, unit: &Unit) {
        let Some(lane) = self.lanes.get_mut(unit) else { return };
        let LaneState::Waiting(target) = std::mem::replace(&mut lane.state, LaneState::Idle) else { return };
        self.waiting -= lane.queue.len();
        if let Some(followers) = self.followers.get_mut(&target) {
            followers.remove(unit);
            if followers.is_empty() {
                self.followers.remove(&target);
            }
        }
    }

    /// What the effect waits for: a unit of ours that it refers to and that does not stand at the system, with the version
    /// as which it stood there once. What stands there itself goes on referring to what somebody deleted: a retraction
    /// never waits for a person who keeps that deleted, unless the target says that it must.
    pub(crate) fn waits_for(&self, effect: &Unsettled, state: &dyn StateTxn) -> Option<(Unit, Option<Box<str>>)> {
        let dangling = self.lanes.get(&effect.unit).is_some_and(|lane| lane.dangling.is_some());
        let stands = ledger::held(&self.system, &effect.key, state).exists;
        let others = effect.refs.iter().filter(|target| **target != effect.unit);
        let ours = others.filter_map(|target| {
            let there = ledger::held(&self.system, &ledger::unit_key(target.id, state)?, state);
            Some((target, there))
        });
        let mut ours: Vec<(&Unit, ledger::Held)> = ours.collect();
        // What was never there first: with such a reference the effect has never left.
        ours.sort_by_key(|(_, there)| (there.exists, there.version.is_some()));
        let (target, there) = ours.into_iter().next()?;
        let goes = there.exists || (stands && there.version.is_some());
        (dangling || !goes).then(|| (target.clone(), there.version))
    }

    pub(crate) fn hold_back(&mut self, unit: &Unit, now: Timestamp, wait_ms: u64) {
        let lane = self.lanes.get_mut(unit).expect("the caller looked it up");
        let due = after(now, wait_ms);
        lane.state = LaneState::Backoff(due);
        self.backoff.insert((due, unit.clone()));
    }

    /// Counts a failure in a row; with several, or when the target asks for it, nothing leaves for a while, and people
    /// are told why.
    pub(crate) fn pause(&mut self, now: Timestamp, asked_ms: Option<u64>, what: &str) -> u64 {
        self.failures += 1;
        let doubled = BACKOFF_MIN_MS << self.failures.min(12);
        let wait = asked_ms.unwrap_or(doubled).clamp(BACKOFF_MIN_MS, BACKOFF_MAX_MS.max(asked_ms.unwrap_or(0)));
        if asked_ms.is_some() || self.failures >= FAILURES_IN_A_ROW {
            self.paused_until = self.paused_until.max(Some(after(now, wait)));
            self.fault.get_or_insert_with(|| {
                Fault::new(Failure::Transient, format!("the target takes no writes now: {what}"))
                    .cure("it is asked again by itself, and nothing is lost")
            });
        }
        wait
    }

    /// When something may be sent that may not now.
    pub(crate) fn next_wakeup(&self) -> Option<Timestamp> {
        let backoff = self.backoff.first().map(|(due, _)| *due);
        let pause = self.paused_until.filter(|_| !self.ready.is_empty() && self.in_flight == 0);
        // No type is tried while the sink pauses.
        let tried = self.types.next_wakeup().map(|at| self.paused_until.map_or(at, |until| at.max(until)));
        [backoff, pause, tried].into_iter().flatten().min()
    }

    /// Decision numbers of the unit's effects without an outcome, and what they wait for.
    pub(crate) fn describe(&self, unit: &Unit) -> Vec<(u64, String)> {
        let Some(lane) = self.lanes.get(unit) else { return Vec::new() };
        let first = match &lane.state {
            LaneState::Idle => "its decision is not durable yet".into(),
            LaneState::Ready => "ready to be sent".into(),
            LaneState::Waiting(target) => format!("waits for {target}"),
            LaneState::InFlight if lane.settle => "being settled".into(),
            LaneState::InFlight => format!("sent, attempt {}", lane.attempts),
            LaneState::Acking => "answered, outcome not durable yet".into(),
            LaneState::Stopped => "the target takes none of its type now".into(),
            LaneState::Backoff(_) => format!("tried {} times, waits to be tried again", lane.attempts),
        };
        let rest = std::iter::repeat_with(|| "behind the one before".to_string());
        lane.queue.iter().map(|queued| queued.n).zip(std::iter::once(first).chain(rest)).collect()
    }
}

pub(crate) fn after(now: Timestamp, wait_ms: u64) -> Timestamp {
    Timestamp(now.0.saturating_add(i64::try_from(wait_ms).unwrap_or(i64::MAX).saturating_mul(1_000)))
}

/// The request of one attempt.
pub(crate) fn request(effect: Unsettled, base: SendBase, attempt: u32) -> SendRequest {
    SendRequest {
        effect: effect.id,
        request: effect.id.request(),
        unit: effect.unit,
        write: effect.write,
        base,
        body: effect.body.into(),
        body_hash: effect.hash,
        attempt,
    }
}
