//! The loop of the `flow` thread: one message, one step, its outputs in their order.
//!
//! * No other thread touches the state. The step's writes are kept only if the store has no fault.
//! * The thread sleeps until something comes, a wake-up of the flow's is due, or a checkpoint is (J19).
//! * While it stops, capture has ended and no new request leaves; outcomes of those under way are still taken.

use crate::{
    clock::{after, until},
    core::Core,
    ended::{LifeEnded, in_step},
    halts::{Halts, Line},
    handle::{ActRequest, FenceRequest, FencedView, Notices},
    heartbeat::Heartbeat,
    inbox::{Inbox, Message},
    kill::KillPoints,
    layer::is_layer_full,
    log_task::LogRequest,
    source_task::{Reading, SourceCommand},
};
use flow::{FlowInput, FlowOutput};
use model::{EntryId, Log, Timestamp};
use ports::{Clock, Fault, SendRequest, Sink, StateStore};
use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc},
    time::Duration,
};
use tokio::{sync::mpsc::UnboundedSender, sync::oneshot, task::JoinSet};

/// A checkpoint is due so long after the last one, if anything was folded since (J19).
const CHECKPOINT_EVERY: Duration = Duration::from_secs(2);
/// .. or after so many entries.
const CHECKPOINT_ENTRIES: u64 = 20_000;
/// A checkpoint writes at most about so many times its overlay, pages being copied, and some pages of its own.
const CHECKPOINT_WRITES_MAX: u64 = 2;
const CHECKPOINT_FIXED: u64 = 1 << 20;
/// Without anything to do the thread looks up this often.
const IDLE: Duration = Duration::from_secs(1);
/// A wake-up that is due is not asked for again before this.
const WAKEUP_MIN: Duration = Duration::from_millis(1);
/// Requests under way get so long when the engine stops.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// .. and the last checkpoint so long.
const STOP_MAX: Duration = Duration::from_secs(20);

/// What the flow thread owns.
pub(crate) struct Driver {
    pub core: Box<dyn Core>,
    pub store: Box<dyn StateStore>,
    pub inbox: Arc<Inbox>,
    pub log: mpsc::Sender<LogRequest>,
    pub source: UnboundedSender<SourceCommand>,
    pub reading: Arc<Reading>,
    pub notices: Arc<Notices>,
    pub sink: Arc<dyn Sink>,
    pub tokio: tokio::runtime::Handle,
    pub clock: Arc<dyn Clock>,
    pub kill: KillPoints,
    pub overlay_bytes_max: usize,
    pub requests: JoinSet<()>,
    pub heartbeat: Heartbeat,
    pub halts: Halts,
    pub acts: BTreeMap<u64, oneshot::Sender<Result<EntryId, Fault>>>,
    pub fences: BTreeMap<u64, oneshot::Sender<Result<FencedView, Fault>>>,
    pub next_token: u64,
    pub since: Since,
    pub again: bool,
    pub stopping: Option<Stopping>,
}

/// What happened since the last checkpoint.
#[derive(Default)]
pub(crate) struct Since {
    pub at: Timestamp,
    pub entries: u64,
    pub asked: bool,
}

/// A stop under way.
pub(crate) struct Stopping {
    requests_until: Timestamp,
    until: Timestamp,
    checkpoint: bool,
}

/// What the thread does next.
enum Next {
    Step(FlowInput),
    Nothing,
    End(LifeEnded),
}

impl Driver {
    /// Runs from `open` to the end of this life. The state's last checkpoint is all that outlives it.
    pub(crate) fn run(mut self, open: FlowInput) -> LifeEnded {
        self.since.at = self.clock.now();
        let mut next = Next::Step(open);
        let ended = loop {
            next = match next {
                Next::End(ended) => break ended,
                Next::Nothing => match self.kept() {
                    Ok(()) => self.next(),
                    Err(ended) => Next::End(ended),
                },
                Next::Step(input) => match self.step(input) {
                    Ok(()) => self.next(),
                    Err(ended) => Next::End(ended),
                },
            };
        };
        self.finish(&ended);
        ended
    }

    /// After a panic no request may be left under way: the next life would send another one of the same unit. And what was
    /// asked to stop stops in the next life, if there is one.
    fn finish(mut self, ended: &LifeEnded) {
        if self.stopping.is_some() && !matches!(ended, LifeEnded::Stopped) {
            self.inbox.push(Message::Stop);
        }
        drop(self.source);
        self.heartbeat.end();
        if matches!(ended, LifeEnded::Panicked(_)) {
            let mut requests = self.requests;
            self.tokio.block_on(async move { while requests.join_next().await.is_some() {} });
        } else {
            self.requests.abort_all();
        }
    }

    fn next(&mut self) -> Next {
        let now = self.clock.now();
        while self.requests.try_join_next().is_some() {}
        if !self.halts.is_empty() {
            self.halts.due(now, self.core.is_live()).iter().for_each(Line::log);
        }
        if let Some(next) = self.stop_step(now) {
            return next;
        }
        if self.stopping.is_none() {
            let (core, state) = (self.core.as_ref(), self.store.txn());
            self.heartbeat.look(now, core, state, &self.sink, &self.inbox, &self.tokio);
        }
        if !self.since.asked && self.checkpoint_due(now) {
            self.since.asked = true;
            return Next::Step(FlowInput::CheckpointDue);
        }
        let (wait, tick) = self.wait(now);
        let welcome = self.stopping.is_none() && self.core.wants_capture();
        match self.inbox.next(welcome, wait) {
            Some(message) => self.message(message),
            None if tick => Next::Step(FlowInput::Tick),
            None => Next::Nothing,
        }
    }

    /// How long to wait for a message, and whether a `Tick` follows when none comes.
    fn wait(&self, now: Timestamp) -> (Duration, bool) {
        if self.again {
            return (Duration::ZERO, true);
        }
        let checkpoint =
            if self.since.asked || !self.dirty() { IDLE } else { until(now, after(self.since.at, CHECKPOINT_EVERY)) };
        let sleep = if self.stopping.is_some() { checkpoint.min(STOP_GRACE / 50) } else { checkpoint.min(IDLE) };
        match self.core.next_wakeup() {
            Some(wakeup) if until(now, wakeup) <= sleep => (until(now, wakeup).max(WAKEUP_MIN), true),
            Some(_) | None => (sleep, false),
        }
    }

    fn dirty(&self) -> bool {
        self.since.entries > 0 || self.store.overlay_bytes() > 0
    }

    /// While one is being written, the next is due only where the memory for what is not durable is used up.
    fn checkpoint_due(&self, now: Timestamp) -> bool {
        let many = || {
            self.since.entries >= CHECKPOINT_ENTRIES || self.dirty() && now >= after(self.since.at, CHECKPOINT_EVERY)
        };
        is_layer_full(self.store.overlay_bytes(), self.overlay_bytes_max) || !self.store.is_checkpointing() && many()
    }

    fn message(&mut self, message: Message) -> Next {
        match message {
            Message::Input(input) => {
                if let FlowInput::JournalRead(entries) = &input {
                    self.since.entries += entries.len() as u64;
                }
                Next::Step(input)
            }
            Message::Appended { log, id, appended } => {
                if log == Log::Journal {
                    self.since.entries += appended.last.seq + 1 - appended.first.seq;
                }
                Next::Step(FlowInput::Appended { id, appended })
            }
            Message::Replied { unit, effect, reply } => {
                self.heartbeat.replied(self.clock.now(), &reply);
                Next::Step(FlowInput::Replied { unit, effect, reply })
            }
            Message::Looked(looked) => {
                let current = self.core.last_written(self.store.txn());
                self.heartbeat.looked(self.clock.now(), looked, current.as_ref());
                Next::Nothing
            }
            Message::LogFailed(fault) => Next::End(LifeEnded::Failed(fault)),
            Message::Question(question) => {
                question(self.core.as_ref(), self.store.txn());
                Next::Nothing
            }
            Message::Act(ActRequest { by, act, reason, answer }) => {
                let token = self.token();
                self.acts.insert(token, answer);
                Next::Step(FlowInput::Act { token, by, act, reason })
            }
            Message::Fence(FenceRequest { position, answer }) => {
                let token = self.token();
                self.fences.insert(token, answer);
                Next::Step(FlowInput::Fence { token, position })
            }
            Message::Stop => {
                self.begin_stop();
                Next::Nothing
            }
        }
    }

    fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    fn step(&mut self, input: FlowInput) -> Result<(), LifeEnded> {
        let now = self.clock.now();
        self.again = false;
        let (core, store) = (&mut self.core, &mut self.store);
        let Ok(outputs) = in_step(|| core.step(now, input, store.txn())) else {
            self.store.discard();
            return Err(LifeEnded::Panicked(self.core.suspect()));
        };
        if let Some(fault) = self.store.fault() {
            self.store.discard();
            return Err(LifeEnded::Failed(fault));
        }
        self.kept()?;
        outputs.into_iter().try_for_each(|output| self.act(output))
    }

    /// Keeps what was written, and learns what became of the checkpoint that is under way.
    fn kept(&mut self) -> Result<(), LifeEnded> {
        let was = self.store.is_checkpointing();
        self.store.accept();
        if was && !self.store.is_checkpointing() {
            self.kill.reach();
        }
        self.store.fault().map_or(Ok(()), |fault| Err(LifeEnded::Failed(fault)))
    }

    fn act(&mut self, output: FlowOutput) -> Result<(), LifeEnded> {
        match output {
            FlowOutput::Append { id, entries, class } => self.ask_log(LogRequest::Append { id, entries, class }),
            FlowOutput::Record { id, records } => self.ask_log(LogRequest::Record { id, records }),
            FlowOutput::ReadJournal(from) => self.ask_log(LogRequest::ReadJournal(from)),
            FlowOutput::ReadDecisions(from) => self.ask_log(LogRequest::ReadDecisions(from)),
            FlowOutput::OpenSource(resume) => {
                let opening = self.inbox.begin_opening();
                if self.stopping.is_none() {
                    self.tell_source(SourceCommand::Open(opening, resume));
                }
            }
            FlowOutput::CloseSource => self.close_source(),
            FlowOutput::Confirm(upto) => self.reading.confirm(upto),
            FlowOutput::Send(request) => self.request(request, false),
            FlowOutput::Settle(request) => self.request(request, true),
            FlowOutput::Checkpoint => return self.checkpoint(),
            FlowOutput::Answered { token, answer } => {
                if let Some(waiter) = self.acts.remove(&token) {
                    // Whoever asked may be gone; the act stands all the same.
                    let told = waiter.send(answer);
                    drop(told);
                }
            }
            FlowOutput::Fenced { token } => {
                if let Some(waiter) = self.fences.remove(&token) {
                    let told = waiter.send(self.store.view());
                    drop(told);
                }
            }
            FlowOutput::Halted { scope, what, mends } => {
                if let Some(line) = self.halts.heard(self.clock.now(), scope, what, mends) {
                    line.log();
                }
            }
            FlowOutput::Again => self.again = true,
            FlowOutput::Corrupt(fault) => return Err(LifeEnded::Failed(fault)),
        }
        Ok(())
    }

    /// A log thread that is gone has said why in the inbox; nothing is lost by not asking it.
    fn ask_log(&self, request: LogRequest) {
        let asked = self.log.send(request);
        drop(asked);
    }

    /// The source's task ends only when its commands end.
    fn tell_source(&self, command: SourceCommand) {
        let told = self.source.send(command);
        drop(told);
    }

    fn close_source(&self) {
        self.inbox.begin_opening();
        self.tell_source(SourceCommand::Close);
    }

    fn request(&mut self, request: SendRequest, settle: bool) {
        if self.stopping.is_some() {
            return;
        }
        let (sink, inbox) = (self.sink.clone(), self.inbox.clone());
        let (unit, effect) = (request.unit.clone(), request.effect);
        let task = async move {
            let reply = if settle { sink.settle(request).await } else { sink.send(request).await };
            inbox.push(Message::Replied { unit, effect, reply });
        };
        self.requests.spawn_on(task, &self.tokio);
    }

    fn checkpoint(&mut self) -> Result<(), LifeEnded> {
        if self.notices.full().is_some() {
            self.make_room();
        }
        self.kill.reach();
        self.store.begin_checkpoint().map_err(LifeEnded::Failed)?;
        self.since = Since { at: self.clock.now(), entries: 0, asked: false };
        match &self.stopping {
            Some(stopping) if stopping.checkpoint => {
                self.store.finish_checkpoint().map_err(LifeEnded::Failed)?;
                self.kill.reach();
                Err(LifeEnded::Stopped)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// On a full disk a checkpoint is written into the reserve (J24). A log thread that is gone has said why.
    fn make_room(&self) {
        let bytes = self.store.overlay_bytes() as u64 * CHECKPOINT_WRITES_MAX + CHECKPOINT_FIXED;
        let (done, waits) = mpsc::sync_channel(1);
        self.ask_log(LogRequest::Release { bytes, done });
        waits.recv().ok();
    }

    fn begin_stop(&mut self) {
        if self.stopping.is_none() {
            tracing::info!("stopping: capture ends, requests under way are awaited, the state is checkpointed");
            let now = self.clock.now();
            self.close_source();
            self.stopping = Some(Stopping {
                requests_until: after(now, STOP_GRACE),
                until: after(now, STOP_MAX),
                checkpoint: false,
            });
        }
    }

    fn stop_step(&mut self, now: Timestamp) -> Option<Next> {
        let stopping = self.stopping.as_mut()?;
        if now >= stopping.until {
            tracing::warn!("the last checkpoint did not come in time; the next start folds from the one before");
            return Some(Next::End(LifeEnded::Stopped));
        }
        if !stopping.checkpoint && (self.requests.is_empty() || now >= stopping.requests_until) {
            stopping.checkpoint = true;
            return Some(Next::Step(FlowInput::CheckpointDue));
        }
        None
    }
}
