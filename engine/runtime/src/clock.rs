//! The only real clock of the engine.

use model::Timestamp;
use ports::Clock;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The machine's clock, UTC, but never going back while this lives: a retry or a timer that is due in ten seconds is due
/// in twenty at most, whatever is done to the machine's clock. Set back, it goes on at half its speed until the machine's
/// has caught up. One of them a process: entries and timers are compared with each other (J34).
#[derive(Debug, Default)]
pub struct SystemClock(Mutex<Option<(Timestamp, Instant)>>);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        self.told(Timestamp(i64::try_from(wall.as_micros()).unwrap_or(i64::MAX)), Instant::now())
    }
}

impl SystemClock {
    /// What to say at `steady`, when the machine's clock says `wall`.
    fn told(&self, wall: Timestamp, steady: Instant) -> Timestamp {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = match *last {
            Some((said, at)) if wall < said => after(said, steady.saturating_duration_since(at) / 2),
            Some(_) | None => wall,
        };
        *last = Some((now, steady));
        now
    }
}

/// From `now` to `then`; nothing if that is over.
pub(crate) fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(then.0.saturating_sub(now.0)).unwrap_or(0))
}

/// `duration` behind `at`.
pub(crate) fn after(at: Timestamp, duration: Duration) -> Timestamp {
    Timestamp(at.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_goes_on_until_the_machines_has_caught_up() {
        let (clock, start) = (SystemClock::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let wall = |seconds: i64| Timestamp(seconds * 1_000_000);
        assert_eq!(clock.told(wall(1_000), at(0)), wall(1_000));
        // Ten minutes back: half speed, so a retry in ten seconds is due twenty seconds later.
        assert_eq!(clock.told(wall(402), at(2)), wall(1_001));
        assert_eq!(clock.told(wall(420), at(20)), wall(1_010));
        // It meets the machine's clock after as long again, and follows it, forwards too.
        assert_eq!(clock.told(wall(1_600), at(1_200)), wall(1_600));
        assert_eq!(clock.told(wall(9_000), at(1_201)), wall(9_000));
    }

    #[test]
    fn reading_it_often_does_not_stop_it() {
        let (clock, start) = (SystemClock::default(), Instant::now());
        clock.told(Timestamp(5_000_000), start);
        let mut now = Timestamp(0);
        for micros in (0..2_000_000).step_by(500) {
            now = clock.told(Timestamp(0), start + Duration::from_micros(micros));
        }
        assert_eq!(now, Timestamp(5_999_750));
    }
}
