//! When a source fails: a gap stops it until a person answers; anything else is tried again, ever more slowly.

use crate::{
    input::{FlowOutput, Scope},
    recover::Stage,
    step::Flow,
};
use model::Timestamp;
use ports::{Failure, OpenFault};

const REOPEN_MIN_MS: i64 = 200;
const REOPEN_MAX_MS: i64 = 10_000;

/// What the source is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum SourceState {
    /// Not asked for yet.
    #[default]
    Closed,
    /// Its `Slot` or `Void` entry is not durable yet.
    Preparing,
    /// Asked to open.
    Opening,
    /// Entries come.
    Streaming,
    /// Failed; opened again at `reopen_at`.
    Down,
    /// Stopped until a person answers.
    Stopped,
}

impl Flow {
    /// Opens the source where the journal stands.
    pub(crate) fn open_source(&mut self, out: &mut Vec<FlowOutput>) {
        if !self.is_source_left_out(out) {
            self.ingest.state = SourceState::Opening;
            self.ingest.forget_told();
            out.push(FlowOutput::OpenSource(self.ingest.resume.clone()));
        }
    }

    /// The source is closed: a gap waits for a person, anything else is tried again, ever more slowly.
    pub(crate) fn source_failed(&mut self, now: Timestamp, fault: OpenFault, out: &mut Vec<FlowOutput>) {
        let scope = Scope::Source(self.config.source.system.clone());
        self.ingest.refused = false;
        match fault {
            OpenFault::Gap { slot, what, plan, .. } => {
                self.ingest.state = SourceState::Stopped;
                self.ingest.gap = Some((slot, format!("{what}; {plan}")));
                let source = &self.config.source.system;
                self.halt(scope, format!("{what}; {plan}; lockstep held answer source:{source} accept"), out);
            }
            OpenFault::Fault(fault) => {
                self.ingest.state = SourceState::Down;
                let slow = match fault.failure {
                    Failure::Transient => 0,
                    Failure::Rejected | Failure::Misconfigured => 4,
                    Failure::Corrupt => 6,
                };
                let wait = (REOPEN_MIN_MS << (self.ingest.failures + slow).min(16)).min(REOPEN_MAX_MS);
                self.ingest.failures += 1;
                self.ingest.reopen_at = Some(Timestamp(now.0 + wait * 1_000));
                let mends = (fault.failure == Failure::Transient && !fault.unreachable)
                    .then(|| fault.table.clone().map_or_else(|| scope.clone(), Scope::Table));
                self.wait(scope, fault.to_string(), mends, out);
                if self.ingest.captures == 0 {
                    self.void_open(out);
                }
            }
        }
    }

    /// The source is open again, or has moved on: whatever stopped it is over. One that contradicted itself must move on.
    pub(crate) fn source_goes_on(&mut self, moved: bool, out: &mut Vec<FlowOutput>) {
        if moved == self.ingest.refused {
            (self.ingest.refused, self.ingest.failures) = (false, 0);
            self.go_on(Scope::Source(self.config.source.system.clone()), out);
        }
    }

    /// Closes an open source, to open it again from a fresh resume once everything it gave is durable, and what it gave of
    /// an open transaction void.
    pub(crate) fn restart_source(&mut self, out: &mut Vec<FlowOutput>) {
        if !matches!(self.ingest.state, SourceState::Opening | SourceState::Streaming) {
            return;
        }
        out.push(FlowOutput::CloseSource);
        (self.ingest.state, self.ingest.reopen_at) = (SourceState::Down, Some(Timestamp(0)));
        if self.ingest.captures == 0 {
            self.void_open(out);
        }
    }

    /// Opens a source that was down long enough, once everything it gave is durable.
    pub(crate) fn reopen_if_due(&mut self, now: Timestamp, out: &mut Vec<FlowOutput>) {
        let due = self.ingest.reopen_at().is_some_and(|due| due <= now);
        if due && self.ingest.captures == 0 && self.ingest.open.is_none() && self.stage == Stage::Live {
            self.ingest.reopen_at = None;
            self.open_source(out);
        }
    }
}
