//! Time as an argument: the runtime owns the only real clock.

use model::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now, in UTC microseconds. May jump; whoever needs monotony makes it (J34).
    fn now(&self) -> Timestamp;
}
