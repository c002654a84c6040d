//! End to end: the real binary, a real PostgreSQL, a real FHIR server in a process of its own, and whatever may befall them.
//!
//! Knows Lockstep from outside only: its command line, its configuration, its exit codes. What should stand at the target is
//! worked out here from the rows alone ([`expected`]), never with the engine's own map. Every process that is started here
//! ends with its owner.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a harness: its panic is the report of the test")]

pub mod binaries;
pub mod check;
pub mod dice;
pub mod engine;
pub mod expected;
pub mod load;
pub mod postgres;
pub mod process;
pub mod target;
pub mod transcript;
pub mod world;

pub use check::{Checked, check};
pub use dice::Dice;
pub use engine::{Engine, Ran, Settings};
pub use load::Load;
pub use postgres::Cluster;
pub use target::{Flag, Target};
pub use world::{Shape, World};

use std::time::{Duration, Instant};

/// How long anything may take that is expected to happen.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Whether the long versions of the tests are asked for.
pub fn long() -> bool {
    std::env::var_os("LOCKSTEP_LONG").is_some_and(|value| value != "0")
}

/// The short number, or the long one.
pub fn rounds(short: u32, long_number: u32) -> u32 {
    let told = std::env::var("LOCKSTEP_ROUNDS").ok().and_then(|text| text.parse().ok());
    told.unwrap_or(if long() { long_number } else { short })
}

/// Looks until it is so; panics with `what` when patience is over.
pub fn wait_for(what: &str, limit: Duration, mut look: impl FnMut() -> bool) {
    let started = Instant::now();
    while !look() {
        assert!(started.elapsed() < limit, "waited {} s in vain: {what}", limit.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Says how long a test took, when it ends.
pub struct Timed {
    name: &'static str,
    started: Instant,
}

impl Timed {
    /// Starts the clock.
    pub fn new(name: &'static str) -> Timed {
        Timed { name, started: Instant::now() }
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        // Past the capture of the test runner: durations are wanted from green runs too.
        let line = format!("-- {}: {:.1} s\n", self.name, self.started.elapsed().as_secs_f64());
        std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).ok();
    }
}
