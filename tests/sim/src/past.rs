//! The source's tables as they were: what a reader sees who does not see the last commits yet, and what a standby or a
//! backup holds that takes over.

use crate::{
    fault::Fault,
    source::{Rows, Source, place},
};
use model::SourcePosition;
use schemas::Plan;
use std::sync::Arc;

/// So many transactions back the tables are remembered.
pub const KEPT: usize = 8;
/// Readers miss at most so many commits.
const UNSEEN_MAX: usize = 2;

/// The tables before a transaction.
pub(crate) struct Past {
    log: usize,
    lsn: u64,
    next_id: i64,
    rows: Vec<Rows>,
    plans: Vec<Arc<Plan>>,
}

impl Source {
    /// The tables as they are, where somebody may ask for them later.
    pub(crate) fn before(&self) -> Option<Past> {
        const ASKED_BY: [Fault; 3] = [Fault::SeenLate, Fault::Failover, Fault::Restored];
        let asked = ASKED_BY.iter().any(|fault| self.faults.contains(fault));
        asked.then(|| Past {
            log: self.log.len(),
            lsn: self.lsn,
            next_id: self.next_id,
            rows: self.rows.clone(),
            plans: self.plans.clone(),
        })
    }

    /// A transaction was committed. It may be in the log for a while before anybody sees it.
    pub(crate) fn remember(&mut self, before: Option<Past>) {
        let Some(before) = before else { return };
        let reshaped = before.plans.iter().zip(&self.plans).any(|(old, new)| !Arc::ptr_eq(old, new));
        self.past.push_back(before);
        if self.past.len() > KEPT {
            self.past.pop_front();
        }
        if reshaped {
            self.unseen = 0;
        } else if self.unseen > 0 || self.chance.one_in(3) && self.strikes(Fault::SeenLate) {
            self.unseen = (self.unseen + 1).min(UNSEEN_MAX).min(self.past.len());
        }
    }

    /// The tables as a reader sees them.
    pub(crate) fn seen(&self) -> &[Rows] {
        match self.unseen {
            0 => &self.rows,
            unseen => &self.past[self.past.len() - unseen].rows,
        }
    }

    /// Takes `transactions` back; none if nobody remembers. Gives where the log ends now.
    pub(crate) fn go_back(&mut self, transactions: usize) -> Option<SourcePosition> {
        let at = self.past.len().checked_sub(transactions.clamp(1, KEPT).min(self.past.len().max(1)))?;
        let Past { log, lsn, next_id, rows, plans } = self.past.drain(at..).next()?;
        self.log.truncate(log);
        self.streamed = self.streamed.min(log);
        self.queue.clear();
        (self.lsn, self.next_id, self.rows, self.plans) = (lsn, next_id, rows, plans);
        (self.unseen, self.lost) = (0, Some("another timeline"));
        Some(place(lsn, None))
    }

    /// A transaction is rolled back: it takes places and numbers, and no log tells of it. Gives its places.
    pub fn abort(&mut self) -> (SourcePosition, SourcePosition) {
        let from = self.lsn + 1;
        self.lsn += 5 + self.chance.below(20);
        self.next_id += 1;
        (place(from, None), place(self.lsn, None))
    }
}
