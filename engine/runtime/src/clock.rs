//! The only real clock of the engine.

use model::Timestamp;
use ports::Clock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The machine's clock, UTC.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
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
