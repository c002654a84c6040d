//! A seeded generator whose seed is printed: a failure can be thrown again, as far as clocks allow.

use sandbox::Random;
use std::time::Duration;

/// Dice.
pub struct Dice(Random);

impl Dice {
    /// From LOCKSTEP_SEED, or from the clock; printed.
    pub fn new(name: &str) -> Dice {
        let told = std::env::var("LOCKSTEP_SEED").ok().and_then(|text| text.parse().ok());
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |since| since.as_micros());
        let seed = told.unwrap_or_else(|| u64::try_from(now).unwrap_or(1));
        println!("{name}: LOCKSTEP_SEED={seed}");
        Dice(Random::new(seed))
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0.number()
    }

    /// Below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0.below(limit)
    }

    /// Between so many milliseconds.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from + 1))
    }
}
