//! The promises, one file each, as pure functions over a history: simulated or read from the logs of a real run.
//!
//! A checker that needs the order between events of different kinds, or the end of a run, says nothing of a history that
//! lacks it.

mod accounted;
mod audited;
mod deterministic;
mod durable_first;
mod halt_not_guess;
mod in_order;
mod live;
mod no_loss;
mod no_phantom;
mod no_resurrection;
mod nothing_discarded;
mod one_effect;
mod private;
mod right_patient;
mod rows;
mod shown;
mod single_writer;

use crate::history::History;
use std::fmt;

/// One promise: its name in `engine/ARCHITECTURE.md`, and what finds it broken.
pub type Checker = (&'static str, fn(&History) -> Result<(), String>);

/// Every promise that is checked; the cheap ones first.
pub const CHECKERS: [Checker; 15] = [
    ("durable_first", durable_first::check),
    ("single_writer", single_writer::check),
    ("no_phantom", no_phantom::check),
    ("no_loss", no_loss::check),
    ("accounted", accounted::check),
    ("one_effect", one_effect::check),
    ("in_order", in_order::check),
    ("halt_not_guess", halt_not_guess::check),
    ("nothing_discarded", nothing_discarded::check),
    ("audited", audited::check),
    ("private", private::check),
    ("live", live::check),
    ("no_resurrection", no_resurrection::check),
    ("right_patient", right_patient::check),
    ("deterministic", deterministic::check),
];

/// A promise that does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which; `panic` for an assertion of the engine or of the world.
    pub checker: &'static str,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.checker, self.what)
    }
}

/// The first promise that this history breaks.
pub fn check(history: &History) -> Result<(), Violation> {
    for (checker, check) in CHECKERS {
        check(history).map_err(|what| Violation { checker, what })?;
    }
    Ok(())
}
