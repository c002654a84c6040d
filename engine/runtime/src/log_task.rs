//! The `log` thread: every append, fsync and segment change of both logs, in rounds.
//!
//! ```text
//!   a round:  outcomes, acts ─► journal ─► fsync ─► captured rows ─► journal ─► fsync ─► decisions ─► fsync ─► reads
//! ```
//! * Outcomes go ahead of captured rows and never wait for them (J24).
//! * A full disk keeps captured rows here, in order, and tries again every second; everything else goes on.
//! * Any other failure ends the run: the log is poisoned.

use crate::{
    handle::Notices,
    inbox::{Inbox, Message},
    kill::KillPoints,
};
use flow::{AppendId, FlowInput};
use model::{Entry, EntryId, Journaled, Log, Record, Recorded};
use ports::{Appended, Class, Clock, Failure, Fault, Journal};
use std::{
    collections::VecDeque,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

/// The journal, and the disk space that it holds back.
pub trait ReservedJournal: Journal<Body = Entry, Stored = Journaled> {
    /// Gives `bytes` of the reserve back to the disk, for a checkpoint on a full one (J24); false if none is left.
    fn release_reserve(&mut self, bytes: u64) -> Result<bool, Fault>;
    /// Everything up to this entry is decided: no more room is kept for what follows of it (J24).
    fn decided(&mut self, upto: EntryId);
}

impl ReservedJournal for journal::EntryLog {
    fn release_reserve(&mut self, bytes: u64) -> Result<bool, Fault> {
        journal::EntryLog::release_reserve(self, bytes)
    }

    fn decided(&mut self, upto: EntryId) {
        journal::EntryLog::decided(self, upto);
    }
}

impl ReservedJournal for journal::MemoryLog<journal::EntryCodec> {
    fn release_reserve(&mut self, _: u64) -> Result<bool, Fault> {
        Ok(true)
    }

    fn decided(&mut self, _: EntryId) {}
}

/// The journal behind its contract.
pub type DynJournal = Box<dyn ReservedJournal>;
/// The decisions log behind its contract.
pub type DynDecisions = Box<dyn Journal<Body = Record, Stored = Recorded>>;

/// Bytes of one answer to a read, as the log has them: in memory they are three times as many, and as many again while
/// the list of them grows (a heap profile of `run` behind its source: 14 MB for one answer of 4 MiB).
const READ_BYTES_MAX: usize = 1 << 20;
/// How long a full disk is left alone.
const FULL_RETRY: Duration = Duration::from_secs(1);

/// What the log thread is asked.
pub(crate) enum LogRequest {
    Append {
        id: AppendId,
        entries: Arc<[Entry]>,
        class: Class,
    },
    Record {
        id: AppendId,
        records: Arc<[Record]>,
    },
    ReadJournal(EntryId),
    ReadDecisions(EntryId),
    /// Room for a checkpoint; `done` is told when it was made, as far as it could be.
    Release {
        bytes: u64,
        done: mpsc::SyncSender<()>,
    },
}

/// The thread's own.
pub(crate) struct LogTask {
    pub journal: DynJournal,
    pub decisions: DynDecisions,
    pub requests: mpsc::Receiver<LogRequest>,
    pub inbox: Arc<Inbox>,
    pub notices: Arc<Notices>,
    pub clock: Arc<dyn Clock>,
    pub kill: KillPoints,
}

#[derive(Default)]
struct Round {
    vital: Vec<(AppendId, Arc<[Entry]>)>,
    records: Vec<(AppendId, Arc<[Record]>)>,
    reads: Vec<LogRequest>,
}

/// Captured batches that the disk has no room for yet.
#[derive(Default)]
struct Captured {
    waiting: VecDeque<(AppendId, Arc<[Entry]>)>,
    retry_at: Option<Instant>,
}

impl LogTask {
    /// Runs until nobody asks any more.
    pub(crate) fn run(mut self) {
        let mut captured = Captured::default();
        while let Some(round) = self.gather(&mut captured) {
            if let Err(fault) = self.round(round, &mut captured) {
                self.inbox.push(Message::LogFailed(fault));
                return;
            }
        }
    }

    /// Everything that was asked until now; waits for the first. None at the end.
    fn gather(&mut self, captured: &mut Captured) -> Option<Round> {
        let mut round = Round::default();
        let first = match captured.retry_at {
            None => self.requests.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
            Some(at) => self.requests.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        match first {
            Ok(request) => sort(request, &mut round, captured),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return None,
        }
        while let Ok(request) = self.requests.try_recv() {
            sort(request, &mut round, captured);
        }
        Some(round)
    }

    fn round(&mut self, round: Round, captured: &mut Captured) -> Result<(), Fault> {
        // Captured rows come last (J24): a flood of them must not keep waiting what was decided from durable entries.
        self.journal_append(round.vital, Class::Vital)?;
        self.decisions_append(round.records)?;
        self.capture(captured)?;
        for read in round.reads {
            let input = match read {
                LogRequest::ReadJournal(from) => FlowInput::JournalRead(self.journal.read(from, READ_BYTES_MAX)?),
                LogRequest::ReadDecisions(from) => FlowInput::DecisionsRead(self.decisions.read(from, READ_BYTES_MAX)?),
                LogRequest::Release { bytes, done } => {
                    if !self.journal.release_reserve(bytes)? {
                        tracing::warn!(
                            "the disk is full and the reserve is used up: free space on the disk of data_dir"
                        );
                    }
                    done.send(()).ok();
                    continue;
                }
                LogRequest::Append { .. } | LogRequest::Record { .. } => continue,
            };
            self.inbox.push(Message::Input(input));
        }
        Ok(())
    }

    fn capture(&mut self, captured: &mut Captured) -> Result<(), Fault> {
        let early = captured.retry_at.is_some_and(|at| Instant::now() < at);
        if captured.waiting.is_empty() || early {
            return Ok(());
        }
        let batches: Vec<_> = captured.waiting.drain(..).collect();
        match self.journal_append(batches.clone(), Class::Capture) {
            Ok(()) => {
                captured.retry_at = None;
                if self.notices.full().is_some() {
                    self.notices.set_full(None);
                    tracing::info!("there is room on the disk again: captured rows are appended");
                }
                Ok(())
            }
            Err(fault) if fault.failure == Failure::Transient => {
                if captured.retry_at.is_none() {
                    tracing::error!("captured rows wait, outcomes and decisions go on: {fault}");
                    self.notices.set_full(Some(fault.to_string()));
                }
                captured.waiting = batches.into();
                captured.retry_at = Some(Instant::now() + FULL_RETRY);
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    fn journal_append(&mut self, batches: Vec<(AppendId, Arc<[Entry]>)>, class: Class) -> Result<(), Fault> {
        if batches.is_empty() {
            return Ok(());
        }
        let (ids, mut bodies): (Vec<_>, Vec<_>) = batches.into_iter().unzip();
        let cut = self.kill.cut_behind_chunk(&mut bodies);
        self.kill.reach();
        let appended = self.journal.append(&bodies, class, self.clock.now())?;
        self.kill.reach();
        self.kill.behind_chunk(cut);
        self.tell(Log::Journal, ids, appended);
        Ok(())
    }

    fn decisions_append(&mut self, batches: Vec<(AppendId, Arc<[Record]>)>) -> Result<(), Fault> {
        if batches.is_empty() {
            return Ok(());
        }
        let (ids, bodies): (Vec<_>, Vec<_>) = batches.into_iter().unzip();
        self.kill.reach();
        let appended = self.decisions.append(&bodies, Class::Vital, self.clock.now())?;
        let finished = bodies.iter().rev().flat_map(|records| records.iter().rev()).find_map(finished);
        if let Some(upto) = finished {
            self.journal.decided(upto);
        }
        self.kill.reach();
        self.tell(Log::Decisions, ids, appended);
        Ok(())
    }

    fn tell(&self, log: Log, ids: Vec<AppendId>, appended: Vec<Appended>) {
        for (id, appended) in ids.into_iter().zip(appended) {
            self.inbox.push(Message::Appended { log, id, appended });
        }
    }
}

/// The input that is finished with this record.
fn finished(record: &Record) -> Option<EntryId> {
    match record {
        Record::Decided(decided) => decided.last.then_some(decided.input),
        Record::Skipped { to, .. } => Some(*to),
        Record::Unfolded { .. } | Record::Opened { .. } => None,
    }
}

fn sort(request: LogRequest, round: &mut Round, captured: &mut Captured) {
    match request {
        LogRequest::Append { id, entries, class: Class::Vital } => round.vital.push((id, entries)),
        LogRequest::Append { id, entries, class: Class::Capture } => captured.waiting.push_back((id, entries)),
        LogRequest::Record { id, records } => round.records.push((id, records)),
        LogRequest::ReadJournal(_) | LogRequest::ReadDecisions(_) | LogRequest::Release { .. } => {
            round.reads.push(request);
        }
    }
}
