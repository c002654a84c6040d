//! Exit codes: the same number means the same thing for every command.

use ports::{Failure, Fault};
use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Done, and the answer is no: a difference, a broken chain, replay not equal.
    No = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// A peer cannot be reached.
    Unreachable = 3,
    /// A prerequisite is missing; the cure is printed.
    Prerequisite = 4,
    /// Stopped by a gap or corruption; the plan is printed.
    Stopped = 5,
    /// The engine is not running, or another process holds `data_dir/lock`.
    NotRunning = 6,
    /// A fault of ours.
    Ours = 70,
}

impl Exit {
    /// What a fault means for whoever started the command.
    pub fn of(fault: &Fault) -> Exit {
        match fault.failure {
            _ if fault.unreachable => Exit::Unreachable,
            Failure::Transient => Exit::Unreachable,
            Failure::Misconfigured => Exit::Prerequisite,
            Failure::Corrupt => Exit::Stopped,
            Failure::Rejected => Exit::No,
        }
    }

    /// What a fault means that ended a run: a full or broken disk stops it, too.
    pub fn of_run(fault: &Fault) -> Exit {
        match fault.failure {
            Failure::Misconfigured => Exit::Prerequisite,
            Failure::Corrupt | Failure::Transient => Exit::Stopped,
            Failure::Rejected => Exit::Ours,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_has_the_documented_code() {
        let code = |failure| Exit::of(&Fault::new(failure, "x")) as u8;
        assert_eq!(code(Failure::Misconfigured), 4);
        assert_eq!(code(Failure::Corrupt), 5);
        assert_eq!(Exit::of(&Fault::new(Failure::Misconfigured, "x").unreachable()) as u8, 3);
    }
}
