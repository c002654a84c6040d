//! Kill points: a test names the durable operation before which the process shall die, as by `kill -9`.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The variable that names the point.
pub const KILL_AT: &str = "LOCKSTEP_KILL_AT";

/// Counts durable operations; at the chosen one the process is gone.
#[derive(Clone, Debug)]
pub struct KillPoints {
    at: u64,
    reached: Arc<AtomicU64>,
}

impl KillPoints {
    /// Never kills.
    pub fn none() -> KillPoints {
        KillPoints { at: 0, reached: Arc::new(AtomicU64::new(0)) }
    }

    /// Kills where the environment says, if it does.
    pub fn from_env() -> KillPoints {
        let at = std::env::var(KILL_AT).ok().and_then(|at| at.parse().ok()).unwrap_or(0);
        KillPoints { at, ..KillPoints::none() }
    }

    /// One durable operation is about to begin, or has just ended.
    pub(crate) fn reach(&self) {
        let here = self.reached.fetch_add(1, Ordering::Relaxed) + 1;
        if here == self.at {
            let killed = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            // SIGKILL cannot be refused for one's own process; the signal may take a moment to arrive.
            while killed.is_ok() {
                std::thread::park();
            }
        }
    }

    /// How many were reached.
    pub fn reached(&self) -> u64 {
        self.reached.load(Ordering::Relaxed)
    }
}
