//! Tests of the source itself: the rules of the house that no compiler knows.
//!
//! Each check is a pure function over text or over what cargo says of the workspace, in a file of its own, beside a test
//! that a planted violation fails. `tests/tidy.rs` runs them over the checkout. A rule that turns out wrong is changed
//! here, in the open; there is no list of excused files.

pub mod bans;
pub mod edges;
pub mod heads;
pub mod kinds;
pub mod length;
pub mod licences;
pub mod lints;
pub mod mask;
pub mod named;
pub mod reading;
pub mod reasons;
pub mod spdx;
pub mod top;
pub mod tree;

/// One broken rule: where, what, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The file (or crate), from the root of the checkout.
    pub path: String,
    /// The line, from 1; 0 when the whole file is meant.
    pub line: usize,
    /// What is wrong and what to do instead.
    pub what: String,
}

impl Violation {
    /// A violation at a line.
    pub fn at(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }

    /// A violation of a whole file or crate.
    pub fn of(path: &str, what: impl Into<String>) -> Self {
        Self::at(path, 0, what)
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// The line, from 1, on which the byte at `at` stands.
pub fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at].iter().filter(|&&b| b == b'\n').count()
}
