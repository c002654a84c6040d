//! The target as a sink: the in-memory twin of every real one, with a reply lost or a target gone when a test says so.

use crate::target::{Target, lost};
use model::Unit;
use ports::{Boxed, Failure, Fault, Look, SendRequest, Sink, SinkReply, Written};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What happens to the next write.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Mishap {
    /// It is applied and answered.
    #[default]
    None,
    /// It is applied, and its reply is lost.
    LoseReply,
    /// It does not arrive.
    Cut,
}

/// What the sink stands before.
#[derive(Default)]
pub struct Held {
    /// The target.
    pub target: Target,
    /// Requests to write so far.
    pub sent: usize,
    /// Looks so far.
    pub looks: usize,
    /// What happens to the next write.
    pub next: Mishap,
    /// Why nobody is let in, if so.
    pub down: Option<Fault>,
}

/// A sink in memory.
#[derive(Default)]
pub struct MemorySink(Mutex<Held>);

impl MemorySink {
    /// What it stands before.
    pub fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody answers any more.
    pub fn stop(&self) {
        self.lock().down = Some(Fault::new(Failure::Transient, "the target is down").unreachable());
    }

    /// The versions of a unit so far.
    pub fn versions(&self, unit: &Unit) -> usize {
        self.lock().target.units.get(&unit.to_string()).map_or(0, Vec::len)
    }
}

impl Sink for MemorySink {
    fn send(&self, request: SendRequest) -> Boxed<'_, SinkReply> {
        let mut held = self.lock();
        held.sent += 1;
        let reply = match (held.down.is_some(), std::mem::take(&mut held.next)) {
            (true, _) | (false, Mishap::Cut) => lost(),
            (false, Mishap::LoseReply) => {
                held.target.send(&request);
                lost()
            }
            (false, Mishap::None) => held.target.send(&request),
        };
        Box::pin(async { reply })
    }

    fn settle(&self, request: SendRequest) -> Boxed<'_, SinkReply> {
        let mut held = self.lock();
        let reply = if held.down.is_some() { lost() } else { held.target.settle(&request) };
        Box::pin(async { reply })
    }

    fn look(&self, written: Option<Written>) -> Boxed<'_, Result<Look, Fault>> {
        let mut held = self.lock();
        held.looks += 1;
        let found = match (&held.down, written) {
            (Some(fault), _) => Err(fault.clone()),
            (None, None) => Ok(Look::Answered),
            (None, Some(written)) => Ok(held.target.look(&written)),
        };
        Box::pin(async { found })
    }

    fn heartbeat_seconds(&self) -> u32 {
        1
    }

    fn concurrency(&self) -> usize {
        4
    }

    fn request_lifetime_max_seconds(&self) -> u32 {
        60
    }

    fn prerequisites(&self, _: bool) -> Boxed<'_, Result<Vec<Fault>, Fault>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
