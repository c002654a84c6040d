//! The in-memory twin: the same contract without a disk, for the simulator and for tests.
//!
//! Everything appended is durable; a crash takes nothing but what was not returned. Bodies are kept as their bytes, so the
//! codec is the same one.

use crate::{
    codec::{Codec, Resumes},
    log::Config,
    reader::WRITER,
};
use model::{EntryId, Header, SystemId, Term, Timestamp};
use ports::{Appended, Class, Failure, Fault, Journal, Resume};
use std::{collections::BTreeMap, marker::PhantomData, sync::Arc};

/// A log in memory.
pub struct MemoryLog<C: Codec> {
    bodies: Vec<Box<[u8]>>,
    config: Config,
    term: Term,
    appended_at: Timestamp,
    resumes: Resumes,
    full: bool,
    failing: Option<Fault>,
    poisoned: bool,
    codec: PhantomData<fn() -> C>,
}

impl<C: Codec> MemoryLog<C> {
    /// A new log, opened by this binary.
    pub fn create(binary: &str, behaviour: u32, now: Timestamp) -> MemoryLog<C> {
        let mut log = MemoryLog {
            bodies: Vec::new(),
            config: Config::new(binary, behaviour),
            term: Term(0),
            appended_at: Timestamp(i64::MIN),
            resumes: Resumes::new(),
            full: false,
            failing: None,
            poisoned: false,
            codec: PhantomData,
        };
        log.crash(now);
        log
    }

    /// The process dies and the log is opened again: nothing durable is lost, the term rises, `Opened` is appended, and
    /// the resume is folded from nothing.
    pub fn crash(&mut self, now: Timestamp) {
        self.failing = None;
        self.poisoned = false;
        self.term = Term(self.term.0 + 1);
        self.resumes = Resumes::new();
        for bytes in &self.bodies {
            let stored = C::decode(bytes).expect("the same codec wrote it");
            C::fold(&mut self.resumes, C::body(&stored));
        }
        let opened = C::opened(&self.config);
        self.push(&opened, now.max(self.appended_at));
    }

    /// From here on the disk is full for captured rows, or no longer.
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// The next append fails like this and, unless the fault is transient, poisons the log until [`MemoryLog::crash`].
    pub fn fail_next(&mut self, fault: Fault) {
        self.failing = Some(fault);
    }

    /// The term of this opening.
    pub fn term(&self) -> Term {
        self.term
    }

    fn push(&mut self, body: &C::Body, appended_at: Timestamp) -> EntryId {
        let id = EntryId { writer: WRITER, seq: self.bodies.len() as u64 + 1 };
        let mut bytes = Vec::new();
        C::encode(&Header { id, term: self.term, appended_at }, body, &mut bytes);
        self.bodies.push(bytes.into());
        self.appended_at = appended_at;
        C::fold(&mut self.resumes, body);
        id
    }
}

impl<C: Codec> Journal for MemoryLog<C> {
    type Body = C::Body;
    type Stored = C::Stored;

    fn append(&mut self, batches: &[Arc<[C::Body]>], class: Class, now: Timestamp) -> Result<Vec<Appended>, Fault> {
        if self.poisoned {
            return Err(Fault::new(Failure::Corrupt, "the log stopped at an earlier failure"));
        }
        if batches.iter().any(|batch| batch.is_empty()) {
            return Err(Fault::new(Failure::Rejected, "a batch without entries cannot be appended"));
        }
        if self.full && class == Class::Capture && !batches.is_empty() {
            return Err(Fault::new(Failure::Transient, "disk full").cure("free space on the disk of data_dir"));
        }
        if let Some(fault) = self.failing.take() {
            self.poisoned = fault.failure != Failure::Transient;
            return Err(fault);
        }
        let appended_at = now.max(self.appended_at);
        let mut done = Vec::with_capacity(batches.len());
        for batch in batches {
            let ids: Vec<EntryId> = batch.iter().map(|body| self.push(body, appended_at)).collect();
            if let (Some(first), Some(last)) = (ids.first(), ids.last()) {
                done.push(Appended { first: *first, last: *last, appended_at });
            }
        }
        Ok(done)
    }

    fn read(&self, from: EntryId, bytes_max: usize) -> Result<Vec<C::Stored>, Fault> {
        let from = usize::try_from(from.seq.max(1) - 1).unwrap_or(usize::MAX);
        let (mut out, mut bytes) = (Vec::new(), 0);
        for body in self.bodies.iter().skip(from) {
            if !out.is_empty() && bytes + body.len() > bytes_max {
                break;
            }
            bytes += body.len();
            out.push(C::decode(body).expect("the same codec wrote it"));
        }
        Ok(out)
    }

    fn tail(&self) -> Option<EntryId> {
        (!self.bodies.is_empty()).then_some(EntryId { writer: WRITER, seq: self.bodies.len() as u64 })
    }

    fn resume(&self) -> BTreeMap<SystemId, Resume> {
        self.resumes.clone()
    }
}
