//! What a sink's reply does to its lane: an outcome, another attempt at its time, or a wait for another unit.

use crate::{
    deliver::Deliver,
    lane::{BACKOFF_MAX_MS, BACKOFF_MIN_MS, DANGLING_MAX_MS, LaneState, after},
    ledger,
};
use model::{Acked, EffectId, Outcome, Timestamp, Unit};
use ports::{NotApplied, SinkReply, StateTxn};

/// A definite refusal over an unchanged base is tried again so often, then it is `Rejected` (J27).
const REFUSALS_MAX: u32 = 3;

/// A final outcome on its way into the journal.
pub(crate) struct Final {
    pub acked: Acked,
    pub foreign: Vec<ports::ForeignVersion>,
    /// The sink had failed and goes on.
    pub recovered: bool,
}

impl Deliver {
    /// Takes a reply. A final outcome is given back as an entry to be appended; the ledger moves when that is durable.
    pub(crate) fn replied(
        &mut self,
        now: Timestamp,
        (unit, effect): (&Unit, EffectId),
        reply: SinkReply,
        state: &dyn StateTxn,
    ) -> Option<Final> {
        let lane = self.lanes.get_mut(unit).filter(|lane| lane.state == LaneState::InFlight)?;
        if lane.queue.front().is_none_or(|first| first.id != effect) {
            return None;
        }
        self.in_flight -= 1;
        let tried = self.types.heard(now, unit);
        let done = self.take_reply(now, (unit, effect), reply, state);
        if let Some(done) = &done {
            self.type_goes_on(unit, &done.acked.outcome, tried);
        }
        done
    }

    fn take_reply(
        &mut self,
        now: Timestamp,
        (unit, effect): (&Unit, EffectId),
        reply: SinkReply,
        state: &dyn StateTxn,
    ) -> Option<Final> {
        let lane = self.lanes.get_mut(unit).expect("the caller looked it up");
        match reply {
            SinkReply::Final { outcome, foreign } => return Some(self.finish(unit, effect, outcome, foreign)),
            SinkReply::TypeFailed(fault) => self.stop_type(now, unit, &fault),
            SinkReply::Unknown { what } => {
                let again = std::mem::replace(&mut lane.settle, true);
                // The first look-up follows at once; one that failed itself waits.
                let wait = if again { self.pause(now, None, &what) } else { 0 };
                self.hold_back(unit, now, wait);
            }
            SinkReply::NotApplied { why: NotApplied::Refused, .. } => {
                return self.refused(now, unit, effect, "refused", "the target keeps refusing");
            }
            SinkReply::NotApplied { why: NotApplied::Dependency, .. } => {
                let (n, key) = (lane.queue.front().map_or(0, |first| first.n), lane.key.clone());
                let due = after(now, DANGLING_MAX_MS.min(BACKOFF_MIN_MS << lane.attempts.min(16)));
                (lane.state, lane.settle, lane.dangling) = (LaneState::Idle, false, Some(due));
                let first = ledger::unsettled(&self.system, &key, n, state).expect("a queued effect is in the ledger");
                // What is none of our units comes by no acknowledgement: nobody would ever know that it is waited for.
                if self.waits_for(&first, state).is_none() {
                    let detail = "it refers to what is not at the target, and is none of this pipeline's units";
                    return self.refused(now, unit, effect, "dangling_reference", detail);
                }
                self.backoff.insert((due, unit.clone()));
                self.examine(unit, state);
            }
            SinkReply::NotApplied { why: NotApplied::Busy, retry_after_ms, what } => {
                let asked = std::mem::take(&mut lane.settle) && std::mem::take(&mut lane.unsure);
                // A look at what the process before may have sent found nothing: no failure of the target.
                let wait = if asked { 0 } else { self.pause(now, retry_after_ms, &what) };
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

    /// The target refused it and the base stands: tried again some times, then that is its outcome (J27).
    fn refused(&mut self, now: Timestamp, unit: &Unit, effect: EffectId, code: &str, detail: &str) -> Option<Final> {
        let lane = self.lanes.get_mut(unit).expect("the caller looked it up");
        (lane.settle, lane.unsure, lane.dangling) = (false, false, None);
        lane.refusals += 1;
        if lane.refusals > REFUSALS_MAX {
            let outcome = Outcome::Rejected { code: code.into(), detail: detail.into() };
            return Some(self.finish(unit, effect, outcome, Vec::new()));
        }
        let wait = BACKOFF_MIN_MS << lane.refusals;
        self.hold_back(unit, now, wait);
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
}
