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

/// The effects of one unit without an outcome, in decision order.
pub(crate) struct Lane {
    pub key: UnitKey,
    pub queue: VecDeque<Queued>,
    pub state: LaneState,
    pub attempts: u32,
    pub refusals: u32,
    /// The next thing to do with the first effect is to settle an earlier attempt.
    pub settle: bool,
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

    /// Whether `target` may be referred to: it stands at the system, or is none of our units. What stands there itself, or
    /// may, goes on referring to what somebody deleted: a retraction never waits for a person who keeps that deleted.
    pub(crate) fn acknowledged(&self, target: &Unit, me: &Unit, state: &dyn StateTxn) -> bool {
        let held = |unit: &Unit| Some(ledger::held(&self.system, &ledger::unit_key(unit.id, state)?, state));
        let sent = self.lanes.get(me).is_some_and(|lane| lane.attempts > 0);
        let stood = |there: &ledger::Held| there.version.is_some() && (sent || held(me).is_some_and(|me| me.exists));
        target == me || held(target).is_none_or(|there| there.exists || stood(&there))
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
        [backoff, pause].into_iter().flatten().min()
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
