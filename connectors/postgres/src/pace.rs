//! When to read at once and when to let bytes gather.
//!
//! Over TCP a walsender sends each message by itself. A reader that takes each as it comes makes one system call and one
//! wake-up a message on both sides: twice the load on the hospital's server, and slower. So a reader that is behind naps a
//! millisecond between reads; one that has caught up reads at once. A Unix socket holds little and is never left waiting.

use std::time::{Duration, Instant};

/// As long as a timer can be short.
const NAP: Duration = Duration::from_millis(1);
/// More messages than this in a millisecond: behind, or so busy that a nap goes unnoticed.
const BUSY_MESSAGES: u32 = 32;
/// One read of this size says the same.
const BUSY_BYTES: usize = 100_000;

/// Watches the rate and says when to nap.
pub(crate) struct Pace {
    gathers: bool,
    since: Instant,
    messages: u32,
    busy: bool,
}

impl Pace {
    /// `gathers`: the transport is better read in larger pieces.
    pub(crate) fn new(gathers: bool) -> Pace {
        Pace { gathers, since: Instant::now(), messages: 0, busy: false }
    }

    /// One message was taken.
    pub(crate) fn message(&mut self) {
        self.messages = self.messages.saturating_add(1);
    }

    /// One read brought this much.
    pub(crate) fn read(&mut self, bytes: usize) {
        self.busy |= bytes >= BUSY_BYTES;
    }

    /// How long to leave the socket alone before the next read.
    pub(crate) fn nap(&mut self, now: Instant) -> Option<Duration> {
        if now.duration_since(self.since) >= NAP {
            self.busy = self.messages >= BUSY_MESSAGES;
            self.messages = 0;
            self.since = now;
        }
        (self.busy && self.gathers).then_some(NAP)
    }

    /// Whether more is about to come: what there is may wait a moment for it.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_gathered_and_a_trickle_is_not() {
        let mut pace = Pace::new(true);
        let start = pace.since;
        (0..100).for_each(|_| pace.message());
        assert_eq!(pace.nap(start + NAP), Some(NAP));
        pace.message();
        assert_eq!(pace.nap(start + 3 * NAP), None);
    }

    #[test]
    fn a_unix_socket_is_never_left_waiting() {
        let mut pace = Pace::new(false);
        let start = pace.since;
        (0..100_000).for_each(|_| pace.message());
        pace.read(BUSY_BYTES);
        assert_eq!(pace.nap(start + NAP), None);
        assert!(pace.is_busy());
        assert_eq!(pace.nap(start + 3 * NAP), None);
        assert!(!pace.is_busy());
    }
}
