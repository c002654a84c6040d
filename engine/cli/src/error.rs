//! Why a command did not do what it was asked: one message, its cure, its exit code. Holds no patient's value.

use crate::{config::ConfigFaults, exit::Exit};
use ports::Fault;

/// A command's failure.
#[derive(Debug)]
pub enum CliError {
    /// The configuration does not hold.
    Config(ConfigFaults),
    /// One fault, with its exit code.
    Fault(Exit, Fault),
    /// Several at once, each with its cure.
    Faults(Exit, Vec<Fault>),
}

impl CliError {
    /// A fault of this kind and code.
    pub fn new(exit: Exit, what: impl Into<String>, cure: impl Into<String>) -> CliError {
        CliError::Fault(exit, Fault::new(ports::Failure::Misconfigured, what).cure(cure))
    }

    /// Its exit code.
    pub fn exit(&self) -> Exit {
        match self {
            CliError::Config(_) => Exit::Usage,
            CliError::Fault(exit, _) | CliError::Faults(exit, _) => *exit,
        }
    }

    /// Every message with its cure.
    pub fn messages(&self) -> Vec<(String, String)> {
        match self {
            CliError::Config(faults) => faults.messages(),
            CliError::Fault(_, fault) => vec![(fault.what.clone(), fault.cure.clone())],
            CliError::Faults(_, faults) => {
                faults.iter().map(|fault| (fault.what.clone(), fault.cure.clone())).collect()
            }
        }
    }
}

impl From<Fault> for CliError {
    fn from(fault: Fault) -> CliError {
        CliError::Fault(Exit::of(&fault), fault)
    }
}

impl From<ConfigFaults> for CliError {
    fn from(faults: ConfigFaults) -> CliError {
        CliError::Config(faults)
    }
}

impl CliError {
    /// Every fault, for those who gather them.
    pub fn into_faults(self) -> Vec<Fault> {
        match self {
            CliError::Config(_) => {
                let misconfigured = |(what, cure)| Fault::new(ports::Failure::Misconfigured, what).cure(cure);
                self.messages().into_iter().map(misconfigured).collect::<Vec<Fault>>()
            }
            CliError::Fault(_, fault) => vec![fault],
            CliError::Faults(_, faults) => faults,
        }
    }

    /// All of it as one fault.
    pub fn into_fault(self) -> Fault {
        let faults = self.into_faults();
        let failure = faults.first().map_or(ports::Failure::Misconfigured, |fault| fault.failure);
        let join = |text: fn(&Fault) -> &String| {
            faults.iter().map(text).filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join("; ")
        };
        Fault::new(failure, join(|fault| &fault.what)).cure(join(|fault| &fault.cure))
    }
}
