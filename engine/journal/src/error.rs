//! What can go wrong with a log, and what to do then.
//!
//! Names segment, byte and entries; never holds content.

use crate::{frame::Break, segment::SegmentId};
use ports::{Failure, Fault};
use std::io;
use thiserror::Error;

/// Why a log does not do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum LogError {
    /// The disk is full, and nothing was changed.
    #[error("disk full: {file} cannot grow")]
    Full { file: String },
    /// The disk is full but for the reserve, which is not for captured rows.
    #[error(
        "disk full: the rest is kept for outcomes, decisions and checkpoints ({missing} bytes of the reserve are in use)"
    )]
    Reserved { missing: u64 },
    /// What will follow of rows captured so far, and of these, may not find room.
    #[error(
        "disk nearly full: {free} bytes are free, and {wanted} with the reserve are kept for outcomes, decisions and checkpoints of captured rows"
    )]
    Owed { free: u64, wanted: u64 },
    /// The disk failed.
    #[error("{act} {file}: {source}")]
    Io { act: &'static str, file: String, source: io::Error },
    /// Acknowledged bytes are wrong or gone.
    #[error("segment {segment}, byte {offset}: {what}; entries {from} to {to} are not readable")]
    Corrupt { segment: SegmentId, offset: u64, what: Break, from: u64, to: u64 },
    /// Files are missing.
    #[error("{file} is missing; entries {from} to {to} are gone")]
    Missing { file: String, from: u64, to: u64 },
    /// Another format, another kind of log.
    #[error("segment {segment}: {what}")]
    Format { segment: SegmentId, what: String },
    /// A failure before this one.
    #[error("the log stopped at an earlier failure: {0}")]
    Poisoned(String),
    /// The caller asked for something that cannot be.
    #[error("{0}")]
    Refused(String),
}

impl LogError {
    pub(crate) fn io(act: &'static str, file: impl Into<String>) -> impl FnOnce(io::Error) -> LogError {
        let file = file.into();
        move |source| {
            if crate::disk::is_full(&source) { LogError::Full { file } } else { LogError::Io { act, file, source } }
        }
    }

    /// A failed flush, whatever the reason: what the kernel still holds is unknown, so it is never harmless or retried.
    pub(crate) fn flush(file: impl Into<String>) -> impl FnOnce(io::Error) -> LogError {
        let file = file.into();
        move |source| LogError::Io { act: "cannot make durable", file, source }
    }

    /// Whether the log is as it was before the call.
    pub(crate) fn harmless(&self) -> bool {
        match self {
            LogError::Full { .. } | LogError::Reserved { .. } | LogError::Owed { .. } | LogError::Refused(_) => true,
            LogError::Io { .. }
            | LogError::Corrupt { .. }
            | LogError::Missing { .. }
            | LogError::Format { .. }
            | LogError::Poisoned(_) => false,
        }
    }

    fn failure(&self) -> Failure {
        match self {
            LogError::Full { .. } | LogError::Reserved { .. } | LogError::Owed { .. } => Failure::Transient,
            LogError::Refused(_) => Failure::Rejected,
            LogError::Format { .. } => Failure::Misconfigured,
            LogError::Io { source, .. } if is_forbidden(source) => Failure::Misconfigured,
            LogError::Io { .. } | LogError::Corrupt { .. } | LogError::Missing { .. } | LogError::Poisoned(_) => {
                Failure::Corrupt
            }
        }
    }

    fn cure(&self) -> &'static str {
        match self {
            LogError::Full { .. } | LogError::Reserved { .. } | LogError::Owed { .. } => {
                "free space on the disk of data_dir; capture goes on by itself"
            }
            LogError::Io { source, .. } if is_forbidden(source) => "let the user of this process write in data_dir",
            LogError::Io { .. } | LogError::Poisoned(_) => {
                "look at the disk (kernel log, SMART), then start again: the log recovers what was acknowledged"
            }
            LogError::Corrupt { .. } | LogError::Missing { .. } => {
                "keep a copy of data_dir, then restore it from a backup or begin a new one; `lockstep journal verify` names every segment"
            }
            LogError::Format { .. } => "use the binary that wrote it, or begin with a new data_dir",
            LogError::Refused(_) => "",
        }
    }
}

fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

impl From<LogError> for Fault {
    fn from(error: LogError) -> Fault {
        Fault::new(error.failure(), error.to_string()).cure(error.cure())
    }
}
