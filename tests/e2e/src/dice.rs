//! A seeded generator whose seed is printed: a failure can be thrown again, as far as clocks allow.

use std::time::Duration;

/// SplitMix64.
pub struct Dice(u64);

impl Dice {
    /// From LOCKSTEP_SEED, or from the clock; printed.
    pub fn new(name: &str) -> Dice {
        let told = std::env::var("LOCKSTEP_SEED").ok().and_then(|text| text.parse().ok());
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |since| since.as_micros());
        let seed = told.unwrap_or_else(|| u64::try_from(now).unwrap_or(1));
        println!("{name}: LOCKSTEP_SEED={seed}");
        Dice(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit.max(1)
    }

    /// Between so many milliseconds.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from + 1))
    }
}
