//! Why a bench has no figure.

use ports::Fault;

/// A bench's result.
pub type Outcome<T> = Result<T, Failed>;

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The bench's own words: what was counted, what was expected.
    #[error("{0}")]
    Told(String),
    /// A part of the engine failed.
    #[error("{0}")]
    Fault(#[from] Fault),
    /// The machine.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl Failed {
    /// Says what went wrong.
    pub fn told(what: impl Into<String>) -> Failed {
        Failed::Told(what.into())
    }
}

/// Counts must hold: a rate for rows that never came is no figure.
pub fn counted(what: &str, found: u64, expected: u64) -> Outcome<()> {
    if found == expected {
        return Ok(());
    }
    Err(Failed::told(format!("{found} {what} in the place of {expected}: no figure")))
}
