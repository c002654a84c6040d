//! The rows of the crash table (`engine/ARCHITECTURE.md`) that a crash stood in, read from a history alone.
//!
//! Rows about another binary, about a store that is ahead, and about what only a real connector does have scenarios of
//! their own (`tests/crash_table.rs`).

use crate::history::{Event, History};
use model::{EffectId, Entry, Outcome, Record};
use ports::{Resume, SinkReply, TableResume};
use std::collections::{BTreeMap, BTreeSet};

/// Beginnings of the rows that a run can stand in.
pub const ROWS: [&str; 11] = [
    "chunk durable, the next one not",
    "rows durable, `Commit` not",
    "`Commit` durable, before its decision",
    "step k of n of the decisions durable",
    "decision durable, before send",
    "send, before reply",
    "reply, before `Acked` is durable",
    "`Acked` durable, before the checkpoint",
    "slot made, `Snapshot(started)` not durable",
    "slot lost, new slot made, entry not durable",
    "applied, foreign edit on top, then crash",
];

/// The rows in which crashes of this run stood.
pub fn stood_in(history: &History) -> BTreeSet<&'static str> {
    let (mut now, mut found) = (Now::default(), BTreeSet::new());
    for event in &history.events {
        if let Event::Crashed { .. } = event {
            found.extend(now.rows());
            now.in_flight.clear();
            now.replied.clear();
        }
        now.take(event);
    }
    found
}

/// What a crash right here would leave.
#[derive(Default)]
struct Now {
    resume: Resume,
    /// Rows of a transaction without its commit.
    open: u64,
    /// The last commit, and the last input with a record.
    committed: u64,
    decided: u64,
    /// The last record is a step that is not the last one.
    inside: bool,
    /// Effects without an outcome, and those that were ever sent.
    unsettled: BTreeMap<EffectId, String>,
    sent: BTreeSet<EffectId>,
    in_flight: BTreeSet<EffectId>,
    replied: BTreeSet<EffectId>,
    /// Outcomes since the last checkpoint.
    acked: u64,
    /// Slots wanted so far.
    slots: u64,
    /// Units whose last version is somebody else's, above one of ours.
    covered: BTreeSet<String>,
    ours: BTreeSet<String>,
}

impl Now {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Journaled(entry) => self.entry(entry.header.id.seq, &entry.entry),
            Event::Recorded(record) => {
                if let Record::Decided(decided) = &record.record {
                    (self.decided, self.inside) = (decided.input.seq, !decided.last);
                    let effects = decided.effects.iter();
                    self.unsettled.extend(effects.map(|effect| (effect.id, effect.unit.to_string())));
                }
                if let Record::Skipped { to, .. } = &record.record {
                    self.decided = self.decided.max(to.seq);
                }
            }
            Event::Sent(request) | Event::Settling(request) => {
                self.sent.insert(request.effect);
                self.in_flight.insert(request.effect);
            }
            Event::Replied { effect, reply } => {
                self.in_flight.remove(effect);
                if let SinkReply::Final { .. } = reply {
                    self.replied.insert(*effect);
                }
            }
            Event::Applied { unit, request, .. } => {
                let (own, above) = (request.is_some(), self.ours.contains(&**unit));
                if own {
                    self.ours.insert(unit.to_string());
                    self.covered.remove(&**unit);
                } else if above {
                    self.covered.insert(unit.to_string());
                }
            }
            Event::Checkpointed => self.acked = 0,
            _ => {}
        }
    }

    fn entry(&mut self, seq: u64, entry: &Entry) {
        self.resume.fold(entry);
        match entry {
            Entry::Row(row) if row.commit.is_none() => self.open += 1,
            Entry::Row(_) | Entry::Commit { .. } => (self.open, self.committed) = (0, seq),
            Entry::Void { .. } => self.open = 0,
            Entry::Slot { .. } => self.slots += 1,
            Entry::Acked(acked) => {
                self.acked += u64::from(matches!(acked.outcome, Outcome::Accepted { .. }));
                self.unsettled.remove(&acked.effect);
                self.replied.remove(&acked.effect);
            }
            _ => {}
        }
    }

    fn rows(&self) -> Vec<&'static str> {
        let half_read = |table: &TableResume| matches!(table, TableResume::Open { next_chunk: 1.., .. });
        let waiting = |sent: bool| self.unsettled.keys().any(|effect| self.sent.contains(effect) == sent);
        let wanted = self.resume.wanted.is_some() && !self.resume.started;
        let covered =
            self.unsettled.iter().any(|(effect, unit)| self.sent.contains(effect) && self.covered.contains(unit));
        let here = [
            self.resume.tables.values().any(half_read),
            self.open > 0,
            self.committed > self.decided,
            self.inside,
            waiting(false),
            waiting(true) && !self.in_flight.is_empty(),
            !self.replied.is_empty(),
            self.acked > 0,
            wanted && self.slots == 1,
            wanted && self.slots > 1,
            covered,
        ];
        ROWS.iter().zip(here).filter(|(_, here)| *here).map(|(row, _)| *row).collect()
    }
}
