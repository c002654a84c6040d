//! When to read at once and when to let bytes gather.
//!
//! Over TCP a walsender sends each message by itself. A reader that takes each as it comes makes one system call and one
//! wake-up a message on both sides: twice the load on the hospital's server, and slower. So a reader that is behind naps a
//! millisecond between reads; one that has caught up reads at once. A Unix socket holds little: there it naps far shorter.

use std::time::{Duration, Instant};

/// As long as a timer can be short.
pub(crate) const NAP: Duration = Duration::from_millis(1);
/// A Unix socket holds some two hundred messages, each with its own overhead, and then its writer sleeps: a flood of two
/// hundred thousand a second fills it in a millisecond. So much shorter.
pub(crate) const SHORT_NAP: Duration = Duration::from_micros(100);
/// More messages than this in a millisecond: behind, or so busy that a nap goes unnoticed.
const BUSY_MESSAGES: u32 = 32;
/// A flood has gaps: the thread before the parser naps too, and both run when the machine lets them.
const BUSY_FOR: Duration = Duration::from_millis(4);
/// About what so many messages hold, for whoever sees bytes alone.
const FLOW_BYTES: usize = 6_000;

/// Watches the rate of messages and says when whoever parses them naps.
pub(crate) struct Pace {
    since: Instant,
    messages: u32,
    busy_until: Instant,
}

impl Pace {
    pub(crate) fn new() -> Pace {
        let now = Instant::now();
        Pace { since: now, messages: 0, busy_until: now }
    }

    /// One message was taken.
    pub(crate) fn message(&mut self) {
        self.messages = self.messages.saturating_add(1);
    }

    /// How long to leave the stream alone before the next read; none: more is not about to come, nothing need wait for it.
    pub(crate) fn nap(&mut self, now: Instant) -> Option<Duration> {
        if now.duration_since(self.since) >= NAP {
            if self.messages >= BUSY_MESSAGES {
                self.busy_until = now + BUSY_FOR;
            }
            self.messages = 0;
            self.since = now;
        }
        (now < self.busy_until).then_some(NAP)
    }
}

/// Watches a socket's bytes and says when the thread that reads it naps.
pub(crate) struct Flow {
    nap: Duration,
    since: Instant,
    bytes: usize,
    busy: bool,
}

impl Flow {
    /// `nap`: how long the socket may be left alone in a flood.
    pub(crate) fn new(nap: Duration) -> Flow {
        Flow { nap, since: Instant::now(), bytes: 0, busy: false }
    }

    /// A read brought `bytes`: how long to leave the socket alone before the next one.
    pub(crate) fn nap(&mut self, bytes: usize, now: Instant) -> Option<Duration> {
        self.bytes += bytes;
        if now.duration_since(self.since) >= NAP {
            self.busy = self.bytes >= FLOW_BYTES;
            self.bytes = 0;
            self.since = now;
        }
        self.busy.then_some(self.nap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_gathered_and_a_trickle_is_not() {
        let mut pace = Pace::new();
        let start = pace.since;
        (0..100).for_each(|_| pace.message());
        assert_eq!(pace.nap(start + NAP), Some(NAP));
        assert_eq!(pace.nap(start + 2 * NAP), Some(NAP), "a flood has gaps");
        pace.message();
        assert_eq!(pace.nap(start + NAP + BUSY_FOR), None);
    }

    #[test]
    fn a_socket_in_flood_is_left_alone_for_a_moment_and_a_trickle_is_not() {
        let mut flow = Flow::new(NAP);
        let start = flow.since;
        assert_eq!(flow.nap(FLOW_BYTES, start), None);
        assert_eq!(flow.nap(1, start + NAP), Some(NAP));
        assert_eq!(flow.nap(200, start + 3 * NAP), None);
    }

    #[test]
    fn a_unix_socket_in_flood_is_left_alone_for_less_than_it_takes_to_fill() {
        let mut flow = Flow::new(SHORT_NAP);
        let start = flow.since;
        assert_eq!(flow.nap(FLOW_BYTES, start + NAP), Some(SHORT_NAP));
        assert_eq!(flow.nap(200, start + 3 * NAP), None);
    }
}
