//! The four kinds of failure, and a fault that names the next act.

use model::TableName;
use std::fmt;

/// What a failure means for whoever meets it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Retry, with patience.
    Transient,
    /// Park the one thing it is about.
    Rejected,
    /// Stop and tell: a person must change something.
    Misconfigured,
    /// Stop and poison: bytes that were acknowledged are gone or wrong.
    Corrupt,
}

/// A failure with its evidence and its cure. Neither text ever holds a patient's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// What to do about it.
    pub failure: Failure,
    /// What happened, with table, position, segment, as far as they apply.
    pub what: String,
    /// What a person can do, as a command where there is one; empty if nothing but waiting helps.
    pub cure: String,
    /// Whether the peer could not be reached at all (exit code 3).
    pub unreachable: bool,
    /// The one table that it is about, if it is about one.
    pub table: Option<TableName>,
}

impl Fault {
    /// A fault of this kind.
    pub fn new(failure: Failure, what: impl Into<String>) -> Fault {
        Fault { failure, what: what.into(), cure: String::new(), unreachable: false, table: None }
    }

    /// Adds what a person can do.
    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Fault {
        self.cure = cure.into();
        self
    }

    /// Says which table it is about.
    #[must_use]
    pub fn table(mut self, table: Option<TableName>) -> Fault {
        self.table = table;
        self
    }

    /// Says that the peer could not be reached.
    #[must_use]
    pub fn unreachable(mut self) -> Fault {
        self.unreachable = true;
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if !self.cure.is_empty() {
            write!(f, "; {}", self.cure)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
