//! One event after the other, chosen by chance: steps of the flow, appends, reads, replies, captured batches.

use crate::{World, fault::Fault, history::Event, people, target};
use flow::{FlowInput, FlowOutput};
use model::Timestamp;
use ports::{Class, Failure, NotApplied, SendRequest, SinkReply, StateStore};

/// The fold goes on for fewer steps than this while a checkpoint is being written.
const CHECKPOINT_STEPS_MAX: u64 = 9;
/// What is due later than this is nothing that anybody waits for.
const PATIENCE: i64 = 60_000_000;
const STALLED_MAX: u64 = 40_000_000;

impl World {
    pub(crate) fn step(&mut self, input: FlowInput) {
        self.now += 1 + self.chance.below(200) as i64;
        let (flow, now, state) = (&mut self.flow, Timestamp(self.now), self.store.txn());
        let step = std::panic::AssertUnwindSafe(|| flow.step(now, input, state));
        let outputs = match std::panic::catch_unwind(step) {
            Ok(outputs) => outputs,
            Err(panic) if self.poison.is_none() => std::panic::resume_unwind(panic),
            // As the runtime does it (J32).
            Err(_) => {
                self.store.discard();
                let after = self.panics.note(self.flow.suspect());
                assert_ne!(after, flow::AfterPanic::End, "it is left out, or the source stops");
                return self.crash();
            }
        };
        assert!(self.store.fault().is_none());
        self.store.accept();
        self.steps += 1;
        if self.written_at.is_some_and(|at| self.steps >= at) {
            self.store.finish_checkpoint().expect("memory does not fail");
            self.written_at = None;
            self.note(Event::Checkpointed);
        }
        for output in outputs {
            self.take(output);
        }
    }

    fn take(&mut self, output: FlowOutput) {
        match output {
            FlowOutput::Append { .. } | FlowOutput::Record { .. } => self.appends.push_back(output),
            FlowOutput::ReadJournal(_) | FlowOutput::ReadDecisions(_) => self.reads.push_back(output),
            FlowOutput::OpenSource(resume) => {
                self.forget_source();
                match self.source.lost.filter(|_| resume.started) {
                    Some(what) => self.inputs.push_back(FlowInput::SourceFailed(people::gap(&resume, what))),
                    None => {
                        self.source.open(resume);
                        self.inputs.push_back(FlowInput::SourceOpened);
                    }
                }
            }
            FlowOutput::CloseSource => {
                self.forget_source();
                self.source.close();
            }
            FlowOutput::Confirm(position) => {
                self.note(Event::Confirmed(position));
                self.source.confirm(position);
            }
            FlowOutput::Send(ref request) => {
                self.note(Event::Sent(request.clone()));
                self.requests.push(output);
            }
            FlowOutput::Settle(ref request) => {
                self.note(Event::Settling(request.clone()));
                self.requests.push(output);
            }
            FlowOutput::Checkpoint => {
                self.store.begin_checkpoint().expect("memory does not fail");
                self.written_at = Some(self.steps + self.steps % CHECKPOINT_STEPS_MAX);
            }
            FlowOutput::Answered { answer, .. } => self.answers.push(answer),
            FlowOutput::Fenced { .. } => self.views.push(self.store.view().expect("memory does not fail")),
            FlowOutput::Halted { scope, what, .. } => {
                self.halted.push(what.clone());
                self.note(Event::Halted { scope, what });
            }
            FlowOutput::Again => self.inputs.push_back(FlowInput::Tick),
            FlowOutput::Corrupt(fault) => {
                self.note(Event::Corrupt(fault.to_string()));
                panic!("{fault}");
            }
        }
    }

    /// Nothing of what a source brought is wanted when it is opened or closed, as in the runtime's inbox.
    fn forget_source(&mut self) {
        self.inputs.retain(|input| {
            !matches!(input, FlowInput::SourceOpened | FlowInput::SourceFailed(_) | FlowInput::Captured(_))
        });
    }

    /// Makes the next append durable: vital journal entries first, then captured ones, then decisions (J24).
    pub(crate) fn append_one(&mut self) -> bool {
        // A process whose append failed makes no other one.
        if self.dies {
            return false;
        }
        let vital = |output: &FlowOutput| matches!(output, FlowOutput::Append { class: Class::Vital, .. });
        let journal = |output: &FlowOutput| matches!(output, FlowOutput::Append { .. });
        let at = self
            .appends
            .iter()
            .position(vital)
            .or_else(|| if self.chance.one_in(2) { self.appends.iter().position(journal) } else { None });
        let first_record = self.appends.iter().position(|output| !journal(output));
        let Some(output) = self.appends.remove(at.or(first_record).unwrap_or(0)) else { return false };
        if self.logs.is_some() && self.strikes(Fault::FlushFailed, 30) {
            self.logs.iter().for_each(|logs| logs.disk.fail_flush());
        }
        let (id, appended, may_wait) = match &output {
            FlowOutput::Append { id, entries, class } => {
                (*id, self.journal_append(entries, *class), *class == Class::Capture)
            }
            FlowOutput::Record { id, records } => (*id, self.record_append(records), false),
            _ => return false,
        };
        match appended {
            Ok(appended) => self.inputs.push_back(FlowInput::Appended { id, appended }),
            // A full disk: captured rows wait, in their order, and everything else goes on (J24).
            Err(fault) if may_wait && fault.failure == Failure::Transient => {
                self.appends.push_front(output);
                return false;
            }
            Err(_) => {
                self.dies = true;
                return false;
            }
        }
        true
    }

    /// One event, chosen by chance. False: nothing is left to happen.
    pub fn event(&mut self) -> bool {
        self.hear();
        if self.dies {
            self.crash();
            return true;
        }
        if let Some(input) = self.inputs.pop_front() {
            self.step(input);
            return true;
        }
        for _ in 0..12 {
            match self.chance.below(7) {
                0 if self.append_one() => return true,
                1 if self.read() => return true,
                2 if self.capture(6) => return true,
                3 | 4 if self.reply() => return true,
                5 if self.chance.one_in(20) => {
                    self.inputs.push_back(FlowInput::CheckpointDue);
                    return true;
                }
                6 if self.chance.one_in(4) && self.arrive() => return true,
                _ => {}
            }
        }
        self.append_one() || self.read() || self.reply() || self.capture(4) || self.arrive() || self.wait()
    }

    fn capture(&mut self, size: u64) -> bool {
        if !self.flow.wants_capture() || !self.source.has_more() {
            return false;
        }
        let size = 1 + self.chance.below(size) as usize;
        let entries = self.source.next_batch(size);
        self.inputs.push_back(FlowInput::Captured(entries));
        true
    }

    /// Time passes until something is due.
    fn wait(&mut self) -> bool {
        if let Some(at) = (0..self.stalled.len()).min_by_key(|at| self.stalled[*at].0) {
            let (due, input) = self.stalled.remove(at);
            self.now = self.now.max(due);
            self.inputs.push_back(input);
            return true;
        }
        let soon = self.now + PATIENCE + self.went_back;
        if let Some(due) = self.flow.next_wakeup().filter(|due| due.0 < soon) {
            self.now = self.now.max(due.0);
            self.inputs.push_back(FlowInput::Tick);
            return true;
        }
        false
    }

    fn read(&mut self) -> bool {
        let max = 1 + self.chance.below(8) as usize;
        let input = match self.reads.pop_front() {
            Some(FlowOutput::ReadJournal(from)) => {
                let from = from.seq as usize - 1;
                FlowInput::JournalRead(self.journal.iter().skip(from).take(max).cloned().collect())
            }
            Some(FlowOutput::ReadDecisions(from)) => {
                let from = from.seq as usize - 1;
                FlowInput::DecisionsRead(self.decisions.iter().skip(from).take(max).cloned().collect())
            }
            _ => return false,
        };
        self.inputs.push_back(input);
        true
    }

    /// A request that nobody waits for any more arrives.
    fn arrive(&mut self) -> bool {
        if self.late.is_empty() {
            return false;
        }
        let at = self.chance.below(self.late.len() as u64) as usize;
        let request = self.late.swap_remove(at);
        self.target.send(&request);
        true
    }

    fn reply(&mut self) -> bool {
        if self.requests.is_empty() {
            return false;
        }
        let at = self.chance.below(self.requests.len() as u64) as usize;
        let (request, reply) = match self.requests.swap_remove(at) {
            FlowOutput::Send(request) => {
                let reply = self.answered(&request);
                (request, reply)
            }
            FlowOutput::Settle(request) if self.strikes(Fault::ServerError, 8) => (request, target::lost()),
            FlowOutput::Settle(request) => {
                let reply = self.target.settle(&request);
                (request, reply)
            }
            _ => return false,
        };
        self.hear();
        self.note(Event::Replied { effect: request.effect, reply: reply.clone() });
        let input = FlowInput::Replied { unit: request.unit, effect: request.effect, reply };
        if self.strikes(Fault::Stalled, 8) {
            let due = self.now + self.chance.below(STALLED_MAX) as i64;
            self.stalled.push((due, input));
        } else {
            self.inputs.push_back(input);
        }
        true
    }

    /// What the target, or the way to it, makes of a request to write.
    fn answered(&mut self, request: &SendRequest) -> SinkReply {
        let not_applied = |why, retry_after_ms| SinkReply::NotApplied { what: "not now".into(), retry_after_ms, why };
        if self.strikes(Fault::Busy, 10) {
            return not_applied(NotApplied::Busy, Some(500));
        }
        // A refusal is one only while the base stands; what an earlier attempt did is found first.
        let stands = matches!(self.target.settle(request), SinkReply::NotApplied { .. });
        if stands && self.strikes(Fault::Refused, 10) {
            return not_applied(NotApplied::Refused, None);
        }
        if self.strikes(Fault::ServerError, 10) {
            if self.strikes(Fault::LateTwin, 2) {
                self.late.push(request.clone());
            }
            return target::lost();
        }
        let reply = self.target.send(request);
        if self.strikes(Fault::LostReply, 4) { target::lost() } else { reply }
    }

    /// The clock is set.
    pub fn set_clock(&mut self, by: i64) {
        self.inject(if by < 0 { Fault::ClockBack } else { Fault::ClockForward });
        self.now += by;
        self.went_back += (-by).max(0);
    }

    /// Runs until nothing is left to happen.
    pub fn drain(&mut self) {
        for _ in 0..200_000 {
            if !self.event() {
                return;
            }
        }
        panic!(
            "the world does not come to rest; halted last: {:?}",
            self.halted.iter().rev().take(3).collect::<Vec<_>>()
        );
    }
}
